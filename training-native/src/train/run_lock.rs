//! One process at a time in the folder of a run: a lock that ends with the process that holds it, however that ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Name of the file that is locked; who holds it is written inside.
pub const LOCK: &str = "lock";

/// Held as long as it lives. The system takes the lock away from a process that was killed, so none is ever left behind.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock of `run`, whose folder is made where there is none.
    ///
    /// # Errors
    /// When another process (or this one, a second time) works in the folder, or it cannot be written.
    pub fn take(run: &Path) -> Result<Self> {
        let shown = run.display();
        fs::create_dir_all(run).with_context(|| format!("cannot create {shown}"))?;
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(run.join(LOCK))
            .with_context(|| format!("cannot write into {shown}"))?;
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Only to be more helpful: some systems do not let a locked file be read.
                let known = file.read_to_string(&mut holder).is_ok() && !holder.is_empty();
                let holder = if known {
                    holder.trim()
                } else {
                    "another process"
                };
                bail!(
                    "{shown} is in use by {holder}; wait for it or stop it, or name another --run"
                );
            }
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                tracing::warn!(
                    "{shown} is on a disk without locks: see to it that no other process uses it"
                );
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {shown}"));
            }
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "process {}", std::process::id()))
            .with_context(|| format!("cannot write into {shown}"))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_the_second_is_told_who() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("a/run");
        let held = RunLock::take(&run).unwrap();
        let said = RunLock::take(&run).unwrap_err().to_string();
        assert!(said.contains("in use") && said.contains("--run"), "{said}");
        if cfg!(unix) {
            assert!(
                said.contains(&format!("process {}", std::process::id())),
                "{said}"
            );
        }
        drop(held);
        RunLock::take(&run).unwrap();
        RunLock::take(&folder.path().join("other")).unwrap();
    }
}
