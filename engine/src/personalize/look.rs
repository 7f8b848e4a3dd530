//! One look at a photo: its feature maps, and every window of them ready to be compared with references.

use burn::tensor::{Device, Tensor, TensorData};

use super::feature_encoder::Map;
use super::map_windows::{Cells, embeddings, fractions, windows};
use super::reference_features::{AREA, cells};

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
    /// `[windows + 1, 2 D]`: the embedding times the share of large templates, then times that of small ones; the last row is
    /// the whole photo.
    pub(super) queries: Tensor<2>,
    /// `[windows + 1, 1]`: what a cosine with a packed reference is short of the blend of two similarities.
    pub(super) scale: Tensor<2>,
    /// Cells as unit roots.
    pub(super) coarse: Map,
    pub(super) fine: Map,
    /// The maps as bytes, where the look is to be kept: all else is made of these alone.
    pub(super) packed: Vec<u8>,
}

impl Look {
    /// A look at a coarse map as the encoder made it and a fine one whose cells are unit roots.
    pub(super) fn of(map: &Map, fine: Map, distance: Distance, device: &Device) -> Self {
        let mut boxes = windows(map.columns, map.rows, distance.sides());
        boxes.push([0, 0, map.columns, map.rows]);
        let embedded = embeddings(map, &boxes);
        let (count, width) = (boxes.len(), map.channels);
        let mut queries = Vec::with_capacity(count * width * 2);
        let mut scale = Vec::with_capacity(count);
        for (&[left, top, right, bottom], embedding) in
            boxes.iter().zip(embedded.chunks_exact(width))
        {
            let side = (((right - left) * (bottom - top)) as f32).sqrt();
            let large = ((side - SMALL) / BETWEEN).clamp(0.0, 1.0);
            let small = 1.0 - large;
            queries.extend(embedding.iter().map(|v| v * large));
            queries.extend(embedding.iter().map(|v| v * small));
            // A packed reference is two unit vectors side by side, divided by the root of two.
            scale.push((2.0 * (large * large + small * small)).sqrt());
        }
        boxes.pop();
        Self {
            windows: boxes.iter().map(|&cells| fractions(cells, map)).collect(),
            queries: Tensor::from_data(TensorData::new(queries, [count, 2 * width]), device),
            scale: Tensor::from_data(TensorData::new(scale, [count, 1]), device),
            coarse: cells(map),
            fine,
            cells: boxes,
            packed: Vec::new(),
        }
    }
}
