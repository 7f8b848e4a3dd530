//! Launch of `rotate_into_cache.wgsl`: new heads turned by rotary positions, keys and values into their columns of a cache.

use super::{Grid, Kernel, common, heads, launch, word};
use burn::tensor::{DType, Tensor};
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "rotate_into_cache",
    &[
        common::GRID,
        common::TURNS,
        include_str!("../../../../shaders/rotate_into_cache.wgsl"),
    ],
    WORKGROUP,
    8,
    13,
);

/// An invocation a number.
pub fn plan(numbers: usize) -> Grid {
    Grid::folded(numbers.div_ceil(WORKGROUP as usize), 1)
}

/// new q `[B, H, T, D]`, k and v `[B, Hkv, T, D]`, turns cos and sin `[B or 1, 1, T, D]`, cache keys and values
/// `[B, Hkv, capacity, D]` -> q turned and the cache, of which `column` is the first that is written; in place where nobody else holds it.
pub(crate) fn run(
    [q, k, v]: [Tensor<4>; 3],
    [cos, sin]: [&CubeTensor; 2],
    cache: [CubeTensor; 2],
    column: usize,
) -> [CubeTensor; 3] {
    let [batch, count, tokens, width] = q.dims();
    let [_, kv_heads, ..] = k.dims();
    let (q, of_q) = heads::as_they_lie(q);
    let (k, v, of_k) = heads::alike(k, v);
    let [tables, ..] = cos.meta.shape().dims::<4>();
    let [keys, values] = cache.map(|cache| if cache.can_mut() { cache } else { cache.copy() });
    let [_, _, capacity, _] = keys.meta.shape().dims::<4>();
    let turned = launch::output(&q, [batch, count, tokens, width], DType::F32);
    let turns = tokens * width;
    let (q_own, k_own) = (count * turns, kv_heads * turns);
    let (queries, new) = (batch * q_own, batch * k_own);
    let sizes = [
        queries, new, q_own, k_own, turns, width, tables, capacity, column,
    ];
    let steps = [of_q.head, of_q.token, of_k.head, of_k.token];
    let params: Vec<u32> = sizes.into_iter().chain(steps).map(word).collect();
    let tensors = [&q, &k, &v, cos, sin, &keys, &values, &turned];
    launch::launch(&KERNEL, plan(queries + 2 * new), &tensors, &params);
    [turned, keys, values]
}
