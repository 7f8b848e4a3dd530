//! Training: one loop for every stage; a stage is an [`Objective`].

pub mod changes;
pub mod checkpoint;
pub mod fit;
pub mod gradients;
pub mod log;
pub mod optimizer;
pub mod rank_gradients;
pub mod run_lock;
pub mod schedule;
pub mod tensorboard;
pub mod update;

pub use fit::{FitOptions, Objective, fit};
pub use gradients::Loss;
pub use update::{UpdateOptions, Updated, Updater};
