//! What the retriever tells the captioner of each concept, and in which order.

use crate::concepts::{Reason, Retrieved};

/// What the retriever found out about a concept; it tells the captioner in the prompt.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Seen {
    /// Nobody looked, or it could not be told.
    #[default]
    Untold,
    /// In this region of the photo, `[x0, y0, x1, y1]` as fractions.
    At([f32; 4]),
    /// In no region.
    Nowhere,
}

impl From<&Retrieved> for Seen {
    fn from(found: &Retrieved) -> Self {
        match found.box_ {
            Some(region) => Self::At(region),
            // Like the photo as a whole: it is there, nobody knows where.
            None if found.reason == Reason::Similar => Self::Untold,
            // Nothing was compared.
            None if found.score == 0.0 => Self::Untold,
            None => Self::Nowhere,
        }
    }
}

/// The order in which a prompt should list concepts: those seen, from left to right, then the others as they come.
///
/// A caption names things in that order, so a small decoder need not sort boxes by their digits.
pub fn reading_order(seen: &[Seen]) -> Vec<usize> {
    let middle = |at: usize| match seen[at] {
        Seen::At([x0, _, x1, _]) => (x0 + x1) / 2.0,
        Seen::Untold | Seen::Nowhere => f32::INFINITY,
    };
    let mut order: Vec<usize> = (0..seen.len()).collect();
    order.sort_by(|&a, &b| middle(a).total_cmp(&middle(b)));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seen_things_come_first_from_left_to_right() {
        let at = |x0: f32, x1: f32| Seen::At([x0, 0.0, x1, 1.0]);
        let seen = [Seen::Nowhere, at(0.5, 0.9), Seen::Untold, at(0.0, 0.8)];
        assert_eq!(reading_order(&seen), [3, 1, 0, 2]);
        assert!(reading_order(&[]).is_empty());
    }
}
