//! Products with matrices and what stands beside them in a layer, in one operation each: several products of one input,
//! a gated pair, a product that is added to the residual stream.
//!
//! A token passes few numbers through many small operations, whose start costs more than their work. On the CPU an input is
//! brought to 16 bits once for all its products.

use burn::tensor::{DType, Tensor, module};

#[cfg(any(feature = "cpu", feature = "cube"))]
use super::quant::Storage;
#[cfg(feature = "train")]
use super::quant_grad;
#[cfg(not(feature = "train"))]
use super::quant_matvec;
#[cfg(feature = "cube")]
use super::{MAX_MATVEC_ROWS, on_kernels};
use super::{QuantMatrix, gated_silu};
#[cfg(feature = "cpu")]
use super::{flex_dense, flex_quant, on_flex};
#[cfg(feature = "cube")]
use crate::blocks::BLOCK;
#[cfg(feature = "cube")]
use crate::kernels::{self, format::Format};

/// `x weightᵀ + bias`, with gradients where they are asked for.
///
/// # Shapes
/// x `[.., K]`, weight `[N, K]`, bias `[N]` -> `[.., N]`.
///
/// # Panics
/// When the shapes disagree.
pub fn dense_linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    {
        let shape = x.dims();
        let rows: usize = shape[..D - 1].iter().product();
        let [wide, deep] = weight.dims();
        let is_few = (1..=flex_dense::FEW).contains(&rows) && wide * deep > 0;
        let here = on_flex(&x.device(), x.dtype()) && on_flex(&weight.device(), weight.dtype());
        if is_few && here {
            assert_eq!(shape[D - 1], deep, "dense_linear: activations {shape:?}");
            return like(shape, flex_dense::dense(flat(x).1, weight, bias));
        }
    }
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    let x = x.reshape([rows, shape[D - 1]]);
    shape[D - 1] = weight.dims()[0];
    #[cfg(feature = "cube")]
    if let Some(y) = dense_on_kernels(&x, &weight) {
        let y = match bias {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        };
        return y.reshape(shape);
    }
    module::linear(x, weight.transpose(), bias).reshape(shape)
}

/// `x weightᵀ` by a kernel, where one takes it.
#[cfg(feature = "cube")]
fn dense_on_kernels(x: &Tensor<2>, weight: &Tensor<2>) -> Option<Tensor<2>> {
    let ([rows, deep], [wide, _]) = (x.dims(), weight.dims());
    // Each by itself may be followed by gradients, and is then on a device of another kind.
    let here =
        on_kernels(&x.device(), &[x.dtype()]) && on_kernels(&weight.device(), &[weight.dtype()]);
    if !here || [rows, wide, deep].contains(&0) || !deep.is_multiple_of(BLOCK) {
        return None;
    }
    assert_eq!(
        deep,
        weight.dims()[1],
        "dense_linear: activations {:?}",
        x.dims()
    );
    let (x, weight) = (
        kernels::into_cube(x.clone()),
        kernels::into_cube(weight.clone()),
    );
    let run = match rows {
        0..=MAX_MATVEC_ROWS => kernels::matvec::run,
        _ => kernels::matmul::run,
    };
    Some(kernels::from_cube(run(&x, &weight, Format::F32)))
}

/// From how many rows of x on [`bf16_linear`] rounds: a matrix is rounded anew for each product, which costs what reading it thrice
/// does, and a token that is written has a row or a few.
const BF16_ROWS: usize = 64;

/// [`dense_linear`] with both factors and the products' sums rounded to bf16, where x has many rows; the rest, gradients of the weights
/// included, is f32 (mixed precision, arXiv 1710.03740, as `torch.autocast` has it).
///
/// # Shapes
/// As [`dense_linear`].
///
/// # Panics
/// When the shapes disagree, or the device has no bf16.
pub fn bf16_linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    let rows: usize = x.dims()[..D - 1].iter().product();
    if rows < BF16_ROWS {
        return dense_linear(x, weight, bias);
    }
    let (x, weight) = (x.cast(DType::BF16), weight.cast(DType::BF16));
    let y = dense_linear(x, weight, None).cast(DType::F32);
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

/// [`super::quant_matvec`] over the last axis of x: the product of a quantised `Linear`.
///
/// # Shapes
/// x `[.., K]`, `w` of N rows and K columns -> `[.., N]`.
///
/// # Panics
/// When the last axis of x is not K.
pub fn quant_linear<const D: usize>(x: Tensor<D>, w: &QuantMatrix) -> Tensor<D> {
    let mut shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    let x = x.reshape([rows, w.cols]);
    #[cfg(feature = "train")]
    let y = quant_grad::product(x, w);
    #[cfg(not(feature = "train"))]
    let y = quant_matvec(x, w);
    shape[D - 1] = w.rows;
    y.reshape(shape)
}

/// [`quant_linear`] of one input with several matrices.
///
/// # Shapes
/// x `[.., K]`, each matrix of N rows and K columns -> `[.., N]` of each. `stack` is [`QuantMatrix::stack`] of the matrices,
/// in this order, where there is one.
///
/// # Panics
/// When the last axis of x is not K.
pub fn quant_linears<const D: usize, const N: usize>(
    x: Tensor<D>,
    ws: [&QuantMatrix; N],
    stack: Option<&QuantMatrix>,
) -> [Tensor<D>; N] {
    #[cfg(not(feature = "cube"))]
    let _ = stack;
    // Of one row the parts of the product lie together, and need not be copied.
    #[cfg(feature = "cube")]
    if let Some((x, blocks, kind)) = on_stack(&x, stack, 1) {
        let all: Tensor<2> = kernels::from_cube(kernels::matvec::run(&x, &blocks, kind.into()));
        let mut first = 0;
        return ws.map(|w| {
            let part = all.clone().narrow(1, first, w.rows);
            first += w.rows;
            let mut shape = [1; D];
            shape[D - 1] = w.rows;
            part.reshape(shape)
        });
    }
    #[cfg(feature = "cpu")]
    if let Some(packed) = packed(&x, ws) {
        let (shape, x) = flat(x);
        return flex_quant::products(x, packed).map(|y| like(shape, y));
    }
    ws.map(|w| quant_linear(x.clone(), w))
}

/// `silu(x gateᵀ) (x upᵀ)`: the first half of SwiGLU (Shazeer, arXiv 2002.05202).
///
/// # Shapes
/// x `[.., K]`, both matrices of N rows and K columns -> `[.., N]`. `stack` is [`QuantMatrix::stack`] of gate and up where there
/// is one.
///
/// # Panics
/// When the last axis of x is not K, or the matrices differ in shape.
pub fn gated_quant_linear<const D: usize>(
    x: Tensor<D>,
    gate: &QuantMatrix,
    up: &QuantMatrix,
    stack: Option<&QuantMatrix>,
) -> Tensor<D> {
    #[cfg(not(feature = "cube"))]
    let _ = stack;
    #[cfg(feature = "cube")]
    if let Some((cube, blocks, kind)) = on_stack(&x, stack, MAX_MATVEC_ROWS) {
        let mut shape = x.dims();
        shape[D - 1] = gate.rows;
        let gated = kernels::matvec::run_gated(&cube, &blocks, kind);
        return kernels::from_cube::<Tensor<2>>(gated).reshape(shape);
    }
    #[cfg(feature = "cpu")]
    if let Some([gate, up]) = packed(&x, [gate, up]) {
        assert_eq!(
            gate.rows(),
            up.rows(),
            "gated_quant_linear: rows of gate and up"
        );
        let (shape, x) = flat(x);
        return like(shape, flex_quant::gated(x, gate, up));
    }
    gated_silu(quant_linear(x.clone(), gate), quant_linear(x, up))
}

/// `onto + x wᵀ`: a product that is added to what is there.
///
/// # Shapes
/// x `[.., K]`, `w` of N rows and K columns, onto `[.., N]` -> `[.., N]`.
///
/// # Panics
/// When the shapes disagree.
pub fn quant_linear_onto<const D: usize>(
    x: Tensor<D>,
    w: &QuantMatrix,
    onto: Tensor<D>,
) -> Tensor<D> {
    #[cfg(feature = "cpu")]
    if !is_tracked(&onto)
        && let Some([packed]) = packed(&x, [w])
    {
        let (shape, x) = flat(x);
        assert_eq!(
            onto.dims(),
            with_width(shape, w.rows),
            "quant_linear_onto: what is added to"
        );
        let (_, onto) = flat(onto);
        return like(shape, flex_quant::onto(x, packed, onto));
    }
    #[cfg(feature = "cube")]
    if on_kernels(&onto.device(), &[onto.dtype()])
        && let Some((x, blocks, kind)) = on_stack(&x, Some(w), MAX_MATVEC_ROWS)
    {
        let shape = onto.dims();
        let [rows, _] = x.meta.shape().dims();
        let onto = kernels::into_cube(onto.reshape([rows, w.rows]));
        let sum = kernels::matvec::run_onto(&x, &blocks, kind, &onto);
        return kernels::from_cube::<Tensor<2>>(sum).reshape(shape);
    }
    onto + quant_linear(x, w)
}

/// At most `most` rows of x and the blocks of a matrix, where kernels take them.
#[cfg(feature = "cube")]
fn on_stack<const D: usize>(
    x: &Tensor<D>,
    w: Option<&QuantMatrix>,
    most: usize,
) -> Option<(
    burn_cubecl::tensor::CubeTensor,
    burn_cubecl::tensor::CubeTensor,
    crate::blocks::QuantKind,
)> {
    let w = w?;
    let shape = x.dims();
    let rows: usize = shape[..D - 1].iter().product();
    if rows == 0 || rows > most || !on_kernels(&x.device(), &[x.dtype()]) {
        return None;
    }
    #[allow(irrefutable_let_patterns, reason = "the other kind exists by feature")]
    let Storage::Blocks(blocks) = &w.storage else {
        return None;
    };
    assert_eq!(shape[D - 1], w.cols, "quant_linears: activations {shape:?}");
    let x = kernels::into_cube(x.clone().reshape([rows, w.cols]));
    Some((x, kernels::into_cube(Tensor::clone(blocks)), w.kind))
}

/// The matrices as the CPU's loops take them, where they take x: no gradients are asked for.
#[cfg(feature = "cpu")]
fn packed<'a, const D: usize, const N: usize>(
    x: &Tensor<D>,
    ws: [&'a QuantMatrix; N],
) -> Option<[&'a namelens_cpu_kernels::Packed; N]> {
    if is_tracked(x) || !on_flex(&x.device(), x.dtype()) {
        return None;
    }
    let packed = ws.iter().filter_map(|w| match &w.storage {
        Storage::Packed(packed) => Some(&**packed),
        Storage::Blocks(_) => None,
    });
    let packed: Vec<_> = packed.collect();
    let wide = packed.iter().all(|w| w.cols() == x.dims()[D - 1]);
    assert!(wide, "quant_linears: activations {:?}", x.dims());
    packed.try_into().ok()
}

#[cfg(feature = "cpu")]
fn is_tracked<const D: usize>(x: &Tensor<D>) -> bool {
    #[cfg(feature = "train")]
    return x.is_autodiff();
    #[cfg(not(feature = "train"))]
    {
        let _ = x;
        false
    }
}

/// All axes but the last as one, and the shape it had.
#[cfg(feature = "cpu")]
fn flat<const D: usize>(x: Tensor<D>) -> ([usize; D], Tensor<2>) {
    let shape = x.dims();
    let rows = shape[..D - 1].iter().product();
    (shape, x.reshape([rows, shape[D - 1]]))
}

#[cfg(feature = "cpu")]
fn like<const D: usize>(shape: [usize; D], y: Tensor<2>) -> Tensor<D> {
    let wide = y.dims()[1];
    y.reshape(with_width(shape, wide))
}

#[cfg(feature = "cpu")]
fn with_width<const D: usize>(mut shape: [usize; D], wide: usize) -> [usize; D] {
    shape[D - 1] = wide;
    shape
}
