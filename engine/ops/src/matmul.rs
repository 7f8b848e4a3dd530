//! Products of any two tensors, and attention made of them, for what no operation with a kernel of its own covers.
//!
//! On GPUs with WGSL they are one kernel, whatever the shape. Everywhere else they are burn's, which a build for WebGPU alone leaves out:
//! its generic products, attention and convolutions weigh a tenth of the page's module.

use burn::tensor::{Bool, Tensor, activation::softmax};
#[cfg(feature = "plain")]
use burn::tensor::{module, ops::AttentionModuleOptions};

#[cfg(feature = "cube")]
use crate::blocks::BLOCK;
#[cfg(feature = "cube")]
use crate::kernels;

/// `a b` of the last two axes, for each of the others; with gradients where they are asked for.
///
/// # Shapes
/// a `[.., M, K]`, b `[.., K, N]` -> `[.., M, N]`; of the other axes a 1 stands for any number.
///
/// # Panics
/// When the shapes disagree, or the build has no product for the tensors' device.
pub fn matmul<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "cube")]
    if is_here(&a) && is_here(&b) {
        return on_kernel(a, b);
    }
    burns(a, b)
}

/// [`matmul`] as the plain bodies use it: burn's, so that they say nothing by the kernels they are compared with, in every build that
/// has it.
pub(super) fn plain<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "plain")]
    return burns(a, b);
    #[cfg(not(feature = "plain"))]
    matmul(a, b)
}

/// `x weightᵀ + bias` as [`plain`] makes it: x `[M, K]`, weight `[N, K]`, bias `[N]` -> `[M, N]`.
pub(super) fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    #[cfg(feature = "plain")]
    return module::linear(x, weight.transpose(), bias);
    #[cfg(not(feature = "plain"))]
    {
        let y = matmul(x, weight.transpose());
        match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        }
    }
}

/// Attention of any number of queries to any number of keys.
///
/// # Shapes
/// q `[B, H, T, D]`, k and v `[B, H, S, D]` -> `[B, H, T, D]`; scores are scaled by `1 / sqrt(D)`. `hidden`, `[B or 1, H or 1, T, S]`, is
/// `true` where a query does not see a key; each sees one at least.
///
/// # Panics
/// As [`matmul`].
pub fn masked_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
) -> Tensor<4> {
    attention(q, k, v, hidden, false)
}

/// [`masked_attention`], in which no query sees a key behind its own place, if it `is_causal`.
pub(super) fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    hidden: Option<Tensor<4, Bool>>,
    is_causal: bool,
) -> Tensor<4> {
    #[cfg(feature = "plain")]
    if !is_here(&q) {
        let options = AttentionModuleOptions {
            is_causal,
            ..Default::default()
        };
        return module::attention(q, k, v, hidden, None, options);
    }
    let scale = (q.dims()[3] as f64).sqrt();
    let mut scores = matmul(q / scale, k.transpose());
    if let Some(hidden) = hidden {
        let hidden = hidden.expand(scores.dims());
        scores = scores.mask_fill(hidden, f32::MIN);
    }
    if is_causal {
        let [_, _, queries, keys] = scores.dims();
        let behind = Tensor::<2, Bool>::tril_mask([queries, keys], 0, &scores.device());
        scores = scores
            .clone()
            .mask_fill(behind.unsqueeze::<4>().expand(scores.dims()), f32::MIN);
    }
    matmul(softmax(scores, 3), v)
}

#[cfg(feature = "plain")]
fn burns<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    a.matmul(b)
}

/// Of a build for WebGPU alone every tensor is f32, on a device with kernels.
#[cfg(not(feature = "plain"))]
fn burns<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (kinds, device) = ([a.dtype(), b.dtype()], a.device());
    panic!("matmul: {kinds:?} on {device:?}, for which this build has no product")
}

/// Whether the kernel takes it. One with gradients is on a device of another kind.
fn is_here<const D: usize>(x: &Tensor<D>) -> bool {
    #[cfg(feature = "cube")]
    return super::on_kernels(&x.device(), &[x.dtype()]);
    #[cfg(not(feature = "cube"))]
    {
        let _ = x;
        false
    }
}

#[cfg(feature = "cube")]
fn on_kernel<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> Tensor<D> {
    let (of_a, of_b) = (a.dims(), b.dims());
    let [m, k] = [of_a[D - 2], of_a[D - 1]];
    let [deep, n] = [of_b[D - 2], of_b[D - 1]];
    assert_eq!(k, deep, "matmul: {of_a:?} times {of_b:?}");
    let mut shape = of_a;
    shape[D - 1] = n;
    for (axis, of_b) in of_b.into_iter().enumerate().take(D - 2) {
        assert!(
            shape[axis] == of_b || shape[axis] == 1 || of_b == 1,
            "matmul: {of_a:?} and {of_b:?} of axis {axis}"
        );
        if shape[axis] == 1 {
            shape[axis] = of_b;
        }
    }
    if shape.contains(&0) || k == 0 {
        return Tensor::zeros(shape, &a.device());
    }
    let batch = shape[..D - 2].iter().product();
    let spread = |x: Tensor<D>, rows: usize| {
        let mut whole = shape;
        (whole[D - 2], whole[D - 1]) = (rows, k);
        kernels::into_cube(whole_blocks(x.expand(whole).reshape([batch, rows, k])))
    };
    let (a, b) = (spread(a, m), spread(b.swap_dims(D - 2, D - 1), n));
    kernels::from_cube::<Tensor<3>>(kernels::matmul::run_batch(&a, &b)).reshape(shape)
}

/// Rows `[.., K]` filled up with zeros to a multiple of [`BLOCK`], as the kernels of products read them.
#[cfg(feature = "cube")]
pub(super) fn whole_blocks<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let deep = x.dims()[D - 1];
    if deep.is_multiple_of(BLOCK) {
        return x;
    }
    let mut rest = x.dims();
    rest[D - 1] = deep.next_multiple_of(BLOCK) - deep;
    let zeros = Tensor::zeros(rest, &x.device());
    Tensor::cat(vec![x, zeros], D - 1)
}
