//! The table of WGSL kernels: what each is assembled from and what its launch must provide.
//!
//! A kernel is a text in `shaders/`, a module of the same stem here (parameters, dispatch plan,
//! launch) and a plain-burn body in [`crate::reference`]. Conventions all of them keep:
//!
//! - Tensors are contiguous, row-major f32 or 32-bit integers; none is larger than 2^32 elements.
//! - Every tensor is bound `read_write`: the device hands out slices of shared buffers, and one
//!   buffer may not be bound both read-only and writable in a dispatch.
//! - The last binding is the uniform `params`, uploaded as 32-bit words in declaration order.
//! - Every binding is used in the text: the bind group layout is derived from it.
//! - Nothing of a shape is baked in; one text is compiled once a device.

pub mod activation;
pub mod attention;
pub mod attention_decode;
pub mod cosine_scores;
pub mod depthwise;
pub mod foremost;
pub mod gated_silu;
mod heads;
mod launch;
pub mod layer_norm;
pub mod matmul;
pub mod matvec;
pub mod nms;
pub mod pairwise_iou;
pub(crate) mod product;
pub mod quant_rows;
pub mod recording;
pub mod region_scores;
pub mod rms_norm;
pub mod rotate;
pub mod rotate_into_cache;
pub mod top_k;

use std::hash::Hasher;
use std::sync::OnceLock;

use fnv::FnvHasher;

pub use launch::available;
pub(crate) use launch::{from_cube, into_cube};

/// What a kernel does with a buffer. The runtime takes what a launch that fails was to write for spoilt, and what it was to read for whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes all of it and does not look at what was there.
    Write,
    /// It writes some of it, or reads what it wrote.
    Update,
}

/// One kernel: its text and what a launch has to agree on with it.
#[derive(Debug)]
pub struct Kernel {
    /// Name, unique in [`all`].
    pub name: &'static str,
    /// Texts that are concatenated, helpers first.
    pub sources: &'static [&'static str],
    /// Invocations a workgroup; the text declares the same number.
    pub workgroup: u32,
    /// What it does with its storage buffers, bound from 0 on; the uniform `params` follows.
    pub buffers: &'static [Access],
    /// 32-bit words of the text's `Params` structure.
    pub params_words: usize,
    /// Of the assembled text, once somebody asked.
    hash: OnceLock<u64>,
}

impl Kernel {
    const fn new(
        name: &'static str,
        sources: &'static [&'static str],
        workgroup: u32,
        buffers: &'static [Access],
        params_words: usize,
    ) -> Self {
        Self {
            name,
            sources,
            workgroup,
            buffers,
            params_words,
            hash: OnceLock::new(),
        }
    }

    /// FNV-1a of the assembled text: pipelines are cached by it.
    pub fn hash(&self) -> u64 {
        *self.hash.get_or_init(|| {
            let mut hasher = FnvHasher::default();
            for source in self.sources {
                hasher.write(source.as_bytes());
            }
            hasher.finish()
        })
    }

    /// The text the device compiles.
    pub fn source(&self) -> String {
        self.sources.concat()
    }
}

/// Every kernel that is one text; products are tables of their own.
static SINGLE: [&Kernel; 22] = [
    &activation::GELU,
    &activation::GELU_TANH,
    &attention::NARROW,
    &attention::WIDE,
    &attention::NARROW_PADDED,
    &attention::WIDE_PADDED,
    &attention_decode::KERNEL,
    &attention_decode::PADDED,
    &attention_decode::STEP,
    &cosine_scores::KERNEL,
    &depthwise::KERNEL,
    &foremost::KERNEL,
    &gated_silu::KERNEL,
    &layer_norm::KERNEL,
    &nms::KERNEL,
    &pairwise_iou::KERNEL,
    &region_scores::KERNEL,
    &rms_norm::KERNEL,
    &rotate::KERNEL,
    &rotate_into_cache::KERNEL,
    &rotate_into_cache::STEP,
    &top_k::KERNEL,
];

/// Every kernel of the engine.
pub fn all() -> impl Iterator<Item = &'static Kernel> {
    let products = matmul::ENTRIES.iter().chain(&matvec::ENTRIES).flatten();
    let quantised = matvec::GATED.iter().chain(&quant_rows::ENTRIES);
    SINGLE.into_iter().chain(products).chain(quantised)
}

/// Workgroups a dispatch starts, as x, y and z.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid(pub [u32; 3]);

/// WebGPU's guaranteed number of workgroups along a dimension.
pub const MAX_GROUPS: usize = 65_535;

impl Grid {
    /// `groups` flat workgroups for each of `slices` slices along z.
    ///
    /// More than [`MAX_GROUPS`] are folded over x and y (`common/grid.wgsl` undoes it); the folded
    /// grid has a tail of fewer than y workgroups that the kernel must ignore.
    ///
    /// # Panics
    /// When even the folded grid exceeds the limits: such tensors do not fit a WebGPU buffer.
    pub fn folded(groups: usize, slices: usize) -> Self {
        let y = groups.div_ceil(MAX_GROUPS).max(1);
        let x = groups.div_ceil(y);
        assert!(
            y <= MAX_GROUPS && slices <= MAX_GROUPS,
            "{groups} workgroups times {slices} slices exceed the {MAX_GROUPS} a grid dimension holds"
        );
        Self([x as u32, y as u32, slices as u32])
    }
}

/// A count as the 32 bits a kernel's parameters hold.
///
/// # Panics
/// Above 2^32: no WebGPU buffer holds as many elements.
fn word(count: usize) -> u32 {
    assert!(
        u32::try_from(count).is_ok(),
        "{count} does not fit a kernel parameter of 32 bits"
    );
    count as u32
}

/// Texts of `shaders/common`.
mod common {
    pub(super) const GELU: &str = include_str!("../../../shaders/common/gelu.wgsl");
    pub(super) const PUT_BIASED_ONTO: &str =
        include_str!("../../../shaders/common/put_biased_onto.wgsl");
    pub(super) const PUT_BIASED_ACTIVATED: &str =
        include_str!("../../../shaders/common/put_biased_activated.wgsl");
    pub(super) const PUT_BIASED: &str = include_str!("../../../shaders/common/put_biased.wgsl");
    pub(super) const GELU_TANH: &str = include_str!("../../../shaders/common/gelu_tanh.wgsl");
    pub(super) const A8: &str = include_str!("../../../shaders/common/a8.wgsl");
    pub(super) const A4: &str = include_str!("../../../shaders/common/a4.wgsl");
    pub(super) const BOXES: &str = include_str!("../../../shaders/common/boxes.wgsl");
    pub(super) const F32: &str = include_str!("../../../shaders/common/f32.wgsl");
    pub(super) const GGML: &str = include_str!("../../../shaders/common/ggml.wgsl");
    pub(super) const GRID: &str = include_str!("../../../shaders/common/grid.wgsl");
    pub(super) const LANE_MAX: &str = include_str!("../../../shaders/common/lane_max.wgsl");
    pub(super) const Q4_0: &str = include_str!("../../../shaders/common/q4_0.wgsl");
    pub(super) const Q8_0: &str = include_str!("../../../shaders/common/q8_0.wgsl");
    pub(super) const PUT: &str = include_str!("../../../shaders/common/put.wgsl");
    pub(super) const PUT_ONTO: &str = include_str!("../../../shaders/common/put_onto.wgsl");
    pub(super) const REDUCE: &str = include_str!("../../../shaders/common/reduce.wgsl");
    pub(super) const SILU: &str = include_str!("../../../shaders/common/silu.wgsl");
    pub(super) const HEAD_64: &str = include_str!("../../../shaders/common/head_64.wgsl");
    pub(super) const HEAD_128: &str = include_str!("../../../shaders/common/head_128.wgsl");
    pub(super) const ROWS_PADDED: &str = include_str!("../../../shaders/common/rows_padded.wgsl");
    pub(super) const ROWS_WHOLE: &str = include_str!("../../../shaders/common/rows_whole.wgsl");
    pub(super) const ROWS_STEP: &str = include_str!("../../../shaders/common/rows_step.wgsl");
    pub(super) const TURNS_OF_STEP: &str =
        include_str!("../../../shaders/common/turns_of_step.wgsl");
    pub(super) const TURNS_OF_TABLES: &str =
        include_str!("../../../shaders/common/turns_of_tables.wgsl");
    pub(super) const TURNS: &str = include_str!("../../../shaders/common/turns.wgsl");
    pub(super) const ROW_DOT: &str = include_str!("../../../shaders/common/row_dot.wgsl");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_folds_at_the_limit_and_covers_every_group() {
        assert_eq!(Grid::folded(1, 3), Grid([1, 1, 3]));
        assert_eq!(Grid::folded(MAX_GROUPS, 1), Grid([65_535, 1, 1]));
        for groups in [MAX_GROUPS + 1, 3 * MAX_GROUPS - 1, 10_000_019] {
            let Grid([x, y, _]) = Grid::folded(groups, 1);
            let covered = x as usize * y as usize;
            assert!(x as usize <= MAX_GROUPS, "x is {x}");
            assert!(
                covered >= groups && covered - groups < y as usize,
                "{groups} became {x} x {y}"
            );
        }
    }

    #[test]
    fn names_and_hashes_are_unique() {
        for (i, a) in all().enumerate() {
            for b in all().skip(i + 1) {
                assert!(
                    a.name != b.name && a.hash() != b.hash(),
                    "{} and {}",
                    a.name,
                    b.name
                );
            }
        }
    }

    #[test]
    fn the_hash_is_fnv1a_of_the_assembled_text() {
        let kernel = Kernel::new("foobar", &["foo", "bar"], 1, &[], 0);
        assert_eq!(kernel.hash(), 0x8594_4171_f739_67e8);
    }
}
