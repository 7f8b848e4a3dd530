//! Launch of `attention.wgsl`: many queries over keys and values, tile by tile.

use super::{Grid, Kernel, MAX_GROUPS, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../shaders/attention.wgsl");
const WORKGROUP: u32 = 64;
/// Widest head of each entry, and the queries of a workgroup; 4 `MOST_VEC4S` and `QUERIES` of the texts.
const NARROW_HEAD: usize = 64;
const NARROW_QUERIES: usize = 32;
const WIDE_HEAD: usize = 128;
const WIDE_QUERIES: usize = 16;

/// The table entry of a width of heads, and of a kind of rows.
macro_rules! entry {
    ($name:ident, $text:literal, $buffers:literal, $head:expr, $rows:expr) => {
        #[doc = concat!("Table entry `", $text, "`.")]
        pub static $name: Kernel = Kernel::new(
            $text,
            &[common::GRID, $head, $rows, MAIN],
            WORKGROUP,
            $buffers,
            8,
        );
    };
}

entry!(
    NARROW,
    "attention_64",
    4,
    common::HEAD_64,
    common::ROWS_WHOLE
);
entry!(
    WIDE,
    "attention_128",
    4,
    common::HEAD_128,
    common::ROWS_WHOLE
);
entry!(
    NARROW_PADDED,
    "attention_64_padded",
    5,
    common::HEAD_64,
    common::ROWS_PADDED
);
entry!(
    WIDE_PADDED,
    "attention_128_padded",
    5,
    common::HEAD_128,
    common::ROWS_PADDED
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
            && self.width <= WIDE_HEAD
            && self.batch * self.heads <= MAX_GROUPS
    }

    /// A workgroup a tile of queries of a head.
    pub fn plan(&self) -> Grid {
        let queries = match self.is_narrow() {
            true => NARROW_QUERIES,
            false => WIDE_QUERIES,
        };
        Grid::folded(self.queries.div_ceil(queries), self.batch * self.heads)
    }

    fn is_narrow(&self) -> bool {
        self.width <= NARROW_HEAD
    }

    fn kernel(&self, is_padded: bool) -> &'static Kernel {
        match (self.is_narrow(), is_padded) {
            (true, false) => &NARROW,
            (true, true) => &NARROW_PADDED,
            (false, false) => &WIDE,
            (false, true) => &WIDE_PADDED,
        }
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

/// q `[B, H, T, D]`, k and v `[B, Hkv, capacity, D]`, `begins` `[B]` the columns at which rows begin, where not all begin at the
/// first -> `[B, H, T, D]`; asks for [`Sizes::supported`].
pub(crate) fn run(
    q: &CubeTensor,
    k: &CubeTensor,
    v: &CubeTensor,
    begins: Option<&CubeTensor>,
    sizes: Sizes,
) -> CubeTensor {
    let shape = [sizes.batch, sizes.heads, sizes.queries, sizes.width];
    let attended = launch::output(q, shape, DType::F32);
    let mut tensors = vec![q, k, v, &attended];
    tensors.extend(begins);
    let kernel = sizes.kernel(begins.is_some());
    launch::launch(kernel, sizes.plan(), &tensors, &sizes.params());
    attended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workgroup_serves_queries_of_a_head() {
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
        assert_eq!(sizes.plan(), Grid([2, 1, 18]));
        assert_eq!(Sizes { width: 80, ..sizes }.plan(), Grid([3, 1, 18]));
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
