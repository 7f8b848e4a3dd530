//! Products with packed matrices on the flex backend, and their rows unpacked.

use std::mem::MaybeUninit;

use burn::tensor::{Device, Tensor, TensorData};
use namelens_cpu_kernels::{Activations, Level, Packed, ROWS, product, product_at};

use super::epilogue::Epilogue;
use super::flex::{slice, storage, tensor};
use super::{flex_activation, flex_epilogue};
use crate::threads;

/// Rows of activations that are worth a thread of their own, where it sleeps and where it is awake. From 8 on all levels of the
/// kernels have the loop for many, whose sums run in another order than those of a few.
const SHARE: [usize; 2] = [16, 8];
/// Weights that are worth a piece of work of their own for a single row: some fifty microseconds. Each piece begins a stream of
/// weights anew, and is handed over.
const WEIGHTS: usize = 1 << 20;
/// Pieces of the products of an input at most.
const PIECES: usize = 16;

/// x `[.., K]` times the rows of each of `ws`, which have as many columns, and what is done to each product -> `[.., N]` each. The
/// activations are brought to 16 bits once.
pub(super) fn products<const D: usize, const N: usize>(
    x: Tensor<D>,
    ws: [&Packed; N],
    epilogues: [Epilogue<D>; N],
) -> [Tensor<D>; N] {
    let mut shape = x.dims();
    let mut ys = of_rows(slice(&storage(x)), &ws).into_iter().zip(ws);
    epilogues.map(|epilogue| {
        let Some((mut y, w)) = ys.next() else {
            unreachable!("as many products as matrices")
        };
        flex_epilogue::finish(&mut y, w.rows(), epilogue);
        shape[D - 1] = w.rows();
        tensor(y, shape)
    })
}

/// `silu(x gateᵀ) (x upᵀ)`: x `[.., K]` -> `[.., N]`.
pub(super) fn gated<const D: usize>(x: Tensor<D>, gate: &Packed, up: &Packed) -> Tensor<D> {
    let mut shape = x.dims();
    shape[D - 1] = gate.rows();
    tensor(gated_rows(slice(&storage(x)), gate, up), shape)
}

/// [`gated`] of rows.
pub(super) fn gated_rows(x: &[f32], gate: &Packed, up: &Packed) -> Vec<f32> {
    if is_row_for_threads(x, gate.cols()) {
        return gated_row(x, gate, up);
    }
    let mut ys = of_rows(x, &[gate, up]).into_iter();
    let (mut gate, up) = (ys.next().unwrap_or_default(), ys.next().unwrap_or_default());
    flex_activation::gate(&mut gate, &up);
    gate
}

/// x `[M, K]` times the rows of each of `ws`. Not for a number of matrices that the compiler knows, because what has a parameter is
/// compiled where it is called, and not as quick there.
///
/// The results are not set to zero first: for a tower that would be a hundredth of its time.
#[allow(unsafe_code, reason = "room becomes numbers once it is written")]
pub(super) fn of_rows(x: &[f32], ws: &[&Packed]) -> Vec<Vec<f32>> {
    let Some(cols) = ws.first().map(|w| w.cols()) else {
        return Vec::new();
    };
    let length = |w: &Packed| x.len() / cols * w.rows();
    let mut ys: Vec<Vec<f32>> = ws.iter().map(|w| Vec::with_capacity(length(w))).collect();
    let rooms = ys.iter_mut().zip(ws);
    let rooms = rooms.map(|(y, w)| &mut y.spare_capacity_mut()[..length(w)]);
    write(x, cols, ws, rooms.collect());
    for (y, w) in ys.iter_mut().zip(ws) {
        // SAFETY: there is room for as many, `product` makes numbers of all that a piece of work is given, the pieces are all of
        // it, and `threads::each` returns only when every one was done.
        unsafe { y.set_len(length(w)) };
    }
    ys
}

/// Many rows of x are shared out among the threads, and of few rows those of the weights where threads are awake. Neither
/// depend on each other, so that changes nothing.
fn write(x: &[f32], cols: usize, ws: &[&Packed], mut ys: Vec<&mut [MaybeUninit<f32>]>) {
    let share = SHARE[usize::from(threads::are_awake())];
    if threads::is_worth(x.len(), 2 * share * cols) {
        let each = threads::share_of(x.len() / cols, share);
        let wide = ws.iter().map(|w| w.rows());
        let mut shares: Vec<_> = ys
            .iter_mut()
            .zip(wide)
            .map(|(y, wide)| y.chunks_mut(each * wide))
            .collect();
        let work: Vec<(_, Vec<_>)> = x
            .chunks(each * cols)
            .map(|x| {
                let ys = shares.iter_mut().map(|y| y.next().unwrap_or_default());
                (x, ys.collect())
            })
            .collect();
        return threads::each(work, |(x, ys)| {
            let x = Activations::new(x, cols);
            ws.iter().zip(ys).for_each(|(w, y)| product(*w, &x, y));
        });
    }
    let is_row = is_row_for_threads(x, cols);
    let x = Activations::new(x, cols);
    if is_row {
        return write_row(&x, ws, ys);
    }
    let pairs = ws.iter().zip(ys);
    pairs.for_each(|(w, y)| product(*w, &x, y));
}

/// Whether x is one row whose products the rows of weights are shared out for: where threads are awake.
fn is_row_for_threads(x: &[f32], cols: usize) -> bool {
    x.len() == cols && threads::are_awake()
}

/// Pieces of the rows of some matrices, as many for each thread.
fn pieces(ws: &[&Packed]) -> usize {
    let weights: usize = ws.iter().map(|w| w.rows() * w.cols()).sum();
    let pieces = (weights / WEIGHTS).clamp(1, PIECES);
    pieces.next_multiple_of(threads::count())
}

/// Rows of `w` in each of so many pieces.
fn rows_each(w: &Packed, pieces: usize) -> usize {
    w.rows().div_ceil(pieces).max(1).next_multiple_of(ROWS)
}

/// The products of one row of x. A piece of work has rows of every matrix: what begins together ends together.
fn write_row(x: &Activations, ws: &[&Packed], ys: Vec<&mut [MaybeUninit<f32>]>) {
    let pieces = pieces(ws);
    let mut cuts: Vec<_> = ys
        .into_iter()
        .zip(ws)
        .map(|(y, w)| y.chunks_mut(rows_each(w, pieces)))
        .collect();
    let mut parts = Vec::with_capacity(pieces * ws.len());
    for piece in 0..pieces {
        for (cut, w) in cuts.iter_mut().zip(ws) {
            // A small matrix may have no rows left for the last pieces.
            let y = cut.next().unwrap_or_default();
            parts.push((*w, piece * rows_each(w, pieces), y));
        }
    }
    threads::each(parts.chunks_mut(ws.len()).collect(), |parts| {
        for (w, first, y) in parts.iter_mut().filter(|(.., y)| !y.is_empty()) {
            product(w.rows_of(*first..*first + y.len()), x, y);
        }
    });
}

/// `silu(x gateᵀ) (x upᵀ)` of one row of x. Who makes some of both gates them as well: no other thread reads what it wrote.
fn gated_row(x: &[f32], gate: &Packed, up: &Packed) -> Vec<f32> {
    let x = Activations::new(x, gate.cols());
    let each = rows_each(gate, pieces(&[gate, up]));
    let [mut y, mut other] = [gate, up].map(|w| vec![0.0; w.rows()]);
    let work = y.chunks_mut(each).zip(other.chunks_mut(each)).enumerate();
    threads::each(work.collect(), |(at, (y, other))| {
        let rows = at * each..at * each + y.len();
        product_at(Level::best(), gate.rows_of(rows.clone()), &x, y);
        product_at(Level::best(), up.rows_of(rows), &x, other);
        flex_activation::gate(y, other);
    });
    y
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
