//! What the machine must bring: browser, software GPU, Node. As root on Debian it is installed; else it is named.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::paths::which;
use crate::run::{quiet, step};

/// Something the system's package manager provides.
pub(crate) struct Need {
    /// What it is, in words.
    what: &'static str,
    /// Its Debian packages.
    packages: &'static [&'static str],
    /// Whether it is here.
    found: fn() -> bool,
}

/// A Chromium to look at the page with.
pub(crate) const CHROMIUM: Need = Need {
    what: "Chromium",
    packages: &["chromium"],
    found: || chromium().is_some(),
};

/// What lets a test runner steer Chromium.
pub(crate) const CHROMEDRIVER: Need = Need {
    what: "chromedriver",
    packages: &["chromium-driver"],
    found: || chromedriver().is_some(),
};

/// A Vulkan adapter in software, so that GPU tests need no GPU.
pub(crate) const SOFTWARE_VULKAN: Need = Need {
    what: "lavapipe (Mesa's software Vulkan)",
    packages: &["mesa-vulkan-drivers"],
    // Other systems bring their own graphics interface (Metal, Direct3D with WARP).
    found: || !cfg!(target_os = "linux") || lavapipe().is_some(),
};

/// Node and npm, for the page and its tests.
pub(crate) const NODE: Need = Need {
    what: "Node.js with npm",
    packages: &["nodejs", "npm"],
    found: || which("node").is_some() && which("npm").is_some(),
};

/// Debian's compiler with the sources of its standard library, for machines where rustup has no wasm target.
pub(crate) const DEBIAN_RUST: Need = Need {
    what: "Debian's Rust for the web",
    packages: &["rustc-web", "cargo-web", "rust-web-src", "lld-19"],
    found: || {
        Path::new("/usr/bin/rustc").exists()
            && Path::new("/usr/bin/cargo").exists()
            && Path::new("/usr/lib/rustlib/src/rust/library/std").exists()
    },
};

/// The linter that belongs to Debian's compiler.
pub(crate) const DEBIAN_CLIPPY: Need = Need {
    what: "Debian's clippy for the web",
    packages: &["rust-web-clippy"],
    found: || Path::new("/usr/bin/cargo-clippy").exists(),
};

/// Installs what is missing of `needs`, or says how to.
///
/// # Errors
/// When something is missing and this user may not install it, or the installation failed.
pub(crate) fn provide(needs: &[&Need]) -> Result<()> {
    let missing: Vec<&Need> = needs
        .iter()
        .copied()
        .filter(|need| !(need.found)())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    let has_apt = which("apt-get").is_some();
    if !(has_apt && is_root()) {
        bail!("{}", how_to_install(&missing, has_apt));
    }
    let list = packages.join(" ");
    step(&format!("installing {list}"), || apt_install(&packages))?;
    for need in missing {
        ensure!(
            (need.found)(),
            "{} is still not found after installing {list}",
            need.what
        );
    }
    Ok(())
}

/// What is missing and the command that installs it.
fn how_to_install(missing: &[&Need], has_apt: bool) -> String {
    let what = missing
        .iter()
        .map(|need| need.what)
        .collect::<Vec<_>>()
        .join(", ");
    let packages = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect::<Vec<_>>()
        .join(" ");
    if has_apt {
        format!(
            "not found: {what}; install it with `sudo apt-get install -y {packages}` and start again"
        )
    } else {
        format!(
            "not found: {what}; install it with your system's package manager (on Debian: {packages})"
        )
    }
}

fn apt_install(packages: &[&str]) -> Result<()> {
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(args);
        quiet(
            &mut command,
            "see what apt-get says, or install the packages by hand",
        )
        .map(drop)
    };
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(packages);
    // The package lists of a fresh machine are empty or old; refresh them only where that shows.
    apt(&install).or_else(|_| {
        apt(&["update"])?;
        apt(&install)
    })
}

/// Refuses a Node that the page's build does not run on.
///
/// # Errors
/// When Node is older than 20.19 or does not say its version.
pub(crate) fn check_node_version() -> Result<()> {
    let version = quiet(
        Command::new("node").arg("--version"),
        "install Node.js 20.19 or newer",
    )?;
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse::<u32>());
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("`node --version` said `{version}`; install Node.js 20.19 or newer");
    };
    ensure!(
        (major, minor) >= (20, 19),
        "Node.js {version} is too old for the page's build; install 20.19 or newer (nodejs.org, nvm or your package manager)"
    );
    Ok(())
}

/// The Chromium to use: `NAMELENS_CHROMIUM`, or the usual names.
pub(crate) fn chromium() -> Option<PathBuf> {
    const NAMES: [&str; 4] = [
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
    ];
    env::var_os("NAMELENS_CHROMIUM")
        .map(PathBuf::from)
        .or_else(|| NAMES.iter().find_map(|name| which(name)))
        .or_else(|| {
            let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
            mac.exists().then_some(mac)
        })
}

/// The chromedriver to use: `CHROMEDRIVER`, or the one on `PATH`.
pub(crate) fn chromedriver() -> Option<PathBuf> {
    env::var_os("CHROMEDRIVER")
        .map(PathBuf::from)
        .or_else(|| which("chromedriver"))
}

/// The Vulkan loader's description of Mesa's software adapter.
pub(crate) fn lavapipe() -> Option<PathBuf> {
    [
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ]
    .iter()
    .filter_map(|dir| std::fs::read_dir(dir).ok())
    .flat_map(|entries| entries.filter_map(Result::ok))
    .map(|entry| entry.path())
    .find(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"))
    })
}

/// Opens an address in the user's browser, where there is one to open.
///
/// # Errors
/// When no opener is known or it fails; the page can still be opened by hand.
pub(crate) fn open_in_browser(address: &str) -> Result<()> {
    let opener = ["xdg-open", "open", "explorer"]
        .into_iter()
        .find(|program| which(program).is_some())
        .context("no program to open a browser with")?;
    quiet(
        Command::new(opener).arg(address),
        "open the address by hand",
    )
    .map(drop)
}

fn is_root() -> bool {
    quiet(Command::new("id").arg("-u"), "").is_ok_and(|id| id == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_command() {
        let text = how_to_install(&[&CHROMIUM, &SOFTWARE_VULKAN], true);
        assert!(text.contains("Chromium, lavapipe"), "{text}");
        assert!(
            text.contains("`sudo apt-get install -y chromium mesa-vulkan-drivers`"),
            "{text}"
        );
        assert!(!how_to_install(&[&CHROMIUM], false).contains("sudo"));
    }

    #[test]
    fn what_is_here_is_not_installed() {
        const HERE: Need = Need {
            what: "air",
            packages: &["no-such-package-air"],
            found: || true,
        };
        provide(&[&HERE]).unwrap();
    }
}
