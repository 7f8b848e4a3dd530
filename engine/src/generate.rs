//! The one decode loop: prefill, sample, stream, stop.

pub mod constraint;
pub mod decode;
pub mod sampler;
pub mod session;

pub use constraint::{Allowed, NameConstraint};
pub use decode::{Finish, GenerateOptions, Generated, generate};
pub use sampler::{Sampler, SamplingOptions};
pub use session::{Photos, Session};
