//! Products with packed matrices on the flex backend, and their rows unpacked.

use std::mem::MaybeUninit;

use burn::tensor::{Device, Tensor, TensorData};
use namelens_cpu_kernels::{Activations, Packed, ROWS, product};

use super::epilogue::Epilogue;
use super::flex::{slice, storage, tensor};
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
    let is_row = x.len() == cols && threads::are_awake();
    let x = Activations::new(x, cols);
    let pairs = ws.iter().zip(ys);
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
    pairs.for_each(|(w, y)| product(*w, &x, y));
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
