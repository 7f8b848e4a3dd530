//! The querying transformer of BLIP-2: queries look at a photo, and read a text beside it (Li et al., arXiv 2301.12597).

use burn::module::Module;
use burn::tensor::{Bool, Tensor};

use super::attention::{Attention, AttentionShape, Mask};
use super::matcher_config::QFormerConfig;
use super::mlp::Mlp;
use super::norm::LayerNorm;
use super::params::ParamBuilder;
use crate::Result;

/// A step with what went in added to it, then normed, as in BERT.
#[derive(Module, Debug)]
struct Settled<M: Module> {
    step: M,
    norm: LayerNorm,
}

impl<M: Module> Settled<M> {
    fn settle(&self, x: Tensor<3>, step: Tensor<3>) -> Tensor<3> {
        self.norm.forward(x + step)
    }
}

#[derive(Module, Debug)]
struct QFormerLayer {
    self_attn: Settled<Attention>,
    /// Of the queries, to the photo.
    cross_attn: Option<Settled<Attention>>,
    queries: Settled<Mlp>,
    words: Settled<Mlp>,
}

/// Layers over queries, words or both.
#[derive(Module, Debug)]
pub struct QFormer {
    layernorm: LayerNorm,
    layers: Vec<QFormerLayer>,
}

impl QFormer {
    /// Builds the transformer below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, config: &QFormerConfig) -> Result<Self> {
        let norm = format!("{name}.layernorm");
        Ok(Self {
            layernorm: LayerNorm::new(p, &norm, config.hidden, config.eps)?,
            layers: (0..config.layers)
                .map(|i| QFormerLayer::new(p, &format!("{name}.layers.{i}"), config, i))
                .collect::<Result<_>>()?,
        })
    }

    /// # Shapes
    /// - x, output: `[B, Q + T, hidden]`, of which the first `queries` are queries and the others words
    /// - photo: `[B, P, memory]`; needed when there are queries
    /// - outside: `[B, Q + T]`, `true` where nothing is but filling
    pub fn forward(
        &self,
        x: Tensor<3>,
        queries: usize,
        photo: Option<&Tensor<3>>,
        outside: Option<Tensor<2, Bool>>,
    ) -> Tensor<3> {
        let [batch, tokens, _] = x.dims();
        let mask = match outside {
            Some(outside) => Mask::Explicit(
                outside
                    .reshape([batch, 1, 1, tokens])
                    .expand([batch, 1, tokens, tokens]),
            ),
            None => Mask::Full,
        };
        let x = self.layernorm.forward(x);
        self.layers
            .iter()
            .fold(x, |x, layer| layer.forward(x, queries, photo, mask.clone()))
    }
}

impl QFormerLayer {
    fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        config: &QFormerConfig,
        index: usize,
    ) -> Result<Self> {
        let QFormerConfig {
            hidden,
            heads,
            eps,
            act,
            ..
        } = *config;
        let attention = |p: &mut ParamBuilder<'_>, which: &str, memory: Option<usize>| {
            let name = format!("{name}.{which}");
            let shape = AttentionShape {
                hidden,
                memory,
                heads,
                kv_heads: heads,
                head_dim: hidden / heads,
                bias: true,
                output_bias: true,
                qk_norm: None,
                output: "out_proj",
            };
            let step = Attention::new(p, &name, shape)?;
            let norm = LayerNorm::new(p, &format!("{name}.norm"), hidden, eps)?;
            Ok::<_, crate::Error>(Settled { step, norm })
        };
        let feed = |p: &mut ParamBuilder<'_>, which: &str| {
            let name = format!("{name}.{which}");
            let step = Mlp::new(p, &name, hidden, config.intermediate, act)?;
            let norm = LayerNorm::new(p, &format!("{name}.norm"), hidden, eps)?;
            Ok::<_, crate::Error>(Settled { step, norm })
        };
        Ok(Self {
            self_attn: attention(p, "self_attn", None)?,
            cross_attn: match index.is_multiple_of(config.cross_every) {
                true => Some(attention(p, "cross_attn", Some(config.memory))?),
                false => None,
            },
            queries: feed(p, "queries")?,
            words: feed(p, "words")?,
        })
    }

    fn forward(
        &self,
        x: Tensor<3>,
        queries: usize,
        photo: Option<&Tensor<3>>,
        mask: Mask,
    ) -> Tensor<3> {
        let attended = self.self_attn.step.forward(x.clone(), None, mask);
        let x = self.self_attn.settle(x, attended);
        let tokens = x.dims()[1];
        let mut parts = Vec::with_capacity(2);
        if queries > 0 {
            let mut x = x.clone().narrow(1, 0, queries);
            if let (Some(cross), Some(photo)) = (&self.cross_attn, photo) {
                let seen = cross.step.forward_across(x.clone(), photo.clone());
                x = cross.settle(x, seen);
            }
            parts.push(feed(&self.queries, x));
        }
        if tokens > queries {
            parts.push(feed(&self.words, x.narrow(1, queries, tokens - queries)));
        }
        Tensor::cat(parts, 1)
    }
}

fn feed(layer: &Settled<Mlp>, x: Tensor<3>) -> Tensor<3> {
    layer.settle(x.clone(), layer.step.forward(x))
}
