//! The engine as WebAssembly modules: compiled, bound to JavaScript, weighed, and for a release optimised again.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, ensure};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use crate::paths::{root, tools_dir, wasm_out_dir, web_target_dir, which};
use crate::run::{loud, quiet, stage, step};
use crate::shared_memory;
use crate::toolchain::{TARGET, WasmToolchain};
use crate::{stamp, wasm_opt};

/// A module that a page may load; it loads one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Module {
    /// For the processor
    Cpu,
    /// For the processor, with threads
    CpuThreads,
    /// For WebGPU
    Webgpu,
}

impl Module {
    const ALL: [Self; 3] = [Self::Cpu, Self::CpuThreads, Self::Webgpu];

    /// The name of its files.
    fn stem(self) -> &'static str {
        match self {
            Self::Cpu => "namelens_cpu",
            Self::CpuThreads => "namelens_cpu_threads",
            Self::Webgpu => "namelens_webgpu",
        }
    }

    /// What it should weigh as a server sends it; those for the processor do not yet (tests/benches/RESULTS.md says what was tried).
    fn aim_gzip_bytes(self) -> usize {
        match self {
            Self::Cpu | Self::CpuThreads => 1_300_000,
            Self::Webgpu => 3_000_000,
        }
    }

    /// What it may weigh: a twentieth more than it did when this was written, so that nothing heavy comes in unnoticed.
    fn limit_gzip_bytes(self) -> usize {
        match self {
            Self::Cpu | Self::CpuThreads => 2_050_000,
            Self::Webgpu => 3_110_000,
        }
    }

    /// How cargo compiles it.
    fn compile(self, toolchain: &WasmToolchain) -> Command {
        let package = ["-p", "namelens-module"];
        match self {
            Self::Cpu => toolchain.cargo("build", &package),
            Self::Webgpu => {
                let features = ["--no-default-features", "--features", "webgpu"];
                let mut cargo = toolchain.cargo("build", &[&package[..], &features].concat());
                // It has no loops that would suffer, and what its operations do on the processor is little: compiled for speed they
                // weigh 0.16 MB of gzip more.
                for size in [
                    "profile.web.lto='fat'",
                    "profile.web.package.namelens-ops.opt-level='s'",
                ] {
                    cargo.args(["--config", size]);
                }
                cargo
            }
            Self::CpuThreads => {
                let threads = ["--features", "threads"];
                // Only this crate is linked otherwise: those it depends on are compiled once for both.
                let mut cargo = toolchain.cargo("rustc", &[&package[..], &threads].concat());
                cargo.arg("--");
                for argument in shared_memory::LINK {
                    cargo.arg("-C").arg(format!("link-arg={argument}"));
                }
                cargo
            }
        }
    }

    /// The compiled module, ready for wasm-bindgen.
    fn compiled(self) -> Result<PathBuf> {
        let compiled = web_target_dir()
            .join(TARGET)
            .join("web/namelens_module.wasm");
        if self != Self::CpuThreads {
            return Ok(compiled);
        }
        let mut bytes =
            fs::read(&compiled).with_context(|| format!("reading {}", compiled.display()))?;
        shared_memory::align_thread_locals(&mut bytes)?;
        let path = compiled.with_file_name(format!("{}.wasm", self.stem()));
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

/// Options of `cargo xtask wasm`.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Also run wasm-opt (minutes): captions are a twentieth quicker
    #[arg(long)]
    release: bool,
    /// Build some modules only; the package needs all of them
    #[arg(long, value_name = "MODULE", value_delimiter = ',')]
    only: Vec<Module>,
}

/// Builds `wasm-pkg/npm/wasm`, doing only what is out of date, and returns the toolchain it used.
///
/// # Errors
/// When a tool is missing and cannot be installed, a program fails, or a module is over its limit.
pub(crate) fn build(options: &Options) -> Result<WasmToolchain> {
    let toolchain = step("wasm toolchain", WasmToolchain::find)?;
    println!("  {}", toolchain.describe());
    let bindgen = bindgen_tools()?;
    if !web_target_dir().exists() {
        println!("  the first build of all dependencies takes about half an hour");
    }
    remove_strays()?;
    let chosen = |module: &Module| options.only.is_empty() || options.only.contains(module);
    for module in Module::ALL.into_iter().filter(chosen) {
        stage(module.stem(), || {
            let mut cargo = module.compile(&toolchain);
            loud(&mut cargo, "the compiler's message above says where")
        })?;
        bind(&bindgen, &module.compiled()?, module, options.release)?;
        weigh(module)?;
    }
    Ok(toolchain)
}

/// The directory of `wasm-bindgen` and `wasm-bindgen-test-runner` in the very version of `Cargo.lock`.
///
/// # Errors
/// When the tools are not there and `cargo install` fails.
pub(crate) fn bindgen_tools() -> Result<PathBuf> {
    let mut pkgid = Command::new("cargo");
    pkgid.current_dir(root()).args(["pkgid", "wasm-bindgen"]);
    let id = quiet(&mut pkgid, "is Cargo.lock in order?")?;
    let (_, version) = id
        .rsplit_once('@')
        .with_context(|| format!("no version in `{id}`"))?;

    if let Some(dir) = which("wasm-bindgen").as_deref().and_then(Path::parent)
        && has_bindgen(dir, version)
    {
        return Ok(dir.to_path_buf());
    }
    let home = tools_dir()?.join(format!("wasm-bindgen-{version}"));
    let dir = home.join("bin");
    if !has_bindgen(&dir, version) {
        stage(
            &format!("wasm-bindgen-cli {version} into {}", home.display()),
            || {
                // cargo runs there, and on a new machine it is not there yet.
                fs::create_dir_all(&home)
                    .with_context(|| format!("cannot create {}", home.display()))?;
                let mut install = Command::new("cargo");
                // Without --locked: the lock file that this version was published with no longer resolves.
                install
                    .args([
                        "install",
                        "wasm-bindgen-cli",
                        "--version",
                        version,
                        "--root",
                    ])
                    .arg(&home);
                install
                    .current_dir(&home)
                    .arg("--target-dir")
                    .arg(home.join("build"));
                loud(&mut install, "cargo must reach its registry once")?;
                fs::remove_dir_all(home.join("build"))
                    .context("removing the tool's build directory")
            },
        )?;
    }
    Ok(dir)
}

fn has_bindgen(dir: &Path, version: &str) -> bool {
    ["wasm-bindgen", "wasm-bindgen-test-runner"]
        .iter()
        .all(|tool| {
            quiet(Command::new(dir.join(tool)).arg("--version"), "")
                .is_ok_and(|said| said.split_whitespace().last() == Some(version))
        })
}

/// Makes a module of the JavaScript package's `wasm/` from the compiled one, unless it was made from this very one.
fn bind(bindgen: &Path, compiled: &Path, module: Module, release: bool) -> Result<()> {
    let stamp = wasm_out_dir().join(format!(".{}-made-from", module.stem()));
    let bytes = fs::read(compiled).with_context(|| format!("reading {}", compiled.display()))?;
    let hash = format!("{:x}", Sha256::digest(&bytes));
    let recipe = release.then(|| wasm_opt::recipe(module == Module::CpuThreads));
    let made = fs::read_to_string(&stamp).unwrap_or_default();
    if serves(&made, &hash, recipe.as_deref()) {
        println!("wasm-bindgen ... up to date");
        return Ok(());
    }
    stamp::make(
        &stamp,
        made_from(&hash, recipe.as_deref()).as_bytes(),
        || {
            bind_anew(bindgen, compiled, module)?;
            match release {
                true => wasm_opt::optimise(&module_path(module), module == Module::CpuThreads),
                false => Ok(()),
            }
        },
    )
}

/// What the stamp of a module says: the hash of what it was made from, and how that was optimised.
fn made_from(hash: &str, recipe: Option<&str>) -> String {
    match recipe {
        Some(recipe) => format!("{hash} release {recipe}"),
        None => format!("{hash} dev"),
    }
}

/// Whether a module with the stamp `made` will do. One that is optimised, however it was, serves a developer just as well.
fn serves(made: &str, hash: &str, recipe: Option<&str>) -> bool {
    made == made_from(hash, recipe)
        || (recipe.is_none() && made.starts_with(&format!("{hash} release")))
}

/// Runs wasm-bindgen on a compiled module.
fn bind_anew(bindgen: &Path, compiled: &Path, module: Module) -> Result<()> {
    step("wasm-bindgen", || {
        let mut bind = Command::new(bindgen.join("wasm-bindgen"));
        // The names of cubek's generics alone are 33 MB.
        bind.args([
            "--target",
            "web",
            "--remove-name-section",
            "--remove-producers-section",
            "--out-name",
            module.stem(),
            "--out-dir",
        ])
        .arg(wasm_out_dir())
        .arg(compiled);
        quiet(&mut bind, "is the module built by this very wasm-bindgen?").map(drop)
    })
}

/// Removes what earlier versions left among the modules: the package would ship it.
fn remove_strays() -> Result<()> {
    let out = wasm_out_dir();
    let Ok(entries) = fs::read_dir(&out) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", out.display()))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = Module::ALL.iter().any(|module| {
            name.trim_start_matches('.')
                .strip_prefix(module.stem())
                .is_some_and(|rest| rest.starts_with(['.', '_', '-']))
        });
        if !is_ours {
            fs::remove_file(entry.path())
                .with_context(|| format!("removing {}", entry.path().display()))?;
        }
    }
    Ok(())
}

fn module_path(module: Module) -> PathBuf {
    wasm_out_dir().join(format!("{}_bg.wasm", module.stem()))
}

/// Prints what a module weighs, raw and as a server would send it.
fn weigh(module: Module) -> Result<()> {
    let path = module_path(module);
    let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&bytes).context("compressing the module")?;
    let gzip_bytes = gzip.finish().context("compressing the module")?.len();
    let limit = module.limit_gzip_bytes();
    println!(
        "  {}: {:.2} MB raw, {:.2} MB gzip, at most {:.2}, aim {:.2}",
        module.stem(),
        megabytes(bytes.len()),
        megabytes(gzip_bytes),
        megabytes(limit),
        megabytes(module.aim_gzip_bytes())
    );
    ensure!(
        gzip_bytes <= limit,
        "the module is over its limit; `cargo tree -p namelens-module --target {TARGET}` shows what came in"
    );
    Ok(())
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_that_was_made_otherwise_is_made_again() {
        let [ours, other] = [false, true].map(wasm_opt::recipe);
        assert_ne!(ours, other);
        let release = made_from("1f", Some(&ours));
        assert!(serves(&release, "1f", Some(&ours)) && serves(&release, "1f", None));
        // Another version or other features of wasm-opt, and a stamp that does not tell.
        for made in [made_from("1f", Some(&other)), "1f release".into()] {
            assert!(!serves(&made, "1f", Some(&ours)) && serves(&made, "1f", None));
        }
        let dev = made_from("1f", None);
        assert!(serves(&dev, "1f", None) && !serves(&dev, "1f", Some(&ours)));
        for made in [&release, &dev, ""] {
            assert!(!serves(made, "2e", None) && !serves(made, "2e", Some(&ours)));
        }
    }
}
