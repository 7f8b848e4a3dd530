//! What the engine asks of its surroundings: the time, chance, a moment to breathe, and whether to go on.

use std::future::Future;
use std::pin::Pin;

use crate::{Error, Result};

/// Implemented by the page's worker, the command line and tests.
pub trait Host {
    /// Milliseconds of a steady clock.
    fn now_ms(&self) -> f64;

    /// Whether the caller has cancelled.
    fn cancelled(&self) -> bool;

    /// A fresh random number for each call, as good as the surroundings have it: the seed of an answer drawn at random.
    fn random(&self) -> u64;

    /// The time a clock on the wall shows, for chat templates that tell the model the date; `None` where there is none.
    fn local_time(&self) -> Option<LocalTime>;

    /// Lets others run: a browser's worker hears of a cancellation only when it returns to its loop.
    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;

    /// What [`Host::keep`] was given under a key, maybe long ago; `None` where that is lost, or nothing is kept at all.
    fn kept<'a>(&'a self, _key: &'a str) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + 'a>> {
        Box::pin(std::future::ready(None))
    }

    /// Takes what was expensive to compute. It need not be kept, and what comes back is checked.
    fn keep(&self, _key: &str, _bytes: Vec<u8>) {}
}

/// A time of the local calendar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LocalTime {
    /// Seconds from the beginning of 1970 by that calendar, not by UTC.
    pub seconds: i64,
    /// Millionths of the running second.
    pub microsecond: u32,
    /// How far the calendar is ahead of UTC.
    pub offset_minutes: i32,
}

impl LocalTime {
    /// The local time at so many milliseconds of UTC since 1970.
    pub fn from_utc_ms(utc_ms: f64, offset_minutes: i32) -> Self {
        let local = utc_ms + f64::from(offset_minutes) * 60e3;
        let seconds = (local / 1e3).floor();
        Self {
            // Saturates where no calendar goes.
            seconds: seconds as i64,
            microsecond: ((local / 1e3 - seconds) * 1e6).clamp(0.0, 999_999.0) as u32,
            offset_minutes,
        }
    }
}

/// Pauses, then fails if the caller has cancelled meanwhile.
///
/// # Errors
/// [`Error::Cancelled`].
pub async fn breathe(host: &dyn Host) -> Result<()> {
    host.pause().await;
    if host.cancelled() {
        return Err(Error::Cancelled);
    }
    Ok(())
}

/// A host for synchronous callers: never pauses, never cancels, knows no time and no chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct Still;

impl Host for Still {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn random(&self) -> u64 {
        0
    }

    fn local_time(&self) -> Option<LocalTime> {
        None
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}
