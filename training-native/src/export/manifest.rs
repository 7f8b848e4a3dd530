//! The manifest of a model bundle: what a page has to fetch, with sizes and digests.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

/// Lists `files` of folder `out` in its `manifest.json`, with size and SHA-256 of each.
///
/// # Errors
/// When one cannot be read.
pub(super) fn write(out: &Path, name: &str, files: &[&str]) -> Result<()> {
    let mut listed = Vec::new();
    let mut version = Sha256::new();
    for file in files {
        let (bytes, sha256) = digest(&out.join(file))?;
        version.update(&sha256);
        listed.push(json!({ "name": file, "path": file, "bytes": bytes, "sha256": sha256 }));
    }
    let version = hex(&version.finalize()[..4]);
    let manifest = json!({ "name": name, "version": version, "files": listed });
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    let path = out.join("manifest.json");
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// The files below `folder` of a model, with `/` between their names, configurations first; none where there is no such folder.
///
/// # Errors
/// When something in it cannot be read.
pub(super) fn files_below(model: &Path, folder: &str) -> Result<Vec<String>> {
    let root = model.join(folder);
    if !root.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in WalkDir::new(&root).follow_links(true).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", root.display()))?;
        if entry.file_type().is_file() {
            let inside = entry.path().strip_prefix(model)?;
            let names: Vec<_> = inside.iter().map(|name| name.to_string_lossy()).collect();
            files.push(names.join("/"));
        }
    }
    files.sort_by_key(|file| !file.ends_with(".json"));
    Ok(files)
}

/// Size and SHA-256 of a file, read piece by piece.
fn digest(path: &Path) -> Result<(u64, String)> {
    let mut file = File::open(path).with_context(|| format!("{} is missing", path.display()))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((bytes, hex(&hash.finalize()))),
            count => {
                bytes += count as u64;
                hash.update(&buffer[..count]);
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
