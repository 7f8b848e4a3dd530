//! The one attention: vision towers, decoder prefill and decode, text tower, pooling heads, training.

use burn::module::Module;
use burn::tensor::{Bool, Tensor};

use super::kv_cache::KvCache;
#[cfg(feature = "cpu")]
use super::linear::Biased;
use super::linear::Linear;
use super::norm::RmsNorm;
use super::params::ParamBuilder;
use super::rope::Rotation;
use super::windows::WindowPlan;
use crate::Result;
use crate::ops::{self, QuantMatrix, Seen};

/// Who may look at whom.
#[derive(Debug, Clone)]
#[allow(
    clippy::large_enum_variant,
    reason = "one lives as long as a call; a box would cost an allocation a layer"
)]
pub enum Mask {
    /// Everyone at everyone.
    Full,
    /// Each token at itself and what came before.
    Causal,
    /// Among as many keys as queries, as it says.
    Seen(Seen),
    /// A mask `[B or 1, 1, T_q, T_k]`, in which `true` hides.
    Explicit(Tensor<4, Bool>),
    /// Each token at those of its window.
    Windows(WindowPlan),
}

/// Shape of an attention layer.
#[derive(Debug, Clone, Copy)]
pub struct AttentionShape {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of what keys and values are made of, where that is not the residual stream itself.
    pub memory: Option<usize>,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Whether the query, key and value projections have biases.
    pub bias: bool,
    /// Whether the output projection has one.
    pub output_bias: bool,
    /// Epsilon of the RMS norm of each head's queries and keys, if there is one.
    pub qk_norm: Option<f64>,
    /// Key of the output projection: `out_proj` in towers, `o_proj` in decoders.
    pub output: &'static str,
}

/// Multi-head attention with grouped keys and values.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    o_proj: Linear,
    /// The first three as one.
    #[module(skip)]
    qkv: Option<QuantMatrix>,
    q_norm: Option<RmsNorm>,
    k_norm: Option<RmsNorm>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

/// Where a decoder layer stands: the turns of its tokens, who is masked, and the cache of the sequence.
#[derive(Debug)]
pub struct Place<'a> {
    /// Turns of the tokens at hand.
    pub rotation: &'a Rotation,
    /// Who may look at whom where there is no cache; with one, every token at its row up to itself.
    pub mask: &'a Mask,
    /// Cache to read and extend; `None` when the whole sequence is at hand.
    pub cache: Option<&'a mut KvCache>,
    /// Index of this layer in the cache.
    pub layer: usize,
}

impl Attention {
    /// Builds the four projections below `name`.
    ///
    /// # Errors
    /// [`crate::Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, name: &str, shape: AttentionShape) -> Result<Self> {
        let AttentionShape {
            hidden,
            memory,
            heads,
            kv_heads,
            head_dim,
            bias,
            output_bias,
            qk_norm,
            output,
        } = shape;
        let memory = memory.unwrap_or(hidden);
        let (wide, narrow) = (heads * head_dim, kv_heads * head_dim);
        let mut head_norm = |which: &str| -> Result<Option<RmsNorm>> {
            qk_norm
                .map(|eps| RmsNorm::new(p, &format!("{name}.{which}"), head_dim, eps))
                .transpose()
        };
        let (q_norm, k_norm) = (head_norm("q_norm")?, head_norm("k_norm")?);
        let mut q_proj = Linear::new(p, &format!("{name}.q_proj"), hidden, wide, bias)?;
        let mut k_proj = Linear::new(p, &format!("{name}.k_proj"), memory, narrow, bias)?;
        let mut v_proj = Linear::new(p, &format!("{name}.v_proj"), memory, narrow, bias)?;
        Ok(Self {
            qkv: Linear::stack(&mut [&mut q_proj, &mut k_proj, &mut v_proj]),
            q_norm,
            k_norm,
            q_proj,
            k_proj,
            v_proj,
            o_proj: Linear::new(p, &format!("{name}.{output}"), wide, hidden, output_bias)?,
            heads,
            kv_heads,
            head_dim,
        })
    }

    /// The four projections.
    pub(super) fn linears(&mut self) -> Vec<&mut Linear> {
        vec![
            &mut self.q_proj,
            &mut self.k_proj,
            &mut self.v_proj,
            &mut self.o_proj,
        ]
    }

    /// Tower attention: the whole sequence at once, turned if there are rotary positions.
    ///
    /// # Shapes
    /// - x, output: `[B, T, hidden]`
    pub fn forward(&self, x: Tensor<3>, rotation: Option<&Rotation>, mask: Mask) -> Tensor<3> {
        self.o_proj.forward(self.seen(x, rotation, mask))
    }

    /// [`Attention::forward`], added to `onto`.
    ///
    /// # Shapes
    /// - x, onto, output: `[B, T, hidden]`
    pub fn forward_onto(
        &self,
        x: Tensor<3>,
        onto: Tensor<3>,
        rotation: Option<&Rotation>,
        mask: Mask,
    ) -> Tensor<3> {
        self.o_proj.forward_onto(self.seen(x, rotation, mask), onto)
    }

    /// Cross attention: all of `x` at all of `memory`.
    ///
    /// # Shapes
    /// - x, output: `[B, T, hidden]`
    /// - memory: `[B, M, memory]`
    pub fn forward_across(&self, x: Tensor<3>, memory: Tensor<3>) -> Tensor<3> {
        let [k, v] = Linear::forward_all([&self.k_proj, &self.v_proj], memory, None);
        let [q, k, v] = self.heads(self.q_proj.forward(x), k, v);
        self.o_proj.forward(join_heads(attend(q, k, v, Mask::Full)))
    }

    /// Decoder attention, added to `onto`: rotary positions, causal, and the cache if there is one.
    ///
    /// # Shapes
    /// - x, onto, output: `[B, T, hidden]`; with a cache B is its number of rows
    pub fn forward_at(&self, x: Tensor<3>, onto: Tensor<3>, place: &mut Place<'_>) -> Tensor<3> {
        let [q, k, v] = self.project(x);
        let Some(cache) = place.cache.as_deref_mut() else {
            let [q, k] = [q, k].map(|x| place.rotation.rotate(x));
            return self
                .o_proj
                .forward_onto(join_heads(attend(q, k, v, place.mask.clone())), onto);
        };
        let written = cache.write(place.layer, [q, k, v], place.rotation);
        let heads = cache.attend(written);
        self.o_proj.forward_onto(join_heads(heads), onto)
    }

    /// Queries, keys and values as matrices with their biases, and the matrix behind; `None` where there is more to it than these.
    #[cfg(feature = "cpu")]
    pub(super) fn matrices(&self) -> Option<([Biased<'_>; 3], &QuantMatrix)> {
        if self.q_norm.is_some() || self.k_norm.is_some() {
            return None;
        }
        let projections = [
            self.q_proj.biased_blocks()?,
            self.k_proj.biased_blocks()?,
            self.v_proj.biased_blocks()?,
        ];
        Some((projections, self.o_proj.plain_blocks()?))
    }

    /// Width of one head.
    #[cfg(feature = "cpu")]
    pub(super) fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Queries, keys and values of `x`, `[B, H, T, D]`.
    fn project(&self, x: Tensor<3>) -> [Tensor<4>; 3] {
        let layers = [&self.q_proj, &self.k_proj, &self.v_proj];
        let [q, k, v] = Linear::forward_all(layers, x, self.qkv.as_ref());
        self.heads(q, k, v)
    }

    /// Queries, keys and values as heads, `[B, H, T, D]`, each head normed where the model does that.
    fn heads(&self, q: Tensor<3>, k: Tensor<3>, v: Tensor<3>) -> [Tensor<4>; 3] {
        let normed = |x: Tensor<4>, norm: &Option<RmsNorm>| match norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        let q = split_heads(q, self.heads);
        let [k, v] = [k, v].map(|x| split_heads(x, self.kv_heads));
        [normed(q, &self.q_norm), normed(k, &self.k_norm), v]
    }

    /// What each token of a tower sees, `[B, T, H * D]`.
    fn seen(&self, x: Tensor<3>, rotation: Option<&Rotation>, mask: Mask) -> Tensor<3> {
        let [mut q, mut k, v] = self.project(x);
        if let Some(rotation) = rotation {
            q = rotation.rotate(q);
            k = rotation.rotate(k);
        }
        join_heads(attend(q, k, v, mask))
    }
}

/// `[B, T, heads * D] -> [B, heads, T, D]`.
pub(crate) fn split_heads(x: Tensor<3>, heads: usize) -> Tensor<4> {
    let [batch, tokens, width] = x.dims();
    let head = width / heads;
    // The numbers of a single token lie as they should.
    if tokens == 1 {
        return x.reshape([batch, heads, 1, head]);
    }
    x.reshape([batch, tokens, heads, head]).swap_dims(1, 2)
}

/// `[B, H, T, D] -> [B, T, H * D]`.
fn join_heads(heads: Tensor<4>) -> Tensor<3> {
    let [batch, count, tokens, width] = heads.dims();
    let heads = if tokens == 1 {
        heads
    } else {
        heads.swap_dims(1, 2)
    };
    heads.reshape([batch, tokens, count * width])
}

/// Scaled dot-product attention; keys and values are repeated for grouped queries.
///
/// # Shapes
/// - q: `[B, H, T_q, D]`, k and v: `[B, H_kv, T_k, D]`, output: `[B, H, T_q, D]`
pub(crate) fn attend(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, mask: Mask) -> Tensor<4> {
    let groups = q.dims()[1] / k.dims()[1];
    let (k, v) = (repeat_heads(k, groups), repeat_heads(v, groups));
    match mask {
        Mask::Causal => ops::attention(q, k, v, &Seen::Before),
        Mask::Seen(seen) => ops::attention(q, k, v, &seen),
        Mask::Full if q.dims() == k.dims() => ops::attention(q, k, v, &Seen::All),
        Mask::Full => ops::masked_attention(q, k, v, None),
        Mask::Explicit(mask) => ops::masked_attention(q, k, v, Some(mask)),
        Mask::Windows(plan) => {
            let [q, k, v] = [q, k, v].map(|x| plan.gather(x));
            plan.scatter(ops::masked_attention(q, k, v, Some(plan.padding())))
        }
    }
}

fn repeat_heads(x: Tensor<4>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return x;
    }
    let [batch, kv_heads, tokens, head_dim] = x.dims();
    x.unsqueeze_dim::<5>(2).repeat_dim(2, groups).reshape([
        batch,
        kv_heads * groups,
        tokens,
        head_dim,
    ])
}
