//! Weights of a quantised matrix, and its product with rows of activations.

use super::epilogue::Epilogue;
#[cfg(feature = "cpu")]
use super::flex_quant;
#[cfg(feature = "cpu")]
use super::on_flex;
#[cfg(feature = "cube")]
use super::on_kernels;
use super::quant::Storage;
use super::{QuantMatrix, reference};
#[cfg(feature = "cube")]
use crate::kernels::{self, product::Weights};
#[cfg(feature = "cube")]
use burn::tensor::{DType, TensorData};
use burn::tensor::{Int, Tensor};
#[cfg(feature = "cube")]
use burn_cubecl::tensor::CubeTensor;

/// Rows of activations up to which reading all blocks for each of them beats sharing them out in tiles.
#[cfg(feature = "cube")]
pub(super) const MAX_MATVEC_ROWS: usize = 8;

impl QuantMatrix {
    /// The weights as `[rows, cols]` f32 on the same device.
    pub fn dequantize(&self) -> Tensor<2> {
        match &self.storage {
            Storage::Blocks(blocks) => {
                reference::dequantize(Tensor::clone(blocks), self.kind.into(), self.cols)
            }
            #[cfg(feature = "cpu")]
            Storage::Packed(packed) => flex_quant::rows(packed, 0..self.rows, &self.device()),
        }
    }

    /// The rows of these numbers as `[count, cols]` f32 on the same device.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn select(&self, rows: &[u32]) -> Tensor<2> {
        assert!(
            rows.iter().all(|&row| (row as usize) < self.rows),
            "select: rows of a matrix of {}",
            self.rows
        );
        match &self.storage {
            Storage::Blocks(blocks) => {
                #[cfg(feature = "cube")]
                if !rows.is_empty() && kernels::available(&blocks.device()) {
                    return select_on_kernels(blocks, rows, self);
                }
                let numbers: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
                let numbers = Tensor::<1, Int>::from_data(numbers.as_slice(), &blocks.device());
                let blocks = blocks.clone().select(0, numbers);
                reference::dequantize(blocks, self.kind.into(), self.cols)
            }
            #[cfg(feature = "cpu")]
            Storage::Packed(packed) => {
                let rows = rows.iter().map(|&row| row as usize);
                flex_quant::rows(packed, rows, &self.device())
            }
        }
    }

    /// [`Self::select`] of rows whose numbers are told on a device where kernels run, `[count]` in 32 bits: that each is of the matrix is
    /// not looked at.
    ///
    /// # Panics
    /// On a device without kernels.
    pub fn select_told(&self, rows: &Tensor<1, Int>) -> Tensor<2> {
        match &self.storage {
            #[cfg(feature = "cube")]
            Storage::Blocks(blocks) => select_told_on_kernels(blocks, rows.clone(), self),
            #[allow(unreachable_patterns, reason = "the other variants exist by feature")]
            _ => unreachable!("rows are told where kernels run: {rows:?}"),
        }
    }
}

/// [`QuantMatrix::select`] by a kernel.
#[cfg(feature = "cube")]
fn select_on_kernels(blocks: &Tensor<2, Int>, rows: &[u32], w: &QuantMatrix) -> Tensor<2> {
    // The words of a tensor of whole numbers have signs; the numbers of rows are far below.
    let numbers: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
    let count = numbers.len();
    let data = TensorData::new(numbers, [count]);
    let numbers = Tensor::<1, Int>::from_data(data, (&blocks.device(), DType::I32));
    select_told_on_kernels(blocks, numbers, w)
}

/// The same of rows that are told on the device.
#[cfg(feature = "cube")]
fn select_told_on_kernels(
    blocks: &Tensor<2, Int>,
    numbers: Tensor<1, Int>,
    w: &QuantMatrix,
) -> Tensor<2> {
    let (blocks, numbers) = (
        kernels::into_cube(blocks.clone()),
        kernels::into_cube(numbers),
    );
    let layout = w.kind.into();
    kernels::from_cube(kernels::quant_rows::run(&blocks, &numbers, layout, w.cols))
}

/// Product of rows of activations with a quantised matrix.
///
/// # Shapes
/// x `[M, K]`, `w` of N rows and K columns -> `[M, N]`. On the CPU x is rounded to 16 bits with a scale for each 32 columns
/// (`namelens_cpu_kernels` publishes the error); where no kernel runs the matrix is unpacked, which needs memory for `[N, K]`
/// f32.
///
/// # Panics
/// When x is not `[M, K]`.
pub fn quant_matvec(x: Tensor<2>, w: &QuantMatrix) -> Tensor<2> {
    let [m, k] = x.dims();
    assert_eq!(
        k, w.cols,
        "quant_matvec: activations [{m}, {k}] for {} columns",
        w.cols
    );
    finished(x.inner(), w, Epilogue::default())
}

/// [`quant_matvec`] and what is done to it, in one operation where there is one; no tensor has gradients.
pub(super) fn finished(x: Tensor<2>, w: &QuantMatrix, epilogue: Epilogue<2>) -> Tensor<2> {
    match &w.storage {
        #[cfg(feature = "cpu")]
        Storage::Packed(packed) if on_flex(&x.device(), x.dtype()) => {
            let [y] = flex_quant::products(x, [packed], [epilogue]);
            y
        }
        #[cfg(feature = "cube")]
        Storage::Blocks(blocks) if on_kernels(&x.device(), &[x.dtype()]) => {
            let weights = Weights::Blocks(w.kind.into());
            let blocks = kernels::into_cube(Tensor::clone(blocks));
            on_cube(x, &blocks, weights, epilogue)
        }
        _ => epilogue.of(reference::quant_matvec(x, w)),
    }
}

/// The product of rows of x with the rows of `blocks` by a kernel, and what is done to it.
#[cfg(feature = "cube")]
pub(super) fn on_cube(
    x: Tensor<2>,
    blocks: &CubeTensor,
    weights: Weights,
    epilogue: Epilogue<2>,
) -> Tensor<2> {
    let run = match x.dims()[0] {
        0..=MAX_MATVEC_ROWS => kernels::matvec::run,
        _ => kernels::matmul::run,
    };
    let x = kernels::into_cube(x);
    epilogue.in_kernel(|finish| run(&x, blocks, weights, finish))
}
