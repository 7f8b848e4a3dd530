//! Products with matrices of 4 to 8 bits on a processor: the same packed formats and arithmetic natively and as WebAssembly.
//!
//! A matrix is packed once ([`Packed`]); a product brings its rows of activations to 16 bits ([`Activations`]), multiplies whole
//! numbers, and scales sums of 32 columns in f32:
//!
//! ```
//! use namelens_cpu_kernels::{Activations, Bits, COLUMNS, Group, Level, Packed, product_at};
//!
//! let group = Group { scales: [0.5; 2], least: -1.0, codes: [3; COLUMNS] }; // 32 weights of 0.5 * 3 - 1
//! let matrix = Packed::new(Bits::Four, 1, COLUMNS, [group]).expect("as many groups as the shape needs");
//! let x = Activations::new(&[1.0; COLUMNS], COLUMNS);
//! let mut y = [0.0];
//! product_at(Level::best(), &matrix, &x, &mut y);
//! assert_eq!(y, [16.0]);
//! ```
//!
//! | format | bits a weight | holds exactly |
//! |---|---|---|
//! | [`Bits::Four`] | 6 (4, and a scale and an offset in f32 for 32 weights) | Q4_0, Q4_1, Q4_K |
//! | [`Bits::Six`] | 10 (8, and two scales) | Q6_K |
//! | [`Bits::Eight`] | 9 to 10 (8, a scale, and an offset where there is one) | Q8_0, Q5_0, Q5_1, Q5_K |
//!
//! 16 bits of activations, with a scale for each 32 of them, are as quick as 8 bits (the processors multiply 16 bits either way)
//! and 256 times as exact: [`Packed::error_bound`] says how far a result may be off.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod activations;
mod lanes;
mod level;
#[cfg(feature = "std")]
mod nearest;
mod packed;
mod packed_rows;
mod panel;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod panel_wasm;
mod portable;
mod product;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd_wasm;
#[cfg(target_arch = "x86_64")]
mod simd_x86;
#[cfg(target_arch = "x86_64")]
mod simd_x86_wide;
mod tile;

pub use activations::Activations;
pub use level::Level;
#[cfg(feature = "std")]
pub use nearest::{Nearest, Queries};
pub use packed::{Bits, Group, Packed};
pub use packed_rows::PackedRows;
pub use product::{product, product_at};

/// Columns that share a scale.
pub const COLUMNS: usize = 32;
/// Rows that are worked on together.
pub const ROWS: usize = 8;
