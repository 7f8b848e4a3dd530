//! Playroom: the procedural world NameLens is trained and tested on.
//!
//! A *thing* is a tuple of permanent attributes ([`Identity`]); a *scene* puts one to five of them in a place,
//! each in a pose of the moment; [`sample()`] makes a whole training example of it: photo, concepts with reference
//! photos, exact truth, and a dialogue. The same seed gives the same bytes.
//!
//! ```text
//! seed -> identities, names, facts -> scene -> photo + boxes -> questions and answers
//! ```
//!
//! Names in questions and answers stand in angle brackets: `<Mochi>`. Identities and names are split into
//! training, validation and test ([`Split`]); nothing of one split is ever used in another.
//!
//! ```
//! use playroom::{SampleOptions, sample};
//!
//! let options = SampleOptions::default();
//! let drawn = sample(7, &options);
//! assert_eq!(drawn, sample(7, &options), "the same seed, the same bytes");
//! assert_eq!(drawn.turns.len(), options.turns);
//! // Every box of the truth has an area and lies inside the photo.
//! for thing in &drawn.things {
//!     let [x0, y0, x1, y1] = thing.box_px;
//!     assert!(0.0 <= x0 && x0 < x1 && x1 <= 1.0 && 0.0 <= y0 && y0 < y1 && y1 <= 1.0);
//! }
//! ```

mod cast;
mod contrast;
mod draw;
pub mod identity;
pub mod info;
pub mod names;
pub mod place;
pub mod pose;
mod post;
pub mod render;
pub mod rng;
pub mod sample;
pub mod scene;
pub mod sheet;
pub mod split;
mod tasks;
mod text;
mod wording;

pub use contrast::{RegionSample, pair, regions};
pub use identity::Identity;
pub use place::Place;
pub use render::Rgb;
pub use rng::Rng;
pub use sample::{
    ConceptRef, Sample, SampleOptions, Task, ThingTruth, Turn, reference, sample, sample_tasks,
};
pub use sheet::{Sheet, montage, sheet};
pub use split::{Split, held_out_digest};
pub use tasks::{format_box, refusal_class};
