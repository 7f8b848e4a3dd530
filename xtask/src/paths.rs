//! Where things are: the checkout, the build directory, the tools that are kept between runs.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    // `cargo run` says where the running package lies; the path compiled in is the fallback for a bare binary.
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask
        .parent()
        .map_or_else(|| xtask.clone(), Path::to_path_buf)
}

/// Cargo's target directory of native builds.
pub(crate) fn target_dir() -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
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

/// The first place on `PATH` that holds `program`.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(&name))
        .find(|path| path.is_file())
}
