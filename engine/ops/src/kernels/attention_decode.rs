//! Launch of `attention_decode.wgsl`: one query position over the key/value cache.

use super::Access::{Read, Write};
use super::{Grid, Kernel, MAX_GROUPS, common, launch, word};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;

const MAIN: &str = include_str!("../../../../shaders/attention_decode.wgsl");

/// Table entry for rows that begin at the first column.
pub static KERNEL: Kernel = Kernel::new(
    "attention_decode",
    &[common::REDUCE, common::LANE_MAX, common::ROWS_WHOLE, MAIN],
    128,
    &[Read, Read, Read, Write],
    6,
);

/// Table entry for rows that begin where a tensor says.
pub static PADDED: Kernel = Kernel::new(
    "attention_decode_padded",
    &[common::REDUCE, common::LANE_MAX, common::ROWS_PADDED, MAIN],
    128,
    &[Read, Read, Read, Write, Read],
    6,
);

/// Table entry for one row, whose end a tensor says.
pub static STEP: Kernel = Kernel::new(
    "attention_decode_step",
    &[common::REDUCE, common::LANE_MAX, common::ROWS_STEP, MAIN],
    128,
    &[Read, Read, Read, Write, Read],
    6,
);

/// Where the rows of a cache begin and end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rows<'a> {
    /// From the first column to the last that is valid.
    Whole,
    /// From the columns `[B]` to the last that is valid.
    Padded(&'a CubeTensor),
    /// One row from the first column to that of the newest position, which is told behind its turns `[2 D + 1]`.
    Step(&'a CubeTensor),
}

/// Sizes of an attention over a cache.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    /// B
    pub batch: usize,
    /// H
    pub heads: usize,
    /// Hkv, divides H
    pub kv_heads: usize,
    /// T, positions the cache holds
    pub capacity: usize,
    /// Positions that are valid, 1..=T
    pub len: usize,
    /// D
    pub width: usize,
}

impl Sizes {
    /// Whether the kernel can do it: heads are read as vec4s, a workgroup holds one in a row of
    /// its memory, and the grid is not folded.
    pub fn supported(&self) -> bool {
        self.width.is_multiple_of(4)
            && self.width / 4 <= KERNEL.workgroup as usize
            && self.batch * self.heads <= MAX_GROUPS
    }

    /// One workgroup a head.
    pub fn plan(&self) -> Grid {
        Grid::folded(self.batch * self.heads, 1)
    }

    fn params(&self) -> [u32; 6] {
        let scale = 1.0 / (self.width as f32).sqrt();
        [
            word(self.heads),
            word(self.kv_heads),
            word(self.capacity),
            word(self.len),
            word(self.width / 4),
            scale.to_bits(),
        ]
    }
}

/// q `[B, H, 1, D]`, k and v `[B, Hkv, T, D]` -> `[B, H, 1, D]`; asks for [`Sizes::supported`].
pub(crate) fn run([q, k, v]: [&CubeTensor; 3], rows: Rows<'_>, sizes: Sizes) -> CubeTensor {
    let attended = launch::output(q, [sizes.batch, sizes.heads, 1, sizes.width], DType::F32);
    let mut tensors = vec![q, k, v, &attended];
    let kernel = match rows {
        Rows::Whole => &KERNEL,
        Rows::Padded(begins) => {
            tensors.push(begins);
            &PADDED
        }
        Rows::Step(step) => {
            tensors.push(step);
            &STEP
        }
    };
    launch::launch(kernel, sizes.plan(), &tensors, &sizes.params());
    attended
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMOLLM: Sizes = Sizes {
        batch: 2,
        heads: 9,
        kv_heads: 3,
        capacity: 512,
        len: 7,
        width: 64,
    };

    #[test]
    fn a_workgroup_serves_a_head() {
        assert_eq!(SMOLLM.plan(), Grid([18, 1, 1]));
    }

    #[test]
    fn odd_wide_and_countless_heads_are_left_to_the_plain_body() {
        assert!(SMOLLM.supported());
        assert!(
            Sizes {
                width: 512,
                ..SMOLLM
            }
            .supported()
        );
        assert!(
            !Sizes {
                width: 516,
                ..SMOLLM
            }
            .supported()
        );
        assert!(
            !Sizes {
                width: 66,
                ..SMOLLM
            }
            .supported()
        );
        assert!(
            !Sizes {
                batch: 10_000,
                ..SMOLLM
            }
            .supported()
        );
    }
}
