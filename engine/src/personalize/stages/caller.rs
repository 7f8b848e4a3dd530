//! Who asked: what every stage may ask of its surroundings, and whom it tells of progress.

use crate::host::Host;
use crate::personalize::types::{Event, Stage};

/// What every stage may ask of its surroundings and tell its caller.
pub(super) struct Caller<'a> {
    /// The time, and whether to go on.
    pub(super) host: &'a dyn Host,
    /// Hears of progress.
    pub(super) on_event: &'a mut dyn FnMut(Event),
}

impl Caller<'_> {
    /// Tells how far a stage is.
    pub(super) fn progress(&mut self, stage: Stage, done: usize, total: usize) {
        (self.on_event)(Event::Stage { stage, done, total });
    }
}
