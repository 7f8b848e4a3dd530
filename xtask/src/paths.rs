//! Where things are: the checkout, the build directory, the tools that are kept between runs.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::run::quiet;

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    // `cargo run` says where the running package lies; the path compiled in is the fallback for a bare binary.
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask
        .parent()
        .map_or_else(|| xtask.clone(), Path::to_path_buf)
}

/// Cargo's target directory of native builds, whatever set it: two variables and any of cargo's configuration files may.
pub(crate) fn target_dir() -> PathBuf {
    static DIR: LazyLock<PathBuf> = LazyLock::new(|| {
        // Where cargo cannot say it, no build comes as far as that directory.
        target_dir_by(&mut metadata()).unwrap_or_else(|_| root().join("target"))
    });
    DIR.clone()
}

fn metadata() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root());
    cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
    cargo
}

/// The target directory in what `cargo metadata` says.
fn target_dir_by(metadata: &mut Command) -> Result<PathBuf> {
    let said: Value = serde_json::from_str(&quiet(metadata, "is Cargo.toml in order?")?)?;
    let dir = said["target_directory"].as_str();
    dir.map(PathBuf::from)
        .context("`cargo metadata` names no target directory")
}

/// Cargo's target directory of browser builds: its own, because another toolchain may write it.
pub(crate) fn web_target_dir() -> PathBuf {
    target_dir().join("web")
}

/// The JavaScript package.
pub(crate) fn package_dir() -> PathBuf {
    root().join("wasm-pkg/npm")
}

/// Where the generated JavaScript and wasm go; not in git.
pub(crate) fn wasm_out_dir() -> PathBuf {
    package_dir().join("wasm")
}

/// The page as it is served.
pub(crate) fn page_dir() -> PathBuf {
    root().join("web-demo/dist")
}

/// Tools installed for this project, shared by all checkouts of one user.
pub(crate) fn tools_dir() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .context("no home directory: set XDG_CACHE_HOME to a directory for downloaded tools")?;
    Ok(cache.join("namelens/tools"))
}

/// The first place on `PATH` that holds `program`, which is one of npm's scripts if it ends in `.cmd`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let suffix = match program.ends_with(".cmd") {
        true => "",
        false => env::consts::EXE_SUFFIX,
    };
    let name = format!("{program}{suffix}");
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(&name))
        .find(|path| path.is_file())
}

/// The name of npm, or of a program that npm installed: Windows has scripts in their place.
pub(crate) fn script(name: &str) -> String {
    let suffix = if cfg!(windows) { ".cmd" } else { "" };
    format!("{name}{suffix}")
}

/// A program that the user named, which may be run from another folder: a path stays what it was where the user wrote it.
///
/// # Errors
/// When there is no current folder.
pub(crate) fn program(named: &Path) -> Result<PathBuf> {
    // A bare name is looked up on `PATH`.
    if named.components().count() == 1 && !named.is_absolute() {
        return Ok(named.to_path_buf());
    }
    std::path::absolute(named).with_context(|| format!("where is {}?", named.display()))
}

/// Writes a file of a test's tree, and the folders it is in.
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_target_directory_is_cargos_own() {
        let elsewhere = tempfile::tempdir().unwrap();
        let mut cargo = metadata();
        cargo.env_remove("CARGO_TARGET_DIR");
        cargo.env("CARGO_BUILD_TARGET_DIR", elsewhere.path());
        assert_eq!(target_dir_by(&mut cargo).unwrap(), elsewhere.path());
        cargo.env("CARGO_TARGET_DIR", "inside");
        assert_eq!(target_dir_by(&mut cargo).unwrap(), root().join("inside"));
    }

    #[test]
    fn a_program_is_where_the_user_said() {
        let here = env::current_dir().unwrap();
        let named = |path: &str| program(Path::new(path)).unwrap();
        assert_eq!(named("venv/bin/python"), here.join("venv/bin/python"));
        assert_eq!(named("./python"), here.join("python"));
        assert_eq!(named("python3"), Path::new("python3"));
        let absolute = here.join("python");
        assert_eq!(program(&absolute).unwrap(), absolute);
    }
}
