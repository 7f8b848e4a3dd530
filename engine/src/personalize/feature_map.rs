//! Maps of features on the host, and how their cells, and sums of them, become unit vectors that can be compared.

/// What is done to a sum of features before it is compared by its cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Normalisation {
    /// Square roots, then unit length: Hellinger's kernel of features that are never negative and mostly zero, as behind a ReLU
    /// (Arandjelović and Zisserman, CVPR 2012).
    Root,
    /// Square roots that keep their signs (Perronnin et al., ECCV 2010), then unit length.
    SignedRoot,
    /// Unit length: features of a transformer, whose cosines were trained.
    Length,
}

impl Normalisation {
    /// Brings a sum of features to unit length; nothing stays nothing.
    pub(super) fn apply(self, values: &mut [f32]) {
        match self {
            Self::Root => unit_root(values),
            Self::SignedRoot => {
                values
                    .iter_mut()
                    .for_each(|v| *v = v.abs().sqrt().copysign(*v));
                unit(values);
            }
            Self::Length => unit(values),
        }
    }
}

/// One map of features, on the host.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) channels: usize,
    pub(super) normalisation: Normalisation,
    /// `[rows, columns, channels]`.
    pub(super) values: Vec<f32>,
}

/// What an encoder makes of a photo.
#[derive(Debug, Clone)]
pub(super) struct Maps {
    /// Knows things.
    pub(super) coarse: Map,
    /// Knows edges: a quarter of a coarse cell each.
    pub(super) fine: Map,
}

/// A map whose cells are unit vectors.
pub(super) fn cells(map: &Map) -> Map {
    let mut map = map.clone();
    let normalisation = map.normalisation;
    map.values
        .chunks_exact_mut(map.channels.max(1))
        .for_each(|cell| normalisation.apply(cell));
    map
}

/// The square root of each number (none for negative ones), then unit length.
pub(super) fn unit_root(values: &mut [f32]) {
    // Compared, for the maximum of floats is a call in a browser.
    let positive = |value: f32| if value > 0.0 { value } else { 0.0 };
    // The squares of the roots are the numbers themselves.
    let total: f32 = values.iter().map(|&value| positive(value)).sum();
    let scale = 1.0 / total.max(1e-18);
    for value in values {
        *value = (positive(*value) * scale).sqrt();
    }
}

/// Unit length; nothing stays nothing.
pub(super) fn unit(values: &mut [f32]) {
    let length = values.iter().map(|v| v * v).sum::<f32>().sqrt();
    let scale = 1.0 / length.max(1e-9);
    values.iter_mut().for_each(|value| *value *= scale);
}
