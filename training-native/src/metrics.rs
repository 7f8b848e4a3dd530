//! How good answers are: captions, yes and no, boxes, with the uncertainty of each figure.
//!
//! Pure functions of texts and numbers; the same inputs give the same report on any machine.

pub mod answers;
pub mod binding;
pub mod bootstrap;
pub mod rates;
pub mod repic_compat;
pub mod strict;
