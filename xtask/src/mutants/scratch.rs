//! A copy of the sources in which bugs are planted, and its builds: one without a GPU stack, one with it for the tests that need it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use ignore::WalkBuilder;
use serde::Deserialize;

use super::CRATES;
use crate::paths::target_dir;
use crate::run::shown;

/// Where the binaries of tests are named.
const TESTS: &str = "tests/Cargo.toml";
/// One choice of packages for every bug, with those of [`CRATES`].
const SELECTION: [&str; 2] = ["-p", "namelens-tests"];
/// One choice of features for all bugs but a few, so that dependencies are built once, and no GPU stack among them.
const FEATURES: &str = "namelens-engine/cpu,namelens-engine/train,namelens-engine/rayon";
/// What is built beside, in a place of its own, for the few whose tests need a GPU.
const GPU: &str = "wgpu";

/// The sources as git sees them, copied so that bugs never touch the checkout, and their build directory.
pub(super) struct Scratch {
    /// Root of the copy.
    pub(super) source: PathBuf,
    build: PathBuf,
    /// Binaries of tests that are built with [`GPU`].
    on_gpu: BTreeSet<String>,
}

/// The part of a manifest that says what its tests need.
#[derive(Deserialize)]
struct Manifest {
    test: Vec<Binary>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Binary {
    name: String,
    #[serde(default)]
    required_features: Vec<String>,
}

/// The binaries that a manifest builds with [`GPU`] alone.
fn on_gpu(manifest: &str) -> Result<BTreeSet<String>> {
    let manifest: Manifest = toml::from_str(manifest).context(TESTS)?;
    let needing = manifest.test.into_iter().filter(|binary| {
        let mut needs = binary.required_features.iter();
        needs.any(|feature| feature == GPU)
    });
    Ok(needing.map(|binary| binary.name).collect())
}

impl Scratch {
    /// Brings the copy up to date; files that are equal keep their times, so that cargo rebuilds only what changed.
    pub(super) fn of(root: &Path) -> Result<Self> {
        let home = target_dir().join("mutants");
        let manifest = root.join(TESTS);
        let manifest = fs::read_to_string(&manifest)
            .with_context(|| format!("reading {}", manifest.display()))?;
        let scratch = Self {
            source: home.join("source"),
            build: home.join("build"),
            on_gpu: on_gpu(&manifest)?,
        };
        fs::create_dir_all(&scratch.source)
            .with_context(|| format!("creating {}", scratch.source.display()))?;
        let (ours, theirs) = (files(root)?, files(&scratch.source)?);
        for gone in theirs.difference(&ours) {
            let gone = scratch.source.join(gone);
            fs::remove_file(&gone).with_context(|| format!("removing {}", gone.display()))?;
        }
        for file in &ours {
            let (from, to) = (root.join(file), scratch.source.join(file));
            let bytes = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
            if fs::read(&to).ok().as_ref() != Some(&bytes) {
                write(&to, &bytes)?;
            }
        }
        Ok(scratch)
    }

    /// Runs tests of one binary by name; gives what it printed, and whether all passed.
    pub(super) fn test(&self, binary: &str, names: &BTreeSet<&str>) -> Result<(String, bool)> {
        let (features, build) = match self.on_gpu.contains(binary) {
            true => (
                format!("{FEATURES},namelens-tests/{GPU}"),
                self.build.with_file_name("build-gpu"),
            ),
            false => (FEATURES.to_owned(), self.build.clone()),
        };
        let mut cargo = Command::new("cargo");
        cargo
            .current_dir(&self.source)
            .args(["test", "--color", "never"])
            .args(SELECTION)
            .args(CRATES.iter().flat_map(|(name, _)| ["-p", name]))
            .args(["--no-default-features", "--features"])
            .arg(features)
            .env("CARGO_TARGET_DIR", build)
            // Our own code is compiled again for every bug and run for seconds.
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "false");
        match CRATES.iter().any(|(name, _)| *name == binary) {
            true => cargo.arg("--lib"),
            false => cargo.args(["--test", binary]),
        };
        cargo.args(["--", "--exact"]).args(names);
        let output = cargo
            .output()
            .with_context(|| format!("`{}` could not be started", shown(&cargo)))?;
        let text = [output.stdout, output.stderr].map(|s| String::from_utf8_lossy(&s).into_owned());
        Ok((text.join("\n"), output.status.success()))
    }
}

/// Paths of all files below `root` that git would keep, relative to it.
fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for found in WalkBuilder::new(root).require_git(false).build() {
        let found = found.with_context(|| format!("walking {}", root.display()))?;
        if found.file_type().is_some_and(|kind| kind.is_file()) {
            let path = found.path();
            files.insert(path.strip_prefix(root).unwrap_or(path).to_path_buf());
        }
    }
    Ok(files)
}

/// Writes a file, and the folders it lies in.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::paths::root;

    #[test]
    fn binaries_that_need_a_gpu_are_found_in_the_manifest() {
        let manifest = fs::read_to_string(root().join(TESTS)).unwrap();
        let found = on_gpu(&manifest).unwrap();
        assert!(found.contains("kernel_attention"), "{found:?}");
        assert!(!found.contains("goldens"), "{found:?}");
    }
}
