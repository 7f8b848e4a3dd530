//! Launches of `matvec.wgsl`, whose sums go to their places or onto what is there, and of its gated relative, with one of the
//! block formats of `shaders/common`.

use super::format::Format;
use super::{Grid, Kernel, common, launch, word};
use crate::blocks::{BLOCK, QuantKind};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const WORKGROUP: u32 = 64;

/// Invocations that share a row of the matrix; `LANES` of the text.
pub const LANES: u32 = 32;

/// The table entry of a text, a format and what becomes of a sum.
macro_rules! entry {
    ($name:ident, $text:literal, $main:literal, $buffers:literal, [$($common:ident),*]) => {
        #[doc = concat!("Table entry `", $text, "`.")]
        pub static $name: Kernel = Kernel::new(
            $text,
            &[
                common::GRID,
                common::REDUCE,
                $(common::$common,)*
                common::ROW_DOT,
                include_str!(concat!("../../../shaders/", $main)),
            ],
            WORKGROUP,
            $buffers,
            4,
        );
    };
}

entry!(F32, "matvec_f32", "matvec.wgsl", 3, [F32, PUT]);
entry!(Q4_0, "matvec_q4_0", "matvec.wgsl", 3, [GGML, Q4_0, PUT]);
entry!(Q8_0, "matvec_q8_0", "matvec.wgsl", 3, [GGML, Q8_0, PUT]);
entry!(
    ONTO_Q4_0,
    "matvec_onto_q4_0",
    "matvec.wgsl",
    4,
    [GGML, Q4_0, PUT_ONTO]
);
entry!(
    ONTO_Q8_0,
    "matvec_onto_q8_0",
    "matvec.wgsl",
    4,
    [GGML, Q8_0, PUT_ONTO]
);
entry!(
    GATED_Q4_0,
    "matvec_gated_q4_0",
    "matvec_gated.wgsl",
    3,
    [GGML, Q4_0, SILU]
);
entry!(
    GATED_Q8_0,
    "matvec_gated_q8_0",
    "matvec_gated.wgsl",
    3,
    [GGML, Q8_0, SILU]
);

/// Workgroups for M rows of activations times N rows of the matrix.
pub fn plan(m: usize, n: usize) -> Grid {
    Grid::folded(n.div_ceil((WORKGROUP / LANES) as usize), m)
}

/// x `[M, K]`, blocks `[N, words]` of `format` -> `[M, N]`.
pub(crate) fn run(x: &CubeTensor, blocks: &CubeTensor, format: Format) -> CubeTensor {
    let [n, _] = blocks.meta.shape().dims();
    let kernel = match format {
        Format::F32 => &F32,
        Format::Q4_0 => &Q4_0,
        Format::Q8_0 => &Q8_0,
    };
    launched(kernel, [x, blocks], None, n)
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
