//! The vision tower: patches with positions through pre-norm transformer layers (SigLIP, CLIP, Qwen-VL, DINOv2; see
//! [`VisionVariant`]).

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::attention::{Attention, AttentionShape, Mask};
use super::config::VisionConfig;
use super::linear::Linear;
use super::mlp::FeedForward;
use super::norm::Norm;
use super::params::{Init, ParamBuilder};
use super::patch_embedding::{PatchEmbedding, indices};
use super::patch_grid::PatchGrid;
use super::rope::{Position, Rope, Rotation};
use super::variants::{NormKind, VisionVariant};
use super::windows::WindowPlan;
use crate::Result;

/// Pre-norm transformer layer of a tower (vision or text).
#[derive(Module, Debug)]
pub struct TowerLayer {
    layer_norm1: Norm,
    self_attn: Attention,
    layer_norm2: Norm,
    mlp: FeedForward,
    /// Factors a channel on what attention and feed-forward layer add, where the model has them.
    layer_scale1: Option<Param<Tensor<1>>>,
    layer_scale2: Option<Param<Tensor<1>>>,
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
    pub(crate) qkv_bias: bool,
    pub(crate) layer_scale: bool,
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
            qkv_bias,
            layer_scale,
        } = shape;
        let attention = AttentionShape {
            hidden,
            memory: None,
            heads,
            kv_heads: heads,
            head_dim: hidden / heads,
            bias: qkv_bias,
            output_bias: true,
            qk_norm: None,
            output: "out_proj",
        };
        let mlp = format!("{name}.mlp");
        let mut scale = |which: &str| -> Result<Option<Param<Tensor<1>>>> {
            let name = format!("{name}.{which}.lambda1");
            let scale = layer_scale.then(|| p.param(&name, [hidden], Init::Constant(1.0)));
            scale.transpose()
        };
        let (layer_scale1, layer_scale2) = (scale("layer_scale1")?, scale("layer_scale2")?);
        Ok(Self {
            layer_scale1,
            layer_scale2,
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
        mask: Mask,
    ) -> Tensor<3> {
        let normed = self.layer_norm1.forward(x.clone());
        let x = match &self.layer_scale1 {
            Some(scale) => {
                x + self.self_attn.forward(normed, rotation, mask) * scale.val().unsqueeze()
            }
            None => self.self_attn.forward_onto(normed, x, rotation, mask),
        };
        let normed = self.layer_norm2.forward(x.clone());
        match &self.layer_scale2 {
            Some(scale) => x + self.mlp.forward(normed) * scale.val().unsqueeze(),
            None => self.mlp.forward_onto(normed, x),
        }
    }
}

/// The tower up to and including its final norm.
#[derive(Module, Debug)]
pub struct VisionTower {
    embeddings: PatchEmbedding,
    pre_layernorm: Option<Norm>,
    layers: Vec<TowerLayer>,
    post_layernorm: Option<Norm>,
    #[module(skip)]
    rope: Option<Rope>,
    #[module(skip)]
    variant: VisionVariant,
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
    /// `[N, P, hidden]`: row by row, or merged squares together where the connector merges. A class token, if the tower
    /// has one, comes first, and its registers behind it: `[N, 1 + R + P, hidden]`.
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
            qkv_bias: variant.qkv_bias,
            layer_scale: variant.layer_scale,
        };
        let norm = |p: &mut ParamBuilder<'_>, which: &str| -> Result<Norm> {
            Norm::new(p, &format!("{name}.{which}"), hidden, eps, variant.norm)
        };
        let device = p.device().clone();
        let embeddings = PatchEmbedding::new(p, &format!("{name}.embeddings"), config)?;
        let pre_layernorm = match variant.pre_norm {
            true => Some(norm(p, "pre_layernorm")?),
            false => None,
        };
        let layers = (0..config.num_hidden_layers)
            .map(|i| TowerLayer::new(p, &format!("{name}.encoder.layers.{i}"), shape))
            .collect::<Result<_>>()?;
        let post_layernorm = match variant.post_norm {
            true => Some(norm(p, "post_layernorm")?),
            false => None,
        };
        Ok(Self {
            embeddings,
            pre_layernorm,
            layers,
            post_layernorm,
            rope: variant
                .rotary
                .map(|theta| Rope::tower(hidden / config.num_attention_heads, theta, &device)),
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
        self.embeddings.patch_size()
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
        let patch = self.patch_size();
        let grid = PatchGrid {
            rows: height / patch,
            cols: width / patch,
        };
        let device = pixels.device();
        let variant = &self.variant;
        let mut x = self.embeddings.forward(pixels, grid);
        if let Some(norm) = &self.pre_layernorm {
            x = norm.forward(x);
        }
        let mut positions: Vec<Position> = grid.positions();
        if let Some(order) = grid.order(variant) {
            positions = order.iter().map(|&at| positions[at]).collect();
            x = x.select(1, indices(&order, &device));
        }
        Passage {
            x,
            grid,
            rotation: self.rope.as_ref().map(|rope| rope.at(&[positions])),
            windows: (variant.windows.side > 0)
                .then(|| WindowPlan::new(&grid.window_lengths(variant), &device)),
            deep: Vec::new(),
        }
    }

    /// One layer, so that a caller can yield or cancel in between.
    pub fn layer(&self, index: usize, passage: &mut Passage) {
        let mask = match &passage.windows {
            Some(plan) if !self.variant.windows.full.contains(&index) => {
                Mask::Windows(plan.clone())
            }
            _ => Mask::Full,
        };
        let x = self.layers[index].forward(passage.x.clone(), passage.rotation.as_ref(), mask);
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
}
