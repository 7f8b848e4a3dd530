//! The dual encoder: photos, regions of them and texts in one space, for retrieval (SigLIP, SigLIP 2, CLIP; see
//! [`DualVariant`](super::variants::DualVariant)).

use burn::module::{Module, Param};
use burn::tensor::{Bool, Int, Tensor};

use super::dual_config::DualConfig;
use super::linear::Linear;
use super::params::{Init, ParamBuilder};
use super::pooling::PhotoHead;
use super::text_tower::TextTower;
use super::vision::VisionTower;
use crate::{Result, ops};

/// Both towers and the calibration of their similarity.
#[derive(Module, Debug)]
pub struct DualEncoder {
    /// Photos to patch features.
    pub vision: VisionTower,
    /// Patch features to region embeddings.
    pub head: PhotoHead,
    /// Texts to embeddings.
    pub text: TextTower,
    /// Patch features to the box of the thing that each patch is on, as OWL-ViT has it (Minderer et al.,
    /// arXiv 2205.06230), here on the photo rather than from the patch. Only our own has one.
    pub box_head: Option<Linear>,
    logit_scale: Param<Tensor<1>>,
    logit_bias: Option<Param<Tensor<1>>>,
    /// Numbers in an embedding.
    #[module(skip)]
    pub width: usize,
}

impl DualEncoder {
    /// Builds the model under the names of SigLIP checkpoints; its source translates those of other families.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &DualConfig) -> Result<Self> {
        let box_head = match p.contains("box_head.weight") {
            true => {
                let width = config.vision_config.hidden_size;
                Some(Linear::new(p, "box_head", width, 4, true)?)
            }
            false => None,
        };
        Ok(Self {
            box_head,
            vision: VisionTower::new(p, "vision_model", &config.vision_config)?,
            head: PhotoHead::new(p, "vision_model.head", config)?,
            text: TextTower::new(p, "text_model", config)?,
            // SigLIP's initial values: ln 10 and -10 (Zhai et al., arXiv 2303.15343).
            logit_scale: p.param("logit_scale", [1], Init::Constant(10f64.ln()))?,
            width: config.width(),
            logit_bias: match config.variant.logit_bias {
                true => Some(p.param("logit_bias", [1], Init::Constant(-10.0))?),
                false => None,
            },
        })
    }

    /// Unit-norm embeddings `[N, R, D]` of regions; see [`PhotoHead::forward`] for the mask.
    pub fn embed_regions(&self, patches: Tensor<3>, outside: Option<Tensor<3, Bool>>) -> Tensor<3> {
        normalise(self.head.forward(patches, outside))
    }

    /// `[N, P, 4]`: left, top, right and bottom of the thing each patch is on, as shares of the photo; senseless for
    /// patches on nothing. `None` without a box head.
    pub fn boxes(&self, patches: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.box_head.as_ref()?.forward(patches))
    }

    /// Unit-norm embeddings `[N, D]` of texts, filled up as [`TextTower::filled`] does it.
    pub fn embed_texts(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        normalise(self.text.forward(ids))
    }

    /// `exp(scale) * a bᵀ`, plus the bias if there is one: logits `[N, M]` of "these two belong together".
    pub fn pair_logits(&self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        let scale = self.logit_scale.val().exp().unsqueeze();
        let logits = ops::matmul(a, b.transpose()) * scale;
        match &self.logit_bias {
            Some(bias) => logits + bias.val().unsqueeze(),
            None => logits,
        }
    }
}

/// Scales the last dimension to unit length; a zero vector stays zero.
pub fn normalise<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let length = (x.clone().square().sum_dim(D - 1) + 1e-12).sqrt();
    x / length
}
