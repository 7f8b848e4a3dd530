//! What the engine asks of its surroundings: the time, a moment to breathe, and whether to go on.

use std::future::Future;
use std::pin::Pin;

use crate::{Error, Result};

/// Implemented by the page's worker, the command line and tests.
pub trait Host {
    /// Milliseconds of a steady clock.
    fn now_ms(&self) -> f64;

    /// Whether the caller has cancelled.
    fn cancelled(&self) -> bool;

    /// Lets others run: a browser's worker hears of a cancellation only when it returns to its loop.
    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>>;
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

/// A host for synchronous callers: never pauses, never cancels, knows no time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Still;

impl Host for Still {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}
