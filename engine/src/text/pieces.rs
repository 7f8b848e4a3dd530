//! What each token adds to a text, as bytes: a token may hold part of a character, or the end of one word and the next.

use std::collections::HashSet;

use tokenizers::Tokenizer as HfTokenizer;
use tokenizers::decoders::DecoderWrapper;

/// The pieces of a whole vocabulary.
///
/// Control tokens have none: special ones print nothing, and the others (`<think>`) are marks, not writing.
#[derive(Debug)]
pub struct Pieces {
    /// All pieces, one behind the other.
    bytes: Vec<u8>,
    /// Each token, ascending, and where its piece ends; it begins where the one before ends.
    ends: Vec<(u32, usize)>,
    /// Tokens that have a piece, by their bytes.
    sorted: Vec<u32>,
}

impl Pieces {
    pub(super) fn new(hf: &HfTokenizer, control: &HashSet<u32>) -> Self {
        let mut vocabulary: Vec<(u32, String)> = hf
            .get_vocab(true)
            .into_iter()
            .map(|(token, id)| (id, token))
            .collect();
        vocabulary.sort_unstable();
        // Two spellings of one id: the first counts.
        vocabulary.dedup_by_key(|(id, _)| *id);
        let reader = PieceReader::new(hf, &vocabulary, control);
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for (id, token) in &vocabulary {
            if !control.contains(id) {
                bytes.extend(reader.read(*id, token));
            }
            ends.push((*id, bytes.len()));
        }
        let mut pieces = Self {
            bytes,
            ends,
            sorted: Vec::new(),
        };
        let mut sorted: Vec<u32> = vocabulary.iter().map(|(id, _)| *id).collect();
        sorted.retain(|&id| !pieces.get(id).is_empty());
        sorted.sort_by(|&a, &b| pieces.get(a).cmp(pieces.get(b)).then(a.cmp(&b)));
        pieces.sorted = sorted;
        pieces
    }

    /// The bytes a token adds; none for a control token or an unknown id.
    pub fn get(&self, id: u32) -> &[u8] {
        // Vocabularies are numbered without gaps; a file that is not is searched.
        let dense = self
            .ends
            .get(id as usize)
            .is_some_and(|(own, _)| *own == id);
        let at = match dense {
            true => id as usize,
            false => match self.ends.binary_search_by_key(&id, |(own, _)| *own) {
                Ok(at) => at,
                Err(_) => return &[],
            },
        };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let end = self.ends[at].1;
        &self.bytes[start..end]
    }

    /// Every token that adds something, in the order of its bytes.
    pub fn sorted(&self) -> &[u32] {
        &self.sorted
    }
}

/// How the tokenizer's decoder turns a token into bytes.
enum PieceReader<'a> {
    /// Every character of a token stands for a byte.
    ByteLevel(Box<[Option<u8>; 512]>),
    /// The decoder itself, behind a token that keeps what belongs to the beginning of a text away.
    InContext {
        hf: &'a HfTokenizer,
        before: u32,
        before_text: String,
        byte_tokens: bool,
    },
}

impl<'a> PieceReader<'a> {
    fn new(hf: &'a HfTokenizer, vocabulary: &[(u32, String)], control: &HashSet<u32>) -> Self {
        if let Some(DecoderWrapper::ByteLevel(_)) = hf.get_decoder() {
            return Self::ByteLevel(Box::new(byte_of_char()));
        }
        let word = |&(id, _): &(u32, String)| {
            let text = hf.decode(&[id], true).unwrap_or_default();
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric());
            (plain && !control.contains(&id)).then_some((id, text))
        };
        let (before, before_text) = vocabulary.iter().find_map(word).unwrap_or_default();
        let byte_tokens = match hf.get_decoder() {
            Some(DecoderWrapper::ByteFallback(_)) => true,
            Some(DecoderWrapper::Sequence(steps)) => steps
                .get_decoders()
                .iter()
                .any(|step| matches!(step, DecoderWrapper::ByteFallback(_))),
            _ => false,
        };
        Self::InContext {
            hf,
            before,
            before_text,
            byte_tokens,
        }
    }

    fn read(&self, id: u32, token: &str) -> Vec<u8> {
        match self {
            Self::ByteLevel(table) => {
                let byte = |c: char| table.get(c as usize).copied().flatten();
                // As the decoder does it: a token with any other character stands for its own bytes.
                let bytes: Option<Vec<u8>> = token.chars().map(byte).collect();
                bytes.unwrap_or_else(|| token.as_bytes().to_vec())
            }
            Self::InContext {
                hf,
                before,
                before_text,
                byte_tokens,
            } => {
                let byte = byte_tokens.then(|| byte_token(token)).flatten();
                if let Some(byte) = byte {
                    return vec![byte];
                }
                let text = if before_text.is_empty() {
                    hf.decode(&[id], true)
                } else {
                    hf.decode(&[*before, id], true)
                };
                let text = text.unwrap_or_default();
                text.strip_prefix(before_text.as_str())
                    .unwrap_or_default()
                    .as_bytes()
                    .to_vec()
            }
        }
    }
}

/// The byte of a token such as `<0x3C>`.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2)
        .then(|| u8::from_str_radix(digits, 16).ok())
        .flatten()
}

/// The byte each character of a byte-level token stands for: printable Latin-1 for itself, the others in order from U+0100.
fn byte_of_char() -> [Option<u8>; 512] {
    let mut table = [None; 512];
    let mut other = 0x100;
    for byte in 0..=u8::MAX {
        let at = match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => usize::from(byte),
            _ => {
                other += 1;
                other - 1
            }
        };
        table[at] = Some(byte);
    }
    table
}
