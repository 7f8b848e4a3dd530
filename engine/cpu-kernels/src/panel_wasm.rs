//! A panel's sums as compilers of WebAssembly need them written.
//!
//! There are 15 registers and no folded loads, and each check, index or jump back competes with the products: written as for
//! other processors, half of the instructions were neither a load nor a product nor a sum.
#![allow(
    unsafe_code,
    reason = "numbers are read behind one check of all lengths instead of one each"
)]

use crate::activations::{Activations, Row, of_length};
use crate::lanes::{Lanes, PAIRS};
use crate::packed_rows::PackedRows;
use crate::panel::{self, Panel};
use crate::product::Room;

/// Pairs of columns between two jumps back.
const TOGETHER: usize = 4;

/// The product of many rows of activations, two with 16 rows of weights at a time: eight sums, four registers of codes, one of
/// activations and a product on its way to a sum.
pub(crate) fn product<L: Lanes<4>>(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    match w.bits().scales() {
        1 => many::<L, 1>(w, x, y),
        _ => many::<L, 2>(w, x, y),
    }
}

#[inline(never)]
fn many<L: Lanes<4>, const S: usize>(w: PackedRows<'_>, x: &Activations, y: &mut [Room]) {
    panel::product::<L, 4, 4, 2, S>(w, x, y);
}

/// The sums of a panel's rows with `T` rows of activations, of `S` scales a group.
///
/// Offsets are added behind all groups: within them they would take the registers of the sums.
#[inline(always)]
pub(crate) fn sums<L: Lanes<W>, const W: usize, const V: usize, const T: usize, const S: usize>(
    panel: &Panel<W, V>,
    x: [Row<'_>; T],
) -> [[L::Real; V]; T] {
    let groups = panel.codes.len();
    let x = of_length(x, groups);
    let scales = &panel.scales.as_chunks::<S>().0[..groups];
    // Not known to the compiler, for which the end of a share could be behind every pair: it would bring the loads of several
    // pairs together, and the registers do not suffice.
    let share = core::hint::black_box(PAIRS / S);
    let mut codes = panel.codes.as_flattened().as_ptr();
    let mut pairs: [*const [i16; 2]; T] = [core::ptr::null(); T];
    for t in 0..T {
        pairs[t] = x[t].codes.as_ptr().cast();
    }
    let mut sums = [[L::splat(0.0); V]; T];
    for (group, scales) in scales.iter().enumerate() {
        for scales in scales {
            let mut whole = [[L::zeros(); V]; T];
            let mut left = share;
            'share: loop {
                for step in 0..TOGETHER {
                    // SAFETY: the panel and each row have `groups * PAIRS` pairs, of which every share reads the next
                    // `PAIRS / S`.
                    unsafe {
                        let codes = &*codes.add(step);
                        for t in 0..T {
                            let x = L::pair(&*pairs[t].add(step));
                            for v in 0..V {
                                whole[t][v] = L::dot(whole[t][v], L::codes(&codes[v]), x);
                            }
                        }
                    }
                    if left == step + 1 {
                        break 'share;
                    }
                }
                left -= TOGETHER;
                codes = codes.wrapping_add(TOGETHER);
                for pairs in &mut pairs {
                    *pairs = pairs.wrapping_add(TOGETHER);
                }
            }
            codes = codes.wrapping_add(TOGETHER);
            for t in 0..T {
                pairs[t] = pairs[t].wrapping_add(TOGETHER);
                let x = L::splat(x[t].scales[group]);
                for v in 0..V {
                    let scale = L::mul(L::load(&scales[v]), x);
                    sums[t][v] = L::mul_add(L::real(whole[t][v]), scale, sums[t][v]);
                }
            }
        }
    }
    for (group, leasts) in panel.leasts.iter().enumerate() {
        for t in 0..T {
            let x = L::splat(x[t].sums[group]);
            for v in 0..V {
                sums[t][v] = L::mul_add(L::load(&leasts[v]), x, sums[t][v]);
            }
        }
    }
    sums
}
