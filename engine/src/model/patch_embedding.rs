//! The first step of a tower: patches to its width, with positions, class token and registers before them.

use burn::module::{Module, Param, ParamId};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::config::VisionConfig;
use super::params::{Init, ParamBuilder};
use super::patch_grid::{PatchGrid, Stretch};
use super::variants::PatchPositions;
use crate::{Result, ops};

/// Patches, positions, class token and registers.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
    class_token: Option<Param<Tensor<1>>>,
    registers: Option<Param<Tensor<2>>>,
    /// The class token's row first, if there is one.
    positions: Option<Param<Tensor<2>>>,
    #[module(skip)]
    kind: PatchPositions,
    patch_size: usize,
    /// Side of the tower's own grid of patches; 0 when it takes any.
    side: usize,
}

impl PatchEmbedding {
    /// Builds the parameters below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &VisionConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        let variant = &config.variant;
        let rows = match variant.positions {
            PatchPositions::Learned
            | PatchPositions::LearnedSmoothed
            | PatchPositions::Bucketed => Some(config.num_patches()),
            PatchPositions::Interpolated { side } | PatchPositions::Smoothed { side } => {
                Some(side * side)
            }
            PatchPositions::Absent => None,
        };
        let rows = rows.map(|rows| rows.saturating_add(usize::from(variant.class_token)));
        let weight = kernel(p, &format!("{name}.patch_embedding.weight"), config)?;
        let bias = match variant.patch_bias {
            true => {
                let name = format!("{name}.patch_embedding.bias");
                Some(p.param(&name, [hidden], Init::Constant(0.0))?)
            }
            false => None,
        };
        let class_token = match variant.class_token {
            true => {
                let name = format!("{name}.class_embedding");
                Some(p.param(&name, [hidden], Init::Normal(0.2))?)
            }
            false => None,
        };
        let registers = match variant.registers {
            0 => None,
            count => {
                let name = format!("{name}.register_tokens");
                Some(p.param(&name, [count, hidden], Init::Normal(0.2))?)
            }
        };
        let table = format!("{name}.position_embedding.weight");
        Ok(Self {
            weight,
            bias,
            class_token,
            registers,
            positions: rows
                .map(|rows| p.param(&table, [rows, hidden], Init::Normal(0.2)))
                .transpose()?,
            kind: variant.positions,
            patch_size: config.patch_size,
            side: config.patches_per_side(),
        })
    }

    /// Side of one patch, pixels.
    pub fn patch_size(&self) -> usize {
        self.patch_size
    }

    /// # Shapes
    /// - pixels: `[N, 3, H, W]`, H and W the patches of `grid`; what is more, less than a patch, is cut off
    /// - output: `[N, P, hidden]`, row by row; `[N, 1 + R + P, hidden]` with a class token and R registers
    pub fn forward(&self, pixels: Tensor<4>, grid: PatchGrid) -> Tensor<3> {
        let [images, channels, _, _] = pixels.dims();
        let (patch, PatchGrid { rows, cols }) = (self.patch_size, grid);
        // A convolution whose stride is its kernel is one product over unfolded patches.
        let patches = pixels
            .narrow(2, 0, rows * patch)
            .narrow(3, 0, cols * patch)
            .reshape([images, channels, rows, patch, cols, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([images, rows * cols, channels * patch * patch]);
        let [hidden, ..] = self.weight.dims();
        let kernel = self
            .weight
            .val()
            .reshape([hidden, channels * patch * patch]);
        let bias = self.bias.as_ref().map(Param::val);
        let x = ops::dense_linear(patches, kernel, bias);
        let table = self.positions.as_ref().map(Param::val);
        let Some(token) = self.class_token.as_ref().map(Param::val) else {
            return with(x, table.and_then(|table| self.rows(table, grid)));
        };
        let token = token.unsqueeze::<2>();
        let (token, x) = match table {
            Some(table) => {
                let own = table.clone().narrow(0, 0, 1);
                let others = table.dims()[0] - 1;
                let rest = table.narrow(0, 1, others);
                (token + own, with(x, self.rows(rest, grid)))
            }
            None => (token, x),
        };
        let before = match self.registers.as_ref().map(Param::val) {
            Some(registers) => Tensor::cat(vec![token, registers], 0),
            None => token,
        };
        let count = before.dims()[0];
        let before = before.unsqueeze::<3>().expand([images, count, hidden]);
        Tensor::cat(vec![before, x], 1)
    }

    /// What each patch of `grid` adds, `[P, hidden]`, out of the table of patches.
    fn rows(&self, table: Tensor<2>, grid: PatchGrid) -> Option<Tensor<2>> {
        if let Some(stretch) = grid.stretch(self.kind, self.side) {
            return Some(stretched(&table, &stretch, grid));
        }
        let taps = grid.taps(self.kind, self.side)?;
        let each = taps.first().map_or(0, Vec::len);
        let row = |tap: usize| -> Vec<usize> { taps.iter().map(|taps| taps[tap].0).collect() };
        let device = table.device();
        if each == 1 {
            let rows = row(0);
            let is_whole = rows.iter().copied().eq(0..table.dims()[0]);
            return Some(match is_whole {
                true => table,
                false => table.select(0, indices(&rows, &device)),
            });
        }
        let weighted = |tap: usize| {
            let weights: Vec<f32> = taps.iter().map(|taps| taps[tap].1).collect();
            let weights =
                Tensor::<2>::from_data(TensorData::new(weights, [grid.len(), 1]), &device);
            table.clone().select(0, indices(&row(tap), &device)) * weights
        };
        (0..each).map(weighted).reduce(|sum, tap| sum + tap)
    }
}

fn with(x: Tensor<3>, positions: Option<Tensor<2>>) -> Tensor<3> {
    match positions {
        Some(positions) => x + positions.unsqueeze(),
        None => x,
    }
}

/// A square table brought to `grid`, first along its rows, then along its columns.
fn stretched(table: &Tensor<2>, stretch: &Stretch, grid: PatchGrid) -> Tensor<2> {
    let (device, hidden, side) = (table.device(), table.dims()[1], stretch.side);
    let weights = |lines: &[f32], count: usize| {
        Tensor::<2>::from_data(TensorData::new(lines.to_vec(), [count, side]), &device)
    };
    let columns = weights(&stretch.cols, grid.cols).unsqueeze::<3>();
    let across = ops::matmul(columns, table.clone().reshape([side, side, hidden]));
    let rows = weights(&stretch.rows, grid.rows);
    ops::matmul(rows, across.reshape([side, grid.cols * hidden])).reshape([grid.len(), hidden])
}

/// The patch kernel `[hidden, 3, patch, patch]`, however it is stored. One over several frames is summed: a photo is a
/// film of equal frames.
fn kernel(p: &mut ParamBuilder<'_>, name: &str, config: &VisionConfig) -> Result<Param<Tensor<4>>> {
    let (hidden, patch, frames) = (config.hidden_size, config.patch_size, config.variant.frames);
    let init = Init::Normal((1.0 / (3 * patch * patch) as f64).sqrt());
    if config.variant.flat_kernel {
        let kernel: Param<Tensor<2>> = p.param(name, [hidden, patch * patch * 3], init)?;
        let by_channel = kernel.val().reshape([hidden, patch, patch, 3]);
        return Ok(leaf(kernel.id, by_channel.permute([0, 3, 1, 2])));
    }
    if frames == 1 {
        return p.param(name, [hidden, 3, patch, patch], init);
    }
    let kernel: Param<Tensor<5>> = p.param(name, [hidden, 3, frames, patch, patch], init)?;
    let summed = kernel.val().sum_dim(2).reshape([hidden, 3, patch, patch]);
    Ok(leaf(kernel.id, summed))
}

/// A parameter of its own: what it was computed from is no part of any graph, and may be frozen or trained as others are.
fn leaf(id: ParamId, value: Tensor<4>) -> Param<Tensor<4>> {
    let value = value.detach();
    let is_autodiff = value.is_autodiff();
    Param::initialized(id, value.set_require_grad(is_autodiff))
}

/// Places to select, on a device.
pub(super) fn indices(at: &[usize], device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = at.iter().map(|&at| at as i64).collect();
    Tensor::from_data(TensorData::new(values, [at.len()]), device)
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::Distribution;

    use super::*;
    use crate::model::params::RandomSource;
    use crate::model::variants::{Activation, VisionVariant};
    use crate::model::vision::VisionTower;

    /// SigLIP's 384 pixels hold 27 patches of 14 a side; a convolution passes over the other six.
    #[test]
    fn pixels_that_fill_no_patch_are_cut_off() {
        let device = Device::flex();
        let config = |image_size| VisionConfig {
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            image_size,
            patch_size: 6,
            layer_norm_eps: 1e-6,
            hidden_act: Activation::Gelu,
            variant: VisionVariant::default(),
        };
        let wide = config(20);
        wide.check().unwrap();
        assert!(config(5).check().is_err());
        let tower = VisionTower::new(
            &mut ParamBuilder::new(&mut RandomSource, &device),
            "v",
            &wide,
        );
        let tower = tower.unwrap();
        let photo = Tensor::<4>::random([1, 3, 20, 20], Distribution::Default, &device);
        let whole = photo.clone().narrow(2, 0, 18).narrow(3, 0, 18);
        let values = |x: Tensor<4>| tower.forward(x).into_data().try_to_vec::<f32>().unwrap();
        let found = values(photo);
        assert_eq!(found.len(), 9 * 8);
        assert_eq!(found, values(whole));
    }
}
