//! A prepared photo: normalised frames, and the grid of tiles they make.

/// One normalised picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// `3 * height * width` floats, channel-major (CHW).
    pub pixels: Vec<f32>,
    /// Rows.
    pub height: usize,
    /// Pixels a row.
    pub width: usize,
}

/// The frames of one photo.
#[derive(Debug, Clone, PartialEq)]
pub struct Processed {
    /// Tiles row by row, the whole photo last; a photo that is not split is one frame.
    pub frames: Vec<Frame>,
    /// Rows of tiles; 0 when the photo was not split.
    pub rows: usize,
    /// Columns of tiles; 0 when the photo was not split.
    pub cols: usize,
}

impl Processed {
    /// A photo that was not split.
    pub(super) fn one(frame: Frame) -> Self {
        Self {
            frames: vec![frame],
            rows: 0,
            cols: 0,
        }
    }
}
