//! Where a thing is: the box that parts what looks like it from what looks like its surroundings.
//!
//! A map says of each place how much more it is like the inside of the reference's box than like the outside. Otsu's criterion
//! (IEEE Trans. SMC 9, 1979), the variance between two classes, is made largest over boxes instead of over thresholds.

/// Places along a side of the region between which boxes are tried at first.
const GRID: usize = 14;
/// Steps of an edge, in half cells, one after the other.
const STEPS: [f64; 3] = [1.0, 0.5, 0.25];
/// Most moves of one edge by one step.
const MOVES: usize = 8;
/// Least side of a box, half cells.
const LEAST: f64 = 2.0;
/// The outside counts as if it had at least this share of the region: a box may fill all of it.
const LEAST_OUTSIDE: f64 = 0.05;
/// How far an edge may move when the box is refined, half cells.
const FARTHEST: f64 = 2.5;

/// A map at half cells, row by row.
#[derive(Debug, Clone)]
pub(super) struct Contrast {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) values: Vec<f32>,
}

/// A box in half cells: left, top, right and bottom.
pub(super) type Place = [f64; 4];

impl Contrast {
    /// A map of whole cells, made twice as fine by bilinear interpolation.
    pub(super) fn doubled(rows: usize, columns: usize, values: &[f32]) -> Self {
        let taps = |cells: usize| -> Vec<(usize, usize, f32)> {
            (0..2 * cells)
                .map(|at| {
                    let place = ((at as f32 + 0.5) / 2.0 - 0.5).clamp(0.0, (cells - 1) as f32);
                    let first = place.floor() as usize;
                    (first, (first + 1).min(cells - 1), place - first as f32)
                })
                .collect()
        };
        let (down, across) = (taps(rows.max(1)), taps(columns.max(1)));
        let mut out = Vec::with_capacity(4 * rows * columns);
        for &(top, bottom, y) in &down {
            for &(left, right, x) in &across {
                let at = |row: usize, column: usize| values[row * columns + column];
                let above = at(top, left) * (1.0 - x) + at(top, right) * x;
                let below = at(bottom, left) * (1.0 - x) + at(bottom, right) * x;
                out.push(above * (1.0 - y) + below * y);
            }
        }
        Self {
            rows: 2 * rows,
            columns: 2 * columns,
            values: out,
        }
    }

    /// The box of a thing seen in `window`, looked for in a region twice as wide and high.
    pub(super) fn region(&self, window: Place) -> Place {
        let [left, top, right, bottom] = window;
        let (x, y) = ((left + right) / 2.0, (top + bottom) / 2.0);
        let (half_width, half_height) = ((right - left).max(4.0), (bottom - top).max(4.0));
        [
            (x - half_width).max(0.0),
            (y - half_height).max(0.0),
            (x + half_width).min(self.columns as f64),
            (y + half_height).min(self.rows as f64),
        ]
    }
}

/// Sums of a [`Contrast`], and the region that is parted.
struct Parting {
    sums: Vec<f64>,
    rows: usize,
    columns: usize,
    region: Place,
    /// Area of the region, and the sum over it.
    area: f64,
    total: f64,
}

impl Parting {
    fn new(map: &Contrast, region: Place) -> Self {
        let (rows, columns) = (map.rows, map.columns);
        let stride = columns + 1;
        let mut sums = vec![0.0; (rows + 1) * stride];
        for row in 0..rows {
            let mut line = 0.0;
            for column in 0..columns {
                line += f64::from(map.values[row * columns + column]);
                sums[(row + 1) * stride + column + 1] = sums[row * stride + column + 1] + line;
            }
        }
        let mut parting = Self {
            sums,
            rows,
            columns,
            region,
            area: (region[2] - region[0]) * (region[3] - region[1]),
            total: 0.0,
        };
        parting.total = parting.sum(region);
        parting
    }

    /// The sum over a box, whose edges may cut cells.
    fn sum(&self, [left, top, right, bottom]: Place) -> f64 {
        self.corner(right, bottom) - self.corner(right, top) - self.corner(left, bottom)
            + self.corner(left, top)
    }

    fn corner(&self, x: f64, y: f64) -> f64 {
        let column = (x.floor() as usize).min(self.columns.saturating_sub(1));
        let row = (y.floor() as usize).min(self.rows.saturating_sub(1));
        let (x, y) = (x - column as f64, y - row as f64);
        let at = |row: usize, column: usize| self.sums[row * (self.columns + 1) + column];
        (at(row, column) * (1.0 - y) + at(row + 1, column) * y) * (1.0 - x)
            + (at(row, column + 1) * (1.0 - y) + at(row + 1, column + 1) * y) * x
    }

    /// Variance between inside and outside; 0 where the inside is no more like the thing than the outside.
    fn variance(&self, box_: Place) -> f64 {
        let inside = ((box_[2] - box_[0]) * (box_[3] - box_[1])).max(1e-3);
        let sum = self.sum(box_);
        let outside = self.area - inside;
        let difference = if outside < 1.0 {
            sum / inside
        } else {
            sum / inside - (self.total - sum) / outside
        };
        if difference > 0.0 {
            let outside = outside.max(LEAST_OUTSIDE * self.area);
            inside * outside * difference * difference / (self.area * self.area)
        } else {
            0.0
        }
    }

    /// The best box between the lines of a grid over the region.
    fn coarse(&self) -> Place {
        let [left, top, right, bottom] = self.region;
        let line = |from: f64, to: f64, at: usize| from + (to - from) * at as f64 / GRID as f64;
        let mut pairs = Vec::new();
        for first in 0..=GRID {
            pairs.extend((first + 2..=GRID).map(|last| (first, last)));
        }
        let mut best = (f64::MIN, self.region);
        for &(y0, y1) in &pairs {
            for &(x0, x1) in &pairs {
                let box_ = [
                    line(left, right, x0),
                    line(top, bottom, y0),
                    line(left, right, x1),
                    line(top, bottom, y1),
                ];
                let variance = self.variance(box_);
                if variance > best.0 {
                    best = (variance, box_);
                }
            }
        }
        best.1
    }

    /// Moves one edge after the other for as long as the variance grows, at most `farthest` from where it was.
    fn climb(&self, start: Place, farthest: f64) -> Place {
        let (mut box_, mut best) = (start, self.variance(start));
        for step in STEPS {
            for _ in 0..MOVES {
                let mut moved = None;
                for (edge, by) in (0..4).flat_map(|edge| [(edge, step), (edge, -step)]) {
                    let mut next = box_;
                    let side = edge % 2;
                    next[edge] = (next[edge] + by)
                        .clamp(start[edge] - farthest, start[edge] + farthest)
                        .clamp(self.region[side], self.region[side + 2]);
                    let wide = next[2] - next[0] >= LEAST && next[3] - next[1] >= LEAST;
                    let variance = if wide { self.variance(next) } else { f64::MIN };
                    if variance > best + 1e-9 && moved.is_none_or(|(known, _)| variance > known) {
                        moved = Some((variance, next));
                    }
                }
                let Some((variance, next)) = moved else { break };
                (best, box_) = (variance, next);
            }
        }
        box_
    }
}

/// The box of a thing around `window`: found on `coarse`, then its edges moved on the sum of `coarse` and `fine`. It does not reach
/// over to `others`, windows in which more of the kind are: it ends half way to each.
pub(super) fn find(
    coarse: &Contrast,
    fine: Option<&Contrast>,
    window: Place,
    others: &[Place],
) -> Place {
    let mut region = coarse.region(window);
    for other in others {
        region = halved(region, window, *other);
    }
    let parting = Parting::new(coarse, region);
    let box_ = parting.climb(parting.coarse(), f64::INFINITY);
    let Some(fine) = fine.filter(|fine| fine.values.len() == coarse.values.len()) else {
        return box_;
    };
    let sum = coarse.values.iter().zip(&fine.values).map(|(a, b)| a + b);
    let both = Contrast {
        values: sum.collect(),
        ..*coarse
    };
    Parting::new(&both, region).climb(box_, FARTHEST)
}

/// A region around `window` as far as half way to `other`, across or down, whichever they are farther apart in.
fn halved(region: Place, window: Place, other: Place) -> Place {
    // Left of it, above it, right of it, below it: how far the other one begins beyond the edge.
    let beyond = [
        window[0] - other[2],
        window[1] - other[3],
        other[0] - window[2],
        other[1] - window[3],
    ];
    let mut edge = 0;
    for at in 1..4 {
        if beyond[at] > beyond[edge] {
            edge = at;
        }
    }
    let half = f64::midpoint(window[edge], other[(edge + 2) % 4]);
    let mut region = region;
    match edge {
        0 | 1 => region[edge] = region[edge].max(half).min(window[edge + 2] - LEAST),
        _ => region[edge] = region[edge].min(half).max(window[edge - 2] + LEAST),
    }
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bright_rectangle_is_found_whatever_window_saw_it() {
        let (rows, columns) = (10, 12);
        let wanted = [3, 2, 8, 7];
        let values: Vec<f32> = (0..rows * columns)
            .map(|at| {
                let (row, column) = (at / columns, at % columns);
                let inside = column >= wanted[0]
                    && column < wanted[2]
                    && row >= wanted[1]
                    && row < wanted[3];
                let noise = (at * 7919 % 13) as f32 / 100.0;
                if inside { 0.5 - noise } else { -0.3 + noise }
            })
            .collect();
        let map = Contrast::doubled(rows, columns, &values);
        for window in [
            [4.0, 4.0, 14.0, 12.0],
            [8.0, 6.0, 16.0, 14.0],
            [6.0, 4.0, 16.0, 14.0],
        ] {
            let found = find(&map, Some(&map), window, &[]);
            for (edge, wanted) in found.iter().zip(wanted) {
                assert!(
                    (edge - 2.0 * wanted as f64).abs() < 1.0,
                    "{window:?}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn a_box_ends_half_way_to_another_one_of_the_kind() {
        let (rows, columns) = (8, 14);
        let inside =
            |at: usize| (1..6).contains(&(at % columns)) || (7..13).contains(&(at % columns));
        let values: Vec<f32> = (0..rows * columns)
            .map(|at| {
                if inside(at) && (2..6).contains(&(at / columns)) {
                    0.5
                } else {
                    -0.3
                }
            })
            .collect();
        let map = Contrast::doubled(rows, columns, &values);
        let (left, right) = ([2.0, 4.0, 12.0, 12.0], [14.0, 4.0, 26.0, 12.0]);
        let alone = find(&map, None, left, &[]);
        assert!(alone[2] > 14.0, "both are one: {alone:?}");
        let apart = find(&map, None, left, &[right]);
        assert!(
            (apart[2] - 12.0).abs() <= 1.0 && (apart[0] - 2.0).abs() <= 1.0,
            "{apart:?}"
        );
        let apart = find(&map, None, right, &[left]);
        assert!(
            (apart[0] - 14.0).abs() <= 1.0 && (apart[2] - 26.0).abs() <= 1.0,
            "{apart:?}"
        );
        // One inside the other leaves something.
        let [x0, y0, x1, y1] = find(&map, None, left, &[[4.0, 5.0, 8.0, 9.0]]);
        assert!(x1 > x0 && y1 > y0);
    }

    #[test]
    fn a_map_that_says_nothing_gives_a_box_all_the_same() {
        for value in [0.0, 1.0, -1.0, f32::NAN] {
            let map = Contrast::doubled(1, 1, &[value]);
            let [left, top, right, bottom] = find(&map, None, [0.0, 0.0, 2.0, 2.0], &[]);
            assert!(left >= 0.0 && top >= 0.0 && right <= 2.0 && bottom <= 2.0);
            assert!(right > left && bottom > top);
        }
    }
}
