//! The two ways to refuse, recognised in an answer: not in the photo, or never introduced.

use crate::concepts::record::MAX_NAME;

/// Why a question was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The thing is known but not in the photo.
    Absent,
    /// The name belongs to no concept.
    Unknown,
}

/// What stands before and after the name. The Playroom teaches the four marked with *; the others
/// are how larger models say it.
const FORMS: [(&str, &str, Refusal); 8] = [
    ("", " is not in the image", Refusal::Absent), // *
    ("I cannot see ", " in the image", Refusal::Absent), // *
    ("I do not see ", " in the image", Refusal::Absent),
    ("", " is not visible in the image", Refusal::Absent),
    ("I do not know who ", " is", Refusal::Unknown), // *
    ("I have not met ", "", Refusal::Unknown),       // *
    ("I do not know ", "", Refusal::Unknown),
    ("I do not know what ", " looks like", Refusal::Unknown),
];

/// Most words of a name written without brackets; more is a sentence about something else.
const MAX_WORDS: usize = 4;

/// Which refusal the whole `answer` is, if it is one. Reads raw (`<Mochi>`) and shown (`Mochi`) text.
pub fn refusal_class(answer: &str) -> Option<Refusal> {
    let mut text = answer
        .trim()
        .replace('’', "'")
        .replace("don't", "do not")
        .replace("can't", "cannot");
    for noun in ["photo", "picture"] {
        text = text.replace(&format!(" in the {noun}"), " in the image");
    }
    let text = text.strip_suffix('.').unwrap_or(&text);
    let text = text.strip_prefix("Sorry, ").unwrap_or(text);
    // Longest frame first, so that "I do not know who X is" is not read as knowing "who X is".
    let mut forms = FORMS;
    forms.sort_by_key(|(before, after, _)| std::cmp::Reverse(before.len() + after.len()));
    forms.into_iter().find_map(|(before, after, refusal)| {
        let name = text.strip_prefix(before)?.strip_suffix(after)?;
        is_name(name).then_some(refusal)
    })
}

fn is_name(text: &str) -> bool {
    let marked = text.strip_prefix('<').and_then(|t| t.strip_suffix('>'));
    let name = marked.unwrap_or(text);
    !name.is_empty()
        && name.chars().count() <= MAX_NAME
        && !name.contains(['<', '>', '\n'])
        && (marked.is_some() || name.split_whitespace().count() <= MAX_WORDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_classes_are_told_apart() {
        for absent in [
            "<Mochi> is not in the image.",
            "I cannot see <Captain Biscuit> in the image.",
            "Sorry, Mr. Otto is not in the photo.",
            "I don't see 小白 in the picture",
        ] {
            assert_eq!(refusal_class(absent), Some(Refusal::Absent), "{absent}");
        }
        for unknown in [
            "I do not know who <Mochi> is.",
            "I have not met <Dr. Who is Who>.",
            "I don’t know who Ana Maria is.",
            "Sorry, I do not know what Travis looks like.",
        ] {
            assert_eq!(refusal_class(unknown), Some(Refusal::Unknown), "{unknown}");
        }
    }

    #[test]
    fn other_answers_are_no_refusals() {
        for answer in [
            "",
            "No.",
            "Yes.",
            "Red.",
            "[12, 30, 55, 88]",
            "<Mochi>.",
            "<Mochi>, the red cat, sits left of <Bobo>.",
            "<Mochi> is not wearing a hat.",
            "<Mochi> is here and <Bobo> is not in the image.",
            "The red cat and the blue dog is not in the image.",
            " is not in the image.",
            "<> is not in the image.",
        ] {
            assert_eq!(refusal_class(answer), None, "{answer}");
        }
    }
}
