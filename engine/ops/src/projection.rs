//! Products with matrices and what stands beside them in a layer, in one operation each: several products of one input,
//! a gated pair, a product that is added to the residual stream.
//!
//! A token passes few numbers through many small operations, whose start costs more than their work. On the CPU an input is
//! brought to 16 bits once for all its products.

use burn::tensor::{DType, Tensor};

use super::epilogue::{Epilogue, rows};
#[cfg(feature = "cube")]
use super::quant::Storage;
#[cfg(feature = "train")]
use super::quant_grad;
use super::quant_product::finished;
#[cfg(feature = "cube")]
use super::quant_product::on_cube;
#[cfg(feature = "cube")]
use super::{MAX_MATVEC_ROWS, on_kernels};
use super::{QuantMatrix, gated_silu, matmul};
#[cfg(feature = "cpu")]
use super::{flex_dense, flex_quant, on_flex};
#[cfg(feature = "cube")]
use crate::blocks::Layout;
#[cfg(feature = "cube")]
use crate::kernels::{
    self,
    product::{Finish, Weights},
};

/// `x weightᵀ` and what is done to it, such as a bias; with gradients where they are asked for.
///
/// # Shapes
/// x `[.., K]`, weight `[N, K]`, bias `[N]` -> `[.., N]`.
///
/// # Panics
/// When the shapes disagree.
pub fn dense_linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    epilogue: impl Into<Epilogue<D>>,
) -> Tensor<D> {
    let mut shape = x.dims();
    let [wide, deep] = weight.dims();
    assert_eq!(shape[D - 1], deep, "dense_linear: activations {shape:?}");
    shape[D - 1] = wide;
    let epilogue = epilogue.into().flat(shape);
    dense(rows(x), weight, epilogue).reshape(shape)
}

/// [`dense_linear`] of rows.
fn dense(x: Tensor<2>, weight: Tensor<2>, mut epilogue: Epilogue<2>) -> Tensor<2> {
    #[cfg(feature = "cpu")]
    {
        let here = on_flex(&x.device(), x.dtype()) && on_flex(&weight.device(), weight.dtype());
        let is_few = (1..=flex_dense::FEW).contains(&x.dims()[0]);
        if here && is_few && weight.shape().num_elements() > 0 {
            let y = flex_dense::dense(x, weight, epilogue.bias.take());
            return epilogue.of(y);
        }
    }
    #[cfg(feature = "cube")]
    if is_for_kernels(&x, &weight) {
        let weight = kernels::into_cube(matmul::whole_blocks(weight));
        return on_cube(matmul::whole_blocks(x), &weight, Weights::F32, epilogue);
    }
    let y = matmul::linear(x, weight, epilogue.bias.take());
    epilogue.of(y)
}

/// Whether a kernel takes a dense product: of something, and without gradients.
#[cfg(feature = "cube")]
fn is_for_kernels(x: &Tensor<2>, weight: &Tensor<2>) -> bool {
    let ([rows, deep], [wide, _]) = (x.dims(), weight.dims());
    // Each by itself may be followed by gradients, and is then on a device of another kind.
    let here =
        on_kernels(&x.device(), &[x.dtype()]) && on_kernels(&weight.device(), &[weight.dtype()]);
    here && ![rows, wide, deep].contains(&0)
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
    epilogue: impl Into<Epilogue<D>>,
) -> Tensor<D> {
    let rows: usize = x.dims()[..D - 1].iter().product();
    if rows < BF16_ROWS {
        return dense_linear(x, weight, epilogue);
    }
    let (x, weight) = (x.cast(DType::BF16), weight.cast(DType::BF16));
    let y = dense_linear(x, weight, None).cast(DType::F32);
    let shape = y.dims();
    let epilogue = epilogue.into().flat(shape);
    epilogue.of(self::rows(y)).reshape(shape)
}

/// [`super::quant_matvec`] over the last axis of x, and what is done to it: the product of a quantised `Linear`.
///
/// # Shapes
/// x `[.., K]`, `w` of N rows and K columns -> `[.., N]`.
///
/// # Panics
/// When the last axis of x is not K.
pub fn quant_linear<const D: usize>(
    x: Tensor<D>,
    w: &QuantMatrix,
    epilogue: impl Into<Epilogue<D>>,
) -> Tensor<D> {
    let mut shape = x.dims();
    assert_eq!(shape[D - 1], w.cols, "quant_linear: activations {shape:?}");
    shape[D - 1] = w.rows;
    let epilogue = epilogue.into();
    #[cfg(feature = "cpu")]
    if let Some(packed) = packed(&x, [w])
        && !epilogue.is_tracked()
    {
        epilogue.check(shape);
        let [y] = flex_quant::products(x, packed, [epilogue]);
        return y;
    }
    let (x, epilogue) = (rows(x), epilogue.flat(shape));
    #[cfg(feature = "train")]
    if x.is_autodiff() || epilogue.is_tracked() {
        return epilogue.of(quant_grad::product(x, w)).reshape(shape);
    }
    finished(x, w, epilogue).reshape(shape)
}

/// [`quant_linear`] of one input with several matrices, and a bias each where there is one.
///
/// # Shapes
/// x `[.., K]`, each matrix of N rows and K columns -> `[.., N]` of each. `stack` is [`QuantMatrix::stack`] of the matrices,
/// in this order, where there is one.
///
/// # Panics
/// When the last axis of x is not K, or a bias has another number of columns than its product.
pub fn quant_linears<const D: usize, const N: usize>(
    x: Tensor<D>,
    ws: [&QuantMatrix; N],
    biases: [Option<Tensor<1>>; N],
    stack: Option<&QuantMatrix>,
) -> [Tensor<D>; N] {
    #[cfg(not(feature = "cube"))]
    let _ = stack;
    // Of one row the parts of the product lie together, and need not be copied.
    #[cfg(feature = "cube")]
    if let Some((x, blocks, layout)) = on_stack(&x, stack, 1) {
        let weights = Weights::Blocks(layout);
        let all: Tensor<2> =
            kernels::from_cube(kernels::matvec::run(&x, &blocks, weights, Finish::Put));
        let (mut first, mut biases) = (0, biases.into_iter());
        return ws.map(|w| {
            let part = all.clone().narrow(1, first, w.rows);
            first += w.rows;
            let mut shape = [1; D];
            shape[D - 1] = w.rows;
            let epilogue: Epilogue<2> = biases.next().flatten().into();
            epilogue.flat([1, w.rows]).of(part).reshape(shape)
        });
    }
    #[cfg(feature = "cpu")]
    if let Some(packed) = packed(&x, ws)
        && !biases.iter().flatten().any(Tensor::is_autodiff)
    {
        let mut shape = x.dims();
        let mut rest = ws.iter();
        let epilogues = biases.map(|bias| {
            let epilogue = Epilogue::from(bias);
            shape[D - 1] = rest.next().map_or(0, |w| w.rows);
            epilogue.check(shape);
            epilogue
        });
        return flex_quant::products(x, packed, epilogues);
    }
    let mut biases = biases.into_iter();
    ws.map(|w| quant_linear(x.clone(), w, biases.next().flatten()))
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
    if let Some((cube, blocks, layout)) = on_stack(&x, stack, MAX_MATVEC_ROWS) {
        let mut shape = x.dims();
        shape[D - 1] = gate.rows;
        let gated = kernels::matvec::run_gated(&cube, &blocks, layout);
        return kernels::from_cube::<Tensor<2>>(gated).reshape(shape);
    }
    #[cfg(feature = "cpu")]
    if let Some([gate, up]) = packed(&x, [gate, up]) {
        assert_eq!(
            gate.rows(),
            up.rows(),
            "gated_quant_linear: rows of gate and up"
        );
        return flex_quant::gated(x, gate, up);
    }
    gated_silu(
        quant_linear(x.clone(), gate, None),
        quant_linear(x, up, None),
    )
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
    Layout,
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
    let blocks = kernels::into_cube(Tensor::clone(blocks));
    Some((x, blocks, w.kind.into()))
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
    let packed = ws.map(QuantMatrix::packed);
    if packed.iter().any(Option::is_none) {
        return None;
    }
    let shape = x.dims();
    let packed = packed.map(|w| {
        let Some(w) = w else {
            unreachable!("looked at above")
        };
        assert_eq!(
            w.cols(),
            shape[D - 1],
            "quant_linears: activations {shape:?}"
        );
        w
    });
    Some(packed)
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
