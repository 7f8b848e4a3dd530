//! Files that a command is told to write its results into: looked at before the work begins, and never a photo or what the work is made of.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use namelens_engine::image::HEAD;

use crate::find::file_kind::{self, FileKind};
use crate::whole_file;

/// A file for results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsFile(PathBuf);

impl ResultsFile {
    /// The file that `option` names, such as `--json`; `inputs` are files that the results are made of.
    ///
    /// # Errors
    /// When its folder is not there, it is a folder itself, a picture or one of the inputs: options that take a file swallow the photo
    /// behind them.
    pub fn new(option: &str, path: &Path, inputs: &[&Path]) -> Result<Self> {
        let shown = path.display();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        ensure!(
            folder.is_dir(),
            "{option} {shown}: there is no folder {}; make it first",
            folder.display()
        );
        ensure!(
            !path.is_dir(),
            "{option} {shown} is a folder; name a file in it"
        );
        for input in inputs {
            if let (Ok(real), Ok(input)) = (path.canonicalize(), input.canonicalize()) {
                ensure!(
                    real != input,
                    "{option} would write over {shown}, which is read; name another file"
                );
            }
        }
        if !matches!(kind(path), FileKind::Other) {
            bail!(
                "{option} would write over the picture {shown}; name a file for the results, as {option} {}",
                path.with_extension(option.trim_start_matches('-'))
                    .display()
            );
        }
        Ok(Self(path.to_owned()))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, bytes: impl AsRef<[u8]>) -> Result<()> {
        whole_file::write(&self.0, bytes.as_ref())
    }
}

/// What is there; what cannot be read, or is no file, is no picture.
fn kind(path: &Path) -> FileKind {
    let head = || -> Result<Vec<u8>> {
        ensure!(path.is_file(), "no file");
        let mut head = Vec::new();
        let file = File::open(path).context("not readable")?;
        file.take(HEAD as u64).read_to_end(&mut head)?;
        Ok(head)
    };
    head().map_or(FileKind::Other, |head| file_kind::of(&head, path))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::fs;

    fn fault(option: &str, path: &Path, inputs: &[&Path]) -> String {
        ResultsFile::new(option, path, inputs)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn what_would_be_lost_is_never_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let (photo, text) = (root.join("dog.jpg"), root.join("things.json"));
        fs::write(&photo, [0xff, 0xd8, 0xff, 0xe0]).unwrap();
        fs::write(&text, "{}").unwrap();
        assert!(fault("--json", &photo, &[]).contains("as --json "));
        assert!(fault("--json", &photo, &[]).ends_with("dog.json"));
        assert!(fault("--csv", &text, &[&text]).contains("which is read"));
        // Called otherwise, but the same.
        let round = root.join(".").join("things.json");
        assert!(fault("--csv", &round, &[&text]).contains("which is read"));
        assert!(fault("--csv", root, &[]).contains("is a folder"));
        let nowhere = root.join("no/found.csv");
        assert!(fault("--csv", &nowhere, &[]).contains("there is no folder"));
        let results = ResultsFile::new("--csv", &text, &[&photo]).unwrap();
        results.write("new").unwrap();
        assert_eq!(fs::read_to_string(&text).unwrap(), "new");
        assert!(ResultsFile::new("--csv", &root.join("found.csv"), &[]).is_ok());
    }
}
