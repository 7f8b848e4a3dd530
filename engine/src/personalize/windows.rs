//! Which parts of a photo are compared with references: boxes that patches propose, or windows of a grid.

use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Least side of a proposed box, as a share of the photo's: smaller ones come from patches on nothing.
const LEAST_SIDE: f32 = 0.05;

/// The boxes of a box head `[P, 4]`, inside the photo; the whole photo when there are none.
pub(super) fn proposed(boxes: &[f32]) -> Vec<[f32; 4]> {
    let mut out = Vec::with_capacity(boxes.len() / 4);
    for edges in boxes.chunks_exact(4) {
        let [x0, y0, x1, y1] = [0, 1, 2, 3].map(|i| edges[i].clamp(0.0, 1.0));
        // Positive-phrased so that NaN is left out.
        if x1 - x0 >= LEAST_SIDE && y1 - y0 >= LEAST_SIDE {
            out.push([x0, y0, x1, y1]);
        }
    }
    if out.is_empty() {
        out.push([0.0, 0.0, 1.0, 1.0]);
    }
    out
}

/// Windows of a grid of patches: sides of a quarter to all of it, aspect ratios up to 3 : 5.
pub(super) fn grid(grid: usize) -> Vec<[f32; 4]> {
    let sides: Vec<usize> = [0.25, 0.34, 0.42, 0.5, 0.67, 0.83]
        .iter()
        .map(|share| ((grid as f32 * share).round() as usize).max(1))
        .collect();
    let mut out = Vec::new();
    for &w in &sides {
        for &h in &sides {
            if 5 * w.min(h) < 3 * w.max(h) {
                continue;
            }
            let stride = (w.min(h) / 4).max(1);
            for y in (0..=grid - h).step_by(stride) {
                for x in (0..=grid - w).step_by(stride) {
                    let share = |v: usize| v as f32 / grid as f32;
                    out.push([share(x), share(y), share(x + w), share(y + h)]);
                }
            }
        }
    }
    out
}

/// `[1, R, P]`, `true` where a patch centre lies outside window R; a window without a centre has the patch it is on.
pub(super) fn mask(windows: &[[f32; 4]], grid: usize, device: &Device) -> Tensor<3, Bool> {
    let centre = |i: usize| (i as f32 + 0.5) / grid as f32;
    let mut outside = Vec::with_capacity(windows.len() * grid * grid);
    for &[x0, y0, x1, y1] in windows {
        let inside = |i: usize| {
            let (x, y) = (centre(i % grid), centre(i / grid));
            x >= x0 && x <= x1 && y >= y0 && y <= y1
        };
        let start = outside.len();
        outside.extend((0..grid * grid).map(|i| !inside(i)));
        // An attention row that sees nothing would be no number.
        if outside[start..].iter().all(|&out| out) {
            let on = |v: f32| ((v * grid as f32) as usize).min(grid - 1);
            let cell = on((y0 + y1) / 2.0) * grid + on((x0 + x1) / 2.0);
            outside[start + cell] = false;
        }
    }
    let data = TensorData::new(outside, [1, windows.len(), grid * grid]);
    Tensor::from_data(data, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_stay_inside_and_never_repeat() {
        let all = grid(12);
        assert!(all.len() > 200 && all.len() < 2000, "{}", all.len());
        for (i, w) in all.iter().enumerate() {
            assert!(w[0] >= 0.0 && w[1] >= 0.0 && w[2] <= 1.0 && w[3] <= 1.0);
            assert!(!all[..i].contains(w));
        }
    }

    #[test]
    fn proposals_are_boxes_inside_the_photo() {
        let boxes = [
            [0.1, 0.2, 0.5, 0.6],
            [-0.2, 0.0, 0.4, 1.3],
            [0.5, 0.5, 0.4, 0.9],
            [0.5, 0.5, 0.52, 0.9],
            [f32::NAN, 0.0, 1.0, 1.0],
        ];
        let wanted = [[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 0.4, 1.0]];
        assert_eq!(proposed(&boxes.concat()), wanted);
        assert_eq!(proposed(&boxes[3]), [[0.0, 0.0, 1.0, 1.0]]);
    }

    #[test]
    fn every_window_has_a_patch() {
        let windows = [[0.3, 0.3, 0.36, 0.36], [0.0, 0.0, 0.5, 0.5]];
        let mask = mask(&windows, 4, &Device::flex());
        let outside: Vec<bool> = mask.into_data().try_to_vec().unwrap();
        let inside = |window: usize| -> Vec<usize> {
            (0..16).filter(|i| !outside[window * 16 + i]).collect()
        };
        assert_eq!(inside(0), [5]);
        assert_eq!(inside(1), [0, 1, 4, 5]);
    }
}
