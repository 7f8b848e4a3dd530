//! The rows of an evaluation: what is asked, and what the captioner is given to answer it.

use namelens_engine::personalize::messages::PromptStyle;

/// One row of the table: one kind of question under one condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// A caption of a photo with this many named things.
    Caption {
        /// Named things in the photo.
        things: usize,
        /// What the captioner is given.
        mode: Mode,
    },
    /// "Is it here?" about a thing that is and one that is not.
    Recognize {
        /// Whether the captioner hears where the retriever saw it.
        hints: bool,
    },
    /// "Where is it?" about every named thing in the photo.
    Locate {
        /// Whether the captioner hears where the retriever saw it.
        hints: bool,
    },
    /// A question about a named thing that is not in the photo.
    RefuseAbsent,
    /// A question about a name nobody introduced.
    RefuseUnknown,
    /// A question that can be answered.
    Answerable,
    /// A caption without names.
    PlainCaption,
}

/// What the captioner is given besides the photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The right concepts, and where the retriever sees them ("skip-retrieval" in RePIC's paper).
    Skip,
    /// What retrieval finds.
    Retrieval,
    /// The right concepts and nothing else: what the captioner recognises by itself.
    Unaided,
    /// The right concepts and as many whose thing is not in the photo, half of them look-alikes, and nothing else: who is here, and
    /// which is who, is for the captioner to tell.
    UnaidedAll,
    /// No captioner, a rule: what [`Mode::UnaidedAll`] is given is all written down, each name with the look of its reference.
    NameAll,
    /// As [`Mode::Retrieval`], but the concepts are chosen by RePIC's rule: the nearest few of all regions, no threshold.
    RepicRetrieval,
    /// As [`Mode::Unaided`], in RePIC's prompt.
    RepicPrompt,
    /// As [`Mode::Unaided`], in RAP's prompt.
    RapPrompt,
}

impl Mode {
    /// As reports call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Retrieval => "retrieval",
            Self::Unaided => "unaided",
            Self::UnaidedAll => "unaided-all",
            Self::NameAll => "name-all",
            Self::RepicRetrieval => "repic-retrieval",
            Self::RepicPrompt => "repic-prompt",
            Self::RapPrompt => "rap-prompt",
        }
    }

    /// Whether the captioner hears where the retriever saw each concept.
    pub(super) fn hints(self) -> bool {
        matches!(self, Self::Skip | Self::Retrieval | Self::RepicRetrieval)
    }

    /// Whether concepts whose thing is not in the photo are handed over, too.
    pub(super) fn hands_over_all(self) -> bool {
        matches!(self, Self::UnaidedAll | Self::NameAll)
    }

    /// Whose prompt the captioner reads.
    pub(super) fn style(self) -> PromptStyle {
        match self {
            Self::RepicPrompt => PromptStyle::RePic,
            Self::RapPrompt => PromptStyle::Rap,
            _ => PromptStyle::NameLens,
        }
    }
}

/// How many named things the photos of captions show.
const THINGS: [usize; 3] = [1, 2, 4];

impl Row {
    /// All rows, those a reader asks for first in front; with `compare` also those of other papers' methods.
    pub fn all(compare: bool) -> Vec<Self> {
        let captions = |mode: Mode| THINGS.map(|things| Self::Caption { things, mode });
        let mut rows = Vec::new();
        rows.extend(captions(Mode::Skip));
        rows.extend(captions(Mode::Retrieval));
        rows.extend([
            Self::Recognize { hints: true },
            Self::Locate { hints: true },
            Self::RefuseAbsent,
            Self::RefuseUnknown,
            Self::Answerable,
            Self::PlainCaption,
        ]);
        rows.extend(captions(Mode::Unaided));
        rows.extend([
            Self::Recognize { hints: false },
            Self::Locate { hints: false },
        ]);
        rows.extend(captions(Mode::UnaidedAll));
        rows.extend(captions(Mode::NameAll));
        if compare {
            for mode in [Mode::RepicRetrieval, Mode::RepicPrompt, Mode::RapPrompt] {
                rows.extend(captions(mode));
            }
        }
        rows
    }

    /// Its name in reports and on the command line: `caption/2/retrieval`.
    pub fn key(self) -> String {
        let aided = |what: &str, hints: bool| match hints {
            true => what.to_owned(),
            false => format!("{what}/unaided"),
        };
        match self {
            Self::Caption { things, mode } => format!("caption/{things}/{}", mode.word()),
            Self::Recognize { hints } => aided("recognize", hints),
            Self::Locate { hints } => aided("locate", hints),
            Self::RefuseAbsent => "refuse/absent".to_owned(),
            Self::RefuseUnknown => "refuse/unknown".to_owned(),
            Self::Answerable => "answer".to_owned(),
            Self::PlainCaption => "plain".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rows_have_names_of_their_own_and_comparisons_come_last() {
        let (plain, compared) = (Row::all(false), Row::all(true));
        assert_eq!(compared[..plain.len()], plain);
        assert_eq!(compared.len(), plain.len() + 9);
        let keys: BTreeSet<String> = compared.iter().map(|row| row.key()).collect();
        assert_eq!(keys.len(), compared.len());
    }
}
