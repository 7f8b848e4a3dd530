//! The text tower of a dual encoder: layers over tokens, one of which stands for the text (SigLIP, CLIP).

use burn::module::Module;
use burn::tensor::{Bool, Int, Tensor};

use super::attention::Mask;
use super::dual_config::DualConfig;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::params::ParamBuilder;
use super::token_embedding::TokenEmbedding;
use super::variants::{DualVariant, NormKind, TextPooling};
use super::vision::{TowerLayer, TowerShape};
use crate::{Result, ops};

/// The text tower. No mask hides what fills a text up: SigLIP reads it too, and CLIP's tokens look only back.
#[derive(Module, Debug)]
pub struct TextTower {
    embeddings: TokenEmbedding,
    layers: Vec<TowerLayer>,
    final_layer_norm: LayerNorm,
    head: Linear,
    #[module(skip)]
    variant: DualVariant,
}

impl TextTower {
    /// Builds the tower below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &DualConfig) -> Result<Self> {
        let (text, variant) = (&config.text_config, config.variant);
        let (hidden, eps) = (text.hidden_size, text.layer_norm_eps);
        let shape = TowerShape {
            hidden,
            intermediate: text.intermediate_size,
            heads: text.num_attention_heads,
            eps,
            act: text.hidden_act,
            norm: NormKind::Layer,
            gated: false,
            qkv_bias: true,
            layer_scale: false,
        };
        let tables = [text.vocab_size, text.max_position_embeddings, hidden];
        let bias = variant.head_bias;
        Ok(Self {
            embeddings: TokenEmbedding::new(p, &format!("{name}.embeddings"), tables)?,
            layers: (0..text.num_hidden_layers)
                .map(|i| TowerLayer::new(p, &format!("{name}.encoder.layers.{i}"), shape))
                .collect::<Result<_>>()?,
            final_layer_norm: LayerNorm::new(p, &format!("{name}.final_layer_norm"), hidden, eps)?,
            head: Linear::new(p, &format!("{name}.head"), hidden, config.width(), bias)?,
            variant,
        })
    }

    /// Texts as [`TextTower::forward`] takes them, filled up with `pad`: to the fixed length where the last token stands
    /// for the text, else to the longest of them.
    ///
    /// # Errors
    /// As [`TokenEmbedding::filled`].
    pub fn filled(&self, texts: &[Vec<u32>], pad: u32) -> Result<Tensor<2, Int>> {
        let is_fixed = self.variant.texts == TextPooling::Last;
        let length = is_fixed.then(|| self.embeddings.longest());
        self.embeddings.filled(texts, pad, length)
    }

    /// Ids `[N, T]` to what each token has become after the final norm, `[N, T, hidden]`. Where tokens look only back,
    /// those behind a text's end mean nothing.
    pub fn hidden(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let mut x = self.embeddings.forward(ids);
        for layer in &self.layers {
            let mask = match self.variant.causal {
                true => Mask::Causal,
                false => Mask::Full,
            };
            x = layer.forward(x, None, mask);
        }
        self.final_layer_norm.forward(x)
    }

    /// Ids `[N, T]`, filled up on the right, to embeddings `[N, width]`, not normalised.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        let x = self.hidden(ids.clone());
        let [texts, tokens, hidden] = x.dims();
        let ends = match self.variant.texts {
            TextPooling::Last => {
                let last = x.narrow(1, tokens - 1, 1);
                return self.head.forward(last.reshape([texts, hidden]));
            }
            TextPooling::First(id) => ids.equal_elem(i64::from(id)),
            TextPooling::Highest => {
                let highest = ids.clone().max_dim(1).expand([texts, tokens]);
                ids.equal(highest)
            }
        };
        let end = ops::matmul(first(ends).unsqueeze_dim::<3>(1), x);
        self.head.forward(end.reshape([texts, hidden]))
    }
}

/// 1 at the first mark of each row of `[N, T]`, 0 elsewhere; at the row's beginning when it has no mark, as in the reference.
fn first(marks: Tensor<2, Bool>) -> Tensor<2> {
    let [rows, cols] = marks.dims();
    let places = Tensor::<1, Int>::arange(0..cols as i64, &marks.device()).float();
    // No two are equal; whole numbers this small are exact.
    let rank = marks.float() * cols as f64 - places.unsqueeze::<2>();
    let highest = rank.clone().max_dim(1).expand([rows, cols]);
    rank.equal(highest).float()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, TensorData};

    #[test]
    fn the_first_mark_counts() {
        let marks = [
            [false, true, false, true],
            [false, false, false, true],
            [true, true, true, true],
            [false, false, false, false],
        ];
        let flat = marks.as_flattened().to_vec();
        let marks = Tensor::from_data(TensorData::new(flat, [4, 4]), &Device::flex());
        let found = first(marks).into_data();
        let places = [1, 3, 0, 0];
        for (at, found) in found.iter::<f32>().enumerate() {
            let is_first = at % 4 == places[at / 4];
            assert_eq!(found, if is_first { 1.0 } else { 0.0 }, "{at}");
        }
    }
}
