//! Heads of queries, keys and values where they lie: a projection leaves the heads of a token together, a cache the tokens of a head.

use super::launch::as_it_lies;
use burn::tensor::Tensor;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

/// Numbers from one to the next in memory, of `[B, H, T, D]` whose D lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heads {
    /// From a row of the batch.
    pub(super) batch: usize,
    /// From a head.
    pub(super) head: usize,
    /// From a token.
    pub(super) token: usize,
}

impl Heads {
    /// How a contiguous tensor `[B, H, T, D]` lies.
    fn of(tensor: &CubeTensor) -> Self {
        let [_, heads, tokens, width] = tensor.meta.shape().dims();
        Self {
            batch: heads * tokens * width,
            head: tokens * width,
            token: width,
        }
    }

    /// How any tensor lies, if kernels can read it so: the numbers of a head lie together, rows of the batch one behind the other.
    fn lying(tensor: &CubeTensor) -> Option<Self> {
        let &[batch, heads, tokens, width] = &tensor.meta.shape()[..] else {
            return None;
        };
        let &[of_batch, head, token, one] = &tensor.meta.strides()[..] else {
            return None;
        };
        let rows = heads * tokens * width;
        // A step that nobody makes may be any number.
        let or = |count: usize, step: usize, other: usize| if count > 1 { step } else { other };
        let (head, token) = (or(heads, head, tokens * width), or(tokens, token, width));
        let is_readable = or(width, one, 1) == 1
            && or(batch, of_batch, rows) == rows
            && [head, token].iter().all(|step| step.is_multiple_of(width));
        is_readable.then_some(Self {
            batch: rows,
            head,
            token,
        })
    }
}

/// The runtime's view of heads, copied only where kernels could not read them as they lie.
pub(super) fn as_they_lie(heads: Tensor<4>) -> (CubeTensor, Heads) {
    let tensor = as_it_lies(heads);
    match Heads::lying(&tensor) {
        Some(lying) => (tensor, lying),
        None => contiguous(tensor),
    }
}

/// [`as_they_lie`] of keys and values, both in the same way.
pub(super) fn alike(k: Tensor<4>, v: Tensor<4>) -> (CubeTensor, CubeTensor, Heads) {
    let [(k, of_k), (v, of_v)] = [k, v].map(as_they_lie);
    if of_k == of_v {
        return (k, v, of_k);
    }
    let [(k, lying), (v, _)] = [k, v].map(contiguous);
    (k, v, lying)
}

fn contiguous(tensor: CubeTensor) -> (CubeTensor, Heads) {
    let tensor = into_contiguous(tensor);
    let lying = Heads::of(&tensor);
    (tensor, lying)
}
