//! Launch of `attention.wgsl`: many queries over keys and values, tile by tile.

use super::{Grid, Kernel, MAX_GROUPS, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

/// Queries of a workgroup; `QUERIES` of the text.
const QUERIES: usize = 8;
/// Widest head; 4 `MOST_VEC4S` of the text.
const WIDEST: usize = 128;

/// Table entry.
pub static KERNEL: Kernel = Kernel::new(
    "attention",
    &[
        common::GRID,
        include_str!("../../../shaders/attention.wgsl"),
    ],
    64,
    4,
    8,
);

/// Sizes of an attention.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// B
    pub batch: usize,
    /// H
    pub heads: usize,
    /// Hkv, divides H
    pub kv_heads: usize,
    /// T
    pub queries: usize,
    /// Positions the keys and values have room for.
    pub capacity: usize,
    /// Positions that are valid, T..=capacity.
    pub len: usize,
    /// D
    pub width: usize,
    /// Whether a query sees nothing behind itself; the queries are the last positions then.
    pub causal: bool,
}

impl Sizes {
    /// Whether the kernel can do it: heads are read as vec4s, a tile of them fits a workgroup's memory, and a head is a z slice.
    pub fn supported(&self) -> bool {
        self.width.is_multiple_of(4)
            && self.width <= WIDEST
            && self.batch * self.heads <= MAX_GROUPS
    }

    /// A workgroup a tile of queries of a head.
    pub fn plan(&self) -> Grid {
        Grid::folded(self.queries.div_ceil(QUERIES), self.batch * self.heads)
    }

    fn params(&self) -> [u32; 8] {
        let scale = 1.0 / (self.width as f32).sqrt();
        [
            word(self.heads),
            word(self.kv_heads),
            word(self.queries),
            word(self.capacity),
            word(self.len),
            word(self.width / 4),
            u32::from(self.causal),
            scale.to_bits(),
        ]
    }
}

/// q `[B, H, T, D]`, k and v `[B, Hkv, capacity, D]` -> `[B, H, T, D]`; asks for [`Sizes::supported`].
pub(crate) fn run(q: &CubeTensor, k: &CubeTensor, v: &CubeTensor, sizes: Sizes) -> CubeTensor {
    let shape = [sizes.batch, sizes.heads, sizes.queries, sizes.width];
    let attended = launch::output(q, shape, DType::F32);
    let tensors = [q, k, v, &attended];
    launch::launch(&KERNEL, sizes.plan(), &tensors, &sizes.params());
    attended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_eight_queries_of_a_head() {
        let sizes = Sizes {
            batch: 2,
            heads: 9,
            kv_heads: 3,
            queries: 33,
            capacity: 512,
            len: 40,
            width: 64,
            causal: true,
        };
        assert_eq!(sizes.plan(), Grid([5, 1, 18]));
        assert!(sizes.supported());
        let refused = [(132, 2), (66, 2), (64, 10_000)];
        for (width, batch) in refused {
            assert!(
                !Sizes {
                    width,
                    batch,
                    ..sizes
                }
                .supported()
            );
        }
    }
}
