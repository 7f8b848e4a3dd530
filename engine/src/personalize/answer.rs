//! Boxes as prompts and answers spell them, and short answers read back as values.

use crate::model::variants::BoxUnits;

/// The numbers a model writes boxes in, and the photo they count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxScale {
    /// What is counted.
    pub units: BoxUnits,
    /// Width and height of the photo as the model saw it, pixels.
    pub size: (usize, usize),
}

impl BoxScale {
    /// Whole percents, as our own models write.
    pub const HUNDREDTHS: Self = Self {
        units: BoxUnits::Hundredths,
        size: (0, 0),
    };

    /// The largest number of a box, across and down, and what a right or lower edge lies beyond its number.
    fn limits(self) -> ([u32; 2], u32) {
        match self.units {
            // From 0 to 99, the last one included in the box.
            BoxUnits::Hundredths => ([99; 2], 1),
            BoxUnits::Thousandths => ([1000; 2], 0),
            BoxUnits::Pixels => ([self.size.0 as u32, self.size.1 as u32], 0),
        }
    }
}

/// The first `[x0, y0, x1, y1]` of the text as fractions of the photo; also within JSON, as Qwen-VL answers.
///
/// Anything else in the brackets is not a box: other counts, signs, fractions, numbers beyond the scale.
pub fn parse_box(text: &str, scale: BoxScale) -> Option<[f32; 4]> {
    let ([across, down], beyond) = scale.limits();
    text.match_indices('[').find_map(|(at, _)| {
        let inner = text[at + 1..].split(']').next()?;
        // A `]` must follow: `split` alone would accept a box that was cut off.
        text[at + 1 + inner.len()..]
            .starts_with(']')
            .then_some(())?;
        let numbers: Vec<u32> = inner
            .split(',')
            .map(|n| number(n.trim()))
            .collect::<Option<_>>()?;
        let [x0, y0, x1, y1] = *numbers.as_slice() else {
            return None;
        };
        let edge = |n: u32, most: u32| n as f32 / (most + beyond) as f32;
        let fits = x0 <= x1 && y0 <= y1 && x1 <= across && y1 <= down && across > 0 && down > 0;
        fits.then(|| {
            [
                edge(x0, across),
                edge(y0, down),
                edge(x1 + beyond, across),
                edge(y1 + beyond, down),
            ]
        })
    })
}

/// A box as the model reads and writes it, in whole percents from 0 to 99; [`parse_box`] with [`BoxScale::HUNDREDTHS`]
/// gives it back within one.
pub fn format_box(box_: [f32; 4]) -> String {
    let [x0, y0, x1, y1] = box_.map(|edge| ((edge * 100.0) as i32).clamp(0, 99));
    format!("[{x0}, {y0}, {x1}, {y1}]")
}

fn number(digits: &str) -> Option<u32> {
    let plain =
        !digits.is_empty() && digits.len() <= 5 && digits.bytes().all(|b| b.is_ascii_digit());
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

    fn parse_box(text: &str) -> Option<[f32; 4]> {
        super::parse_box(text, BoxScale::HUNDREDTHS)
    }

    #[test]
    fn boxes_of_other_families_are_read_in_their_units() {
        let answer = "```json\n[{\"bbox_2d\": [140, 70, 280, 140], \"label\": \"cup\"}]\n```";
        let read = |units, size| super::parse_box(answer, BoxScale { units, size });
        assert_eq!(
            read(BoxUnits::Pixels, (560, 280)),
            Some([0.25, 0.25, 0.5, 0.5])
        );
        assert_eq!(
            read(BoxUnits::Thousandths, (560, 280)),
            Some([0.14, 0.07, 0.28, 0.14])
        );
        assert_eq!(read(BoxUnits::Pixels, (200, 280)), None, "beyond the photo");
        assert_eq!(read(BoxUnits::Pixels, (0, 0)), None);
    }

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
