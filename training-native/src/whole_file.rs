//! A file that is written whole or not at all, whatever moment the machine stops at.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Puts a file with these bytes in the place of what is there: under another name first, brought to the disk, then renamed. Who may read
/// it stays the same. A pipe or a device stays what it is: the bytes go into it.
///
/// # Errors
/// When it cannot be written; a file that was there is then as it was.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let there = path.metadata();
    if there
        .as_ref()
        .is_ok_and(|there| !there.is_file() && !there.is_dir())
    {
        let into = || File::options().write(true).open(path)?.write_all(bytes);
        return into().with_context(|| format!("cannot write {}", path.display()));
    }
    // A link stays one.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = path
        .file_name()
        .with_context(|| format!("{} is no file", path.display()))?;
    let partial = path.with_file_name(partial(name));
    let permissions = there.ok().map(|there| there.permissions());
    let written = fill(&partial, bytes, permissions).and_then(|()| fs::rename(&partial, &path));
    if written.is_err() {
        let _ = fs::remove_file(&partial);
    }
    written.with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(&path).with_context(|| format!("cannot bring {} to the disk", path.display()))
}

/// Another name in the same folder, hidden from lists, of this process alone.
fn partial(name: &std::ffi::OsStr) -> PathBuf {
    let mut partial = OsString::from(".");
    partial.push(name);
    partial.push(format!(".{}.partial", std::process::id()));
    partial.into()
}

fn fill(path: &Path, bytes: &[u8], permissions: Option<Permissions>) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    if let Some(permissions) = permissions {
        // Before anything is in it that others may not read.
        file.set_permissions(permissions)?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

/// Brings the name to the disk too, where a folder can be opened for that.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && !folder.as_os_str().is_empty() => {
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(folder.path()), ["things.json"]);
    }

    #[test]
    fn what_cannot_be_written_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        // A folder is in the way.
        let path = folder.path().join("things.json");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(write(&path, b"one").is_err());
        assert_eq!(names(folder.path()), ["things.json"]);
        assert!(write(&folder.path().join("no/such/folder"), b"one").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_still_leads_to_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "one").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        write(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[cfg(unix)]
    #[test]
    fn who_may_read_a_file_stays_the_same() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.json");
        write(&path, b"one").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        write(&path, b"two").unwrap();
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_stays_one_and_its_reader_gets_the_bytes() {
        use std::os::unix::fs::FileTypeExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let reader = {
            let path = path.clone();
            std::thread::spawn(move || fs::read(path).unwrap())
        };
        write(&path, b"one").unwrap();
        assert!(path.metadata().unwrap().file_type().is_fifo());
        assert_eq!(reader.join().unwrap(), b"one");
    }
}
