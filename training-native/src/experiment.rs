//! The experiment of RESULTS.md: arms that learn from equal data in different ways, seeds, and what they show on held-out things.
//!
//! An arm is configuration: settings of the one trainer in [`crate::rl`]. A run is an arm at a learning rate and a seed; it is a
//! process of its own, resumes where it was killed, and ends with one small file of results. [`report`] makes every figure
//! of RESULTS.md from these files alone.
//!
//! ```text
//! plan.toml -> schedule (which runs are due) -> arm (train, measure) -> results/*.json -> compare (intervals) -> report
//! ```

pub mod arm;
pub mod compare;
pub mod gate;
pub mod measure;
pub mod plan;
pub mod pool;
pub mod record;
pub mod report;
pub mod schedule;
