//! Which photo it is: quickly by its place, size and time of change, surely by the SHA-256 of its bytes.

use std::fs::Metadata;
use std::path::Path;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

/// SHA-256 of a photo's bytes.
pub type Sum = [u8; 32];

/// The sum of some bytes.
pub fn sum(bytes: &[u8]) -> Sum {
    Sha256::digest(bytes).into()
}

/// What changes when a file is written anew: where these agree, its bytes are taken to be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970; 0 where the file system has no times.
    pub changed: u64,
}

impl Stamp {
    /// The stamp of a file.
    pub fn of(file: &Metadata) -> Self {
        let changed = file.modified().ok();
        let since = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Self {
            size: file.len(),
            changed: since.map_or(0, |since| since.as_nanos() as u64),
        }
    }
}

/// A path as it is kept: text where it is text.
pub fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
