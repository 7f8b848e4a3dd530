//! The patches of one photo in the order a tower reads them: merged squares, windows, positions. Host numbers only.

use super::resample::{bicubic, bicubic_smoothed, smoothed};
use super::rope::Position;
use super::variants::{PatchPositions, VisionVariant};

/// A photo's patches, row by row, before any reordering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchGrid {
    /// Rows of patches.
    pub rows: usize,
    /// Columns of patches.
    pub cols: usize,
}

/// A weighted row of a position table.
pub type Tap = (usize, f32);

/// Weights that bring a line of so many points to another number of them.
type Resampling = fn(usize, usize) -> Vec<f32>;

/// How a square table is brought to a grid: along its rows and along its columns, each as weights of a line's points.
#[derive(Debug, Clone, PartialEq)]
pub struct Stretch {
    /// Side of the table.
    pub side: usize,
    /// `[rows of the grid, side]`, row-major.
    pub rows: Vec<f32>,
    /// `[columns of the grid, side]`, row-major.
    pub cols: Vec<f32>,
}

impl PatchGrid {
    /// Number of patches.
    pub fn len(self) -> usize {
        self.rows * self.cols
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The patch (row by row) at each place of the sequence: squares of `variant.merge` patches stand together, squares
    /// of one window stand together. `None` when the order is row by row.
    pub fn order(self, variant: &VisionVariant) -> Option<Vec<usize>> {
        let merge = variant.merge;
        if merge <= 1 && variant.windows.side == 0 {
            return None;
        }
        let across = self.cols / merge;
        let squares = self.window_order(variant);
        let within = |square: usize| {
            let (top, left) = (square / across * merge, square % across * merge);
            (0..merge * merge).map(move |at| (top + at / merge) * self.cols + left + at % merge)
        };
        Some(squares.into_iter().flat_map(within).collect())
    }

    /// The merged square (row by row) at each place of the sequence: Hugging Face's `window_index`.
    pub fn window_order(self, variant: &VisionVariant) -> Vec<usize> {
        self.by_window(variant).into_iter().flatten().collect()
    }

    /// Patches of each window, in the order of the sequence; one window when attention is whole.
    pub fn window_lengths(self, variant: &VisionVariant) -> Vec<usize> {
        let square = variant.merge * variant.merge;
        let windows = self.by_window(variant).into_iter();
        windows.map(|window| window.len() * square).collect()
    }

    /// Merged squares of each window that is not empty.
    fn by_window(self, variant: &VisionVariant) -> Vec<Vec<usize>> {
        let (down, across) = (self.rows / variant.merge, self.cols / variant.merge);
        let side = match variant.windows.side {
            0 => return vec![(0..down * across).collect()],
            side => side,
        };
        let mut windows = Vec::new();
        for top in (0..down).step_by(side) {
            for left in (0..across).step_by(side) {
                let rows = top..(top + side).min(down);
                let cols = left..(left + side).min(across);
                windows.push(
                    rows.flat_map(|row| cols.clone().map(move |col| row * across + col))
                        .collect(),
                );
            }
        }
        windows
    }

    /// Row and column of each patch, row by row.
    pub fn positions(self) -> Vec<Position> {
        (0..self.len())
            .map(|at| [(at / self.cols) as u32, (at % self.cols) as u32, 0])
            .collect()
    }

    /// How the position table is brought to this grid as a whole; `None` where [`PatchGrid::taps`] says it patch by patch.
    /// `side` is that of the tower's own grid.
    pub fn stretch(self, positions: PatchPositions, side: usize) -> Option<Stretch> {
        let (side, line): (usize, Resampling) = match positions {
            PatchPositions::Learned if (self.rows, self.cols) != (side, side) => (side, bicubic),
            PatchPositions::LearnedSmoothed if (self.rows, self.cols) != (side, side) => {
                (side, bicubic_smoothed)
            }
            PatchPositions::Smoothed { side } => (side, smoothed),
            _ => return None,
        };
        Some(Stretch {
            side,
            rows: line(side, self.rows),
            cols: line(side, self.cols),
        })
    }

    /// The rows of the position table each patch adds, weighted; patches row by row. `side` is that of the tower's own
    /// grid. `None` when there is no table, or it is stretched as a whole.
    pub fn taps(self, positions: PatchPositions, side: usize) -> Option<Vec<Vec<Tap>>> {
        let places = |rows: &[Vec<Tap>], cols: &[Vec<Tap>], side: usize| {
            (0..self.len())
                .map(|at| {
                    let (row, col) = (&rows[at / self.cols], &cols[at % self.cols]);
                    row.iter()
                        .flat_map(|&(r, a)| col.iter().map(move |&(c, b)| (r * side + c, a * b)))
                        .collect()
                })
                .collect()
        };
        Some(match positions {
            PatchPositions::Absent | PatchPositions::Smoothed { .. } => return None,
            PatchPositions::Learned | PatchPositions::LearnedSmoothed => {
                (0..self.len()).map(|at| vec![(at, 1.0)]).collect()
            }
            PatchPositions::Bucketed => {
                places(&buckets(self.rows, side), &buckets(self.cols, side), side)
            }
            PatchPositions::Interpolated { side } => {
                places(&lines(self.rows, side), &lines(self.cols, side), side)
            }
        })
    }
}

/// Bucket of each of `count` fractions `i / count` among `side`, in f32 as the reference rounds.
///
/// They are not always `i`: at 25 patches a side some share a bucket. Which ones depends, in the reference, on how many
/// numbers the processor adds at once; on the sides of published checkpoints all agree.
fn buckets(count: usize, side: usize) -> Vec<Vec<Tap>> {
    let step = 1.0 / count as f32;
    // In f64 from the f64 step, rounded once.
    let width = 1.0 / side as f64;
    let boundaries = ((1.0 - width) / width).ceil() as usize;
    let boundary = |k: usize| (width + k as f64 * width) as f32;
    (0..count)
        .map(|at| {
            let place = (at as f32 * step).min(1.0 - 1e-6);
            let bucket = (0..boundaries).filter(|&k| boundary(k) <= place).count();
            vec![(bucket.min(side - 1), 1.0)]
        })
        .collect()
}

/// Two neighbours of each of `count` points spread over a line of `side`, the ends on the ends.
fn lines(count: usize, side: usize) -> Vec<Vec<Tap>> {
    let span = (count.max(2) - 1) as f32;
    (0..count)
        .map(|at| {
            let place = at as f32 * (side - 1) as f32 / span;
            let low = place.floor();
            let share = place - low;
            let at = low as usize;
            vec![
                (at.min(side - 1), 1.0 - share),
                ((at + 1).min(side - 1), (1.0 - (1.0 - share).abs()).max(0.0)),
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::variants::Windows;

    fn variant(merge: usize, side: usize) -> VisionVariant {
        VisionVariant {
            merge,
            windows: Windows { side, full: vec![] },
            ..VisionVariant::default()
        }
    }

    #[test]
    fn squares_stand_together() {
        let grid = PatchGrid { rows: 2, cols: 4 };
        assert_eq!(grid.order(&variant(1, 0)), None);
        assert_eq!(
            grid.order(&variant(2, 0)),
            Some(vec![0, 1, 4, 5, 2, 3, 6, 7])
        );
    }

    #[test]
    fn windows_stand_together_and_may_be_ragged() {
        let grid = PatchGrid { rows: 6, cols: 10 };
        let variant = variant(2, 2);
        assert_eq!(
            grid.window_order(&variant),
            [0, 1, 5, 6, 2, 3, 7, 8, 4, 9, 10, 11, 12, 13, 14]
        );
        assert_eq!(grid.window_lengths(&variant), [16, 16, 8, 8, 8, 4]);
    }

    #[test]
    fn every_order_has_each_patch_once() {
        for (rows, cols, merge, side) in [(6, 10, 2, 2), (4, 4, 2, 3), (2, 22, 2, 4), (9, 3, 3, 1)]
        {
            let grid = PatchGrid { rows, cols };
            let mut order = grid.order(&variant(merge, side)).unwrap_or_default();
            order.sort_unstable();
            assert_eq!(order, (0..grid.len()).collect::<Vec<_>>());
        }
    }

    /// As torch 2.15 has them for the sides of published checkpoints (26, 27, 32), for one that rounds badly, and for
    /// grids of another size than the table.
    #[test]
    fn buckets_have_the_references_roundings() {
        let found = |cols: usize, side: usize| -> Vec<usize> {
            let grid = PatchGrid { rows: 1, cols };
            let taps = grid
                .taps(PatchPositions::Bucketed, side)
                .unwrap_or_default();
            taps.iter().map(|patch| patch[0].0).collect()
        };
        for side in [26, 27, 32] {
            assert_eq!(found(side, side), (0..side).collect::<Vec<_>>());
        }
        let shared = found(31, 31).into_iter().enumerate();
        let shared: Vec<_> = shared.filter(|(at, bucket)| at != bucket).collect();
        assert_eq!(shared, [(17, 16), (21, 20), (25, 24), (29, 28)]);
        assert_eq!(found(5, 8), [0, 1, 3, 4, 6]);
        assert_eq!(found(8, 5), [0, 0, 1, 1, 2, 3, 3, 4]);
    }

    #[test]
    fn interpolation_keeps_ends_and_sums_to_one() {
        let grid = PatchGrid { rows: 1, cols: 5 };
        let positions = PatchPositions::Interpolated { side: 3 };
        let taps = grid.taps(positions, 0).unwrap_or_default();
        for patch in &taps {
            let sum: f32 = patch.iter().map(|tap| tap.1).sum();
            assert!((sum - 1.0).abs() < 1e-6, "{patch:?}");
        }
        assert_eq!(taps[0][0], (0, 1.0));
        // The middle of five is the middle of three; the last is the last.
        assert_eq!(taps[2][0], (1, 1.0));
        assert_eq!(taps[4][0], (2, 1.0));
    }

    #[test]
    fn a_table_is_stretched_only_to_another_grid() {
        let grid = PatchGrid { rows: 2, cols: 3 };
        assert_eq!(
            PatchGrid { rows: 4, cols: 4 }.stretch(PatchPositions::Learned, 4),
            None
        );
        assert_eq!(grid.stretch(PatchPositions::Bucketed, 4), None);
        for positions in [
            PatchPositions::Learned,
            PatchPositions::LearnedSmoothed,
            PatchPositions::Smoothed { side: 4 },
        ] {
            let stretch = grid.stretch(positions, 4).unwrap_or_else(|| panic!("one"));
            assert_eq!((stretch.rows.len(), stretch.cols.len()), (8, 12));
            let sum: f32 = stretch.cols[4..8].iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
    }
}
