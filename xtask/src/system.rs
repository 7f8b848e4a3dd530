//! What the machine must bring: browser, software GPU, Node. As root on Debian it is installed; else it is named.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::paths::{script, which};
use crate::run::{quiet, step};

/// Something the system's package manager provides.
pub(crate) struct Need {
    /// What it is, in words.
    what: &'static str,
    /// Its Debian packages.
    packages: &'static [&'static str],
    /// Whether it is here.
    found: fn() -> bool,
    /// Refuses one that is here and of no use.
    fits: fn() -> Result<()>,
}

/// A Chromium to look at the page with.
pub(crate) const CHROMIUM: Need = Need {
    what: "Chromium",
    packages: &["chromium"],
    found: || chromium().is_some(),
    fits: || Ok(()),
};

/// What lets a test runner steer Chromium.
pub(crate) const CHROMEDRIVER: Need = Need {
    what: "chromedriver",
    packages: &["chromium-driver"],
    found: || chromedriver().is_some(),
    fits: || Ok(()),
};

/// A Vulkan adapter in software, so that GPU tests need no GPU.
pub(crate) const SOFTWARE_VULKAN: Need = Need {
    what: "lavapipe (Mesa's software Vulkan)",
    packages: &["mesa-vulkan-drivers"],
    // Other systems bring their own graphics interface (Metal, Direct3D with WARP).
    found: || !cfg!(target_os = "linux") || lavapipe().is_some(),
    fits: || Ok(()),
};

/// Node and npm, for the page and its tests.
pub(crate) const NODE: Need = Need {
    what: "Node.js with npm",
    packages: &["nodejs", "npm"],
    found: || which("node").is_some() && which(&script("npm")).is_some(),
    fits: check_node_version,
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
    fits: || Ok(()),
};

/// The linter that belongs to Debian's compiler.
pub(crate) const DEBIAN_CLIPPY: Need = Need {
    what: "Debian's clippy for the web",
    packages: &["rust-web-clippy"],
    found: || Path::new("/usr/bin/cargo-clippy").exists(),
    fits: || Ok(()),
};

/// Installs what is missing of `needs`, or says how to.
///
/// # Errors
/// When something is missing and this user may not install it, the installation failed, or what is here is too old.
pub(crate) fn provide(needs: &[&Need]) -> Result<()> {
    let mut missing: Vec<&Need> = Vec::new();
    for need in needs {
        if (need.found)() {
            (need.fits)()?;
        } else if missing.iter().all(|known| known.what != need.what) {
            missing.push(need);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    let has_apt = which("apt-get").is_some();
    if has_apt && packages.contains(&"nodejs") {
        check_packaged_node()?;
    }
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
        (need.fits)()?;
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
fn check_node_version() -> Result<()> {
    let version = quiet(
        Command::new("node").arg("--version"),
        "install Node.js 20.19 or newer",
    )?;
    new_enough(&version)
}

/// Refuses the Node that apt would install, before it does, where it is one of those: Debian 12 has 18.
fn check_packaged_node() -> Result<()> {
    let policy = quiet(Command::new("apt-cache").args(["policy", "nodejs"]), "");
    // A fresh machine has no lists yet; what they bring is looked at when it is installed.
    match candidate(&policy.unwrap_or_default()) {
        Some(version) => new_enough(version).context("this system's own package will not do"),
        None => Ok(()),
    }
}

/// The version that apt would install, in what `apt-cache policy` says.
fn candidate(policy: &str) -> Option<&str> {
    let mut lines = policy.lines().map(str::trim);
    let version = lines.find_map(|line| line.strip_prefix("Candidate: "))?;
    (version != "(none)").then_some(version)
}

/// Refuses a version of Node older than 20.19, and what is none.
fn new_enough(version: &str) -> Result<()> {
    let mut numbers = version
        .trim_start_matches('v')
        .split('.')
        .map(|part| part.parse::<u32>());
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("`{version}` is no version of Node.js; install 20.19 or newer");
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
            fits: || Ok(()),
        };
        provide(&[&HERE]).unwrap();
    }

    #[test]
    fn an_old_node_is_refused_with_what_to_install() {
        for version in ["v20.19.0", "20.19.2+dfsg-1", "v22.0.1", "100.1.0"] {
            new_enough(version).unwrap();
        }
        for version in [
            "v18.20.4",
            "18.20.4+dfsg-1~deb12u1",
            "v20.18.9",
            "v",
            "node",
        ] {
            let error = new_enough(version).unwrap_err().to_string();
            assert!(error.contains("20.19 or newer"), "{error}");
        }
    }

    #[test]
    fn what_apt_would_install_is_read_from_its_policy() {
        let policy =
            "nodejs:\n  Installed: (none)\n  Candidate: 18.20.4+dfsg-1~deb12u1\n  Version table:\n";
        assert_eq!(candidate(policy), Some("18.20.4+dfsg-1~deb12u1"));
        assert_eq!(candidate("nodejs:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }
}
