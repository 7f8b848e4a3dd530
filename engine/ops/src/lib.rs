//! Every operation that has a fast kernel, with its plain-burn body.
//!
//! | operation | wgpu with WGSL | flex (CPU) | anything else |
//! |---|---|---|---|
//! | [`cached_attention`] | kernels for one query and for many | loops | plain |
//! | [`attention`] | kernel without gradients | loops, forward and back | plain |
//! | [`silu`] | plain | loops, forward and back | plain |
//! | [`gelu`], [`gelu_tanh`] | kernel without gradients | loops, forward and back | plain |
//! | [`gated_silu`], [`rms_norm`], [`layer_norm`], [`rotate`] | kernels without gradients | loops without gradients | plain |
//! | [`quant_matvec`], [`quant_linear`] | kernel | `namelens_cpu_kernels` | plain |
//! | [`matmul()`], [`masked_attention`] | kernel without gradients | plain | plain |
//! | [`dense_linear`] | kernels without gradients | loops for a few rows without gradients | plain |
//! | [`quant_linears`], [`gated_quant_linear`], [`rotate_into_cache`] | the kernels of their parts | loops | the parts |
//! | [`token_scores`] | plain, a block of rows at a time | | |
//! | [`cosine_scores`] | kernel | plain | plain |
//! | [`top_k`] | kernels | selection | plain |
//! | [`foremost()`] | kernel | none: logits are there | none |
//! | [`Step`] | the kernels for one query, and a [`Recording`] of them | none | none |
//! | [`cosine_top_k`] | kernels | `namelens_cpu_kernels` for a few queries | plain |
//! | [`pairwise_iou`], [`nms`] | kernel | plain | plain |
//! | [`depthwise`], [`region_scores()`] | kernel | loops | plain |
//! | [`pointwise`], [`stem`] | kernels | loops | plain |
//!
//! The plain bodies ([`mod@reference`]) are what the fast paths are tested against. [`attention()`], the activations, [`gated_silu`], the norms,
//! [`rotate`], [`matmul()`], [`masked_attention`], [`dense_linear`], [`quant_linear`] and [`token_scores`] have gradients, the others run without: tensors of an autodiff device are taken off their graph, and so
//! are results.

mod blocks;
#[cfg(feature = "cube")]
pub mod kernels;
pub mod logits;
pub mod random;
pub mod reference;
pub mod resample;
#[cfg(feature = "cpu")]
pub mod threads;

mod activation;
#[cfg(all(feature = "cpu", feature = "train"))]
mod activation_grad;
mod activation_kind;
mod attention;
#[cfg(all(feature = "cpu", feature = "train"))]
mod attention_grad;
mod bottleneck;
mod boxes;
mod conv_weights;
mod conv_window;
mod convolution;
mod dequantize;
mod dispatch;
mod epilogue;
mod exp;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod flex_activation;
#[cfg(feature = "cpu")]
mod flex_attention;
#[cfg(all(feature = "cpu", feature = "train"))]
mod flex_attention_grad;
#[cfg(feature = "cpu")]
mod flex_bottleneck;
#[cfg(feature = "cpu")]
mod flex_cached;
#[cfg(feature = "cpu")]
mod flex_dense;
#[cfg(feature = "cpu")]
mod flex_depthwise;
#[cfg(feature = "cpu")]
mod flex_dots;
#[cfg(feature = "cpu")]
mod flex_epilogue;
#[cfg(feature = "cpu")]
mod flex_heads;
#[cfg(feature = "cpu")]
mod flex_nearest;
#[cfg(feature = "cpu")]
mod flex_norm;
#[cfg(feature = "cpu")]
mod flex_packed;
#[cfg(feature = "cpu")]
mod flex_pointwise;
#[cfg(feature = "cpu")]
mod flex_product;
#[cfg(feature = "cpu")]
mod flex_quant;
#[cfg(feature = "cpu")]
mod flex_region_scores;
#[cfg(feature = "cpu")]
mod flex_rotate;
#[cfg(feature = "cpu")]
mod flex_softmax;
#[cfg(feature = "cpu")]
mod flex_stem;
#[cfg(feature = "cpu")]
mod flex_top_k;
#[cfg(feature = "cpu")]
mod flex_vector;
#[cfg(feature = "train")]
mod logprob_grad;
mod matmul;
mod nearest;
mod norm;
#[cfg(feature = "train")]
mod own_grad;
#[cfg(feature = "cpu")]
mod packed_layer;
mod projection;
mod quant;
#[cfg(feature = "train")]
mod quant_grad;
mod quant_product;
mod region_scores;
mod rotate;
mod seen;
mod step;
#[cfg(feature = "train")]
mod token_scores;

pub use activation::{activate, gated_silu, gelu, gelu_tanh, silu};
pub use activation_kind::Activation;
pub use attention::{attention, cached_attention};
pub use blocks::{BLOCK, QuantKind, Unquantised};
pub use bottleneck::{Bottleneck, bottleneck, one_by_one};
pub use boxes::{nms, pairwise_iou};
pub use conv_weights::ConvWeights;
pub use conv_window::Window;
pub use convolution::{depthwise, pointwise, pointwise_map, stem};
#[cfg(feature = "cpu")]
use dispatch::on_flex;
#[cfg(feature = "cube")]
use dispatch::on_kernels;
pub use epilogue::Epilogue;
#[cfg(feature = "train")]
pub use logprob_grad::{Head, TokenScores};
pub use matmul::{masked_attention, matmul};
pub use nearest::{cosine_scores, cosine_top_k, foremost, top_k};
pub use norm::{layer_norm, rms_norm};
#[cfg(feature = "cpu")]
pub use packed_layer::PackedLayer;
pub use projection::{bf16_linear, dense_linear, gated_quant_linear, quant_linear, quant_linears};
pub use quant::{QuantMatrix, UnfitBlocks};
#[cfg(feature = "cube")]
use quant_product::MAX_MATVEC_ROWS;
pub use quant_product::quant_matvec;
pub use region_scores::region_scores;
pub use rotate::{rotate, rotate_into_cache};
pub use seen::{Seen, Shared};
pub use step::{Recording, Step, Unrecorded};
#[cfg(feature = "train")]
pub use token_scores::token_scores;
