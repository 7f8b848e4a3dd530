//! The plain-burn bodies of this crate: they say what is meant and run on every device.
//!
//! Shapes are those of the functions of the same name in this crate, which check them.

use super::QuantMatrix;
use super::conv_window::Window;
pub(crate) use super::dequantize::dequantize;
use super::matmul::{linear, plain};
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, s};

/// Score of a row that has no cosine (a NaN in it): below every cosine.
const NOT_COMPARABLE: f32 = -2.0;

/// Plain body of [`crate::cached_attention`].
pub fn cached_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    starts: &[usize],
    len: usize,
) -> Tensor<4> {
    let [batch, heads, queries, width] = q.dims();
    let kv_heads = k.dims()[1];
    let group = heads / kv_heads;
    // The query heads that share a key/value head become the rows of one product.
    let q = q.reshape([batch, kv_heads, group * queries, width]) / (width as f64).sqrt();
    let k = k.narrow(2, 0, len);
    let mut v = v.narrow(2, 0, len);
    let mut scores = plain(q, k.transpose()); // [B, Hkv, H / Hkv * T, len]
    let device = v.device();
    // Masks are made where the rest is: of a few numbers, whatever the length.
    let numbers = |numbers: Vec<i64>| Tensor::<1, Int>::from_data(numbers.as_slice(), &device);
    let columns = Tensor::<1, Int>::arange(0..len as i64, &device);
    let begins = numbers(starts.iter().map(|&start| start as i64).collect());
    let begins = begins.reshape([batch, 1, 1, 1]);
    let is_padded = starts.iter().any(|&start| start > 0);
    if is_padded {
        let shape = [batch, 1, len, 1];
        let columns = columns.clone().reshape([1, 1, len, 1]).expand(shape);
        let before = columns.lower(begins.clone().expand(shape));
        // Nothing times what is no number would be no number.
        let before = before.expand(v.dims());
        v = v.mask_fill(before, 0.0);
    }
    if queries > 1 || is_padded {
        let rows = group * queries;
        let shape = [batch, 1, rows, len];
        let columns = columns.reshape([1, 1, 1, len]).expand(shape);
        let own = (0..rows).map(|row| (len - queries + row % queries) as i64);
        let own = numbers(own.collect()).reshape([1, 1, rows, 1]);
        let before = columns.clone().lower(begins.expand(shape));
        let hidden = columns.greater(own.expand(shape)).bool_or(before);
        let hidden = hidden.expand(scores.dims());
        scores = scores.mask_fill(hidden, f32::MIN);
    }
    let weights = softmax(scores, 3);
    plain(weights, v).reshape([batch, heads, queries, width])
}

/// Plain body of [`crate::rms_norm`].
pub fn rms_norm<const D: usize>(x: Tensor<D>, weight: Tensor<1>, eps: f64) -> Tensor<D> {
    let rms = (x.clone().square().mean_dim(D - 1) + eps).sqrt();
    x / rms * weight.unsqueeze()
}

/// Plain body of [`crate::layer_norm`].
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    eps: f64,
) -> Tensor<D> {
    let mean = x.clone().mean_dim(D - 1);
    let centred = x - mean;
    let var = centred.clone().square().mean_dim(D - 1);
    centred / (var + eps).sqrt() * weight.unsqueeze() + bias.unsqueeze()
}

/// Plain body of [`crate::rotate`].
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let half = x.dims()[3] / 2;
    let low = x.clone().narrow(3, 0, half);
    let high = x.clone().narrow(3, half, half);
    x * cos + Tensor::cat(vec![high, low], 3) * sin
}

/// Plain body of [`crate::quant_matvec`].
pub fn quant_matvec(x: Tensor<2>, w: &QuantMatrix) -> Tensor<2> {
    plain(x, w.dequantize().transpose())
}

/// Plain body of [`crate::cosine_scores`].
pub fn cosine_scores(queries: Tensor<2>, index: Tensor<2>) -> Tensor<2> {
    let norm = |t: &Tensor<2>| t.clone().powi_scalar(2).sum_dim(1).sqrt(); // [n, 1]
    let norms = plain(norm(&queries), norm(&index).transpose()); // [Q, N]
    let zero = norms.clone().equal_elem(0.0);
    let cosine = (plain(queries, index.transpose()) / norms).mask_fill(zero, 0.0);
    let is_cosine = cosine.clone().abs().lower_equal_elem(1.5);
    cosine.mask_fill(is_cosine.bool_not(), NOT_COMPARABLE)
}

/// Plain body of [`crate::region_scores()`].
pub fn region_scores(
    sums: Tensor<3>,
    windows: Tensor<2, Int>,
    templates: Tensor<2>,
    large: Tensor<1>,
    root: bool,
) -> Tensor<2> {
    let [rows, columns, width] = sums.dims();
    let ([count, _], [references, _]) = (windows.dims(), templates.dims());
    let cells = sums.reshape([rows * columns, width]);
    let edge = |at: usize| windows.clone().narrow(1, at, 1).reshape([count]);
    let corner = |x: usize, y: usize| {
        let at = edge(y) * columns as i64 + edge(x);
        cells.clone().select(0, at)
    };
    let summed = corner(2, 3) + corner(0, 1) - corner(2, 1) - corner(0, 3);
    let values = match root {
        true => summed.clamp_min(0.0).sqrt(),
        false => summed,
    };
    let total = values.clone().square().sum_dim(1).clamp_min(1e-18);
    let embeddings = values / total.sqrt();
    let large = large.reshape([count, 1]).repeat_dim(1, references);
    let of = |first: usize| {
        let templates = templates.clone().narrow(1, first, width);
        plain(embeddings.clone(), templates.transpose())
    };
    let small = large.clone().neg() + 1.0;
    of(0) * large + of(width) * small
}

/// Plain body of [`crate::pointwise`].
pub fn pointwise(
    x: Tensor<2>,
    w: Tensor<2>,
    bias: Tensor<1>,
    added: Option<Tensor<2>>,
    clamp: bool,
) -> Tensor<2> {
    let mut y = linear(x, w, Some(bias));
    if let Some(added) = added {
        y = y + added;
    }
    if clamp { y.clamp(0.0, 6.0) } else { y }
}

/// The neighbours of every output pixel side by side: `[N, H, W, C]` -> `[N, H', W', kernel * kernel * C]`, so that a
/// convolution is a product over the last axis.
pub fn patches(x: Tensor<4>, window: Window) -> Tensor<4> {
    Tensor::cat(taps(x, window).collect(), 3)
}

/// What each place of a window sees of `[N, H, W, C]`, `[N, H', W', C]` each, row by row.
fn taps(x: Tensor<4>, window: Window) -> impl Iterator<Item = Tensor<4>> {
    let [_, height, width, _] = x.dims();
    let (rows, columns) = (window.outputs(height), window.outputs(width));
    let sides = (window.before, window.after);
    let x = x.pad([(0, 0), sides, sides, (0, 0)], 0.0);
    let step = window.stride as isize;
    let taken = move |first: usize, count: usize| {
        first as isize..(first + count.saturating_sub(1) * window.stride + 1) as isize
    };
    (0..window.kernel * window.kernel).map(move |tap| {
        let row = taken(tap / window.kernel, rows);
        let column = taken(tap % window.kernel, columns);
        x.clone().slice(s![.., row;step, column;step, ..])
    })
}

/// Plain body of [`crate::depthwise`].
pub fn depthwise(x: Tensor<4>, w: Tensor<2>, bias: Tensor<1>, window: Window) -> Tensor<4> {
    let weighted = taps(x, window).enumerate().map(|(tap, x)| {
        let weights: Tensor<2> = w.clone().narrow(0, tap, 1);
        x * weights.unsqueeze()
    });
    let bias = bias.unsqueeze();
    match weighted.reduce(|sum, tap| sum + tap) {
        Some(sum) => (sum + bias).clamp(0.0, 6.0),
        None => bias,
    }
}

/// Plain body of [`crate::top_k`].
pub fn top_k(mut scores: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    let [count, columns] = scores.dims();
    let ids = Tensor::<1, Int>::arange(0..columns as i64, &scores.device())
        .reshape([1, columns])
        .repeat_dim(0, count);
    let (mut best_scores, mut best_ids) = (Vec::new(), Vec::new());
    for _ in 0..k {
        let best = scores.clone().max_dim(1); // [R, 1]
        let others = scores.clone().lower(best.clone().repeat_dim(1, columns));
        // Not argmax: which of equal entries it returns differs between devices.
        let id = ids.clone().mask_fill(others, columns as i64).min_dim(1);
        let taken = ids.clone().equal(id.clone().repeat_dim(1, columns));
        scores = scores.mask_fill(taken, f32::MIN);
        best_scores.push(best);
        best_ids.push(id);
    }
    (Tensor::cat(best_scores, 1), Tensor::cat(best_ids, 1))
}

/// Plain body of [`crate::cosine_top_k`].
pub fn cosine_top_k(queries: Tensor<2>, index: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    top_k(cosine_scores(queries, index), k)
}

/// Plain body of [`crate::pairwise_iou`].
pub fn pairwise_iou(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let ([n, _], [m, _]) = (a.dims(), b.dims());
    let side = |t: &Tensor<2>, side| t.clone().narrow(1, side, 1);
    // Columns [N, 1] of a and rows [1, M] of b, both as [N, M].
    let of_a = |s| side(&a, s).repeat_dim(1, m);
    let of_b = |s| side(&b, s).transpose().repeat_dim(0, n);
    let area_a = area(of_a(2) - of_a(0), of_a(3) - of_a(1));
    let area_b = area(of_b(2) - of_b(0), of_b(3) - of_b(1));
    let intersection = area(
        of_a(2).min_pair(of_b(2)) - of_a(0).max_pair(of_b(0)),
        of_a(3).min_pair(of_b(3)) - of_a(1).max_pair(of_b(1)),
    );
    let both = area_a.clone() + area_b.clone() - intersection.clone();
    // Positive guards: a NaN fails them.
    let real = area_a
        .greater_elem(0.0)
        .bool_and(area_b.greater_elem(0.0))
        .bool_and(both.clone().greater_elem(0.0));
    (intersection / both).mask_fill(real.bool_not(), 0.0)
}

/// width * height; 0 where one is not positive.
fn area(width: Tensor<2>, height: Tensor<2>) -> Tensor<2> {
    let real = width
        .clone()
        .greater_elem(0.0)
        .bool_and(height.clone().greater_elem(0.0));
    (width * height).mask_fill(real.bool_not(), 0.0)
}

/// Plain body of [`crate::nms`]: one row of the overlap matrix a step, in order of rank.
pub fn nms(boxes: Tensor<2>, scores: Tensor<1>, iou_threshold: f32) -> Tensor<1, Int> {
    let [count] = scores.dims();
    let valid = scores.clone().greater_equal_elem(f32::MIN);
    let keys: Tensor<2> = scores
        .mask_fill(valid.clone().bool_not(), f32::MIN)
        .unsqueeze();
    let ids: Tensor<2, Int> =
        Tensor::<1, Int>::arange(0..count as i64, &boxes.device()).unsqueeze();
    // Rank = how many come before: row j against column i.
    let square = |row: Tensor<2>| row.repeat_dim(0, count);
    let (key, other) = (square(keys.clone()), square(keys).transpose());
    let (id, other_id) = (
        ids.clone().repeat_dim(0, count),
        ids.repeat_dim(0, count).transpose(),
    );
    let before = other
        .clone()
        .greater(key.clone())
        .bool_or(other.equal(key).bool_and(other_id.lower(id)));
    let rank: Tensor<1, Int> = before.int().sum_dim(0).reshape([count]);
    let order = rank.clone().argsort(0);

    let boxes = boxes.select(0, order.clone());
    let overlaps = pairwise_iou(boxes.clone(), boxes)
        .greater_elem(iou_threshold)
        .int();
    let later = Tensor::<2, Int>::ones([count, count], &rank.device()).triu(1);
    let strikes = overlaps * later; // [N, N] by rank
    let mut kept = valid.int().select(0, order);
    for r in 0..count {
        let stands = kept.clone().narrow(0, r, 1).repeat_dim(0, count);
        kept = kept * (stands * strikes.clone().narrow(0, r, 1).reshape([count]) * -1 + 1);
    }
    kept.select(0, rank)
}
