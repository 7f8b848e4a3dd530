//! Things that are made once: a stamp beside them says what they were made from, and is there only while that is true.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Does `work` unless `stamp` says that it was done from `from`; says whether it was done.
///
/// # Errors
/// As [`make`].
pub(crate) fn once(stamp: &Path, from: &[u8], work: impl FnOnce() -> Result<()>) -> Result<bool> {
    if fs::read(stamp).is_ok_and(|made| made == from) {
        return Ok(false);
    }
    make(stamp, from, work).map(|()| true)
}

/// Does `work` and stamps it. An older stamp goes before and the new one comes last, so that nothing half made has one.
///
/// # Errors
/// When the work fails, or the stamp cannot be removed or written.
pub(crate) fn make(stamp: &Path, from: &[u8], work: impl FnOnce() -> Result<()>) -> Result<()> {
    if stamp.exists() {
        fs::remove_file(stamp).with_context(|| format!("removing {}", stamp.display()))?;
    }
    work()?;
    fs::write(stamp, from).with_context(|| format!("writing {}", stamp.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn what_breaks_off_is_made_again_even_from_what_it_was_made_from_before() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = folder.path().join("made-from");
        assert!(once(&stamp, b"old", || Ok(())).unwrap());
        assert!(!once(&stamp, b"old", || bail!("done already")).unwrap());
        // Made from something new and broken off, then the old comes back.
        assert!(once(&stamp, b"new", || bail!("broken off")).is_err());
        assert!(once(&stamp, b"old", || Ok(())).unwrap());
    }
}
