//! Launch of `rotate_into_cache.wgsl`: new heads turned by rotary positions, keys and values into their columns of a cache.

use super::Access::{Read, Update, Write};
use super::{Grid, Kernel, common, heads, launch, word};
use burn::tensor::{DType, Tensor};
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

const MAIN: &str = include_str!("../../../../shaders/rotate_into_cache.wgsl");

/// Table entry for turns from tables.
pub static KERNEL: Kernel = Kernel::new(
    "rotate_into_cache",
    &[common::GRID, common::TURNS, common::TURNS_OF_TABLES, MAIN],
    WORKGROUP,
    &[Read, Read, Read, Update, Update, Write, Read, Read],
    13,
);

/// Table entry for a token whose turns and column are told on the device.
pub static STEP: Kernel = Kernel::new(
    "rotate_into_cache_step",
    &[common::GRID, common::TURNS, common::TURNS_OF_STEP, MAIN],
    WORKGROUP,
    &[Read, Read, Read, Update, Update, Write, Read],
    13,
);

/// Where turns and the first column come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Turns<'a> {
    /// Cosines and sines `[B or 1, 1, T, D]`, and the column.
    Tables([&'a CubeTensor; 2], usize),
    /// `[2 D + 1]`: cosines, sines and column of the one token of one row.
    Step(&'a CubeTensor),
}

/// An invocation a number.
pub fn plan(numbers: usize) -> Grid {
    Grid::folded(numbers.div_ceil(WORKGROUP as usize), 1)
}

/// new q `[B, H, T, D]`, k and v `[B, Hkv, T, D]`, cache keys and values `[B, Hkv, capacity, D]`, of which the columns from the first on
/// are written -> q turned and the cache; in place where nobody else holds it.
pub(crate) fn run(
    [q, k, v]: [Tensor<4>; 3],
    turns: Turns<'_>,
    cache: [CubeTensor; 2],
) -> [CubeTensor; 3] {
    let [batch, count, tokens, width] = q.dims();
    let [_, kv_heads, ..] = k.dims();
    let (q, of_q) = heads::as_they_lie(q);
    let (k, v, of_k) = heads::alike(k, v);
    let [keys, values] = cache.map(|cache| if cache.can_mut() { cache } else { cache.copy() });
    let [_, _, capacity, _] = keys.meta.shape().dims::<4>();
    let turned = launch::output(&q, [batch, count, tokens, width], DType::F32);
    let a_head = tokens * width;
    let (q_own, k_own) = (count * a_head, kv_heads * a_head);
    let (queries, new) = (batch * q_own, batch * k_own);
    let mut tensors = vec![&q, &k, &v, &keys, &values, &turned];
    let (kernel, tables, column) = match turns {
        Turns::Tables([cos, sin], column) => {
            tensors.extend([cos, sin]);
            let [tables, ..] = cos.meta.shape().dims::<4>();
            (&KERNEL, tables, column)
        }
        Turns::Step(step) => {
            tensors.push(step);
            (&STEP, 1, 0)
        }
    };
    let sizes = [
        queries, new, q_own, k_own, a_head, width, tables, capacity, column,
    ];
    let steps = [of_q.head, of_q.token, of_k.head, of_k.token];
    let params: Vec<u32> = sizes.into_iter().chain(steps).map(word).collect();
    launch::launch(kernel, plan(queries + 2 * new), &tensors, &params);
    [turned, keys, values]
}
