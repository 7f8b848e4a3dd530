//! Hints: what the prompt tells the captioner of each concept's place, and in which order concepts stand.

use crate::concepts::{Reason, Retrieved};

/// What the retriever found out about a concept; it tells the captioner in the prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Hint {
    /// Nobody looked, or it could not be told.
    #[default]
    None,
    /// In this region of the photo, `[x0, y0, x1, y1]` as fractions.
    At([f32; 4]),
    /// In no region.
    Absent,
}

impl From<&Retrieved> for Hint {
    fn from(found: &Retrieved) -> Self {
        match found.box_ {
            Some(region) => Self::At(region),
            // Like the photo as a whole: it is there, nobody knows where.
            None if found.reason == Reason::Similar => Self::None,
            // Nothing was compared.
            None if found.score == 0.0 => Self::None,
            None => Self::Absent,
        }
    }
}

/// The order in which a prompt should list concepts: those seen, from left to right, then the others as they come.
///
/// A caption names things in that order, so a small decoder need not sort boxes by their digits.
pub fn reading_order(hints: &[Hint]) -> Vec<usize> {
    let middle = |at: usize| match hints[at] {
        Hint::At([x0, _, x1, _]) => (x0 + x1) / 2.0,
        Hint::None | Hint::Absent => f32::INFINITY,
    };
    let mut order: Vec<usize> = (0..hints.len()).collect();
    order.sort_by(|&a, &b| middle(a).total_cmp(&middle(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_things_come_first_from_left_to_right() {
        let at = |x0: f32, x1: f32| Hint::At([x0, 0.0, x1, 1.0]);
        let hints = [Hint::Absent, at(0.5, 0.9), Hint::None, at(0.0, 0.8)];
        assert_eq!(reading_order(&hints), [3, 1, 0, 2]);
        assert!(reading_order(&[]).is_empty());
    }
}
