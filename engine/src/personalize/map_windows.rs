//! Windows of a feature map, and what a mean of features inside one looks like.

use super::feature_map::Map;

/// Widest windows are this many times as wide as high, or as high as wide.
const MOST_ASPECT: f32 = 2.8;

/// A window of cells: left, top, right and bottom.
pub(super) type Cells = [usize; 4];

/// Windows of these sides over a map, a quarter of their own height or width apart.
pub(super) fn windows(columns: usize, rows: usize, sides: &[usize]) -> Vec<Cells> {
    let mut out = Vec::new();
    for (&height, &width) in sides.iter().flat_map(|h| sides.iter().map(move |w| (h, w))) {
        let aspect = height.max(width) as f32 / height.min(width) as f32;
        if aspect > MOST_ASPECT || width > columns || height > rows {
            continue;
        }
        for top in (0..=rows - height).step_by((height / 4).max(1)) {
            for left in (0..=columns - width).step_by((width / 4).max(1)) {
                out.push([left, top, left + width, top + height]);
            }
        }
    }
    if out.is_empty() {
        out.push([0, 0, columns, rows]);
    }
    out
}

/// A window as fractions of the photo.
pub(super) fn fractions([left, top, right, bottom]: Cells, map: &Map) -> [f32; 4] {
    let (columns, rows) = (map.columns as f32, map.rows as f32);
    [
        left as f32 / columns,
        top as f32 / rows,
        right as f32 / columns,
        bottom as f32 / rows,
    ]
}

/// Sums of a map over all that lies above and left of a cell: `[rows + 1, columns + 1, channels]`.
pub(super) fn integral(map: &Map) -> Vec<f32> {
    let Map {
        rows,
        columns,
        channels,
        ref values,
        ..
    } = *map;
    let stride = (columns + 1) * channels;
    let mut sums = vec![0.0; (rows + 1) * stride];
    for row in 0..rows {
        let (above, below) = sums.split_at_mut((row + 1) * stride);
        let above = &above[row * stride..];
        let mut line = vec![0.0; channels];
        for column in 0..columns {
            let cell = &values[(row * columns + column) * channels..][..channels];
            let at = (column + 1) * channels;
            let sums = &mut below[at..at + channels];
            let above = &above[at..at + channels];
            for (((line, cell), above), sum) in line.iter_mut().zip(cell).zip(above).zip(sums) {
                *line += cell;
                *sum = above + *line;
            }
        }
    }
    sums
}

/// How much of each cell, row by row, lies inside a box given as fractions.
pub(super) fn coverage(box_: [f32; 4], columns: usize, rows: usize) -> Vec<f32> {
    let along = |from: f32, to: f32, cells: usize| -> Vec<f32> {
        let (from, to) = (from * cells as f32, to * cells as f32);
        let inside = |cell: usize| to.min(cell as f32 + 1.0) - from.max(cell as f32);
        (0..cells)
            .map(|cell| inside(cell).clamp(0.0, 1.0))
            .collect()
    };
    let (across, down) = (
        along(box_[0], box_[2], columns),
        along(box_[1], box_[3], rows),
    );
    down.iter()
        .flat_map(|y| across.iter().map(move |x| x * y))
        .collect()
}

/// The sum of the cells of a map, each times its weight.
pub(super) fn weighted(map: &Map, weights: &[f32]) -> Vec<f32> {
    let mut sum = vec![0.0; map.channels];
    for (cell, weight) in map.values.chunks_exact(map.channels.max(1)).zip(weights) {
        for (sum, value) in sum.iter_mut().zip(cell) {
            *sum += weight * value;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::personalize::feature_map::Normalisation;

    fn map(rows: usize, columns: usize, channels: usize) -> Map {
        let count = rows * columns * channels;
        Map {
            rows,
            columns,
            channels,
            normalisation: Normalisation::Root,
            values: (0..count).map(|i| (i * 7919 % 101) as f32 / 10.0).collect(),
        }
    }

    #[test]
    fn windows_stay_inside_whatever_the_shape() {
        for (columns, rows) in [(14, 14), (1, 1), (64, 1), (3, 20)] {
            let all = windows(columns, rows, &[2, 3, 5, 8]);
            assert!(!all.is_empty());
            for [left, top, right, bottom] in all {
                assert!(left < right && right <= columns && top < bottom && bottom <= rows);
            }
        }
    }

    #[test]
    fn sums_and_coverage_of_a_window_agree() {
        let map = map(5, 4, 3);
        let [left, top, right, bottom] = [1, 2, 4, 4];
        let sums = integral(&map);
        let at = |column: usize, row: usize| &sums[(row * 5 + column) * 3..][..3];
        let weights = coverage(fractions([left, top, right, bottom], &map), 4, 5);
        assert_eq!(weights.iter().filter(|w| **w > 0.99).count(), 6);
        let wanted = weighted(&map, &weights);
        for (channel, wanted) in wanted.iter().enumerate() {
            let corner = |column, row| at(column, row)[channel];
            let found = corner(right, bottom) + corner(left, top)
                - corner(right, top)
                - corner(left, bottom);
            assert!((found - wanted).abs() < 1e-3, "{found} {wanted}");
        }
    }
}
