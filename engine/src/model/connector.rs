//! From patch features to visual tokens: pixel shuffle (Idefics3) or patch merger (Qwen-VL).

use burn::module::Module;
use burn::tensor::Tensor;

use super::config::{Activation, VlmConfig};
use super::linear::Linear;
use super::mlp::activated;
use super::norm::Norm;
use super::params::ParamBuilder;
use super::variants::{ConnectorKind, NormKind};
use super::vision::Features;
use crate::Result;

/// Visual tokens of some frames.
#[derive(Debug, Clone)]
pub struct Visual {
    /// `[V, hidden]`, frame by frame, photo by photo.
    pub tokens: Tensor<2>,
    /// What DeepStack adds to them behind the first layers of the decoder, a tensor a layer.
    pub deep: Vec<Tensor<2>>,
}

impl Visual {
    /// The tokens from `start` on, `len` of them.
    #[must_use]
    pub fn narrow(&self, start: usize, len: usize) -> Self {
        let part = |x: &Tensor<2>| x.clone().narrow(0, start, len);
        Self {
            tokens: part(&self.tokens),
            deep: self.deep.iter().map(part).collect(),
        }
    }

    /// Those of several photos as one; `None` of none.
    pub fn joined(parts: Vec<Self>) -> Option<Self> {
        let depth = parts.first()?.deep.len();
        let deep = |at: usize| parts.iter().map(|part| part.deep[at].clone()).collect();
        Some(Self {
            deep: (0..depth).map(|at| Tensor::cat(deep(at), 0)).collect(),
            tokens: Tensor::cat(parts.iter().map(|part| part.tokens.clone()).collect(), 0),
        })
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.dims()[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Patch features to visual tokens.
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has one; a box would save nothing worth a look-up"
)]
pub enum Connector {
    /// Space to depth, then one projection without bias.
    PixelShuffle(PixelShuffle),
    /// Norm, merge, two projections; one more of it for each DeepStack layer.
    PatchMerger(PatchMergers),
}

/// Space to depth, then one projection.
#[derive(Module, Debug)]
pub struct PixelShuffle {
    proj: Linear,
    scale_factor: usize,
}

/// The mergers of a tower.
#[derive(Module, Debug)]
pub struct PatchMergers {
    last: PatchMerger,
    deep: Vec<PatchMerger>,
}

/// Norm, `scale x scale` patches as one row, two projections with an activation between.
#[derive(Module, Debug)]
pub struct PatchMerger {
    norm: Norm,
    fc1: Linear,
    fc2: Linear,
    scale: usize,
    /// Whether the norm is over merged rows.
    merged_first: bool,
    #[module(skip)]
    act: Activation,
}

/// Written into the references' code, not into their configurations.
const MERGER_EPS: f64 = 1e-6;

impl Connector {
    /// Builds the connector below `name` (`model.connector`), if the model has one.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &VlmConfig) -> Result<Option<Self>> {
        let (vision, text) = (
            config.vision_config.hidden_size,
            config.text_config.hidden_size,
        );
        let scale = config.scale_factor;
        let folded = vision * scale * scale;
        Ok(Some(match config.connector {
            ConnectorKind::Absent => return Ok(None),
            ConnectorKind::PixelShuffle => Self::PixelShuffle(PixelShuffle {
                proj: Linear::new(
                    p,
                    &format!("{name}.modality_projection.proj"),
                    folded,
                    text,
                    false,
                )?,
                scale_factor: scale,
            }),
            ConnectorKind::PatchMerger { norm, act } => {
                let mut merger = |name: &str, norm: NormKind, merged_first: bool| {
                    let width = if merged_first { folded } else { vision };
                    Ok(PatchMerger {
                        norm: Norm::new(p, &format!("{name}.norm"), width, MERGER_EPS, norm)?,
                        fc1: Linear::new(p, &format!("{name}.fc1"), folded, folded, true)?,
                        fc2: Linear::new(p, &format!("{name}.fc2"), folded, text, true)?,
                        scale,
                        merged_first,
                        act,
                    })
                };
                let depth = config.vision_config.variant.deepstack.len();
                Self::PatchMerger(PatchMergers {
                    last: merger(name, norm, false)?,
                    deep: (0..depth)
                        .map(|at| merger(&format!("{name}.deepstack.{at}"), norm, true))
                        .collect::<Result<_>>()?,
                })
            }
        }))
    }

    /// Its projections.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::PixelShuffle(shuffle) => vec![&mut shuffle.proj],
            Self::PatchMerger(PatchMergers { last, deep }) => std::iter::once(last)
                .chain(deep)
                .flat_map(|merger| [&mut merger.fc1, &mut merger.fc2])
                .collect(),
        }
    }

    /// Features of N frames of P patches to their visual tokens, frame by frame.
    pub fn forward(&self, features: Features) -> Visual {
        match self {
            Self::PixelShuffle(shuffle) => {
                let folded = fold(features.patches, shuffle.scale_factor);
                Visual {
                    tokens: flat(shuffle.proj.forward(folded)),
                    deep: Vec::new(),
                }
            }
            Self::PatchMerger(mergers) => Visual {
                tokens: mergers.last.forward(features.patches),
                deep: mergers
                    .deep
                    .iter()
                    .zip(features.deep)
                    .map(|(merger, patches)| merger.forward(patches))
                    .collect(),
            },
        }
    }
}

impl PatchMerger {
    /// `[N, P, hidden]`, squares together, to `[N * P / scale², text]`.
    fn forward(&self, patches: Tensor<3>) -> Tensor<2> {
        let [frames, patches_each, hidden] = patches.dims();
        let square = self.scale * self.scale;
        let merged = [frames * patches_each / square, hidden * square];
        let x = match self.merged_first {
            true => self.norm.forward(patches.reshape(merged)),
            false => self.norm.forward(patches).reshape(merged),
        };
        self.fc2.forward(activated(&self.fc1, x, self.act))
    }
}

/// `[N, T, hidden]` to `[N * T, hidden]`.
fn flat(x: Tensor<3>) -> Tensor<2> {
    let [frames, tokens, hidden] = x.dims();
    x.reshape([frames * tokens, hidden])
}

/// Space to depth: `scale x scale` squares of a square patch grid become one row each.
///
/// # Shapes
/// - features: `[N, P, hidden]`
/// - output: `[N, P / scale², scale² * hidden]`
pub fn fold(features: Tensor<3>, scale: usize) -> Tensor<3> {
    let [images, patches, hidden] = features.dims();
    let small = patches.isqrt() / scale;
    // Channel order of a folded square: row within, column within, feature (Idefics3).
    features
        .reshape([images, small, scale, small, scale, hidden])
        .permute([0, 1, 3, 2, 4, 5])
        .reshape([images, small * small, scale * scale * hidden])
}
