//! Products with packed matrices on the flex backend, and their rows unpacked.

use std::mem::MaybeUninit;

use burn::tensor::{Device, Tensor, TensorData};
use namelens_cpu_kernels::{Activations, Packed, ROWS, product};

use super::epilogue::Epilogue;
use super::flex::{slice, storage};
use super::{flex_activation, flex_epilogue};
use crate::threads;

/// Rows of activations that are worth a thread of their own, where it sleeps and where it is awake. From 8 on all levels of the
/// kernels have the loop for many, whose sums run in another order than those of a few.
const SHARE: [usize; 2] = [16, 8];
/// Weights that are worth a piece of work of their own for a single row: some ten microseconds. Each piece begins a stream of
/// weights anew, and is handed over.
const WEIGHTS: usize = 1 << 19;
/// Pieces of a matrix at most.
const PIECES: usize = 16;

/// x `[M, K]` times the rows of each of `ws`, which have as many columns, and what is done to each product -> `[M, N]` each. The
/// activations are brought to 16 bits once.
pub(super) fn products<const N: usize>(
    x: Tensor<2>,
    ws: [&Packed; N],
    epilogues: [Epilogue<2>; N],
) -> [Tensor<2>; N] {
    let ([m, _], device) = (x.dims(), x.device());
    let ys = of_rows(slice(&storage(x)), ws);
    let mut rest = ws.into_iter().zip(epilogues);
    ys.map(|mut y| {
        let Some((w, epilogue)) = rest.next() else {
            unreachable!("as many matrices as products")
        };
        flex_epilogue::finish(&mut y, w.rows(), epilogue);
        Tensor::from_data(TensorData::new(y, [m, w.rows()]), &device)
    })
}

/// `silu(x gateᵀ) (x upᵀ)`: x `[M, K]` -> `[M, N]`.
pub(super) fn gated(x: Tensor<2>, gate: &Packed, up: &Packed) -> Tensor<2> {
    let ([m, _], device) = (x.dims(), x.device());
    let [mut gate_values, up_values] = of_rows(slice(&storage(x)), [gate, up]);
    flex_activation::gate(&mut gate_values, &up_values);
    Tensor::from_data(TensorData::new(gate_values, [m, gate.rows()]), &device)
}

/// x `[M, K]` times the rows of each of `ws`.
///
/// The results are not set to zero first: for a tower that would be a hundredth of its time.
#[allow(unsafe_code, reason = "room becomes numbers once it is written")]
fn of_rows<const N: usize>(x: &[f32], ws: [&Packed; N]) -> [Vec<f32>; N] {
    let Some(cols) = ws.first().map(|w| w.cols()) else {
        return [(); N].map(|()| Vec::new());
    };
    let lengths = ws.map(|w| x.len() / cols * w.rows());
    let mut ys = lengths.map(Vec::with_capacity);
    let mut rest = lengths.into_iter();
    let rooms = ys.each_mut().map(|y| {
        let len = rest.next().unwrap_or_default();
        &mut y.spare_capacity_mut()[..len]
    });
    write(x, cols, ws, rooms);
    for (y, len) in ys.iter_mut().zip(lengths) {
        // SAFETY: there is room for as many, `product` makes numbers of all that a piece of work is given, the pieces are all of
        // it, and `threads::each` returns only when every one was done.
        unsafe { y.set_len(len) };
    }
    ys
}

/// Many rows of x are shared out among the threads, and of few rows those of the weights where threads are awake. Neither
/// depend on each other, so that changes nothing.
fn write<const N: usize>(
    x: &[f32],
    cols: usize,
    ws: [&Packed; N],
    mut ys: [&mut [MaybeUninit<f32>]; N],
) {
    let share = SHARE[usize::from(threads::are_awake())];
    if threads::is_worth(x.len(), 2 * share * cols) {
        let each = threads::share_of(x.len() / cols, share);
        let mut wide = ws.iter().map(|w| w.rows());
        let mut shares = ys
            .each_mut()
            .map(|y| y.chunks_mut(each * wide.next().unwrap_or_default()));
        let work: Vec<_> = x
            .chunks(each * cols)
            .map(|x| (x, shares.each_mut().map(|y| y.next().unwrap_or_default())))
            .collect();
        return threads::each(work, |(x, ys)| {
            let x = Activations::new(x, cols);
            ws.iter().zip(ys).for_each(|(w, y)| product(*w, &x, y));
        });
    }
    let is_row = x.len() == cols && threads::are_awake();
    let x = Activations::new(x, cols);
    let pairs = ws.into_iter().zip(ys);
    if is_row {
        let cut = pairs.flat_map(|(w, y)| {
            let pieces = (w.rows() * cols / WEIGHTS).clamp(1, PIECES);
            let pieces = pieces.next_multiple_of(threads::count());
            let rows = w.rows().div_ceil(pieces).max(1).next_multiple_of(ROWS);
            let shares = y.chunks_mut(rows).enumerate();
            shares.map(move |(at, y)| (w, at * rows, y))
        });
        return threads::each(cut.collect(), |(w, first, y)| {
            product(w.rows_of(first..first + y.len()), &x, y);
        });
    }
    pairs.for_each(|(w, y)| product(w, &x, y));
}

/// These rows of `w` as weights `[count, K]`.
pub(super) fn rows(
    w: &Packed,
    rows: impl ExactSizeIterator<Item = usize>,
    device: &Device,
) -> Tensor<2> {
    let count = rows.len();
    let mut weights = vec![0.0; count * w.cols()];
    for (row, weights) in rows.zip(weights.chunks_exact_mut(w.cols())) {
        w.unpack_row(row, weights);
    }
    Tensor::from_data(TensorData::new(weights, [count, w.cols()]), device)
}
