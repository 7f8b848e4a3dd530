//! Photos read and decoded on all cores, a few ahead of the one that looks at them.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, available_parallelism};

use namelens_engine::image::{Rgb8, decode};

use super::cache::Cache;
use super::key::{self, Stamp, Sum};
use super::walk::PhotoFile;

/// Most photos that are decoded at once: one of 100 million pixels has 300 MB.
const MOST: usize = 4;

/// A photo that can be looked at.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) stamp: Stamp,
    pub(super) sum: Sum,
    /// `None` for one that was looked at before.
    pub(super) photo: Option<Rgb8>,
}

/// What all threads use.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) photos: &'a [PhotoFile],
    pub(super) cache: Mutex<Option<Cache>>,
    pub(super) stop: &'a AtomicBool,
}

impl Shared<'_> {
    pub(super) fn cache(&self) -> MutexGuard<'_, Option<Cache>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A photo by its number, or what is wrong with it.
pub(super) type Ready = (usize, Result<Prepared, String>);

/// Starts the threads; photos come about in order.
pub(super) fn ahead<'s>(
    scope: &'s Scope<'s, '_>,
    shared: &'s Shared<'s>,
    next: &'s AtomicUsize,
) -> Receiver<Ready> {
    let (sender, receiver) = sync_channel(1);
    let threads = available_parallelism().map_or(1, usize::from).min(MOST);
    for _ in 0..threads {
        let sender = sender.clone();
        scope.spawn(move || {
            while !shared.stopped() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(photo) = shared.photos.get(at) else {
                    break;
                };
                // Nobody receives any more after an error or a stop.
                if sender.send((at, prepare(&photo.real, shared))).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

fn prepare(path: &Path, shared: &Shared<'_>) -> Result<Prepared, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let stamp = Stamp::of(&path.metadata().map_err(unreadable)?);
    let known = shared.cache().as_ref().and_then(|cache| {
        cache
            .sum_at(&key::path_text(path), stamp)
            .filter(|sum| cache.has(sum))
    });
    if let Some(sum) = known {
        return Ok(Prepared {
            stamp,
            sum,
            photo: None,
        });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let sum = key::sum(&bytes);
    let moved = shared.cache().as_ref().is_some_and(|cache| cache.has(&sum));
    let photo = match moved {
        true => None,
        false => Some(decode(&bytes).map_err(|error| error.to_string())?),
    };
    Ok(Prepared { stamp, sum, photo })
}
