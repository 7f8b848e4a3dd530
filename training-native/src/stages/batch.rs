//! From Playroom photos to tensors: pixels, region masks, padded token rows.

use anyhow::{Context, Result};
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use namelens_engine::image::{ImageProcessor, Rgb8};
use playroom::Rgb;

/// `[N, 3, S, S]` of the whole photos, as the page prepares them.
///
/// # Errors
/// When a photo cannot be processed.
pub fn pixels(processor: &ImageProcessor, photos: &[&Rgb], device: &Device) -> Result<Tensor<4>> {
    let side = processor
        .side()
        .context("the image processor has no fixed size; choose one that has")?;
    let mut values = Vec::with_capacity(photos.len() * 3 * side * side);
    for photo in photos {
        let photo = Rgb8::new(photo.size, photo.size, photo.pixels.clone())?;
        let processed = processor.process(&photo)?;
        for frame in &processed.frames {
            values.extend_from_slice(&frame.pixels);
        }
    }
    let frames = values.len() / (3 * side * side);
    let data = TensorData::new(values, [frames, 3, side, side]);
    Ok(Tensor::from_data(data, device))
}

/// `[N, R, P]`, `true` where a patch centre lies outside the region `[x0, y0, x1, y1]` (fractions of the side).
///
/// Rows beyond a photo's regions see the whole photo, so that no attention row is empty; callers
/// leave their embeddings out. A region too small to hold a centre gets the patch of its own centre.
pub fn region_mask(regions: &[Vec<[f32; 4]>], grid: usize, device: &Device) -> Tensor<3, Bool> {
    let most = regions.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let mut outside = vec![false; regions.len() * most * grid * grid];
    for (photo, boxes) in regions.iter().enumerate() {
        for (r, region) in boxes.iter().enumerate() {
            let start = (photo * most + r) * grid * grid;
            let rows = &mut outside[start..start + grid * grid];
            mark_outside(rows, *region, grid);
        }
    }
    let data = TensorData::new(outside, [regions.len(), most, grid * grid]);
    Tensor::from_data(data, device)
}

fn mark_outside(cells: &mut [bool], [x0, y0, x1, y1]: [f32; 4], grid: usize) {
    let centre = |i: usize| (i as f32 + 0.5) / grid as f32;
    let mut empty = true;
    for (i, cell) in cells.iter_mut().enumerate() {
        let (x, y) = (centre(i % grid), centre(i / grid));
        let inside = x >= x0 && x <= x1 && y >= y0 && y <= y1;
        *cell = !inside;
        empty &= !inside;
    }
    if empty {
        let nearest = |v: f32| ((v * grid as f32) as usize).min(grid - 1);
        cells[nearest((y0 + y1) / 2.0) * grid + nearest((x0 + x1) / 2.0)] = false;
    }
}

/// `[N, T]` of token rows padded on the right with `pad` to `width` (or the longest row).
pub fn padded_ids(
    rows: &[Vec<u32>],
    width: Option<usize>,
    pad: u32,
    device: &Device,
) -> Tensor<2, Int> {
    let width = width.unwrap_or_else(|| rows.iter().map(Vec::len).max().unwrap_or(0));
    let values: Vec<i64> = rows
        .iter()
        .flat_map(|row| {
            let padding = std::iter::repeat_n(pad, width.saturating_sub(row.len()));
            row.iter()
                .take(width)
                .copied()
                .chain(padding)
                .map(i64::from)
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [rows.len(), width]), device)
}

/// `[N]` of row numbers.
pub fn indices(values: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.iter().map(|&v| v as i64).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
