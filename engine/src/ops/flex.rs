//! Direct CPU loops for the flex backend, written so that the compiler vectorises them.
//!
//! Natively they are compiled once for every instruction set of the processor family and chosen at
//! run time (`macerator`, the crate flex itself dispatches with); for wasm, simd128 is chosen when
//! the module is built.

use super::{BLOCK, QuantKind, QuantMatrix};
use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Int, Tensor, TensorData};
use macerator::{AutoArch, Simd, WithSimd};

/// Partial sums of a dot product: two registers of 256 bits, four of 128.
const LANES: usize = 16;
/// Rows of activations that share one unpacking of a row of weights.
const TILE: usize = 4;

/// The backend's storage of a tensor; contiguous, so that `as_slice` succeeds.
pub(super) fn storage(tensor: Tensor<2>) -> FloatTensor<Flex> {
    // Only called for tensors of a flex device.
    tensor
        .try_into_primitive::<Flex>()
        .expect("a tensor of a flex device")
        .to_contiguous()
}

/// The numbers of a tensor as [`storage`] gives it.
pub(super) fn slice(tensor: &FloatTensor<Flex>) -> &[f32] {
    // `storage` made it contiguous, and callers asked for f32 before.
    tensor
        .as_slice()
        .expect("contiguous f32, as `storage` makes it")
}

/// The bytes of a matrix's blocks, rows padded to words.
fn with_bytes<R>(blocks: Tensor<2, Int>, f: impl FnOnce(&[u8]) -> R) -> R {
    const {
        assert!(
            cfg!(target_endian = "little"),
            "ggml blocks are read as little-endian words"
        )
    };
    // Only called for tensors of a flex device, and QuantMatrix promises i32.
    let blocks = blocks
        .try_into_primitive::<Flex>()
        .expect("a tensor of a flex device")
        .to_contiguous();
    let words: &[i32] = blocks
        .as_slice()
        .expect("ggml blocks are kept as contiguous i32");
    f(bytemuck::cast_slice(words))
}

/// x `[M, K]` times the rows of `w` -> `[M, N]`.
pub(super) fn quant_matvec(x: Tensor<2>, w: &QuantMatrix) -> Tensor<2> {
    let (m, device) = (x.dims()[0], x.device());
    let x = storage(x);
    let x: &[f32] = x.as_slice().expect("contiguous f32, made so above");
    let mut y = vec![0.0; m * w.rows];
    with_bytes(w.blocks.clone().inner(), |blocks| {
        let mut first = 0;
        while first < m {
            let tile = if m - first >= TILE { TILE } else { 1 };
            let x = &x[first * w.cols..][..tile * w.cols];
            let y = &mut y[first * w.rows..][..tile * w.rows];
            match (tile, w.kind) {
                (TILE, QuantKind::Q4_0) => simd(MatVec::<Q4_0, TILE>::new(blocks, x, y, w)),
                (TILE, QuantKind::Q8_0) => simd(MatVec::<Q8_0, TILE>::new(blocks, x, y, w)),
                (_, QuantKind::Q4_0) => simd(MatVec::<Q4_0, 1>::new(blocks, x, y, w)),
                (_, QuantKind::Q8_0) => simd(MatVec::<Q8_0, 1>::new(blocks, x, y, w)),
            }
            first += tile;
        }
    });
    Tensor::from_data(TensorData::new(y, [m, w.rows]), &device)
}

/// The weights of `w`, whose blocks are given, as `[N, K]`.
pub(super) fn dequantize(blocks: Tensor<2, Int>, w: &QuantMatrix) -> Tensor<2> {
    let device = blocks.device();
    let mut weights = vec![0.0; w.rows * w.cols];
    with_bytes(blocks, |bytes| match w.kind {
        QuantKind::Q4_0 => simd(Unpack::<Q4_0>::new(bytes, &mut weights, w)),
        QuantKind::Q8_0 => simd(Unpack::<Q8_0>::new(bytes, &mut weights, w)),
    });
    Tensor::from_data(TensorData::new(weights, [w.rows, w.cols]), &device)
}

/// Runs `work` in the best instruction set of this processor.
pub(super) fn simd<W: WithSimd>(work: W) -> W::Output {
    AutoArch::new().dispatch(work)
}

/// A block format, unpacked without its scale.
trait Format {
    const KIND: QuantKind;
    fn unpack(quants: &[u8]) -> [f32; BLOCK];
}

struct Q4_0;
impl Format for Q4_0 {
    const KIND: QuantKind = QuantKind::Q4_0;
    #[inline(always)]
    fn unpack(quants: &[u8]) -> [f32; BLOCK] {
        let mut weights = [0.0; BLOCK];
        let (low, high) = weights.split_at_mut(BLOCK / 2);
        for ((low, high), &byte) in low.iter_mut().zip(high).zip(quants) {
            *low = (i32::from(byte & 15) - 8) as f32;
            *high = (i32::from(byte >> 4) - 8) as f32;
        }
        weights
    }
}

struct Q8_0;
impl Format for Q8_0 {
    const KIND: QuantKind = QuantKind::Q8_0;
    #[inline(always)]
    fn unpack(quants: &[u8]) -> [f32; BLOCK] {
        let mut weights = [0.0; BLOCK];
        for (weight, &byte) in weights.iter_mut().zip(quants) {
            *weight = f32::from(byte as i8);
        }
        weights
    }
}

/// The scale and the unscaled weights of a block.
#[inline(always)]
fn unpack_block<F: Format>(block: &[u8]) -> (f32, [f32; BLOCK]) {
    let (scale, quants) = block.split_at(2);
    // The const conversion: the other asks the processor for F16C at every call.
    let scale = half::f16::from_le_bytes([scale[0], scale[1]]).to_f32_const();
    (scale, F::unpack(quants))
}

/// Sum of the lanes, pairwise.
#[inline(always)]
fn sum(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// M rows of activations times every row of a matrix.
struct MatVec<'a, F, const M: usize> {
    rows: std::slice::ChunksExact<'a, u8>,
    row_bytes: usize,
    x: [&'a [f32]; M],
    y: &'a mut [f32],
    format: std::marker::PhantomData<F>,
}

impl<'a, F: Format, const M: usize> MatVec<'a, F, M> {
    fn new(blocks: &'a [u8], x: &'a [f32], y: &'a mut [f32], w: &QuantMatrix) -> Self {
        Self {
            rows: blocks.chunks_exact(F::KIND.row_words(w.cols) * 4),
            row_bytes: w.cols / BLOCK * F::KIND.block_bytes(),
            x: std::array::from_fn(|m| &x[m * w.cols..][..w.cols]),
            y,
            format: std::marker::PhantomData,
        }
    }
}

impl<F: Format, const M: usize> WithSimd for MatVec<'_, F, M> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let row_count = self.rows.len();
        for (n, row) in self.rows.enumerate() {
            let mut sums = [[0.0; LANES]; M];
            for (b, block) in row[..self.row_bytes]
                .chunks_exact(F::KIND.block_bytes())
                .enumerate()
            {
                let (scale, weights) = unpack_block::<F>(block);
                for (x, sums) in self.x.iter().zip(&mut sums) {
                    let x = &x[b * BLOCK..][..BLOCK];
                    for i in 0..LANES {
                        sums[i] += scale * (weights[i] * x[i] + weights[i + LANES] * x[i + LANES]);
                    }
                }
            }
            for (m, sums) in sums.into_iter().enumerate() {
                self.y[m * row_count + n] = sum(sums);
            }
        }
    }
}

/// Every block of a matrix to f32.
struct Unpack<'a, F> {
    rows: std::slice::ChunksExact<'a, u8>,
    row_bytes: usize,
    cols: usize,
    weights: &'a mut [f32],
    format: std::marker::PhantomData<F>,
}

impl<'a, F: Format> Unpack<'a, F> {
    fn new(bytes: &'a [u8], weights: &'a mut [f32], w: &QuantMatrix) -> Self {
        Self {
            rows: bytes.chunks_exact(F::KIND.row_words(w.cols) * 4),
            row_bytes: w.cols / BLOCK * F::KIND.block_bytes(),
            cols: w.cols,
            weights,
            format: std::marker::PhantomData,
        }
    }
}

impl<F: Format> WithSimd for Unpack<'_, F> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        for (row, weights) in self.rows.zip(self.weights.chunks_exact_mut(self.cols)) {
            let blocks = row[..self.row_bytes].chunks_exact(F::KIND.block_bytes());
            for (block, weights) in blocks.zip(weights.chunks_exact_mut(BLOCK)) {
                let (scale, quants) = unpack_block::<F>(block);
                for (weight, quant) in weights.iter_mut().zip(quants) {
                    *weight = scale * quant;
                }
            }
        }
    }
}
