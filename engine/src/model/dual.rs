//! The SigLIP dual encoder: image regions and texts in one space, for retrieval.

use burn::module::{Module, Param};
use burn::tensor::{Bool, Int, Tensor};

use super::attention::{Sight, attend, split_heads};
use super::config::DualConfig;
use super::linear::Linear;
use super::mlp::Mlp;
use super::norm::LayerNorm;
use super::params::{Init, ParamBuilder};
use super::variants::NormKind;
use super::vision::{TowerLayer, TowerShape, VisionTower};
use crate::Result;

/// Attention pooling: a learned probe looks at the patches of a region.
///
/// SigLIP's `head` has one fused `in_proj`; it is kept fused so that checkpoints load as they are.
#[derive(Module, Debug)]
pub struct PoolingHead {
    probe: Param<Tensor<3>>,
    in_proj: Param<Tensor<2>>,
    in_bias: Param<Tensor<1>>,
    out_proj: Linear,
    layernorm: LayerNorm,
    mlp: Mlp,
    heads: usize,
}

impl PoolingHead {
    fn new(p: &mut ParamBuilder<'_>, name: &str, config: &DualConfig) -> Result<Self> {
        let vision = &config.vision_config;
        let hidden = vision.hidden_size;
        let std = (1.0 / hidden as f64).sqrt();
        Ok(Self {
            probe: p.param(&format!("{name}.probe"), [1, 1, hidden], Init::Normal(1.0))?,
            in_proj: p.param(
                &format!("{name}.attention.in_proj_weight"),
                [3 * hidden, hidden],
                Init::Normal(std),
            )?,
            in_bias: p.param(
                &format!("{name}.attention.in_proj_bias"),
                [3 * hidden],
                Init::Constant(0.0),
            )?,
            out_proj: Linear::new(
                p,
                &format!("{name}.attention.out_proj"),
                hidden,
                hidden,
                true,
            )?,
            layernorm: LayerNorm::new(
                p,
                &format!("{name}.layernorm"),
                hidden,
                vision.layer_norm_eps,
            )?,
            mlp: Mlp::new(
                p,
                &format!("{name}.mlp"),
                hidden,
                vision.intermediate_size,
                vision.hidden_act,
            )?,
            heads: vision.num_attention_heads,
        })
    }

    /// Pools each of R regions of each image.
    ///
    /// # Shapes
    /// - patches: `[N, P, hidden]`
    /// - outside: `[N or 1, R, P]`, `true` where a patch is not of the region; `None` pools the whole photo
    /// - output: `[N, R, hidden]`, not normalised
    pub fn forward(&self, patches: Tensor<3>, outside: Option<Tensor<3, Bool>>) -> Tensor<3> {
        let [images, _, hidden] = patches.dims();
        let weight = self.in_proj.val();
        let bias = self.in_bias.val();
        let project = |x: Tensor<3>, part: usize| {
            let rows = part * hidden..(part + 1) * hidden;
            let w = weight.clone().slice([rows.clone()]).transpose();
            burn::tensor::module::linear(x, w, Some(bias.clone().slice([rows])))
        };
        let regions = outside.as_ref().map_or(1, |mask| mask.dims()[1]);
        let probe = self.probe.val().expand([images, regions, hidden]);
        let q = split_heads(project(probe, 0), self.heads);
        let k = split_heads(project(patches.clone(), 1), self.heads);
        let v = split_heads(project(patches, 2), self.heads);
        let sight = match outside {
            Some(mask) => Sight::Masked(mask.unsqueeze_dim::<4>(1)),
            None => Sight::Full,
        };
        let pooled = attend(q, k, v, sight)
            .swap_dims(1, 2)
            .reshape([images, regions, hidden]);
        let x = self.out_proj.forward(pooled);
        x.clone() + self.mlp.forward(self.layernorm.forward(x))
    }
}

/// The text tower; SigLIP reads the last position and uses no mask.
#[derive(Module, Debug)]
pub struct TextTower {
    token_embedding: Param<Tensor<2>>,
    position_embedding: Param<Tensor<2>>,
    layers: Vec<TowerLayer>,
    final_layer_norm: LayerNorm,
    head: Linear,
}

impl TextTower {
    fn new(p: &mut ParamBuilder<'_>, name: &str, config: &DualConfig) -> Result<Self> {
        let text = &config.text_config;
        let hidden = text.hidden_size;
        let std = (1.0 / hidden as f64).sqrt();
        let shape = TowerShape {
            hidden,
            intermediate: text.intermediate_size,
            heads: text.num_attention_heads,
            eps: text.layer_norm_eps,
            act: text.hidden_act,
            norm: NormKind::Layer,
            gated: false,
        };
        let projection = text.projection_size.unwrap_or(hidden);
        Ok(Self {
            token_embedding: p.param(
                &format!("{name}.embeddings.token_embedding.weight"),
                [text.vocab_size, hidden],
                Init::Normal(std),
            )?,
            position_embedding: p.param(
                &format!("{name}.embeddings.position_embedding.weight"),
                [text.max_position_embeddings, hidden],
                Init::Normal(std),
            )?,
            layers: (0..text.num_hidden_layers)
                .map(|i| TowerLayer::new(p, &format!("{name}.encoder.layers.{i}"), shape))
                .collect::<Result<_>>()?,
            final_layer_norm: LayerNorm::new(
                p,
                &format!("{name}.final_layer_norm"),
                hidden,
                text.layer_norm_eps,
            )?,
            head: Linear::new(p, &format!("{name}.head"), hidden, projection, true)?,
        })
    }

    /// Ids `[N, T]`, padded to the fixed length, to embeddings `[N, projection]`, not normalised.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        let [texts, tokens] = ids.dims();
        let hidden = self.position_embedding.dims()[1];
        let x = self
            .token_embedding
            .val()
            .select(0, ids.reshape([texts * tokens]))
            .reshape([texts, tokens, hidden]);
        let positions = self.position_embedding.val().narrow(0, 0, tokens);
        let mut x = x + positions.unsqueeze();
        for layer in &self.layers {
            x = layer.forward(x, None, Sight::Full);
        }
        let x = self.final_layer_norm.forward(x);
        let last = x.narrow(1, tokens - 1, 1).reshape([texts, hidden]);
        self.head.forward(last)
    }
}

/// Both towers and the calibration of their similarity.
#[derive(Module, Debug)]
pub struct DualEncoder {
    /// Photos to patch features.
    pub vision: VisionTower,
    /// Patch features to region embeddings.
    pub head: PoolingHead,
    /// Texts to embeddings.
    pub text: TextTower,
    /// Patch features to the box of the thing that each patch is on, as OWL-ViT has it (Minderer et al.,
    /// arXiv 2205.06230), here on the photo rather than from the patch. SigLIP checkpoints have none.
    pub box_head: Option<Linear>,
    logit_scale: Param<Tensor<1>>,
    logit_bias: Param<Tensor<1>>,
}

impl DualEncoder {
    /// Builds the model under the names of SigLIP checkpoints.
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
            head: PoolingHead::new(p, "vision_model.head", config)?,
            text: TextTower::new(p, "text_model", config)?,
            // SigLIP's initial values: ln 10 and -10 (Zhai et al., arXiv 2303.15343).
            logit_scale: p.param("logit_scale", [1], Init::Constant(10f64.ln()))?,
            logit_bias: p.param("logit_bias", [1], Init::Constant(-10.0))?,
        })
    }

    /// Unit-norm embeddings `[N, R, D]` of regions; see [`PoolingHead::forward`] for the mask.
    pub fn embed_regions(&self, patches: Tensor<3>, outside: Option<Tensor<3, Bool>>) -> Tensor<3> {
        normalise(self.head.forward(patches, outside))
    }

    /// `[N, P, 4]`: left, top, right and bottom of the thing each patch is on, as shares of the photo; senseless for
    /// patches on nothing. `None` without a box head.
    pub fn boxes(&self, patches: Tensor<3>) -> Option<Tensor<3>> {
        Some(self.box_head.as_ref()?.forward(patches))
    }

    /// Unit-norm embeddings `[N, D]` of texts.
    pub fn embed_texts(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        normalise(self.text.forward(ids))
    }

    /// `exp(scale) * a bᵀ + bias`: logits `[N, M]` of "these two belong together".
    pub fn pair_logits(&self, a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
        let scale = self.logit_scale.val().exp().unsqueeze();
        a.matmul(b.transpose()) * scale + self.logit_bias.val().unsqueeze()
    }
}

/// Scales the last dimension to unit length; a zero vector stays zero.
pub fn normalise<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let length = (x.clone().square().sum_dim(D - 1) + 1e-12).sqrt();
    x / length
}
