//! Measuring recognition on real photographs: sets of things, what is done to their photos, and the figures.

pub mod evaluate;
pub mod figures;
pub mod set;
pub mod variants;
