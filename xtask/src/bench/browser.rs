//! What benches in a browser share: the built package and page, the peers' packages, Chromium, and scripts that drive it.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::report::lines;
use crate::paths::{self, package_dir, page_dir, root, target_dir, wasm_out_dir};
use crate::run::{quiet, shown, step, watch};
use crate::{demo, stamp, system, web};

/// Whether what is measured is built before.
#[derive(Debug, clap::Args)]
pub(super) struct Built {
    /// Take the package (wasm-pkg/npm) and the page (web-demo/dist) as they stand: build nothing
    #[arg(long)]
    as_it_stands: bool,
}

impl Built {
    /// What is there, as somebody built it a moment ago.
    pub(super) fn as_it_stands() -> Self {
        Self { as_it_stands: true }
    }

    /// The folder of the npm package, with its modules.
    ///
    /// # Errors
    /// When it is not built and shall not be, or does not build.
    pub(super) fn package(&self) -> Result<PathBuf> {
        if self.as_it_stands {
            web::install()?;
        } else {
            demo::build_page()?;
        }
        let package = package_dir();
        for file in [
            wasm_out_dir().join("namelens_cpu_bg.wasm"),
            package.join("dist/index.js"),
        ] {
            ensure!(
                file.is_file(),
                "{} is missing: `cargo xtask wasm` and `npm run build` make it, or leave out --as-it-stands",
                file.display()
            );
        }
        Ok(package)
    }

    /// The folder of the page. To be asked for after the package.
    ///
    /// # Errors
    /// When it is not there.
    pub(super) fn page(&self) -> Result<PathBuf> {
        let page = page_dir();
        ensure!(
            page.join("index.html").is_file(),
            "{} has no page: `cargo xtask demo` builds it, or leave out --as-it-stands",
            page.display()
        );
        Ok(page)
    }
}

/// Where Chromium is.
///
/// # Errors
/// When there is none.
pub(super) fn chromium() -> Result<PathBuf> {
    system::provide(&[&system::CHROMIUM, &system::NODE])?;
    system::chromium().context("no Chromium; set NAMELENS_CHROMIUM to its path")
}

/// Installs the peers of `tests/benches/web/package-lock.json`, which nothing but this bench needs, and says where they lie.
///
/// # Errors
/// When npm fails.
pub(super) fn peers() -> Result<PathBuf> {
    let folder = target_dir().join("bench-web");
    let lock = fs::read(scripts().join("package-lock.json")).context("the peers' lock file")?;
    fs::create_dir_all(&folder)?;
    stamp::once(&folder.join("installed.json"), &lock, || {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(scripts().join(file), folder.join(file))?;
        }
        step("npm packages of the peers", || {
            let mut npm = Command::new(paths::script("npm"));
            npm.current_dir(&folder)
                .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            quiet(&mut npm, "npm must reach its registry once").map(drop)
        })
    })?;
    Ok(folder.join("node_modules"))
}

/// The scripts and pages of these benches.
pub(super) fn scripts() -> PathBuf {
    root().join("tests/benches/web")
}

/// Runs a script of theirs, showing what it prints as it comes, and gives its lines of JSON.
///
/// # Errors
/// When it fails: some of what it printed says why.
pub(super) fn script<I: AsRef<OsStr>>(
    name: &str,
    arguments: impl IntoIterator<Item = I>,
) -> Result<Vec<Value>> {
    let mut node = Command::new("node");
    node.arg(scripts().join(name)).args(arguments);
    let mut printed = String::new();
    let status = watch(&mut node, "Node.js runs the benches in a browser", |line| {
        if line.starts_with('{') {
            printed += line;
            printed.push('\n');
        }
    })?;
    ensure!(
        status.success(),
        "`{}` failed ({status}); the lines above say why",
        shown(&node)
    );
    lines(&printed)
}
