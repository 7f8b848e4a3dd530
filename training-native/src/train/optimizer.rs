//! Which rule updates which parameter: AdamW, or Muon for the matrices inside layers.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, ModuleOptimizer, MuonConfig};
use burn::tensor::Tensor;
use clap::ValueEnum;
use namelens_engine::model::params::ParamNames;
use serde::{Deserialize, Serialize};

/// How gradients become updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// AdamW for everything (Loshchilov and Hutter, arXiv 1711.05101).
    Adamw,
    /// Muon for the matrices of layers (Jordan et al. 2024; scaled as in Liu et al., arXiv 2502.16982), AdamW for the rest.
    Muon,
}

/// Muon's learning rate, as a share of AdamW's. At 1 its updates are as large as AdamW's usually are; an orthogonal
/// update bears more.
const MUON_SHARE: f64 = 3.0;

/// Whether Muon updates a parameter: a matrix between two hidden spaces. Embeddings and heads are look-up tables.
fn orthogonal(name: &str) -> bool {
    name.contains(".layers.") && name.ends_with(".weight") && !name.contains("norm")
}

/// What the learning rate of a parameter is multiplied by, because of the rule that updates it.
pub fn share(names: &ParamNames, rule: Rule, id: ParamId) -> f64 {
    let muon = rule == Rule::Muon && names.name_of(id).is_some_and(orthogonal);
    if muon { MUON_SHARE } else { 1.0 }
}

/// AdamW's second decay rate where nothing else is said: shorter than the customary .999, for runs of some thousand steps.
pub const BETA_2: f32 = 0.98;

/// How AdamW remembers gradients.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Decay rate of gradients.
    pub beta_1: f32,
    /// Decay rate of squared gradients; the field's default is .999.
    pub beta_2: f32,
    /// Added to the root of the squared ones.
    pub epsilon: f32,
}

impl Moments {
    /// The field's defaults but for the second decay rate.
    pub fn with_beta_2(beta_2: f32) -> Self {
        Self {
            beta_1: 0.9,
            beta_2,
            epsilon: 1e-8,
        }
    }
}

/// The optimiser; vectors (norms, biases) are not decayed.
pub fn new<M: Module>(
    model: &M,
    names: &ParamNames,
    rule: Rule,
    weight_decay: f32,
    moments: Moments,
) -> ModuleOptimizer {
    struct Kinds<'a> {
        names: &'a ParamNames,
        vectors: Vec<ParamId>,
        matrices: Vec<ParamId>,
    }
    impl ModuleVisitor for Kinds<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D < 2 {
                self.vectors.push(param.id);
            } else if D == 2 && self.names.name_of(param.id).is_some_and(orthogonal) {
                self.matrices.push(param.id);
            }
        }
    }
    let mut kinds = Kinds {
        names,
        vectors: Vec::new(),
        matrices: Vec::new(),
    };
    model.visit(&mut kinds);
    let adamw = AdamWConfig::new()
        .with_beta_1(moments.beta_1)
        .with_beta_2(moments.beta_2)
        .with_epsilon(moments.epsilon);
    let optimizer = adamw
        .clone()
        .with_weight_decay(weight_decay)
        .init()
        .with_group(
            ParamGroup::from_ids(kinds.vectors),
            adamw.with_weight_decay(0.0).build(),
            None,
        );
    match rule {
        Rule::Adamw => optimizer,
        Rule::Muon => {
            let decay = WeightDecayConfig::new(weight_decay);
            let muon = MuonConfig::new()
                .with_weight_decay(Some(decay))
                .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
            let matrices = ParamGroup::from_ids(kinds.matrices);
            optimizer.with_group(matrices, muon.build(), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn muon_takes_the_matrices_of_layers_only() {
        for name in [
            "model.text_model.layers.0.mlp.up_proj.weight",
            "vision_model.encoder.layers.3.self_attn.q_proj.weight",
        ] {
            assert!(orthogonal(name), "{name}");
        }
        for name in [
            "model.text_model.embed_tokens.weight",
            "model.connector.modality_projection.proj.weight",
            "vision_model.embeddings.position_embedding.weight",
            "vision_model.encoder.layers.3.self_attn.q_proj.bias",
            "model.text_model.layers.0.input_layernorm.weight",
            "vision_model.encoder.layers.3.layer_norm1.weight",
            "lm_head.weight",
        ] {
            assert!(!orthogonal(name), "{name}");
        }
    }
}
