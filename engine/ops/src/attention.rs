//! Attention: of a whole sequence, with gradients where they are asked for, and of new positions over a cache.

use burn::tensor::Tensor;
#[cfg(feature = "cube")]
use burn::tensor::{DType, Device, Int, TensorData};

#[cfg(all(feature = "cpu", feature = "train"))]
use super::attention_grad;
#[cfg(feature = "cpu")]
use super::on_flex;
#[cfg(feature = "cube")]
use super::on_kernels;
use super::{Seen, matmul, reference};
#[cfg(feature = "cpu")]
use super::{flex_attention, flex_cached};
#[cfg(feature = "cube")]
use crate::kernels;

/// Attention of as many queries as keys.
///
/// # Shapes
/// q, k, v, output: `[B, H, T, D]`; scores are scaled by `1 / sqrt(D)`.
///
/// # Panics
/// When shapes disagree, or `seen` is for another number of tokens.
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, seen: &Seen) -> Tensor<4> {
    assert_eq!(q.dims(), k.dims(), "attention: queries and keys");
    assert_eq!(k.dims(), v.dims(), "attention: keys and values");
    let tokens = q.dims()[2];
    let shared = seen.tokens();
    assert!(
        shared.is_none_or(|shared| shared == tokens),
        "attention: {tokens} tokens for {seen:?}"
    );
    #[cfg(feature = "cpu")]
    if flex_attention::supported(q.dims()[3]) && on_flex(&q.device().inner(), q.dtype()) {
        #[cfg(feature = "train")]
        if q.is_autodiff() {
            return attention_grad::attention(q, k, v, seen.clone());
        }
        return flex_attention::attention(q, k, v, seen);
    }
    #[cfg(feature = "cube")]
    if shared.is_none() && on_kernels(&q.device(), &[q.dtype(), k.dtype(), v.dtype()]) {
        let [batch, heads, queries, width] = q.dims();
        let sizes = kernels::attention::Sizes {
            batch,
            heads,
            kv_heads: heads,
            queries,
            len: tokens,
            width,
            causal: matches!(seen, Seen::Before),
        };
        if sizes.supported() {
            return kernels::attention::run(q, k, v, None, sizes);
        }
    }
    let hidden = match seen {
        Seen::All | Seen::Before => None,
        Seen::Shared(shared) => Some(shared.mask(&q.device())),
    };
    matmul::attention(q, k, v, hidden, matches!(seen, Seen::Before))
}

/// Attention of the newest positions over the key/value cache, in which they are already.
///
/// # Shapes
/// q `[B, H, T, D]`, k and v `[B, Hkv, capacity, D]` -> `[B, H, T, D]`. The queries are the positions `len - T..len`. Query
/// head h reads key/value head `h / (H / Hkv)`; scores are scaled by `1 / sqrt(D)`. A query of row b sees the positions
/// from `starts[b]` up to its own. What columns before `starts[b]` and from `len` on hold (even NaN) has no influence; the new
/// positions behind a query have none either as long as they are finite. A query before its row's start sees nothing; what comes
/// of it is a number without meaning.
///
/// # Panics
/// When shapes disagree, `len` is not in T..=capacity, or a row begins at or behind it.
pub fn cached_attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    starts: &[usize],
    len: usize,
) -> Tensor<4> {
    let [batch, heads, queries, width] = q.dims();
    let [_, kv_heads, capacity, _] = k.dims();
    assert_eq!(
        k.dims(),
        [batch, kv_heads, capacity, width],
        "cached_attention: keys for q {:?}",
        q.dims()
    );
    assert_eq!(v.dims(), k.dims(), "cached_attention: values and keys");
    assert!(
        heads.is_multiple_of(kv_heads),
        "cached_attention: {heads} heads over {kv_heads}"
    );
    assert!(
        (queries.max(1)..=capacity).contains(&len),
        "cached_attention: {len} of {capacity} positions"
    );
    assert!(
        starts.len() == batch && starts.iter().all(|&start| start < len),
        "cached_attention: rows from {starts:?} to {len}"
    );
    let (q, k, v) = (q.inner(), k.inner(), v.inner());
    if queries == 0 {
        return q;
    }
    #[cfg(feature = "cube")]
    if let Some(attended) = cached_on_kernels([&q, &k, &v], starts, len) {
        return attended;
    }
    #[cfg(feature = "cpu")]
    if [&q, &k, &v].iter().all(|x| on_flex(&x.device(), x.dtype())) {
        return flex_cached::cached_attention(q, k, v, starts, len);
    }
    reference::cached_attention(q, k, v, starts, len)
}

/// [`cached_attention`] by a kernel; `None` where none can do it.
#[cfg(feature = "cube")]
fn cached_on_kernels(
    [q, k, v]: [&Tensor<4>; 3],
    starts: &[usize],
    len: usize,
) -> Option<Tensor<4>> {
    let [batch, heads, queries, width] = q.dims();
    let [_, kv_heads, capacity, _] = k.dims();
    if !on_kernels(&q.device(), &[q.dtype(), k.dtype(), v.dtype()]) {
        return None;
    }
    let begins = starts
        .iter()
        .any(|&start| start > 0)
        .then(|| begins(starts, &q.device()));
    let begins = begins.as_ref();
    let own = || [q, k, v].map(Tensor::clone);
    if queries == 1 {
        use kernels::attention_decode::Rows;
        let sizes = kernels::attention_decode::Sizes {
            batch,
            heads,
            kv_heads,
            capacity,
            len,
            width,
        };
        return sizes.supported().then(|| {
            let [q, k, v] = own().map(kernels::into_cube);
            let rows = begins.map_or(Rows::Whole, Rows::Padded);
            let attended = kernels::attention_decode::run([&q, &k, &v], rows, sizes);
            kernels::from_cube(attended)
        });
    }
    let sizes = kernels::attention::Sizes {
        batch,
        heads,
        kv_heads,
        queries,
        len,
        width,
        causal: true,
    };
    sizes.supported().then(|| {
        let [q, k, v] = own();
        kernels::attention::run(q, k, v, begins, sizes)
    })
}

/// The columns at which rows begin, as kernels read them.
#[cfg(feature = "cube")]
fn begins(starts: &[usize], device: &Device) -> burn_cubecl::tensor::CubeTensor {
    // A row begins before `len`, which is no more than a cache has columns: far below 2^31.
    let starts: Vec<i32> = starts.iter().map(|&start| start as i32).collect();
    let rows = starts.len();
    let data = TensorData::new(starts, [rows]);
    kernels::into_cube(Tensor::<1, Int>::from_data(data, (device, DType::I32)))
}
