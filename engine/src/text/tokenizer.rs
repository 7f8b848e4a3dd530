//! `tokenizer.json` through the `tokenizers` crate, with control tokens reachable only where allowed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokenizers::Tokenizer as HfTokenizer;

use super::Segment;
use super::declared::Declared;
use super::json::WellFormed;
use super::pieces::Pieces;
use crate::{Error, Result};

/// A loaded tokenizer; clones share it.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    /// Behind a lock because whether special tokens are recognised is a state of the library's type.
    hf: Mutex<HfTokenizer>,
    special: Vec<u32>,
    /// Tokens user text must not reach: special ones, and added ones of the form `<...>`.
    control: HashSet<u32>,
    /// What the model emits for text it has no token for; a control token, but harmless there.
    unknown: Option<u32>,
    vocab_size: usize,
    /// Made when first asked for: only a constrained answer needs them.
    pieces: OnceLock<Arc<Pieces>>,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.0.vocab_size)
            .finish_non_exhaustive()
    }
}

/// One token and the bytes of the text it covers.
struct Span {
    id: u32,
    start: usize,
    end: usize,
}

impl Tokenizer {
    /// Loads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] when they are not a tokenizer this build supports.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let unusable = |e: &dyn std::fmt::Display| {
            fail(format!(
                "cannot load tokenizer.json: {e}; take the file from the model's own folder"
            ))
        };
        serde_json::from_slice::<WellFormed>(json).map_err(|e| unusable(&e))?;
        let declared: Declared = serde_json::from_slice(json).map_err(|e| unusable(&e))?;
        declared.check().map_err(|e| unusable(&e))?;
        let mut hf = HfTokenizer::from_bytes(json).map_err(|e| unusable(&e))?;
        // Both would silently change what the model sees: prompts are never cut or filled up.
        hf.with_truncation(None).map_err(|e| fail(e.to_string()))?;
        hf.with_padding(None);

        let named = declared
            .model
            .unk_token
            .and_then(|token| hf.token_to_id(&token));
        Ok(Self::wrap(hf, declared.model.unk_id.or(named)))
    }

    /// Wraps a tokenizer of the library that neither cuts nor fills up; `unknown` is as in [`Inner`].
    pub(super) fn wrap(hf: HfTokenizer, unknown: Option<u32>) -> Self {
        let mut special = Vec::new();
        let mut control = HashSet::new();
        for (id, token) in hf.get_added_tokens_decoder() {
            if token.special {
                special.push(id);
            }
            if token.special || (token.content.starts_with('<') && token.content.ends_with('>')) {
                control.insert(id);
            }
        }
        special.sort_unstable();
        let vocab_size = hf.get_vocab_size(true);
        Self(Arc::new(Inner {
            hf: Mutex::new(hf),
            special,
            control,
            unknown,
            vocab_size,
            pieces: OnceLock::new(),
        }))
    }

    /// Token ids of `text`, nothing added around it.
    ///
    /// With `allow_special` false (everything a user wrote) text that spells a control token, such
    /// as `<image>`, becomes ordinary tokens.
    ///
    /// # Errors
    /// When the tokenizer's own rules fail on this text.
    pub fn encode(&self, text: &str, allow_special: bool) -> Result<Vec<u32>> {
        if allow_special {
            let spans = self.spans(text, true)?;
            Ok(spans.into_iter().map(|span| span.id).collect())
        } else {
            let mut ids = Vec::new();
            self.encode_ordinary(text, &mut ids)?;
            Ok(ids)
        }
    }

    /// Token ids of a rendered chat: control tokens count in the template's segments only, and
    /// `images[i]` (itself template text) stands for image `i`.
    ///
    /// Text on both sides of a seam is tokenised together, so that the ids equal those of the
    /// reference, which tokenises the rendered string as a whole.
    ///
    /// # Errors
    /// When an image has no text, or the tokenizer's own rules fail.
    pub fn encode_segments(&self, segments: &[Segment], images: &[String]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        // Ordinary text collected since the last control token.
        let mut run = String::new();
        for segment in segments {
            let template = match segment {
                Segment::User(text) => {
                    run.push_str(text);
                    continue;
                }
                Segment::Template(text) => text,
                Segment::Image(index) => images.get(*index).ok_or_else(|| {
                    fail(format!(
                        "the chat shows image {} but {} were given",
                        index + 1,
                        images.len()
                    ))
                })?,
            };
            let mut done = 0;
            for span in self.spans(template, true)? {
                if !self.0.control.contains(&span.id) || self.is_unknown_text(template, &span) {
                    continue;
                }
                run.push_str(template.get(done..span.start).unwrap_or_default());
                self.encode_ordinary(&run, &mut ids)?;
                run.clear();
                ids.push(span.id);
                done = span.end;
            }
            run.push_str(template.get(done..).unwrap_or_default());
        }
        self.encode_ordinary(&run, &mut ids)?;
        Ok(ids)
    }

    /// Token ids of one ordinary text with what the tokenizer itself puts around it (the start and
    /// end tokens of a CLIP text tower).
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub fn encode_wrapped(&self, text: &str) -> Result<Vec<u32>> {
        let ordinary = self.encode(text, false)?;
        let hf = self.lock();
        let empty = hf.encode_fast("", true).map_err(|e| fail(e.to_string()))?;
        let bare = hf.encode_fast("", false).map_err(|e| fail(e.to_string()))?;
        let around = empty.get_ids();
        if !bare.get_ids().is_empty() || around.len() > 2 {
            return Err(fail("its post-processor is not a start and an end token; this text tower is not supported".into()));
        }
        // A lone token is a start or an end: a post-processed letter shows which.
        let probe = hf.encode_fast("a", true).map_err(|e| fail(e.to_string()))?;
        let leading = match around {
            [only] => usize::from(probe.get_ids().first() == Some(only)),
            both => both.len() / 2,
        };
        let (before, after) = around.split_at(leading);
        Ok([before, &ordinary, after].concat())
    }

    /// The text of `ids`; unknown ids are left out, and with `skip_special` special tokens too.
    ///
    /// # Errors
    /// When the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String> {
        self.lock()
            .decode(ids, skip_special)
            .map_err(|e| fail(format!("cannot decode: {e}")))
    }

    /// The id of a token, special or not.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.lock().token_to_id(token)
    }

    /// The token of an id, in the tokenizer's spelling.
    pub fn id_to_token(&self, id: u32) -> Option<String> {
        self.lock().id_to_token(id)
    }

    /// What each token adds to a text.
    pub fn pieces(&self) -> Arc<Pieces> {
        let made = || Arc::new(Pieces::new(&self.lock(), &self.0.control));
        Arc::clone(self.0.pieces.get_or_init(made))
    }

    /// Number of tokens, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.0.vocab_size
    }

    /// Ids of all special tokens, ascending.
    pub fn special_ids(&self) -> &[u32] {
        &self.0.special
    }

    /// Ordinary tokens of `text`: where the library still finds a control token (an added one that is
    /// not special, or a Unigram piece), the text is cut inside it and both sides are encoded again.
    fn encode_ordinary(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        // A stack, not recursion: the depth is the user's to choose. The last piece is the leftmost.
        let mut pieces = vec![text];
        while let Some(piece) = pieces.pop() {
            if piece.is_empty() {
                continue;
            }
            let spans = self.spans(piece, false)?;
            let mut cuts = Vec::new();
            for span in spans
                .iter()
                .filter(|s| self.0.control.contains(&s.id) && !self.is_unknown_text(piece, s))
            {
                let token = piece.get(span.start..span.end).unwrap_or_default();
                // Whitespace a token strips around itself may be part of its span.
                let blank = token.len() - token.trim_start().len();
                let first = token.trim_start().chars().next().map_or(0, char::len_utf8);
                let cut = span.start + blank + first;
                if first == 0 || cut >= span.start + token.trim_end().len() {
                    return Err(fail(format!(
                        "the text `{token}` is a control token of this model; leave it out"
                    )));
                }
                cuts.push(cut);
            }
            if cuts.is_empty() {
                ids.extend(spans.iter().map(|span| span.id));
                continue;
            }
            // Pieces of one normalised character may share a span.
            cuts.sort_unstable();
            cuts.dedup();
            let mut rest = piece;
            for &cut in cuts.iter().rev() {
                let (left, right) = rest.split_at(cut);
                pieces.push(right);
                rest = left;
            }
            pieces.push(rest);
        }
        Ok(())
    }

    /// Whether a span is the unknown token standing for other text than its own spelling.
    fn is_unknown_text(&self, text: &str, span: &Span) -> bool {
        let covered = text.get(span.start..span.end).unwrap_or_default();
        Some(span.id) == self.0.unknown
            && self
                .id_to_token(span.id)
                .is_none_or(|token| token != covered.trim())
    }

    fn spans(&self, text: &str, allow_special: bool) -> Result<Vec<Span>> {
        let mut hf = self.lock();
        hf.set_encode_special_tokens(!allow_special);
        let encoding = hf
            .encode(text, false)
            .map_err(|e| fail(format!("cannot encode the text: {e}")))?;
        let offsets = encoding.get_offsets().iter();
        Ok(encoding
            .get_ids()
            .iter()
            .zip(offsets)
            .map(|(&id, &(start, end))| Span { id, start, end })
            .collect())
    }

    fn lock(&self) -> MutexGuard<'_, HfTokenizer> {
        // The state is one flag, set before every use: a panic elsewhere cannot have broken it.
        self.0.hf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fail(problem: String) -> Error {
    Error::Tokenizer { problem }
}
