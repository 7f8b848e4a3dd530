//! Launch of `quant_matmul.wgsl`: with one of the block formats of `shaders/common`, in small tiles or in large ones.

use super::{Grid, Kernel, common, launch, word};
use crate::blocks::{BLOCK, QuantKind};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../shaders/quant_matmul.wgsl");
const WORKGROUP: u32 = 64;

/// The table entry of a size of tiles and a format of the matrix.
macro_rules! entry {
    ($name:ident, $text:literal, $tile:expr, $format:expr) => {
        #[doc = concat!("Table entry `", $text, "`.")]
        pub static $name: Kernel = Kernel::new(
            $text,
            &[common::GRID, common::GGML, $format, $tile, MAIN],
            WORKGROUP,
            3,
            4,
        );
    };
}

entry!(
    Q4_0_32,
    "quant_matmul_q4_0_32",
    common::TILE_32,
    common::Q4_0
);
entry!(
    Q4_0_64,
    "quant_matmul_q4_0_64",
    common::TILE_64,
    common::Q4_0
);
entry!(
    Q8_0_32,
    "quant_matmul_q8_0_32",
    common::TILE_32,
    common::Q8_0
);
entry!(
    Q8_0_64,
    "quant_matmul_q8_0_64",
    common::TILE_64,
    common::Q8_0
);

/// Rows and columns of a workgroup's share of the product; `TILE` of the texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tile {
    Small = 32,
    Large = 64,
}

/// From how many large tiles on they are used: with fewer a GPU has cores without work, and four times as many small ones finish
/// sooner. Not measured on a GPU yet.
const ENOUGH: usize = 96;

impl Tile {
    fn of(m: usize, n: usize) -> Self {
        let side = Self::Large as usize;
        match m.div_ceil(side) * n.div_ceil(side) >= ENOUGH {
            true => Self::Large,
            false => Self::Small,
        }
    }

    /// Workgroups for M rows of activations times N rows of the matrix.
    fn plan(self, m: usize, n: usize) -> Grid {
        let side = self as usize;
        Grid::folded(n.div_ceil(side), m.div_ceil(side))
    }
}

/// x `[M, K]`, blocks `[N, words]` of `kind` -> `[M, N]`.
pub(crate) fn run(x: &CubeTensor, blocks: &CubeTensor, kind: QuantKind) -> CubeTensor {
    let [m, k] = x.meta.shape().dims();
    let [n, row_words] = blocks.meta.shape().dims();
    let tile = Tile::of(m, n);
    let kernel = match (kind, tile) {
        (QuantKind::Q4_0, Tile::Small) => &Q4_0_32,
        (QuantKind::Q4_0, Tile::Large) => &Q4_0_64,
        (QuantKind::Q8_0, Tile::Small) => &Q8_0_32,
        (QuantKind::Q8_0, Tile::Large) => &Q8_0_64,
        (other, _) => unreachable!("{other:?} is expanded when it is read (`QuantMatrix::keeps`)"),
    };
    let y = launch::output(x, [m, n], DType::F32);
    let params = [m, n, row_words, k / BLOCK].map(word);
    launch::launch(kernel, tile.plan(m, n), &[x, blocks, &y], &params);
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_a_square_of_the_product() {
        assert_eq!(Tile::Small.plan(9, 576), Grid([18, 1, 1]));
        assert_eq!(Tile::Small.plan(65, 33), Grid([2, 1, 3]));
        assert_eq!(Tile::Large.plan(65, 33), Grid([1, 1, 2]));
    }

    #[test]
    fn tiles_are_large_where_there_are_enough_of_them() {
        assert_eq!(Tile::of(128, 576), Tile::Small);
        assert_eq!(Tile::of(1024, 768), Tile::Large);
    }
}
