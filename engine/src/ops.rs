//! Every operation that has a fast kernel, with its plain-burn body.
//!
//! | operation | wgpu with WGSL | flex (CPU) | anything else |
//! |---|---|---|---|
//! | [`cached_attention`] | kernels for one query and for many | loops | plain |
//! | [`attention`] | kernel without gradients | loops, forward and back | plain |
//! | [`gelu`], [`gelu_tanh`], [`silu`] | plain | loops, forward and back | plain |
//! | [`gated_silu`], [`rms_norm`], [`layer_norm`], [`rotate`] | kernels without gradients | loops without gradients | plain |
//! | [`quant_matvec`], [`quant_linear`] | kernel | `namelens_cpu_kernels` | plain |
//! | [`dense_linear`] | plain | loops for a few rows without gradients | plain |
//! | [`quant_linears`], [`gated_quant_linear`], [`quant_linear_onto`], [`rotate_into_cache`] | the kernels of their parts | loops | the parts |
//! | [`token_scores`] | plain, a block of rows at a time | | |
//! | [`cosine_scores`] | kernel | plain | plain |
//! | [`top_k`] | kernels | selection | plain |
//! | [`cosine_top_k`] | kernels | `namelens_cpu_kernels` for a few queries | plain |
//! | [`pairwise_iou`], [`nms`] | kernel | plain | plain |
//! | [`depthwise`], [`region_scores()`] | kernel | loops | plain |
//! | [`pointwise`], [`stem`] | plain | loops | plain |
//!
//! The plain bodies ([`mod@reference`]) are what the fast paths are tested against. All but those of the second to fourth line,
//! [`quant_linear`] and [`token_scores`] run without gradients: tensors of an autodiff device are taken off their graph, and so
//! are results.

pub mod reference;

mod activation;
#[cfg(all(feature = "cpu", feature = "train"))]
mod activation_grad;
mod attention;
#[cfg(all(feature = "cpu", feature = "train"))]
mod attention_grad;
mod bottleneck;
mod conv_weights;
mod conv_window;
mod convolution;
mod dispatch;
pub(crate) mod exp;
#[cfg(feature = "cpu")]
mod flex;
#[cfg(feature = "cpu")]
mod flex_activation;
#[cfg(feature = "cpu")]
mod flex_attention;
#[cfg(feature = "cpu")]
mod flex_bottleneck;
#[cfg(feature = "cpu")]
mod flex_cached;
#[cfg(feature = "cpu")]
mod flex_dense;
#[cfg(feature = "cpu")]
mod flex_depthwise;
#[cfg(feature = "cpu")]
mod flex_dots;
#[cfg(feature = "cpu")]
mod flex_nearest;
#[cfg(feature = "cpu")]
mod flex_norm;
#[cfg(feature = "cpu")]
mod flex_packed;
#[cfg(feature = "cpu")]
mod flex_pointwise;
#[cfg(feature = "cpu")]
mod flex_product;
#[cfg(feature = "cpu")]
mod flex_quant;
#[cfg(feature = "cpu")]
mod flex_region_scores;
#[cfg(feature = "cpu")]
mod flex_rotate;
#[cfg(feature = "cpu")]
mod flex_softmax;
#[cfg(feature = "cpu")]
mod flex_stem;
#[cfg(feature = "cpu")]
mod flex_top_k;
#[cfg(feature = "cpu")]
mod flex_vector;
#[cfg(feature = "train")]
mod logprob_grad;
mod norm;
#[cfg(feature = "train")]
mod own_grad;
mod projection;
mod quant;
#[cfg(feature = "train")]
mod quant_grad;
mod region_scores;
mod rotate;
mod seen;

pub use crate::blocks::{BLOCK, QuantKind};
pub use activation::{gated_silu, gelu, gelu_tanh, silu};
pub use attention::{attention, cached_attention};
pub use bottleneck::{Bottleneck, bottleneck, one_by_one};
pub use conv_weights::ConvWeights;
pub use conv_window::Window;
pub use convolution::{depthwise, pointwise, pointwise_map, stem};
#[cfg(feature = "cpu")]
use dispatch::on_flex;
#[cfg(feature = "cube")]
use dispatch::on_kernels;
pub use norm::{layer_norm, rms_norm};
pub use projection::{
    bf16_linear, dense_linear, gated_quant_linear, quant_linear_onto, quant_linears,
};
pub use quant::QuantMatrix;
use quant::Storage;
pub use region_scores::region_scores;
pub use rotate::{rotate, rotate_into_cache};
pub use seen::{Seen, Shared};

#[cfg(feature = "cube")]
use crate::kernels;
#[cfg(feature = "cube")]
use burn::tensor::{DType, TensorData};
use burn::tensor::{Int, Tensor};

/// Rows of activations up to which reading all blocks for each of them beats sharing them out in tiles.
#[cfg(feature = "cube")]
const MAX_MATVEC_ROWS: usize = 8;

/// Log-probabilities of chosen tokens and entropies of the distributions they come from.
#[cfg(feature = "train")]
#[derive(Debug, Clone)]
pub struct TokenScores {
    /// `log softmax(logits / T)` of each token, `[N]`.
    pub log_probs: Tensor<1>,
    /// `-Σ p log p` of each distribution `p = softmax(logits / T)`, `[N]`, nats.
    pub entropy: Tensor<1>,
}

/// A head over the vocabulary whose weights need not be merged: logits are `hidden weightᵀ + thin addedᵀ`.
#[cfg(feature = "train")]
#[derive(Debug, Clone)]
pub struct Head {
    /// `[V, H]`
    pub weight: Tensor<2>,
    /// What an adapter adds: thin `[N, r]`, of the same rows as the hidden states, and added `[V, r]`.
    pub adapter: Option<(Tensor<2>, Tensor<2>)>,
}

/// How likely `targets` are after `hidden` at a temperature, with gradients to all of the head and to the hidden states.
///
/// Neither way holds more than a few megabytes of logits; they are computed twice instead.
///
/// # Shapes
/// hidden: `[N, H]`, a target a row -> `[N]` each.
///
/// # Panics
/// When shapes disagree, there is no row, or a target is not in the vocabulary.
#[cfg(feature = "train")]
pub fn token_scores(
    hidden: Tensor<2>,
    head: Head,
    targets: &[u32],
    temperature: f32,
) -> TokenScores {
    let [vocabulary, width] = head.weight.dims();
    let count = targets.len();
    assert_eq!(
        hidden.dims(),
        [count, width],
        "token_scores: hidden states for {count} targets"
    );
    let known = targets.iter().all(|&target| (target as usize) < vocabulary);
    assert!(
        count > 0 && known,
        "token_scores: {count} targets of {vocabulary} tokens"
    );
    let function = logprob_grad::LogProbs {
        targets: targets.to_vec(),
        temperature,
        adapted: head.adapter.is_some(),
        rows: logprob_grad::rows_held(vocabulary),
    };
    logprob_grad::scores(hidden, head, function)
}

impl QuantMatrix {
    /// The weights as `[rows, cols]` f32 on the same device.
    pub fn dequantize(&self) -> Tensor<2> {
        match &self.storage {
            Storage::Blocks(blocks) => {
                reference::dequantize(Tensor::clone(blocks), self.kind, self.cols)
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
                reference::dequantize(blocks.clone().select(0, numbers), self.kind, self.cols)
            }
            #[cfg(feature = "cpu")]
            Storage::Packed(packed) => {
                let rows = rows.iter().map(|&row| row as usize);
                flex_quant::rows(packed, rows, &self.device())
            }
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
    let (blocks, numbers) = (
        kernels::into_cube(blocks.clone()),
        kernels::into_cube(numbers),
    );
    kernels::from_cube(kernels::quant_rows::run(&blocks, &numbers, w.kind, w.cols))
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
    let x = x.inner();
    match &w.storage {
        #[cfg(feature = "cpu")]
        Storage::Packed(packed) if on_flex(&x.device(), x.dtype()) => {
            let [y] = flex_quant::products(x, [packed]);
            y
        }
        #[cfg(feature = "cube")]
        Storage::Blocks(blocks) if on_kernels(&x.device(), &[x.dtype()]) => {
            let blocks = Tensor::clone(blocks);
            let (x, blocks) = (kernels::into_cube(x), kernels::into_cube(blocks));
            let run = match m {
                0..=MAX_MATVEC_ROWS => kernels::quant_matvec::run,
                _ => kernels::quant_matmul::run,
            };
            kernels::from_cube(run(&x, &blocks, w.kind))
        }
        _ => reference::quant_matvec(x, w),
    }
}

/// [`quant_matvec`] over the last axis of x: the product of a quantised `Linear`.
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

/// The cosine of every query with every row of the index.
///
/// # Shapes
/// queries `[Q, D]`, index `[N, D]` -> `[Q, N]`. The score is the cosine whatever the lengths of the vectors: 0 where one of
/// them is zero, and -2 where one holds a NaN.
///
/// # Panics
/// When the widths disagree.
pub fn cosine_scores(queries: Tensor<2>, index: Tensor<2>) -> Tensor<2> {
    let ([_, width], [_, index_width]) = (queries.dims(), index.dims());
    assert_eq!(
        width, index_width,
        "cosine_scores: width of the queries and of the index"
    );
    let (queries, index) = (queries.inner(), index.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&queries.device(), &[queries.dtype(), index.dtype()]) {
        let (queries, index) = (kernels::into_cube(queries), kernels::into_cube(index));
        return kernels::from_cube(kernels::cosine_scores::run(&queries, &index));
    }
    reference::cosine_scores(queries, index)
}

/// The k largest entries of each row, largest first, and their columns; of equal entries the lower column comes first.
///
/// # Shapes
/// scores `[R, C]` without NaN -> entries `[R, k]` and columns `[R, k]`.
///
/// # Panics
/// When k is not in 1..=C.
pub fn top_k(scores: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    let [_, columns] = scores.dims();
    assert!(
        (1..=columns).contains(&k),
        "top_k: {k} of {columns} columns"
    );
    let scores = scores.inner();
    #[cfg(feature = "cube")]
    if k <= kernels::top_k::MAX_K && on_kernels(&scores.device(), &[scores.dtype()]) {
        return top_k_on_kernels(scores, k);
    }
    #[cfg(feature = "cpu")]
    if on_flex(&scores.device(), scores.dtype()) {
        return flex_top_k::top_k(scores, k);
    }
    reference::top_k(scores, k)
}

/// The likeliest token of each row, where a kernel finds it on the device: `None` elsewhere, where to read all logits costs nothing.
///
/// # Shapes
/// logits `[R, C]` -> `[R, 2]`: the column of the largest finite logit, the lowest among equals, or -1 where none is finite; and the sum
/// of `exp(logit - largest)` over the finite ones, of which the largest is 1.
pub fn likeliest(logits: &Tensor<2>) -> Option<Tensor<2>> {
    #[cfg(feature = "cube")]
    {
        let [_, columns] = logits.dims();
        let logits = logits.clone().inner();
        if columns <= kernels::likeliest::MAX_COLUMNS
            && on_kernels(&logits.device(), &[logits.dtype()])
        {
            let logits = kernels::into_cube(logits);
            return Some(kernels::from_cube(kernels::likeliest::run(&logits)));
        }
    }
    let _ = logits;
    None
}

/// The k rows of the index that are most similar to each query, best first: [`top_k`] of [`cosine_scores`].
///
/// # Shapes
/// queries `[Q, D]`, index `[N, D]` -> scores `[Q, k]` and row numbers `[Q, k]`.
///
/// # Panics
/// When the widths disagree or k is not in 1..=N.
pub fn cosine_top_k(queries: Tensor<2>, index: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    #[cfg(feature = "cpu")]
    {
        let (queries, index) = (queries.clone().inner(), index.clone().inner());
        let ([count, width], [rows, index_width]) = (queries.dims(), index.dims());
        let is_few = (1..=flex_nearest::FEW).contains(&count) && width > 0;
        let is_sound = width == index_width && (1..=rows).contains(&k);
        let here = [&queries, &index].map(|x| on_flex(&x.device(), x.dtype()));
        if is_few && is_sound && here == [true, true] {
            return flex_nearest::cosine_top_k(queries, index, k);
        }
    }
    top_k(cosine_scores(queries, index), k)
}

#[cfg(feature = "cube")]
fn top_k_on_kernels(scores: Tensor<2>, k: usize) -> (Tensor<2>, Tensor<2, Int>) {
    let (mut scores, columns) = kernels::top_k::run(&kernels::into_cube(scores), k);
    let mut ids: Tensor<2, Int> = kernels::from_cube(columns);
    while scores.meta.shape()[1] > k {
        let (best, columns) = kernels::top_k::run(&scores, k);
        ids = ids.gather(1, kernels::from_cube(columns));
        scores = best;
    }
    (kernels::from_cube(scores), ids)
}

/// Intersection over union of every pair of boxes.
///
/// # Shapes
/// a `[N, 4]`, b `[M, 4]`, both as x0 y0 x1 y1 in any one unit -> `[N, M]` in 0..=1. A degenerate
/// box (no area, or a NaN in it) overlaps nothing.
///
/// # Panics
/// When a row is not a box.
pub fn pairwise_iou(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    assert_eq!(
        [a.dims()[1], b.dims()[1]],
        [4, 4],
        "pairwise_iou: a box has 4 sides"
    );
    let (a, b) = (a.inner(), b.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&a.device(), &[a.dtype(), b.dtype()]) {
        let [a, b] = [a, b].map(kernels::into_cube);
        return kernels::from_cube(kernels::pairwise_iou::run(&a, &b));
    }
    reference::pairwise_iou(a, b)
}

/// Greedy non-maximum suppression: the best box strikes out those that overlap it by more than
/// `iou_threshold`, then the next best that still stands does, and so on.
///
/// # Shapes
/// boxes `[N, 4]` as x0 y0 x1 y1, scores `[N]` -> mask `[N]`, 1 for a box that is kept. Of equal
/// scores the lower number goes first. A box whose score is NaN or minus infinity is not kept and
/// strikes out nothing.
///
/// # Panics
/// When the shapes disagree.
pub fn nms(boxes: Tensor<2>, scores: Tensor<1>, iou_threshold: f32) -> Tensor<1, Int> {
    let [count] = scores.dims();
    assert_eq!(boxes.dims(), [count, 4], "nms: boxes for {count} scores");
    let (boxes, scores) = (boxes.inner(), scores.inner());
    #[cfg(feature = "cube")]
    if on_kernels(&boxes.device(), &[boxes.dtype(), scores.dtype()]) {
        let (boxes, scores) = (kernels::into_cube(boxes), kernels::into_cube(scores));
        return kernels::from_cube(kernels::nms::run(&boxes, &scores, iou_threshold));
    }
    reference::nms(boxes, scores, iou_threshold)
}
