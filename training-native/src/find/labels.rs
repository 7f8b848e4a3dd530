//! What is written on copies for each name: the name itself, or a number where the font has no letters for it.

use std::collections::{BTreeMap, BTreeSet};

use ab_glyph::{Font, FontRef};

use crate::plots::FONT;

/// Scripts that are written from right to left; letters are drawn one by one, from left to right, so these would be a jumble.
const RIGHT_TO_LEFT: [std::ops::RangeInclusive<char>; 3] = [
    '\u{590}'..='\u{8ff}',
    '\u{fb1d}'..='\u{fdff}',
    '\u{fe70}'..='\u{feff}',
];

/// The names that cannot be written, each with the number that stands for it: `#1`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Labels for all these names; the same names have the same numbers in every run.
    pub fn of<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let names: BTreeSet<&str> = names.collect();
        let font = FontRef::try_from_slice(FONT).ok();
        let can_write = |name: &str| font.as_ref().is_none_or(|font| is_written(font, name));
        // Somebody may have named a thing so.
        let numbers = (1..).map(|number: usize| format!("#{number}"));
        let free = numbers.filter(|number| !names.contains(number.as_str()));
        let unwritten = names.iter().filter(|name| !can_write(name));
        Self(unwritten.map(|&name| name.to_owned()).zip(free).collect())
    }

    /// What is written for a name.
    pub fn label<'a>(&'a self, name: &'a str) -> &'a str {
        self.0.get(name).map_or(name, String::as_str)
    }

    /// What has to be known to read the copies: `#1 is もち, #2 is 🐈`. `None` where every name can be written.
    pub fn legend(&self) -> Option<String> {
        let told = self
            .0
            .iter()
            .map(|(name, number)| format!("{number} is {name}"));
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

fn is_written(font: &FontRef<'_>, name: &str) -> bool {
    name.chars().all(|char| {
        let has_glyph = font.glyph_id(char).0 != 0;
        let jumbled = RIGHT_TO_LEFT.iter().any(|script| script.contains(&char));
        char.is_whitespace() || (has_glyph && !jumbled)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_be_written_are_numbers_that_nothing_else_is_called() {
        let written = ["Mochi", "Zoë", "Łódź 2", "Мурка", "Αθηνά", "#1", ""];
        let unwritten = ["もち", "قط", "Bo 🐈", "חתול"];
        let labels = Labels::of(written.into_iter().chain(unwritten));
        for name in written {
            assert_eq!(labels.label(name), name);
        }
        let mut numbers = unwritten.map(|name| labels.label(name));
        numbers.sort_unstable();
        assert_eq!(numbers, ["#2", "#3", "#4", "#5"]);
        let again = Labels::of(unwritten.into_iter().rev().chain(written));
        assert_eq!(labels, again);
        let legend = labels.legend().unwrap_or_default();
        for name in unwritten {
            assert!(
                legend.contains(&format!("{} is {name}", labels.label(name))),
                "{legend}"
            );
        }
        assert_eq!(Labels::of(written.into_iter()).legend(), None);
    }
}
