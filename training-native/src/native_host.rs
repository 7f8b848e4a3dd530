//! The command line as the engine's host: the machine's clocks and chance, no pauses, Ctrl-C as cancellation.

use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use chrono::{Local, Offset};
use namelens_engine::host::{Host, LocalTime};

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

    fn random(&self) -> u64 {
        // The standard library's own door to the system's random numbers: every state has fresh keys.
        RandomState::new().hash_one(self.start.elapsed())
    }

    fn local_time(&self) -> Option<LocalTime> {
        let now = Local::now();
        Some(LocalTime::from_utc_ms(
            now.timestamp_micros() as f64 / 1e3,
            now.offset().fix().local_minus_utc() / 60,
        ))
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}
