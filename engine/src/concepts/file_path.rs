//! Paths as other machines write them, compared name by name from the end.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use unicode_normalization_alignments::UnicodeNormalization;

/// How often slashes are taken out of percent-encoding: what was encoded more often means something else.
const MOST_ROUNDS: usize = 3;

/// A path as the names on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path(pub(super) Vec<Name>);

impl Path {
    /// Takes either slash; `.` is dropped, `..` takes back the folder before it, if there is one.
    pub(super) fn new(path: &str) -> Self {
        let mut path = Cow::Borrowed(path);
        for _ in 0..MOST_ROUNDS {
            let lower = path.to_ascii_lowercase();
            if !lower.contains("%2f") && !lower.contains("%5c") {
                break;
            }
            path = Cow::Owned(percent_decode_str(&path).decode_utf8_lossy().into_owned());
        }
        let mut names: Vec<Name> = Vec::new();
        for part in path.split(['/', '\\']) {
            match part.trim() {
                "" | "." => {}
                ".." => drop(names.pop()),
                _ => names.push(Name::new(part)),
            }
        }
        Self(names)
    }

    /// The last folder and the name, folded.
    pub(super) fn end(&self) -> Option<[String; 2]> {
        let [.., folder, name] = self.0.as_slice() else {
            return None;
        };
        Some([folder.folded.clone(), name.folded.clone()])
    }

    /// How many names of the ends are the same, and how exactly.
    pub(super) fn common_end(&self, other: &Self) -> (usize, Exactness) {
        let mut exactness = Exactness::Same;
        let mut depth = 0;
        for (a, b) in self.0.iter().rev().zip(other.0.iter().rev()) {
            let Some(here) = a.compare(b) else { break };
            exactness = exactness.min(here);
            depth += 1;
        }
        (depth, exactness)
    }
}

/// One name of a path in the three forms it is compared in.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) raw: String,
    /// Without percent-encoding, outer spaces and differences of composed characters.
    clean: String,
    /// The same in lower case.
    pub(super) folded: String,
}

impl Name {
    fn new(raw: &str) -> Self {
        let decoded = percent_decode_str(raw).decode_utf8_lossy();
        let clean: String = decoded.trim().nfc().map(|(c, _)| c).collect();
        Self {
            raw: raw.to_owned(),
            folded: clean.to_lowercase(),
            clean,
        }
    }

    fn compare(&self, other: &Self) -> Option<Exactness> {
        if self.raw == other.raw {
            Some(Exactness::Same)
        } else if self.clean == other.clean {
            Some(Exactness::Spelling)
        } else if self.folded == other.folded {
            Some(Exactness::Case)
        } else {
            None
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl Eq for Name {}

/// How exactly two paths agree, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Exactness {
    /// But for upper and lower case.
    Case,
    /// But for percent-encoding, outer spaces, composed characters.
    Spelling,
    /// Letter for letter.
    Same,
}
