//! Boxes as prompts and answers spell them, and short answers read back as values.

/// The first `[x0, y0, x1, y1]` of the text as fractions of the photo.
///
/// The model writes whole percents from 0 to 99, the last ones included in the box; so the right
/// and lower edges are at `(x1 + 1) / 100`. Anything else in the brackets is not a box.
pub fn parse_box(text: &str) -> Option<[f32; 4]> {
    text.match_indices('[').find_map(|(at, _)| {
        let inner = text[at + 1..].split(']').next()?;
        // A `]` must follow: `split` alone would accept a box that was cut off.
        text[at + 1 + inner.len()..]
            .starts_with(']')
            .then_some(())?;
        let numbers: Vec<u8> = inner
            .split(',')
            .map(|n| percent(n.trim()))
            .collect::<Option<_>>()?;
        let [x0, y0, x1, y1] = *numbers.as_slice() else {
            return None;
        };
        let edge = |n: u8| f32::from(n) / 100.0;
        (x0 <= x1 && y0 <= y1).then(|| [edge(x0), edge(y0), edge(x1 + 1), edge(y1 + 1)])
    })
}

/// A box as the model reads and writes it, in whole percents from 0 to 99; [`parse_box`] gives it back within one.
pub fn format_box(box_: [f32; 4]) -> String {
    let [x0, y0, x1, y1] = box_.map(|edge| ((edge * 100.0) as i32).clamp(0, 99));
    format!("[{x0}, {y0}, {x1}, {y1}]")
}

fn percent(digits: &str) -> Option<u8> {
    let plain =
        !digits.is_empty() && digits.len() <= 2 && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The first whole word that is `yes` or `no`, whatever its case.
pub fn parse_yes_no(text: &str) -> Option<bool> {
    text.split(|c: char| !c.is_alphanumeric()).find_map(|word| {
        match word.to_ascii_lowercase().as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_half_open_fractions() {
        assert_eq!(
            parse_box("[12, 30, 55, 88]"),
            Some([0.12, 0.30, 0.56, 0.89])
        );
        assert_eq!(
            parse_box("It is at [0,0,99,99]."),
            Some([0.0, 0.0, 1.0, 1.0])
        );
        assert_eq!(
            parse_box("[x] [7, 7, 7, 7]"),
            Some([0.07, 0.07, 0.08, 0.08]),
            "one percent, not nothing"
        );
        for bad in [
            "",
            "12, 30, 55, 88",
            "[12, 30, 55]",
            "[12, 30, 55, 88, 9]",
            "[12, 30, 55, 100]",
            "[-1, 30, 55, 88]",
            "[12.0, 30, 55, 88]",
            "[55, 30, 12, 88]",
            "[12, 30, 55, 88",
            "[+1, 2, 3, 4]",
        ] {
            assert_eq!(parse_box(bad), None, "{bad}");
        }
    }

    #[test]
    fn boxes_come_back_within_a_percent() {
        for box_ in [
            [0.0, 0.0, 1.0, 1.0],
            [0.123, 0.309, 0.555, 0.881],
            [-0.1, 0.5, 0.51, 1.2],
        ] {
            let back = parse_box(&format_box(box_)).unwrap();
            for (back, edge) in back.into_iter().zip(box_) {
                // A percent, and float noise.
                assert!((back - edge.clamp(0.0, 1.0)).abs() <= 0.0101, "{box_:?}");
            }
        }
    }

    #[test]
    fn yes_and_no_are_whole_words() {
        assert_eq!(parse_yes_no("Yes."), Some(true));
        assert_eq!(parse_yes_no("**NO**, it is not"), Some(false));
        assert_eq!(parse_yes_no("no, yes"), Some(false));
        for neither in ["", "I cannot know", "Yesterday", "eyes", "nobody"] {
            assert_eq!(parse_yes_no(neither), None, "{neither}");
        }
    }
}
