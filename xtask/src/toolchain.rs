//! Which Rust compiles for the browser: the installed target, rustup's, or Debian's with `std` built from source.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::eprintln;
use anyhow::{Context, Result, bail};

use crate::paths::{root, web_target_dir, which};
use crate::run::quiet;
use crate::system;

/// The one target of the page.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// What makes cargo overlook a target's own flags when it is in the environment, be it empty.
const FLAGS: [&str; 2] = ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"];

/// A compiler that can build for the browser.
#[derive(Debug)]
pub(crate) enum WasmToolchain {
    /// The Rust in use has the target's standard library.
    Installed {
        /// Where it came from, in words.
        origin: &'static str,
    },
    /// Debian's packages: a stable compiler and the sources of `std`.
    Debian {
        /// The linker of wasm files.
        linker: PathBuf,
    },
}

impl WasmToolchain {
    /// Looks for the installed target first, then asks rustup, then falls back to Debian's packages.
    ///
    /// # Errors
    /// When none of the three can be had; the message says what to install.
    pub(crate) fn find() -> Result<Self> {
        let sysroot = quiet(
            Command::new("rustc").args(["--print", "sysroot"]),
            "install Rust with rustup (rustup.rs)",
        )?;
        if Path::new(&sysroot)
            .join("lib/rustlib")
            .join(TARGET)
            .join("lib")
            .exists()
        {
            return Ok(Self::Installed {
                origin: "already installed",
            });
        }
        if which("rustup").is_some() {
            let mut add = Command::new("rustup");
            add.args(["target", "add", TARGET]);
            match quiet(&mut add, "trying Debian's packages") {
                Ok(_) => {
                    return Ok(Self::Installed {
                        origin: "added by rustup",
                    });
                }
                Err(error) => eprintln!("note: {error:#}"),
            }
        }
        Self::debian(Path::new(&sysroot))
    }

    /// Debian's compiler, installed if that is possible.
    fn debian(sysroot: &Path) -> Result<Self> {
        if which("apt-get").is_none() {
            bail!(
                "no Rust here can build for {TARGET}; run `rustup target add {TARGET}` and start again"
            );
        }
        system::provide(&[&system::DEBIAN_RUST])?;
        let linker = wasm_linker(sysroot)
            .context("no linker for wasm: install one with `apt-get install lld-19`")?;
        Ok(Self::Debian { linker })
    }

    /// What was chosen, in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Installed { origin } => format!("the Rust in use, target {origin}"),
            Self::Debian { linker } => {
                format!(
                    "Debian's /usr/bin/cargo with std from source, linker {}",
                    linker.display()
                )
            }
        }
    }

    /// `cargo <verb> <args>` for the browser: profile, target and target directory are set.
    pub(crate) fn cargo(&self, verb: &str, args: &[&str]) -> Command {
        self.tool("/usr/bin/cargo", verb, args)
    }

    /// `cargo clippy <args>` for the browser, with the linter that belongs to the compiler.
    ///
    /// # Errors
    /// When that linter is missing and cannot be installed.
    pub(crate) fn clippy(&self, args: &[&str]) -> Result<Command> {
        if let Self::Debian { .. } = self {
            system::provide(&[&system::DEBIAN_CLIPPY])?;
        }
        // Debian's cargo would take rustup's linter if there is one, which cannot read what Debian's compiler writes.
        let mut command = self.tool("/usr/bin/cargo-clippy", "clippy", args);
        if let Self::Debian { .. } = self {
            command.env("CARGO", "/usr/bin/cargo");
        }
        Ok(command)
    }

    /// `<verb> <args>` of a tool, which is `debian` where Debian's compiler is used.
    fn tool(&self, debian: &str, verb: &str, args: &[&str]) -> Command {
        let mut command = match self {
            Self::Installed { .. } => {
                Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            }
            Self::Debian { linker } => {
                let mut command = Command::new(debian);
                command
                    .env("RUSTC", "/usr/bin/rustc")
                    // Building `std` is an unstable option of an otherwise stable compiler.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker)
                    .env_remove("RUSTUP_TOOLCHAIN");
                command
            }
        };
        // Either would take the place of the flags in .cargo/config.toml, and the module would come out without SIMD.
        for flags in FLAGS {
            command.env_remove(flags);
        }
        command.current_dir(root()).arg(verb).args(args);
        command
            .args(["--profile", "web", "--target", TARGET, "--target-dir"])
            .arg(web_target_dir());
        if let Self::Debian { .. } = self {
            command.args(["-Z", "build-std=std,panic_abort"]);
        }
        command
    }
}

/// rustup's own `rust-lld`, or LLVM's `wasm-ld` under any of Debian's versioned names.
fn wasm_linker(sysroot: &Path) -> Option<PathBuf> {
    let bundled = std::fs::read_dir(sysroot.join("lib/rustlib"))
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|host| host.path().join("bin/rust-lld"))
        .find(|path| path.is_file());
    bundled.or_else(|| which("wasm-ld")).or_else(|| {
        // Newest first.
        (13..=30)
            .rev()
            .find_map(|version| which(&format!("wasm-ld-{version}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_of_the_environment_do_not_take_simd_away() {
        let linker = PathBuf::from("wasm-ld");
        for toolchain in [
            WasmToolchain::Installed { origin: "here" },
            WasmToolchain::Debian { linker },
        ] {
            let cargo = toolchain.cargo("build", &[]);
            for flags in FLAGS {
                let mut named = cargo.get_envs().filter(|(name, _)| *name == flags);
                assert_eq!(named.next().map(|(_, value)| value), Some(None), "{flags}");
            }
        }
    }

    #[test]
    fn both_toolchains_build_one_profile_into_one_place() {
        let linker = PathBuf::from("wasm-ld");
        for toolchain in [
            WasmToolchain::Installed { origin: "here" },
            WasmToolchain::Debian { linker },
        ] {
            let shown = crate::run::shown(&toolchain.cargo("build", &["-p", "x"]));
            assert!(
                shown.contains("build -p x --profile web --target wasm32-unknown-unknown"),
                "{shown}"
            );
            let builds_std = matches!(toolchain, WasmToolchain::Debian { .. });
            assert_eq!(shown.contains("build-std"), builds_std, "{shown}");
        }
    }
}
