//! Where things are, in words: left, middle, right, top, bottom, and behind which other one.

/// A box that covers more than this share of the photo fills it.
const FILLS: f32 = 0.6;
/// Two boxes that share more than this of the narrower one's width stand before one another.
const IN_LINE: f32 = 0.5;
/// How much higher, as a share of the photo, the foot of the one behind is.
const HIGHER: f32 = 0.08;

/// Where a box is, also seen from the other things `others` (names and boxes) of the photo.
pub(super) fn place(box_: [f32; 4], others: &[(&str, [f32; 4])]) -> String {
    let [left, top, right, bottom] = box_;
    if (right - left) * (bottom - top) > FILLS {
        return "large, in the whole photo".into();
    }
    let across = third(
        (left + right) / 2.0,
        ["on the left", "in the middle", "on the right"],
    );
    let down = third((top + bottom) / 2.0, [" at the top", "", " at the bottom"]);
    let before = others
        .iter()
        .find(|(_, other)| *other != box_ && is_behind(box_, *other));
    match before {
        Some((name, _)) => format!("{across}{down}, behind {name}"),
        None => format!("{across}{down}"),
    }
}

/// Whether the first box is behind the second one: on the ground, what stands higher in a photo stands farther away.
fn is_behind(box_: [f32; 4], before: [f32; 4]) -> bool {
    let shared = box_[2].min(before[2]) - box_[0].max(before[0]);
    let narrower = (box_[2] - box_[0]).min(before[2] - before[0]);
    let touches = box_[3] > before[1];
    touches && shared > IN_LINE * narrower && box_[3] + HIGHER < before[3]
}

fn third(at: f32, words: [&'static str; 3]) -> &'static str {
    words[if at < 1.0 / 3.0 {
        0
    } else if at <= 2.0 / 3.0 {
        1
    } else {
        2
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_higher_in_line_is_behind() {
        let front = [0.3, 0.4, 0.7, 0.9];
        assert!(is_behind([0.35, 0.2, 0.65, 0.7], front));
        assert!(!is_behind(front, [0.35, 0.2, 0.65, 0.7]));
        // Beside it, at the same height, or far above.
        assert!(!is_behind([0.75, 0.2, 0.95, 0.7], front));
        assert!(!is_behind([0.35, 0.4, 0.65, 0.88], front));
        assert!(!is_behind([0.35, 0.0, 0.65, 0.3], front));
    }
}
