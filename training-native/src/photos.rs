//! Measuring recognition on real photographs: sets of things, what is done to their photos, and the figures.

pub mod bench;
pub mod conditions;
pub mod figures;
pub mod measured;
pub mod set;
pub mod variants;
