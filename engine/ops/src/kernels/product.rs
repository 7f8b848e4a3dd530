//! What products of all sizes have in common: the layouts of weights they read and what becomes of their sums, and the entries of a
//! text for each pair of these.

use super::activation::Gelu;
use super::{Grid, Kernel, launch, word};
use crate::blocks::Layout;
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;

/// How the weights of a matrix lie: a text of `shaders/common` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    /// Numbers as they are, 32 a block.
    F32,
    /// Quantised blocks.
    Blocks(Layout),
}

/// What becomes of a product's sums before they are written: a `common/put*.wgsl` each.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finish<'a> {
    /// Nothing.
    Put,
    /// They are added to this `[M, N]`.
    Onto(&'a CubeTensor),
    /// This bias `[N]` is added.
    Biased(&'a CubeTensor),
    /// A bias `[N]` is added, then all to what is there, `[M, N]`.
    BiasedOnto(&'a CubeTensor, &'a CubeTensor),
    /// A bias `[N]` is added, and an activation of that is written.
    BiasedActivated(&'a CubeTensor, Gelu),
}

/// Kinds of [`Weights`].
pub(super) const WEIGHTS: usize = 5;
/// Kinds of [`Layout`].
pub(super) const LAYOUTS: usize = WEIGHTS - 1;
/// Kinds of [`Finish`].
pub(super) const FINISHES: usize = 6;

impl Weights {
    /// Its row in a table made by `layouts!`.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::F32 => 0,
            Self::Blocks(layout) => 1 + layout as usize,
        }
    }
}

impl<'a> Finish<'a> {
    /// Its column in a table made by `finishes!`.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Put => 0,
            Self::Onto(_) => 1,
            Self::Biased(_) => 2,
            Self::BiasedOnto(..) => 3,
            Self::BiasedActivated(_, Gelu::Exact) => 4,
            Self::BiasedActivated(_, Gelu::Tanh) => 5,
        }
    }

    /// What its text binds in front of the result, in this order.
    pub(super) fn tensors(self) -> impl Iterator<Item = &'a CubeTensor> {
        let tensors = match self {
            Self::Put => [None, None],
            Self::Onto(one) | Self::Biased(one) | Self::BiasedActivated(one, _) => {
                [Some(one), None]
            }
            Self::BiasedOnto(bias, onto) => [Some(bias), Some(onto)],
        };
        tensors.into_iter().flatten()
    }
}

/// Starts a table entry of a product: x `[.., K]`, blocks of the weights, four parameters -> `shape`.
pub(super) fn launched(
    kernel: &'static Kernel,
    grid: Grid,
    [x, blocks]: [&CubeTensor; 2],
    finish: Finish<'_>,
    shape: impl Into<Shape>,
    params: [usize; 4],
) -> CubeTensor {
    let y = launch::output(x, shape, DType::F32);
    let tensors = [x, blocks].into_iter().chain(finish.tensors());
    let tensors: Vec<&CubeTensor> = tensors.chain([&y]).collect();
    launch::launch(kernel, grid, &tensors, &params.map(word));
    y
}

/// The table entries of a text with all layouts of weights, in the order of [`Weights::index`], or with those of `quantised` ones,
/// in the order of [`Layout`]: `row!(name, name of the layout, texts of the layout, rest)` each.
macro_rules! layouts {
    (quantised $row:ident, $name:literal $(, $rest:tt)*) => {
        layouts!(@ [], $row, $name $(, $rest)*)
    };
    ($row:ident, $name:literal $(, $rest:tt)*) => {
        layouts!(@ [$row!($name, "_f32", [common::F32] $(, $rest)*)], $row, $name $(, $rest)*)
    };
    (@ [$($first:expr)?], $row:ident, $name:literal $(, $rest:tt)*) => {
        [
            $($first,)?
            $row!($name, "_q4_0", [common::GGML, common::Q4_0] $(, $rest)*),
            $row!($name, "_q8_0", [common::GGML, common::Q8_0] $(, $rest)*),
            $row!($name, "_a4", [common::A4] $(, $rest)*),
            $row!($name, "_a8", [common::A8] $(, $rest)*),
        ]
    };
}

/// The table entries of a product of a layout: a [`Finish`] each, in the order of [`Finish::index`]. Of four parameters, and with x and
/// the weights as its first buffers.
macro_rules! finishes {
    ($name:literal, $layout:literal, [$($blocks:expr),*], $workgroup:tt, [$($main:expr),*]) => {
        finishes!(@ ($name, $layout), $workgroup, [$($blocks,)* $($main),*],
            "", [], [common::PUT];
            "_onto", [Read], [common::PUT_ONTO];
            "_biased", [Read], [common::PUT_BIASED];
            "_biased_onto", [Read, Read], [common::PUT_BIASED_ONTO];
            "_biased_gelu", [Read], [common::GELU, common::PUT_BIASED_ACTIVATED];
            "_biased_gelu_tanh", [Read], [common::SILU, common::GELU_TANH, common::PUT_BIASED_ACTIVATED]
        )
    };
    (@ $name:tt, $workgroup:tt, $texts:tt, $($finish:literal, $between:tt, $put:tt);*) => {
        [$(finishes!(@@ $name, $finish, $between, $workgroup, $texts, $put)),*]
    };
    (@@ ($name:literal, $layout:literal), $finish:literal, [$($between:expr),*], $workgroup:tt, [$($texts:expr),*], [$($put:expr),*]) => {
        Kernel::new(
            concat!($name, $layout, $finish),
            &[$($texts,)* $($put),*],
            $workgroup,
            &[Read, Read, $($between,)* Write],
            4,
        )
    };
}

pub(super) use {finishes, layouts};
