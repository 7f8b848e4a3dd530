//! The command line as the engine's host: a steady clock, no pauses, Ctrl-C as cancellation.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use namelens_engine::host::Host;

/// A host for blocking programs.
#[derive(Debug)]
pub struct NativeHost<'a> {
    start: Instant,
    stop: &'a AtomicBool,
}

impl<'a> NativeHost<'a> {
    /// A host that cancels when `stop` is set.
    pub fn new(stop: &'a AtomicBool) -> Self {
        Self {
            start: Instant::now(),
            stop,
        }
    }
}

impl Host for NativeHost<'_> {
    fn now_ms(&self) -> f64 {
        self.start.elapsed().as_secs_f64() * 1e3
    }

    fn cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}
