//! SHA-256 of files and of models: what says that two are the same.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// SHA-256 over the contents of files, in order.
///
/// # Errors
/// When one cannot be read.
pub fn digest(files: &[PathBuf]) -> Result<String> {
    let mut hash = Sha256::new();
    for path in files {
        let context = || format!("cannot read {}", path.display());
        let mut file = std::fs::File::open(path).with_context(context)?;
        std::io::copy(&mut file, &mut hash).with_context(context)?;
    }
    let digest = hash.finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// SHA-256 of a model's own weights and configuration: of a folder those that lie in it directly, so that what is written below it,
/// or learned beside them, changes nothing.
///
/// # Errors
/// When a file cannot be read.
pub fn weights_digest(model: &Path) -> Result<String> {
    if !model.is_dir() {
        return digest(&[model.to_owned()]);
    }
    let context = || format!("cannot read {}", model.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(model).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let kind = path.extension().unwrap_or_default();
        let is_weights = ["safetensors", "gguf"].iter().any(|known| kind == *known);
        if path.is_file() && (is_weights || path.ends_with("config.json")) {
            files.push(path);
        }
    }
    files.sort();
    digest(&files)
}

/// SHA-256 of a model: of all files of its folder and of the folders in it, or of the file.
///
/// # Errors
/// When a file cannot be read.
pub fn model_digest(model: &Path) -> Result<String> {
    let mut files = Vec::new();
    let mut folders = vec![model.to_owned()];
    while let Some(path) = folders.pop() {
        if !path.is_dir() {
            files.push(path);
            continue;
        }
        let context = || format!("cannot read {}", path.display());
        for entry in std::fs::read_dir(&path).with_context(context)? {
            folders.push(entry.with_context(context)?.path());
        }
    }
    // Pages about a model change nothing about its answers.
    files.retain(|path| path.extension().is_none_or(|kind| kind != "md"));
    files.sort();
    digest(&files)
}

/// SHA-256 of several digests and words, in order: of what is made of several parts.
pub fn digest_of(parts: &[String]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps neighbours apart.
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn weights_are_those_of_the_folder_itself() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
            weights_digest(folder.path()).unwrap()
        };
        write("config.json", "{}");
        let first = write("model.safetensors", "weights");
        assert_eq!(write("runs/last/model.safetensors", "learned"), first);
        assert_eq!(write("README.md", "words"), first);
        assert_ne!(write("model.safetensors", "others"), first);
        assert_eq!(write("model.safetensors", "weights"), first);
        assert_ne!(write("config.json", "{ }"), first);
    }

    #[test]
    fn parts_are_kept_apart() {
        let of =
            |parts: &[&str]| digest_of(&parts.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }
}
