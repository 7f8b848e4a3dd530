//! Chat templates of Hugging Face models (Jinja), rendered so that user text is never interpreted.

use std::sync::Arc;

use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, context};

use super::bounds;
use super::segment::{self, CLOSE, OPEN, Segment, placeholder};
use crate::Result;

/// Instructions a template may run; real ones need some hundreds a message.
const FUEL: u64 = 1_000_000;
/// Largest template accepted; real ones are below 20 kB.
const MAX_SOURCE: usize = 1 << 20;
/// Largest rendered text; user text is not in it yet.
const MAX_RENDERED: usize = 4 << 20;

/// One turn of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `system`, `user` or `assistant`; letters, digits, `_` and `-` only, since templates print it.
    pub role: String,
    /// What the turn holds, in order.
    pub content: Vec<Part>,
}

/// A piece of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A photo; photos are numbered from 0 through the whole chat.
    Image,
    /// Text that stays literal whatever it contains.
    Text(String),
}

/// Tokens a template refers to by variable, and the one that marks a photo in its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Specials {
    /// `bos_token`.
    pub bos: String,
    /// `eos_token`.
    pub eos: String,
    /// `pad_token`.
    pub pad: String,
    /// What the template prints for a photo, such as `<image>` or `<|image_pad|>`.
    pub image: String,
}

/// A compiled chat template; clones share it.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Arc<Environment<'static>>,
    /// Whether turns are given as lists of parts; templates of text-only models want one string.
    lists: bool,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles the `chat_template` of a `tokenizer_config.json` or the text of a `chat_template.jinja`.
    ///
    /// # Errors
    /// [`Error::Template`] when it does not compile.
    pub fn new(source: &str) -> Result<Self> {
        if source.len() > MAX_SOURCE || source.contains([OPEN, CLOSE]) {
            return Err(segment::fail("too large, or uses the private characters U+F8F0 and U+F8F1; this is not a chat template".into()));
        }
        let mut environment = Environment::new();
        // As transformers compiles them.
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_fuel(Some(FUEL));
        bounds::install(&mut environment);
        environment.add_function(
            "raise_exception",
            |message: String| -> Result<Value, minijinja::Error> {
                Err(minijinja::Error::new(ErrorKind::InvalidOperation, message))
            },
        );
        bounds::caught(|| environment.add_template_owned(NAME, source.to_owned()))
            .map_err(|e| segment::fail(format!("does not compile: {e}")))?;
        let template = Self {
            environment: Arc::new(environment),
            lists: true,
        };
        Ok(Self {
            lists: template.takes_lists(),
            ..template
        })
    }

    /// Renders a chat into segments, in order; neighbouring template text is one segment.
    ///
    /// # Errors
    /// [`Error::Template`] when there is no message, or the template raises, drops or repeats a photo, loses a text, or
    /// runs away.
    pub fn render_segments(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        specials: &Specials,
    ) -> Result<Vec<Segment>> {
        if messages.is_empty() {
            return Err(segment::fail("a chat needs at least one message".into()));
        }
        let mut texts = Vec::new();
        let mut photos = 0;
        let mut turns = Vec::with_capacity(messages.len());
        for message in messages {
            check_role(&message.role)?;
            for part in &message.content {
                match part {
                    Part::Text(text) => texts.push(text.as_str()),
                    Part::Image => photos += 1,
                }
            }
            turns.push(self.turn(message, texts.len())?);
        }
        let rendered = self.run(&turns, add_generation_prompt, specials)?;
        let segments = segment::split(&rendered, &texts, &specials.image)?;
        segment::check_complete(&segments, texts.len(), photos, &specials.image)?;
        Ok(segments.into_iter().map(|(segment, _)| segment).collect())
    }

    /// Renders a chat as one string, as the reference would; for showing, not for tokenising.
    ///
    /// # Errors
    /// As [`Self::render_segments`].
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        specials: &Specials,
    ) -> Result<String> {
        let segments = self.render_segments(messages, add_generation_prompt, specials)?;
        let text = |segment: &Segment| match segment {
            Segment::Template(text) | Segment::User(text) => text.clone(),
            Segment::Image(_) => specials.image.clone(),
        };
        Ok(segments.iter().map(text).collect())
    }

    /// The template's view of a message: placeholders for its texts, the last being number `texts_after - 1`.
    fn turn(&self, message: &Message, texts_after: usize) -> Result<Value> {
        let n_texts = message
            .content
            .iter()
            .filter(|p| matches!(p, Part::Text(_)))
            .count();
        let mut number = texts_after - n_texts;
        let mut next = || {
            number += 1;
            placeholder(number - 1)
        };
        let content: Value = if self.lists {
            let part = |part: &Part| match part {
                Part::Image => context! { type => "image" },
                Part::Text(_) => context! { type => "text", text => next() },
            };
            message.content.iter().map(part).collect()
        } else if message.content.contains(&Part::Image) {
            return Err(segment::fail(
                "this template is of a model without photos".into(),
            ));
        } else {
            Value::from(message.content.iter().map(|_| next()).collect::<String>())
        };
        Ok(context! { role => message.role, content => content })
    }

    fn run(
        &self,
        turns: &[Value],
        add_generation_prompt: bool,
        specials: &Specials,
    ) -> Result<String> {
        let template = self
            .environment
            .get_template(NAME)
            .map_err(|e| segment::fail(e.to_string()))?;
        let mut out = Capped(Vec::new());
        let context = context! {
            messages => turns,
            add_generation_prompt => add_generation_prompt,
            bos_token => specials.bos,
            eos_token => specials.eos,
            pad_token => specials.pad,
        };
        bounds::caught(|| template.render_captured_to(context, &mut out).map(drop))
            .map_err(|e| segment::fail(e.to_string()))?;
        String::from_utf8(out.0).map_err(|e| segment::fail(e.to_string()))
    }

    /// Tries a one-text chat: a template that refuses a list of parts, or prints it as it is, wants strings.
    fn takes_lists(&self) -> bool {
        let specials = Specials {
            bos: String::new(),
            eos: String::new(),
            pad: String::new(),
            image: String::new(),
        };
        let message = Message {
            role: "user".into(),
            content: vec![Part::Text(String::new())],
        };
        let shows = |lists| {
            let tried = Self {
                environment: Arc::clone(&self.environment),
                lists,
            };
            let turn = tried.turn(&message, 1);
            let shown = turn.and_then(|turn| tried.run(&[turn], false, &specials));
            // In a printed list the text stands in quotes.
            shown.is_ok_and(|text| text.contains(OPEN) && !text.contains(&format!("\"{OPEN}")))
        };
        shows(true) || !shows(false)
    }
}

/// Output that ends the rendering when it grows beyond reason.
struct Capped(Vec<u8>);

impl std::io::Write for Capped {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_RENDERED {
            return Err(std::io::Error::other("the template prints without end"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn check_role(role: &str) -> Result<()> {
    let fine = !role.is_empty()
        && role
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if fine {
        return Ok(());
    }
    Err(segment::fail(format!(
        "the role {role:?} is not a word; use system, user or assistant"
    )))
}
