//! The one decode loop: prefill, sample, stream, stop.

pub mod batch;
pub mod constraint;
pub mod decode;
mod decode_loop;
pub mod logprobs;
pub mod read_back;
mod recorded;
pub mod rollout;
pub mod sampler;
pub mod session;

pub use batch::Batch;
pub use constraint::{Allowed, NameConstraint};
pub use decode::{Finish, GenerateOptions, Generated, generate, generate_greedy};
pub use logprobs::{LikelyToken, TokenLogprobs};
pub use rollout::{Completion, RolloutOptions, RolloutPrompt, rollout};
pub use sampler::{Sampler, SamplingOptions, SamplingOverrides};
pub use session::{Photos, Session};
