//! Reinforcement learning on rewards: the mathematics of GRPO and its kin and of A2C, and the loop that runs them.
//!
//! Everything takes log-probabilities and gives losses that can be differentiated in them. Losses are sums over
//! rows divided once by counts of the whole optimiser step ([`aggregate::Counts`]), so that shards, accumulation
//! and ranks add up to what one big batch gives. The reference is TRL 1.16.0; settings and metrics have its names.
//!
//! ```text
//! rewards [rows][functions] -> advantage -> loss(log-probabilities, mask) -> numerators / counts -> gradient
//! ```

pub mod a2c;
pub mod a2c_config;
pub mod a2c_step;
pub mod actor_critic;
pub mod advantage;
pub mod aggregate;
pub mod buffer;
pub mod caption_fines;
pub mod completion;
pub mod completions;
pub mod config;
pub mod course;
pub mod dataset;
pub mod demonstrations;
pub mod early_stop;
pub mod entropy;
pub mod estimate;
pub mod file_prompts;
pub mod grpo;
pub mod held_out;
pub mod kl;
pub mod loss;
pub mod method;
pub mod metrics;
pub mod off_policy;
pub mod output;
mod param_values;
pub mod playroom_prompts;
pub mod policy;
pub mod policy_loss;
pub mod presets;
pub mod prompt;
pub mod returns;
pub mod rollout;
pub mod settings;
pub mod similarity;
pub mod step;
mod validate;
pub mod value_head;
pub mod vlrm;
pub mod vlrm_captions;
