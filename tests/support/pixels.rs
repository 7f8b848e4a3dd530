//! What the reference's towers were given, out of the levels that golden cases keep.

use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::model::config::VlmConfig;

use crate::golden::{Case, Checkpoint};

impl Case {
    /// The pixels the reference gave the tower, `[N, 3, H, W]` for each photo (for all photos where all frames are alike).
    ///
    /// # Panics
    /// When shapes do not fit.
    pub fn frames(
        &self,
        checkpoint: &Checkpoint,
        config: &VlmConfig,
        device: &Device,
    ) -> Vec<Tensor<4>> {
        let Some((shape, levels)) = self.ints("pixel_levels") else {
            return Vec::new();
        };
        if shape.len() == 4 {
            return self
                .planes("pixel_levels", checkpoint, device)
                .into_iter()
                .collect();
        }
        let norms = checkpoint.normalisation();
        let (_, grids) = self.ints("image_grid_thw").expect("image_grid_thw");
        let patch = config.vision_config.patch_size;
        let (merge, frames) = (
            config.vision_config.variant.merge,
            config.vision_config.variant.frames,
        );
        let mut first = 0;
        let mut photos = Vec::new();
        for grid in grids.chunks(3) {
            let (rows, cols) = (grid[1] as usize, grid[2] as usize);
            let (height, width) = (rows * patch, cols * patch);
            let mut values = vec![f32::NAN; 3 * height * width];
            for place in 0..rows * cols {
                // Squares of merged patches, row by row; within them row by row again.
                let (square, within) = (place / (merge * merge), place % (merge * merge));
                let across = cols / merge;
                let row = square / across * merge + within / merge;
                let col = square % across * merge + within % merge;
                let pixels = &levels[(first + place) * shape[1]..][..shape[1]];
                for channel in 0..3 {
                    for y in 0..patch {
                        for x in 0..patch {
                            let level = pixels[((channel * frames) * patch + y) * patch + x];
                            let to = (channel * height + row * patch + y) * width + col * patch + x;
                            values[to] = normal(level, norms[channel]);
                        }
                    }
                }
            }
            first += rows * cols;
            let data = TensorData::new(values, [1, 3, height, width]);
            photos.push(Tensor::from_data(data, device));
        }
        photos
    }

    /// Levels `[N, 3, H, W]` as the pixels the reference gave the tower.
    ///
    /// # Panics
    /// When shapes do not fit.
    pub fn planes(
        &self,
        name: &str,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Option<Tensor<4>> {
        let (shape, levels) = self.ints(name)?;
        let norms = checkpoint.normalisation();
        let shape = [shape[0], shape[1], shape[2], shape[3]];
        let plane = shape[2] * shape[3];
        let levels = levels.iter().enumerate();
        let values: Vec<f32> = levels
            .map(|(at, &level)| normal(level, norms[at / plane % 3]))
            .collect();
        Some(Tensor::from_data(TensorData::new(values, shape), device))
    }

    /// Levels `[N, P, patch * patch * 3]` of photos of any shape, each with `(rows, columns)` patches, as `[1, 3, H, W]`;
    /// a patch lies as rows of columns of channels. `None` when the case has no shapes.
    ///
    /// # Panics
    /// When shapes do not fit.
    pub fn shaped(
        &self,
        checkpoint: &Checkpoint,
        patch: usize,
        device: &Device,
    ) -> Option<Vec<Tensor<4>>> {
        let (_, grids) = self.ints("spatial_shapes")?;
        let (shape, levels) = self.ints("pixel_levels")?;
        let norms = checkpoint.normalisation();
        let photo = |(photo, grid): (usize, &[i64])| {
            let (rows, cols) = (grid[0] as usize, grid[1] as usize);
            let (height, width) = (rows * patch, cols * patch);
            let mut values = vec![f32::NAN; 3 * height * width];
            let own = &levels[photo * shape[1] * shape[2]..][..rows * cols * shape[2]];
            for (at, &level) in own.iter().enumerate() {
                let (place, within) = (at / shape[2], at % shape[2]);
                let (y, x, channel) = (within / 3 / patch, within / 3 % patch, within % 3);
                let (row, col) = (place / cols * patch + y, place % cols * patch + x);
                values[(channel * height + row) * width + col] = normal(level, norms[channel]);
            }
            let data = TensorData::new(values, [1, 3, height, width]);
            Tensor::from_data(data, device)
        };
        Some(grids.chunks(2).enumerate().map(photo).collect())
    }
}

/// What an image processor makes of a level.
fn normal(level: i64, (mean, std): (f32, f32)) -> f32 {
    ((level as f64 / 255.0) as f32 - mean) / std
}
