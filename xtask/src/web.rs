//! The TypeScript side: npm packages installed, the package `namelens` and the page built.

use std::fs;
use std::path::Path;
use std::process::Command;

use anstream::println;
use anyhow::Result;

use crate::paths::{root, script};
use crate::run::{loud, stage, step};
use crate::system;

/// Installs the npm packages of the workspace, when the lock file says something new.
///
/// # Errors
/// When Node is missing or too old, or npm fails.
pub(crate) fn install() -> Result<()> {
    system::provide(&[&system::NODE])?;
    let lock = root().join("package-lock.json");
    // npm writes this file at the end of an installation.
    let installed = root().join("node_modules/.package-lock.json");
    if is_newer(&installed, &lock) {
        println!("npm packages ... up to date");
        return Ok(());
    }
    step("npm packages", || {
        // No package needs its install script here, so none is run.
        npm(
            &["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            "npm must reach its registry once",
        )
    })
}

/// Builds the package and then the page into `web-demo/dist`.
///
/// # Errors
/// When the TypeScript does not compile or the bundler fails.
pub(crate) fn build() -> Result<()> {
    stage("package and page", || {
        npm(&["run", "build"], "the compiler's message above says where")
    })
}

/// Checks the types of package, page and specs without building them.
///
/// # Errors
/// When they do not hold.
pub(crate) fn check_types() -> Result<()> {
    stage("types", || {
        npm(
            &["run", "typecheck"],
            "the compiler's message above says where",
        )
    })
}

fn npm(args: &[&str], advice: &str) -> Result<()> {
    let mut npm = Command::new(script("npm"));
    npm.current_dir(root())
        .args(args)
        .env("npm_config_loglevel", "error");
    loud(&mut npm, advice)
}

fn is_newer(file: &Path, than: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
    matches!((changed(file), changed(than)), (Some(file), Some(than)) if file >= than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_never_newer() {
        let here = root().join("Cargo.toml");
        assert!(is_newer(&here, &here));
        assert!(!is_newer(Path::new("no-such-file"), &here));
        assert!(!is_newer(&here, Path::new("no-such-file")));
    }
}
