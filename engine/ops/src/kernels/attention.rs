//! Launch of `attention.wgsl`: many queries over keys and values, tile by tile.

use super::Access::{Read, Write};
use super::heads::{self, Heads};
use super::{Grid, Kernel, MAX_GROUPS, common, from_cube, launch, word};
use burn::tensor::{DType, Tensor};
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../../shaders/attention.wgsl");
const WORKGROUP: u32 = 64;
/// Widest head of each entry, and the queries of a workgroup; 4 `MOST_VEC4S` and `QUERIES` of the texts.
const NARROW_HEAD: usize = 64;
const NARROW_QUERIES: usize = 32;
const WIDE_HEAD: usize = 128;
const WIDE_QUERIES: usize = 16;

/// The table entry of a width of heads, and of a kind of rows.
macro_rules! entry {
    ($name:ident, $text:literal, $buffers:expr, $head:expr, $rows:expr) => {
        #[doc = concat!("Table entry `", $text, "`.")]
        pub static $name: Kernel = Kernel::new(
            $text,
            &[common::GRID, $head, $rows, MAIN],
            WORKGROUP,
            $buffers,
            12,
        );
    };
}

entry!(
    NARROW,
    "attention_64",
    &[Read, Read, Read, Write],
    common::HEAD_64,
    common::ROWS_WHOLE
);
entry!(
    WIDE,
    "attention_128",
    &[Read, Read, Read, Write],
    common::HEAD_128,
    common::ROWS_WHOLE
);
entry!(
    NARROW_PADDED,
    "attention_64_padded",
    &[Read, Read, Read, Write, Read],
    common::HEAD_64,
    common::ROWS_PADDED
);
entry!(
    WIDE_PADDED,
    "attention_128_padded",
    &[Read, Read, Read, Write, Read],
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
    /// Positions that are valid, at least T.
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

    fn params(&self, q: Heads, kv: Heads) -> [u32; 12] {
        let scale = 1.0 / (self.width as f32).sqrt();
        let vec4s = |numbers: usize| word(numbers / 4);
        [
            word(self.heads),
            word(self.kv_heads),
            word(self.queries),
            word(self.len),
            vec4s(self.width),
            u32::from(self.causal),
            scale.to_bits(),
            vec4s(q.head),
            vec4s(q.token),
            vec4s(kv.batch),
            vec4s(kv.head),
            vec4s(kv.token),
        ]
    }
}

/// q `[B, H, T, D]`, k and v `[B, Hkv, at least len, D]`, `begins` `[B]` the columns at which rows begin, where not all begin at
/// the first -> `[B, H, T, D]`, whose tokens lie together in memory; asks for [`Sizes::supported`].
pub(crate) fn run(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    begins: Option<&CubeTensor>,
    sizes: Sizes,
) -> Tensor<4> {
    let (q, of_q) = heads::as_they_lie(q);
    let (k, v, of_kv) = heads::alike(k, v);
    let shape = [sizes.batch, sizes.queries, sizes.heads, sizes.width];
    let attended = launch::output(&q, shape, DType::F32);
    let mut tensors = vec![&q, &k, &v, &attended];
    tensors.extend(begins);
    let kernel = sizes.kernel(begins.is_some());
    let params = sizes.params(of_q, of_kv);
    launch::launch(kernel, sizes.plan(), &tensors, &params);
    from_cube::<Tensor<4>>(attended).swap_dims(1, 2)
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
