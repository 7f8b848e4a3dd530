//! Where in a photo a thing is that was seen in a window of it.

use super::feature_box::{self, Contrast, Place};
use super::feature_map::Map;
use super::look::Look;
use super::reference_features::ReferenceFeatures;
use crate::Result;
use crate::image::Rgb8;

/// A photo that is decoded when somebody looks at it.
pub(super) type Shown<'p> = &'p dyn Fn() -> Result<&'p Rgb8>;

/// The box of a thing seen in a window, half cells, apart from `others`, windows in which more of the kind are.
pub(super) fn place(
    look: &Look,
    window: Place,
    others: &[Place],
    features: &ReferenceFeatures,
) -> [f32; 4] {
    let (coarse, fine) = contrasts(look, features);
    let box_ = feature_box::find(&coarse, Some(&fine), window, others);
    let (columns, rows) = (coarse.columns as f64, coarse.rows as f64);
    let [left, top, right, bottom] = box_;
    [left / columns, top / rows, right / columns, bottom / rows].map(|edge| edge as f32)
}

/// How much more like the inside of a reference than like its outside each half cell is, by the coarse map and by the fine one.
pub(super) fn contrasts(look: &Look, features: &ReferenceFeatures) -> (Contrast, Contrast) {
    let contrast = |map: &Map, inside: &[f32], outside: &[f32]| -> Vec<f32> {
        let difference: Vec<f32> = inside.iter().zip(outside).map(|(a, b)| a - b).collect();
        let cells = map.values.chunks_exact(map.channels.max(1));
        cells
            .map(|cell| cell.iter().zip(&difference).map(|(a, b)| a * b).sum())
            .collect()
    };
    let coarse = contrast(&look.coarse, &features.inside, &features.outside);
    let coarse = Contrast::doubled(look.coarse.rows, look.coarse.columns, &coarse);
    let fine = Contrast {
        rows: look.fine.rows,
        columns: look.fine.columns,
        values: contrast(&look.fine, &features.fine_inside, &features.fine_outside),
    };
    (coarse, fine)
}
