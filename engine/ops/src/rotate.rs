//! Turning the pairs of a head's elements by angles, and writing them into a cache.

use burn::tensor::Tensor;

#[cfg(feature = "cpu")]
use super::flex_rotate;
#[cfg(feature = "cpu")]
use super::on_flex;
#[cfg(feature = "cube")]
use super::on_kernels;
use super::reference;
#[cfg(feature = "cube")]
use crate::kernels;

/// Rotary positions (Su et al., arXiv 2104.09864) in the half-split layout: `x cos + swapped(x) sin`, of which the second
/// operand has the halves of each head swapped. With gradients where they are asked for.
///
/// # Shapes
/// - x, output: `[B, H, T, D]`, D even
/// - cos, sin: `[B or 1, 1, T, D]`; the minus of the lower half is in the sines
///
/// # Panics
/// When shapes disagree.
pub fn rotate(x: Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    check_turns("rotate", x.dims(), [&cos, &sin]);
    #[cfg(feature = "cpu")]
    if on_flex(&x.device(), x.dtype()) {
        return flex_rotate::rotate(x, cos, sin);
    }
    #[cfg(feature = "cube")]
    if on_kernels(&x.device(), &[x.dtype(), cos.dtype(), sin.dtype()]) {
        let [x, cos, sin] = [x, cos, sin].map(kernels::into_cube);
        return kernels::from_cube(kernels::rotate::run(&x, &cos, &sin));
    }
    reference::rotate(x, cos, sin)
}

/// Refuses turns of other tokens: loops and kernels would read past them, or one head's as another's.
fn check_turns(what: &str, [batch, _, tokens, width]: [usize; 4], turns: [&Tensor<4>; 2]) {
    let [cos, sin] = turns.map(Tensor::dims);
    let tables = cos[0];
    assert!(
        cos == sin
            && cos == [tables, 1, tokens, width]
            && [1, batch].contains(&tables)
            && width.is_multiple_of(2),
        "{what}: turns {cos:?} and {sin:?} of {batch} rows, {tokens} tokens, width {width}"
    );
}

/// [`rotate`] of new queries and keys, of which the keys and the values are written into a cache, behind what is there. Without
/// gradients.
///
/// # Shapes
/// - new: q `[B, H, T, D]`, k and v `[B, Hkv, T, D]`
/// - turns: cos and sin as in [`rotate`]
/// - cache: keys and values `[B, Hkv, capacity, D]`, of which the columns from `column` on are written
/// - output: q turned, and both caches; they are changed in place where they are given away
///
/// # Panics
/// When shapes disagree, or the cache has no such columns.
pub fn rotate_into_cache(
    [q, k, v]: [Tensor<4>; 3],
    [cos, sin]: [Tensor<4>; 2],
    [keys, values]: [Tensor<4>; 2],
    column: usize,
) -> [Tensor<4>; 3] {
    let [batch, kv_heads, tokens, width] = k.dims();
    let capacity = keys.dims()[2];
    assert_eq!(k.dims(), v.dims(), "rotate_into_cache: keys and values");
    let room = [batch, kv_heads, capacity, width];
    assert_eq!(
        [keys.dims(), values.dims()],
        [room; 2],
        "rotate_into_cache: cache"
    );
    assert!(
        q.dims() == [batch, q.dims()[1], tokens, width],
        "rotate_into_cache: queries {:?}",
        q.dims()
    );
    check_turns("rotate_into_cache", k.dims(), [&cos, &sin]);
    assert!(
        column + tokens <= capacity,
        "rotate_into_cache: columns {column}..{} of {capacity}",
        column + tokens
    );
    let new = [q, k, v].map(Tensor::inner);
    let [cos, sin] = [cos, sin].map(Tensor::inner);
    #[cfg(feature = "cpu")]
    if new
        .iter()
        .chain([&keys, &values])
        .all(|x| on_flex(&x.device(), x.dtype()))
    {
        return flex_rotate::rotate_into_cache(new, [cos, sin], [keys, values], column);
    }
    #[cfg(feature = "cube")]
    {
        let dtypes: Vec<_> = new
            .iter()
            .chain([&cos, &sin, &keys, &values])
            .map(Tensor::dtype)
            .collect();
        if on_kernels(&keys.device(), &dtypes) {
            let [cos, sin] = [cos, sin].map(kernels::into_cube);
            let cache = [keys, values].map(kernels::into_cube);
            let turns = kernels::rotate_into_cache::Turns::Tables([&cos, &sin], column);
            let written = kernels::rotate_into_cache::run(new, turns, cache);
            return written.map(kernels::from_cube);
        }
    }
    let [q, k, v] = new;
    let q = rotate(q, cos.clone(), sin.clone());
    let k = rotate(k, cos, sin);
    let place = [0..batch, 0..kv_heads, column..column + tokens, 0..width];
    let keys = keys.slice_assign(place.clone(), k);
    [q, keys, values.slice_assign(place, v)]
}
