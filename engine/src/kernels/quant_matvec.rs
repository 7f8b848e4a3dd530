//! Launches of `quant_matvec.wgsl`, whose sums go to their places or onto what is there, and of its gated relative, with one of the
//! block formats of `shaders/common`.

use super::{Grid, Kernel, common, launch, word};
use crate::blocks::{BLOCK, QuantKind};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Invocations that share a row of the matrix; `LANES` of the text.
pub const LANES: u32 = 32;

/// The table entries of one text: of Q4_0 and of Q8_0 blocks.
macro_rules! entries {
    ($name:literal, $text:literal, $buffers:literal, $q4_0:ident, $q8_0:ident, [$($common:expr),*]) => {
        /// Table entry for Q4_0 blocks.
        pub static $q4_0: Kernel = Kernel::new(
            concat!($name, "_q4_0"),
            &[
                common::GRID, common::REDUCE, common::GGML, common::Q4_0, common::ROW_DOT, $($common,)*
                include_str!(concat!("../../../shaders/", $text)),
            ],
            WORKGROUP,
            $buffers,
            4,
        );
        /// Table entry for Q8_0 blocks.
        pub static $q8_0: Kernel = Kernel::new(
            concat!($name, "_q8_0"),
            &[
                common::GRID, common::REDUCE, common::GGML, common::Q8_0, common::ROW_DOT, $($common,)*
                include_str!(concat!("../../../shaders/", $text)),
            ],
            WORKGROUP,
            $buffers,
            4,
        );
    };
}

entries!(
    "quant_matvec",
    "quant_matvec.wgsl",
    3,
    Q4_0,
    Q8_0,
    [common::PUT]
);
entries!(
    "quant_matvec_onto",
    "quant_matvec.wgsl",
    4,
    ONTO_Q4_0,
    ONTO_Q8_0,
    [common::PUT_ONTO]
);
entries!(
    "quant_matvec_gated",
    "quant_matvec_gated.wgsl",
    3,
    GATED_Q4_0,
    GATED_Q8_0,
    [common::SILU]
);

/// Workgroups for M rows of activations times N rows of the matrix.
pub fn plan(m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil((WORKGROUP / LANES) as usize), m)
}

/// x `[M, K]`, blocks `[N, words]` of `kind` -> `[M, N]`.
pub(crate) fn run(x: &CubeTensor, blocks: &CubeTensor, kind: QuantKind) -> CubeTensor {
    let [n, _] = blocks.meta.shape().dims();
    launched(of(kind, [&Q4_0, &Q8_0]), [x, blocks], None, n)
}

/// The same, added to `onto` `[M, N]`.
pub(crate) fn run_onto(
    x: &CubeTensor,
    blocks: &CubeTensor,
    kind: QuantKind,
    onto: &CubeTensor,
) -> CubeTensor {
    let [n, _] = blocks.meta.shape().dims();
    let kernel = of(kind, [&ONTO_Q4_0, &ONTO_Q8_0]);
    launched(kernel, [x, blocks], Some(onto), n)
}

/// x `[M, K]`, blocks `[2 N, words]` of a gate and what it lets through -> `silu(x gateᵀ) (x upᵀ)` `[M, N]`.
pub(crate) fn run_gated(x: &CubeTensor, blocks: &CubeTensor, kind: QuantKind) -> CubeTensor {
    let [both, _] = blocks.meta.shape().dims();
    launched(
        of(kind, [&GATED_Q4_0, &GATED_Q8_0]),
        [x, blocks],
        None,
        both / 2,
    )
}

/// The table entry for blocks of `kind`.
fn of(kind: QuantKind, [q4_0, q8_0]: [&'static Kernel; 2]) -> &'static Kernel {
    match kind {
        QuantKind::Q4_0 => q4_0,
        QuantKind::Q8_0 => q8_0,
        other => unreachable!("{other:?} is expanded when it is read (`QuantMatrix::keeps`)"),
    }
}

fn launched(
    kernel: &'static Kernel,
    [x, blocks]: [&CubeTensor; 2],
    onto: Option<&CubeTensor>,
    n: usize,
) -> CubeTensor {
    let [m, k] = x.meta.shape().dims();
    let [_, row_words] = blocks.meta.shape().dims();
    let y = launch::output(x, [m, n], DType::F32);
    let params = [n, row_words, k / BLOCK, k / 4].map(word);
    let tensors: Vec<&CubeTensor> = [x, blocks].into_iter().chain(onto).chain([&y]).collect();
    launch::launch(kernel, plan(m, n), &tensors, &params);
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_two_rows_and_a_slice_one_activation() {
        assert_eq!(plan(1, 576), Grid([288, 1, 1]));
        assert_eq!(plan(3, 5), Grid([3, 1, 3]));
    }
}
