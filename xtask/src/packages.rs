//! The npm package as strangers get it: packed, then installed in small apps of other people's tools and run in Chromium.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::paths::{package_dir, script, target_dir};
use crate::playwright;
use crate::run::{quiet, step};
use crate::tally::Tally;

/// Packs the built package and runs the specs of `tests/packages`, which install it.
///
/// # Errors
/// When it cannot be packed, or Playwright does not run. Failing apps are in the tally.
pub(crate) fn package_tests() -> Result<Tally> {
    let home = target_dir().join("packages");
    fs::create_dir_all(&home).with_context(|| format!("cannot create {}", home.display()))?;
    let tarball = step("npm pack", || pack(&home))?;
    // Outside the checkout or in its ignored target directory: apps must not see what the checkout has installed.
    let apps = home.join("apps");
    playwright::run(
        "tests/packages",
        &[],
        &[
            ("NAMELENS_TARBALL", tarball.as_os_str()),
            ("NAMELENS_APPS", apps.as_os_str()),
        ],
    )
}

/// Packs the package as it would be published and says where the archive is.
fn pack(home: &Path) -> Result<PathBuf> {
    let mut npm = Command::new(script("npm"));
    npm.current_dir(package_dir())
        .args(["pack", "--ignore-scripts", "--json", "--pack-destination"])
        .arg(home)
        .env("npm_config_loglevel", "error");
    let said = quiet(&mut npm, "npm is installed together with Node")?;
    Ok(home.join(archive_in(&said)?))
}

/// The name of the archive in what `npm pack --json` says.
fn archive_in(said: &str) -> Result<String> {
    let said: Value = serde_json::from_str(said).context("`npm pack --json` said no JSON")?;
    // A list of packages; newer versions of npm key it by the package's name.
    let package = said.get(0).or_else(|| said.get("namelens"));
    package
        .and_then(|package| package["filename"].as_str())
        .map(str::to_owned)
        .context("`npm pack --json` names no archive")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_found_in_what_npm_says() {
        let list = r#"[{"name": "namelens", "filename": "namelens-0.1.0.tgz"}]"#;
        assert_eq!(archive_in(list).unwrap(), "namelens-0.1.0.tgz");
        let keyed = r#"{"namelens": {"filename": "namelens-0.1.0.tgz"}}"#;
        assert_eq!(archive_in(keyed).unwrap(), "namelens-0.1.0.tgz");
        assert!(archive_in("[]").is_err());
        assert!(archive_in("npm notice").is_err());
    }
}
