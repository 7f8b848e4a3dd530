//! One look at a photo: its feature maps, and every window of them ready to be compared with references.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::feature_box::{self, Contrast, Place};
use super::feature_map::{Map, Normalisation, cells, unit};
use super::map_windows::{Cells, fractions, integral, weighted, windows};
use super::reference_features::AREA;
use crate::ops;

/// Pixels of the closer look.
const CLOSER_AREA: f64 = 768.0 * 768.0;
/// Templates of small things count for windows up to so many cells a side, those of large ones from so many more on.
const SMALL: f32 = 3.5;
const BETWEEN: f32 = 3.5;

/// How closely a photo is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Distance {
    /// The first look.
    Far,
    /// The one for what is small.
    Near,
}

impl Distance {
    /// Pixels of the photo that is looked at.
    pub(super) fn area(self) -> f64 {
        match self {
            Self::Far => AREA,
            Self::Near => CLOSER_AREA,
        }
    }

    /// Sides of windows, cells.
    fn sides(self) -> &'static [usize] {
        match self {
            Self::Far => &[2, 3, 4, 6, 8, 11, 14, 16, 20],
            Self::Near => &[2, 3, 4, 5, 6, 8, 10],
        }
    }
}

/// Windows of a photo with what they look like, and its maps.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// As fractions of the photo.
    pub(super) windows: Vec<[f32; 4]>,
    pub(super) cells: Vec<Cells>,
    /// `[rows + 1, columns + 1, D]`: the map summed over all that lies above and left.
    pub(super) sums: Tensor<3>,
    /// `[windows + 1, 4]`: the windows in cells, the last one the whole photo.
    corners: Tensor<2, Int>,
    /// `[windows + 1]`: how much the templates of large things count.
    large: Tensor<1>,
    /// Cells as unit vectors.
    pub(super) coarse: Map,
    pub(super) fine: Map,
    /// The maps as bytes, where the look is to be kept: all else is made of these alone.
    pub(super) packed: Vec<u8>,
}

impl Look {
    /// A look at a coarse map as the encoder made it and a fine one whose cells are unit vectors.
    pub(super) fn of(map: &Map, fine: Map, distance: Distance, device: &Device) -> Self {
        let mut boxes = windows(map.columns, map.rows, distance.sides());
        boxes.push([0, 0, map.columns, map.rows]);
        let (count, width) = (boxes.len(), map.channels);
        let large: Vec<f32> = boxes
            .iter()
            .map(|&[left, top, right, bottom]| {
                let side = (((right - left) * (bottom - top)) as f32).sqrt();
                ((side - SMALL) / BETWEEN).clamp(0.0, 1.0)
            })
            .collect();
        let corners: Vec<i32> = boxes.iter().flatten().map(|&edge| edge as i32).collect();
        let sums = TensorData::new(integral(map), [map.rows + 1, map.columns + 1, width]);
        boxes.pop();
        Self {
            windows: boxes.iter().map(|&cells| fractions(cells, map)).collect(),
            sums: Tensor::from_data(sums, device),
            corners: Tensor::from_data(TensorData::new(corners, [count, 4]), device),
            large: Tensor::from_data(TensorData::new(large, [count]), device),
            coarse: cells(map),
            fine,
            cells: boxes,
            packed: Vec::new(),
        }
    }

    /// A window in half cells.
    pub(super) fn half_cells(&self, window: usize) -> Place {
        self.cells[window].map(|edge| 2.0 * edge as f64)
    }

    /// How many similarities to a reference there are.
    pub(super) fn count(&self) -> usize {
        self.large.dims()[0]
    }

    /// The device it is on.
    pub(super) fn device(&self) -> Device {
        self.sums.device()
    }

    /// Numbers in a packed reference's first row.
    pub(super) fn dim(&self) -> usize {
        2 * self.coarse.channels
    }

    /// Similarities `[windows + 1, N]` to the first rows of packed references.
    pub(super) fn scores(&self, rows: Tensor<2>) -> Tensor<2> {
        let (sums, corners) = (self.sums.clone(), self.corners.clone());
        // A packed row is two unit templates divided by the root of two.
        let root = self.coarse.normalisation == Normalisation::Root;
        ops::region_scores(sums, corners, rows, self.large.clone(), root) * std::f32::consts::SQRT_2
    }

    /// The box of what stands out: cells unlike those along the border of the photo.
    pub(super) fn salient_box(&self) -> [f32; 4] {
        let map = &self.coarse;
        let on_border = |at: usize| {
            let (row, column) = (at / map.columns, at % map.columns);
            row == 0 || column == 0 || row + 1 == map.rows || column + 1 == map.columns
        };
        let cells = map.rows * map.columns;
        let border: Vec<f32> = (0..cells)
            .map(|at| f32::from(u8::from(on_border(at))))
            .collect();
        let mut surroundings = weighted(map, &border);
        unit(&mut surroundings);
        let unlike = map.values.chunks_exact(map.channels.max(1)).map(|cell| {
            let like: f32 = cell.iter().zip(&surroundings).map(|(a, b)| a * b).sum();
            1.0 - like
        });
        let contrast = Contrast::doubled(map.rows, map.columns, &unlike.collect::<Vec<_>>());
        let (columns, rows) = (contrast.columns as f64, contrast.rows as f64);
        // A region of all the photo.
        let middle = [
            columns / 4.0,
            rows / 4.0,
            3.0 * columns / 4.0,
            3.0 * rows / 4.0,
        ];
        let [left, top, right, bottom] = feature_box::find(&contrast, None, middle, &[]);
        [left / columns, top / rows, right / columns, bottom / rows].map(|edge| edge as f32)
    }
}
