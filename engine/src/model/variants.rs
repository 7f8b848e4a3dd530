//! What model families do differently, as data: the one model reads these, no family has code of its own in it.
//!
//! `Default` is the SmolVLM family as the embedded model has it, so a configuration without a word about a difference
//! is one of ours.

use serde::{Deserialize, Serialize};

/// Activation functions as `config.json` spells them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Exact GELU.
    Gelu,
    /// GELU by tanh, SigLIP's own.
    #[default]
    #[serde(alias = "gelu_new")]
    GeluPytorchTanh,
    /// `x * sigmoid(x)`.
    #[serde(alias = "swish")]
    Silu,
    /// `x * sigmoid(1.702 x)`, OpenAI's CLIP.
    QuickGelu,
}

/// Layer norm or RMS norm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NormKind {
    /// Mean and variance, weight and bias.
    #[default]
    Layer,
    /// Root mean square, weight only.
    Rms,
}

/// Where patches get their positions from, before any rotary ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PatchPositions {
    /// A row of a learned table for each patch, the table as large as the tower's own grid (SigLIP, CLIP); on another grid
    /// it is stretched by bicubic interpolation.
    #[default]
    Learned,
    /// A learned table, its rows found by bucketing fractions of the side in f32 (Idefics3).
    Bucketed,
    /// As [`Self::Learned`], but the bicubic interpolation smooths where it shrinks (DINOv2 with registers).
    LearnedSmoothed,
    /// A square learned table of this side, brought to the grid by bilinear interpolation with corners aligned (Qwen3-VL).
    Interpolated {
        /// Side of the table.
        side: usize,
    },
    /// A square learned table of this side, brought to the grid by bilinear interpolation that smooths where it shrinks
    /// (SigLIP 2 NaFlex).
    Smoothed {
        /// Side of the table.
        side: usize,
    },
    /// None: rotary positions alone (Qwen2.5-VL).
    Absent,
}

/// Attention of most layers kept inside square windows of the photo (Qwen2.5-VL).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Windows {
    /// Side of a window in merged squares of patches; 0 when every layer sees the whole photo.
    pub side: usize,
    /// Layers that see the whole photo all the same.
    pub full: Vec<usize>,
}

/// A vision tower's differences from SigLIP's.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionVariant {
    /// Kind of all norms.
    pub norm: NormKind,
    /// Whether the feed-forward layer is gated (and has biases).
    pub gated: bool,
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the patch embedding has a bias.
    pub patch_bias: bool,
    /// Whether the stored kernel is a matrix over patches laid out by row, column and channel (SigLIP 2 NaFlex).
    pub flat_kernel: bool,
    /// Frames one patch spans in the stored kernel; a photo is a film of equal frames.
    pub frames: usize,
    /// Whether a learned token stands before the patches, with the first row of the position table (CLIP, BLIP-2). Such
    /// towers read the patches row by row.
    pub class_token: bool,
    /// Learned tokens without a position that stand between the class token and the patches (registers, Darcet et al., arXiv
    /// 2309.16588). Only towers with a class token have them.
    pub registers: usize,
    /// Positions added to the patches.
    pub positions: PatchPositions,
    /// Base of the rotary positions by row and column, if there are any.
    pub rotary: Option<f64>,
    /// Windows of attention.
    pub windows: Windows,
    /// Side of the squares of patches that stand together in the sequence; 1 is row by row.
    pub merge: usize,
    /// Whether a norm comes before the first layer (CLIP).
    pub pre_norm: bool,
    /// Whether a norm follows the last layer.
    pub post_norm: bool,
    /// Whether each half of a layer is scaled, channel by channel, before it is added (LayerScale, Touvron et al., arXiv
    /// 2103.17239).
    pub layer_scale: bool,
    /// Layers whose output also reaches the first layers of the decoder (DeepStack).
    pub deepstack: Vec<usize>,
}

impl Default for VisionVariant {
    fn default() -> Self {
        Self {
            norm: NormKind::Layer,
            gated: false,
            qkv_bias: true,
            patch_bias: true,
            flat_kernel: false,
            frames: 1,
            class_token: false,
            registers: 0,
            positions: PatchPositions::Learned,
            rotary: None,
            windows: Windows::default(),
            merge: 1,
            pre_norm: false,
            post_norm: true,
            layer_scale: false,
            deepstack: Vec::new(),
        }
    }
}

/// Rotary positions of three axes (time, row, column), M-RoPE of Qwen-VL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mrope {
    /// Frequencies that belong to each axis.
    pub sections: [usize; 3],
    /// Axes take turns (Qwen3-VL) instead of following each other in blocks (Qwen2.5-VL).
    pub interleaved: bool,
}

/// A decoder's differences from Llama's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextVariant {
    /// Whether the query, key and value projections have biases.
    pub qkv_bias: bool,
    /// Whether the output projection of attention has one.
    pub output_bias: bool,
    /// Whether each head's queries and keys pass an RMS norm.
    pub qk_norm: bool,
    /// Rotary positions of three axes.
    pub mrope: Option<Mrope>,
}

/// How patch features become visual tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum ConnectorKind {
    /// Space to depth, then one projection (Idefics3).
    #[default]
    PixelShuffle,
    /// A norm of this kind, then two projections over the merged square with an activation between (Qwen-VL).
    PatchMerger {
        /// Norm before merging.
        norm: NormKind,
        /// Activation between the projections.
        act: Activation,
    },
    /// There is neither connector nor tower: the model reads text only (Llama).
    Absent,
}

/// The numbers boxes are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BoxUnits {
    /// Hundredths of the photo's sides: NameLens' own.
    #[default]
    Hundredths,
    /// Thousandths of the photo's sides (Qwen3-VL).
    Thousandths,
    /// Pixels of the resized photo (Qwen2.5-VL).
    Pixels,
}

/// What a dual encoder makes a photo's embedding of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PhotoPooling {
    /// What a learned probe sees in the patches (SigLIP).
    #[default]
    Probe,
    /// The class token, projected without a bias (CLIP).
    ClassToken,
}

/// The token of a text that stands for all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TextPooling {
    /// The last one, after filling up to the fixed length (SigLIP).
    #[default]
    Last,
    /// The first of this id, the end of the text (CLIP).
    First(u32),
    /// The first of the highest id there is (CLIP, whose old configurations name a wrong end of text).
    Highest,
}

/// A dual encoder's differences from SigLIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DualVariant {
    /// How photos and regions become embeddings.
    pub photos: PhotoPooling,
    /// How texts do.
    pub texts: TextPooling,
    /// Whether each token of a text looks only at itself and what came before.
    pub causal: bool,
    /// Whether the text's projection has a bias.
    pub head_bias: bool,
    /// Whether similarities are moved as well as scaled.
    pub logit_bias: bool,
}

impl Default for DualVariant {
    fn default() -> Self {
        Self {
            photos: PhotoPooling::Probe,
            texts: TextPooling::Last,
            causal: false,
            head_bias: true,
            logit_bias: true,
        }
    }
}
