//! The vision tower: patches with positions through pre-norm transformer layers (SigLIP, Qwen-VL; see [`VisionVariant`]).

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor, TensorData};

use super::attention::{Attention, AttentionShape, Sight};
use super::config::VisionConfig;
use super::linear::Linear;
use super::mlp::FeedForward;
use super::norm::Norm;
use super::params::{Init, ParamBuilder};
use super::patch_grid::PatchGrid;
use super::rope::{Rope, Rotation, Spot};
use super::variants::{NormKind, PatchPositions, VisionVariant};
use super::windows::WindowPlan;
use crate::Result;

/// Pre-norm transformer layer of a tower (vision or text).
#[derive(Module, Debug)]
pub struct TowerLayer {
    layer_norm1: Norm,
    self_attn: Attention,
    layer_norm2: Norm,
    mlp: FeedForward,
}

/// What a tower layer needs to know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TowerShape {
    pub(crate) hidden: usize,
    pub(crate) intermediate: usize,
    pub(crate) heads: usize,
    pub(crate) eps: f64,
    pub(crate) act: super::config::Activation,
    pub(crate) norm: NormKind,
    pub(crate) gated: bool,
}

impl TowerLayer {
    pub(crate) fn new(p: &mut ParamBuilder<'_>, name: &str, shape: TowerShape) -> Result<Self> {
        let TowerShape {
            hidden,
            intermediate,
            heads,
            eps,
            act,
            norm,
            gated,
        } = shape;
        let attention = AttentionShape {
            hidden,
            heads,
            kv_heads: heads,
            head_dim: hidden / heads,
            bias: true,
            output_bias: true,
            qk_norm: None,
            output: "out_proj",
        };
        let mlp = format!("{name}.mlp");
        Ok(Self {
            layer_norm1: Norm::new(p, &format!("{name}.layer_norm1"), hidden, eps, norm)?,
            self_attn: Attention::new(p, &format!("{name}.self_attn"), attention)?,
            layer_norm2: Norm::new(p, &format!("{name}.layer_norm2"), hidden, eps, norm)?,
            mlp: FeedForward::new(p, &mlp, hidden, intermediate, act, gated)?,
        })
    }

    /// # Shapes
    /// - x, output: `[B, T, hidden]`
    pub(crate) fn forward(
        &self,
        x: Tensor<3>,
        rotation: Option<&Rotation>,
        sight: Sight,
    ) -> Tensor<3> {
        let normed = self.layer_norm1.forward(x.clone());
        let x = x + self.self_attn.forward(normed, rotation, sight);
        x.clone() + self.mlp.forward(self.layer_norm2.forward(x))
    }
}

/// The tower up to and including its final norm.
#[derive(Module, Debug)]
pub struct VisionTower {
    patch_weight: Param<Tensor<4>>,
    patch_bias: Option<Param<Tensor<1>>>,
    positions: Option<Param<Tensor<2>>>,
    layers: Vec<TowerLayer>,
    post_layernorm: Option<Norm>,
    #[module(skip)]
    rope: Option<Rope>,
    #[module(skip)]
    variant: VisionVariant,
    patch_size: usize,
    /// Side of the tower's own grid of patches; 0 when it takes any.
    side: usize,
}

/// A photo, or several frames of one size, on the way through the tower.
#[derive(Debug, Clone)]
pub struct Passage {
    x: Tensor<3>,
    grid: PatchGrid,
    rotation: Option<Rotation>,
    windows: Option<WindowPlan>,
    deep: Vec<Tensor<3>>,
}

impl Passage {
    /// What has come out of the layers so far, `[N, P, hidden]`, in the order of the sequence.
    pub fn hidden(&self) -> Tensor<3> {
        self.x.clone()
    }
}

/// What the tower sees in N frames of one size.
#[derive(Debug, Clone)]
pub struct Features {
    /// `[N, P, hidden]`: row by row, or merged squares together where the connector merges.
    pub patches: Tensor<3>,
    /// The same behind each DeepStack layer.
    pub deep: Vec<Tensor<3>>,
    /// Rows and columns of patches.
    pub grid: PatchGrid,
}

impl VisionTower {
    /// Builds the tower below `name` (`model.vision_model` in SmolVLM, `vision_model` in SigLIP).
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &VisionConfig) -> Result<Self> {
        let hidden = config.hidden_size;
        let variant = config.variant.clone();
        let eps = config.layer_norm_eps;
        let shape = TowerShape {
            hidden,
            intermediate: config.intermediate_size,
            heads: config.num_attention_heads,
            eps,
            act: config.hidden_act,
            norm: variant.norm,
            gated: variant.gated,
        };
        let rows = match variant.positions {
            PatchPositions::Learned | PatchPositions::Bucketed => Some(config.num_patches()),
            PatchPositions::Interpolated { side } => Some(side * side),
            PatchPositions::Absent => None,
        };
        let positions = format!("{name}.embeddings.position_embedding.weight");
        let bias = format!("{name}.embeddings.patch_embedding.bias");
        let post_norm = format!("{name}.post_layernorm");
        let device = p.device().clone();
        Ok(Self {
            patch_weight: patch_kernel(
                p,
                &format!("{name}.embeddings.patch_embedding.weight"),
                config,
            )?,
            patch_bias: variant
                .patch_bias
                .then(|| p.param(&bias, [hidden], Init::Constant(0.0)))
                .transpose()?,
            positions: rows
                .map(|rows| p.param(&positions, [rows, hidden], Init::Normal(0.2)))
                .transpose()?,
            layers: (0..config.num_hidden_layers)
                .map(|i| TowerLayer::new(p, &format!("{name}.encoder.layers.{i}"), shape))
                .collect::<Result<_>>()?,
            post_layernorm: variant
                .post_norm
                .then(|| Norm::new(p, &post_norm, hidden, eps, variant.norm))
                .transpose()?,
            rope: variant
                .rotary
                .map(|theta| Rope::tower(hidden / config.num_attention_heads, theta, &device)),
            patch_size: config.patch_size,
            side: config.patches_per_side(),
            variant,
        })
    }

    /// The projections of every layer.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        let layers = self.layers.iter_mut().flat_map(|layer| {
            let attention = layer.self_attn.linears().into_iter();
            attention.chain(layer.mlp.linears())
        });
        layers.collect()
    }

    /// Side of one patch, pixels.
    pub fn patch_size(&self) -> usize {
        self.patch_size
    }

    /// Number of layers, the steps of progress a caller may report.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// # Shapes
    /// - pixels: `[N, 3, H, W]`, normalised
    /// - output: patch features `[N, P, hidden]`; see [`Features::patches`] for their order
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.features(pixels).patches
    }

    /// [`VisionTower::forward`] with all that a connector needs.
    pub fn features(&self, pixels: Tensor<4>) -> Features {
        let mut passage = self.enter(pixels);
        for layer in 0..self.depth() {
            self.layer(layer, &mut passage);
        }
        self.leave(passage)
    }

    /// Frames `[N, 3, H, W]` as patches with positions, in the order of the sequence.
    pub fn enter(&self, pixels: Tensor<4>) -> Passage {
        let [_, _, height, width] = pixels.dims();
        let patch = self.patch_size;
        let grid = PatchGrid {
            rows: height / patch,
            cols: width / patch,
        };
        let device = pixels.device();
        let variant = &self.variant;
        let mut x = self.embed(pixels, grid);
        let mut spots = grid.spots();
        if let Some(order) = grid.order(variant) {
            spots = order.iter().map(|&at| spots[at]).collect::<Vec<Spot>>();
            x = x.select(1, indices(&order, &device));
        }
        Passage {
            x,
            grid,
            rotation: self.rope.as_ref().map(|rope| rope.at(&[spots])),
            windows: (variant.windows.side > 0)
                .then(|| WindowPlan::new(&grid.window_lengths(variant), &device)),
            deep: Vec::new(),
        }
    }

    /// One layer, so that a caller can yield or cancel in between.
    pub fn layer(&self, index: usize, passage: &mut Passage) {
        let sight = match &passage.windows {
            Some(plan) if !self.variant.windows.full.contains(&index) => {
                Sight::Windows(plan.clone())
            }
            _ => Sight::Full,
        };
        let x = self.layers[index].forward(passage.x.clone(), passage.rotation.as_ref(), sight);
        if self.variant.deepstack.contains(&index) {
            passage.deep.push(x.clone());
        }
        passage.x = x;
    }

    /// The final norm, and windows put back in order.
    pub fn leave(&self, passage: Passage) -> Features {
        let Passage { x, grid, deep, .. } = passage;
        let x = match &self.post_layernorm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let squares = (self.variant.windows.side > 0).then(|| grid.window_order(&self.variant));
        let back = squares.map(|squares| {
            let unit = self.variant.merge * self.variant.merge;
            let mut place = vec![0; squares.len() * unit];
            for (at, square) in squares.into_iter().enumerate() {
                for patch in 0..unit {
                    place[square * unit + patch] = at * unit + patch;
                }
            }
            indices(&place, &x.device())
        });
        let ordered = |x: Tensor<3>| match &back {
            Some(back) => x.select(1, back.clone()),
            None => x,
        };
        Features {
            patches: ordered(x),
            deep: deep.into_iter().map(ordered).collect(),
            grid,
        }
    }

    /// Patches to the width of the tower, with positions, row by row.
    fn embed(&self, pixels: Tensor<4>, grid: PatchGrid) -> Tensor<3> {
        let [images, channels, _, _] = pixels.dims();
        let (patch, PatchGrid { rows, cols }) = (self.patch_size, grid);
        // A convolution whose stride is its kernel is one product over unfolded patches.
        let patches = pixels
            .reshape([images, channels, rows, patch, cols, patch])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([images, rows * cols, channels * patch * patch]);
        let [hidden, ..] = self.patch_weight.dims();
        let kernel = self
            .patch_weight
            .val()
            .reshape([hidden, channels * patch * patch]);
        let bias = self.patch_bias.as_ref().map(Param::val);
        let x = burn::tensor::module::linear(patches, kernel.transpose(), bias);
        match self.position_rows(grid) {
            Some(positions) => x + positions.unsqueeze(),
            None => x,
        }
    }

    /// What each patch of `grid` adds, `[P, hidden]`.
    fn position_rows(&self, grid: PatchGrid) -> Option<Tensor<2>> {
        let table = self.positions.as_ref()?.val();
        let taps = grid.taps(self.variant.positions, self.side)?;
        let each = taps.first().map_or(0, Vec::len);
        let row = |tap: usize| -> Vec<usize> { taps.iter().map(|taps| taps[tap].0).collect() };
        if each == 1 {
            let rows = row(0);
            let is_whole = rows.iter().copied().eq(0..table.dims()[0]);
            return Some(match is_whole {
                true => table,
                false => table.clone().select(0, indices(&rows, &table.device())),
            });
        }
        let device = table.device();
        let weighted = |tap: usize| {
            let weights: Vec<f32> = taps.iter().map(|taps| taps[tap].1).collect();
            let weights =
                Tensor::<2>::from_data(TensorData::new(weights, [grid.len(), 1]), &device);
            table.clone().select(0, indices(&row(tap), &device)) * weights
        };
        (0..each).map(weighted).reduce(|sum, tap| sum + tap)
    }
}

/// The patch kernel `[hidden, 3, patch, patch]`. One over several frames is summed: a photo is a film of equal frames.
fn patch_kernel(
    p: &mut ParamBuilder<'_>,
    name: &str,
    config: &VisionConfig,
) -> Result<Param<Tensor<4>>> {
    let (hidden, patch, frames) = (config.hidden_size, config.patch_size, config.variant.frames);
    let init = Init::Normal((1.0 / (3 * patch * patch) as f64).sqrt());
    if frames == 1 {
        return p.param(name, [hidden, 3, patch, patch], init);
    }
    let kernel: Param<Tensor<5>> = p.param(name, [hidden, 3, frames, patch, patch], init)?;
    let summed = kernel.val().sum_dim(2).reshape([hidden, 3, patch, patch]);
    Ok(Param::initialized(kernel.id, summed))
}

fn indices(at: &[usize], device: &burn::tensor::Device) -> Tensor<1, Int> {
    let values: Vec<i64> = at.iter().map(|&at| at as i64).collect();
    Tensor::from_data(TensorData::new(values, [at.len()]), device)
}
