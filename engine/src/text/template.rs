//! Chat templates of Hugging Face models (Jinja), rendered as `transformers` does, user text never interpreted.

use std::sync::Arc;

use minijinja::context;
use minijinja::value::Value;

use super::jinja;
use super::marks::is_mark;
use super::segment::fail;
use crate::Result;
use crate::host::LocalTime;

/// Largest template accepted; real ones are below 20 kB.
const MAX_SOURCE: usize = 1 << 20;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Specials {
    /// `bos_token`.
    pub bos: String,
    /// `eos_token`.
    pub eos: String,
    /// `pad_token`.
    pub pad: String,
    /// What the template prints for a photo, such as `<image>` or `<|image_pad|>`; empty in a model that reads text only.
    pub image: String,
}

/// A compiled chat template; clones share it.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    template: Arc<jinja::Template>,
    /// Whether turns are given as lists of parts; templates of text-only models want one string.
    lists: bool,
    /// What `strftime_now` tells.
    now: Option<LocalTime>,
}

impl ChatTemplate {
    /// Compiles the `chat_template` of a `tokenizer_config.json` or the text of a `chat_template.jinja`.
    ///
    /// # Errors
    /// [`crate::Error::Template`] when it does not compile.
    pub fn new(source: &str) -> Result<Self> {
        if source.len() > MAX_SOURCE || source.contains(is_mark) {
            return Err(fail("too large, or uses characters of the planes for private use; this is not a chat template".into()));
        }
        let template = jinja::Template::new(source);
        let template = template.map_err(|problem| fail(format!("does not compile: {problem}")))?;
        let template = Self {
            template: Arc::new(template),
            lists: true,
            now: None,
        };
        Ok(Self {
            lists: template.takes_lists(),
            ..template
        })
    }

    /// Sets the time that a template sees; without one, a template that asks for it is refused when it does.
    pub fn set_time(&mut self, now: Option<LocalTime>) {
        self.now = now;
    }

    /// Renders a chat as one string, as the reference does; for showing, not for tokenising.
    ///
    /// # Errors
    /// [`crate::Error::Template`] when there is no message, or the template raises or runs away.
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        specials: &Specials,
    ) -> Result<String> {
        let parts = messages.iter().flat_map(|message| &message.content);
        let texts: Vec<String> = parts
            .filter_map(|part| match part {
                Part::Text(text) => Some(text.clone()),
                Part::Image => None,
            })
            .collect();
        self.run(messages, &texts, add_generation_prompt, specials)
    }

    /// Renders a chat whose texts, in order, are `texts`.
    pub(super) fn run(
        &self,
        messages: &[Message],
        texts: &[String],
        add_generation_prompt: bool,
        specials: &Specials,
    ) -> Result<String> {
        if messages.is_empty() {
            return Err(fail("a chat needs at least one message".into()));
        }
        let mut texts = texts.iter().map(String::as_str);
        let turns = messages
            .iter()
            .map(|message| self.turn(message, &mut texts))
            .collect::<Result<Vec<Value>>>()?;
        let context = [
            ("messages", Value::from(turns)),
            // Given as `None` by `transformers` where a caller has none.
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
            ("bos_token", Value::from(specials.bos.as_str())),
            ("eos_token", Value::from(specials.eos.as_str())),
            ("pad_token", Value::from(specials.pad.as_str())),
        ];
        self.template
            .render(context, self.now)
            .map_err(|e| fail(e.to_string()))
    }

    /// The template's view of a message; takes its texts off `texts`.
    fn turn<'t>(
        &self,
        message: &Message,
        texts: &mut impl Iterator<Item = &'t str>,
    ) -> Result<Value> {
        check_role(&message.role)?;
        let mut next = || texts.next().unwrap_or_default();
        let content: Value = if self.lists {
            let part = |part: &Part| match part {
                Part::Image => context! { type => "image" },
                Part::Text(_) => context! { type => "text", text => next() },
            };
            message.content.iter().map(part).collect()
        } else if message.content.contains(&Part::Image) {
            return Err(fail("this template is of a model without photos".into()));
        } else {
            Value::from(message.content.iter().map(|_| next()).collect::<String>())
        };
        Ok(context! { role => message.role, content => content })
    }

    /// Tries a one-text chat: a template that refuses a list of parts, or prints it as it is, wants strings.
    fn takes_lists(&self) -> bool {
        let message = Message {
            role: "user".into(),
            content: vec![Part::Text("\u{f0000}".into())],
        };
        let shows = |lists| {
            let tried = Self {
                template: Arc::clone(&self.template),
                lists,
                now: Some(LocalTime::default()),
            };
            let shown = tried.render(std::slice::from_ref(&message), false, &Specials::default());
            // In a printed list the text stands in quotes.
            shown.is_ok_and(|text| {
                let before = text.split_once(is_mark).map(|(before, _)| before);
                before.is_some_and(|before| !before.ends_with(['\'', '"']))
            })
        };
        shows(true) || !shows(false)
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
    Err(fail(format!(
        "the role {role:?} is not a word; use system, user or assistant"
    )))
}
