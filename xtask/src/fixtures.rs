//! `cargo xtask fixtures`: makes the golden checkpoints and other fixtures again with the reference implementation, in a pinned Python.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, bail};

use crate::paths::{program, root, target_dir};
use crate::run::{loud, quiet, stage, step};

/// Which script makes which checkpoints, in the order they must run: adapters lie inside folders made before.
const GENERATORS: [(&str, &[&str]); 7] = [
    ("idefics.py", &["idefics3", "smolvlm", "smolvlm-scale4"]),
    ("qwen.py", &["qwen2_5_vl", "qwen3_vl"]),
    ("llama.py", &["llama"]),
    ("duals.py", &["siglip", "siglip2", "siglip2-naflex", "clip"]),
    ("blip2.py", &["blip2"]),
    ("dino.py", &["dinov2", "dinov2-swiglu", "dinov2-registers"]),
    ("lora.py", &["qwen2_5_vl", "smolvlm"]),
];
/// Scripts that make fixtures of unit tests, and what they are called here.
const UNITS: [(&str, &[&str]); 11] = [
    ("images.py", &["images"]),
    ("photos.py", &["photos"]),
    ("chats.py", &["chats"]),
    ("jinja.py", &["jinja"]),
    ("sampling.py", &["sampling"]),
    ("efficientnet.py", &["efficientnet"]),
    ("gguf_blocks.py", &["gguf-blocks"]),
    ("gguf_tokenizers.py", &["gguf-tokenizers"]),
    ("defaults.py", &["defaults"]),
    ("grpo.py", &["grpo"]),
    ("grpo_step.py", &["grpo-step"]),
];
/// What all golden checkpoints may weigh in the repository.
const BUDGET_BYTES: u64 = 9_500_000;
/// Prints each pinned package that is not there in its very version; a build's own suffix (`+cpu`) is no difference.
const COMPARE: &str = "
import importlib.metadata, sys
for line in open(sys.argv[1], encoding='utf-8'):
    name, found, version = line.strip().partition('==')
    if found and not name.startswith('#'):
        try:
            here = importlib.metadata.version(name).split('+')[0]
        except importlib.metadata.PackageNotFoundError:
            here = 'nothing'
        if here != version:
            print(f'{name} {here}, not {version}')
";
const HOW: &str = "set NAMELENS_PYTHON or --python to a Python with the packages of \
     tests/fixtures/generate/requirements.txt, or unset both and let this command make one";

/// Options of `cargo xtask fixtures`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A Python that has the pinned packages
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Make this checkpoint only, with its adapters
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Also plant typical bugs in the reference and show that each moves a golden
    #[arg(long)]
    bugs: bool,
}

/// Makes `tests/fixtures/checkpoints` again and prints what each folder weighs.
///
/// # Errors
/// When no such checkpoint exists, Python or a package is missing, a script fails, or the folders are over budget.
pub(crate) fn fixtures(options: &Options) -> Result<()> {
    let plan = plan(options.only.as_deref())?;
    let python = python(options.python.as_deref())?;
    for (script, names) in plan {
        stage(script, || loud(run(&python, script).args(names), HOW))?;
    }
    if options.bugs {
        stage("planted bugs", || {
            loud(
                &mut run(&python, "mutate.py"),
                "the bugs named last hide: make the fixtures feel them",
            )
        })?;
    }
    weigh(&root().join("tests/fixtures/checkpoints"))
}

/// The scripts to run, each with the checkpoints to make.
fn plan(only: Option<&str>) -> Result<Vec<(&'static str, Vec<&'static str>)>> {
    let all = GENERATORS
        .iter()
        .chain(&UNITS)
        .flat_map(|(_, names)| names.iter());
    if let Some(only) = only
        && !all.clone().any(|name| *name == only)
    {
        let mut known: Vec<&str> = all.copied().collect();
        known.sort_unstable();
        known.dedup();
        bail!(
            "no golden checkpoint is called `{only}`; there are {}",
            known.join(", ")
        );
    }
    Ok(GENERATORS
        .iter()
        .chain(&UNITS)
        .map(|(script, names)| {
            let wanted = names.iter().copied();
            (
                *script,
                wanted
                    .filter(|name| only.is_none_or(|only| only == *name))
                    .collect::<Vec<_>>(),
            )
        })
        .filter(|(_, names)| !names.is_empty())
        .collect())
}

/// One generator, ready to be given its arguments.
fn run(python: &Path, script: &str) -> Command {
    let mut command = Command::new(python);
    command
        .current_dir(generators())
        // Nothing of Python's own may come to lie beside the sources.
        .args(["-B", script]);
    command
}

fn generators() -> PathBuf {
    root().join("tests/fixtures/generate")
}

/// A Python with the pinned packages: the one that was named, or one of our own, made when it is not there.
///
/// # Errors
/// When there is none, or it lacks a package.
pub(crate) fn python(named: Option<&Path>) -> Result<PathBuf> {
    let named = named
        .map(Path::to_path_buf)
        .or_else(|| env::var_os("NAMELENS_PYTHON").map(PathBuf::from));
    if let Some(python) = named {
        let python = program(&python)?;
        return match missing(&python)? {
            none if none.is_empty() => Ok(python),
            some => bail!(
                "{} does not have what the goldens are made with: {}; {HOW}",
                python.display(),
                some.replace('\n', ", ")
            ),
        };
    }
    let home = target_dir().join("fixtures-python");
    let bin = if cfg!(windows) { "Scripts" } else { "bin" };
    let python = home
        .join(bin)
        .join(format!("python{}", env::consts::EXE_SUFFIX));
    if !has_pip(&python) {
        step(&format!("Python environment in {}", home.display()), || {
            let mut venv = Command::new("python3");
            // Where one was begun and broke off, its Python is there and nothing else.
            venv.args(["-m", "venv", "--clear"]).arg(&home);
            quiet(
                &mut venv,
                "install Python 3.11 or newer with its `venv` module",
            )
            .map(drop)
        })?;
    }
    if !missing(&python)?.is_empty() {
        stage("the reference's packages (once, some GB)", || {
            let mut pip = Command::new(&python);
            pip.args(["-m", "pip", "install", "--quiet", "-r"])
                .arg(generators().join("requirements.txt"));
            loud(&mut pip, "pip must reach its index once")
        })?;
    }
    Ok(python)
}

/// Whether a Python is there and whole: an environment gets its pip last.
fn has_pip(python: &Path) -> bool {
    quiet(Command::new(python).args(["-m", "pip", "--version"]), "").is_ok()
}

/// The pinned packages that `python` lacks or has in another version, a line each.
fn missing(python: &Path) -> Result<String> {
    let mut compare = Command::new(python);
    compare
        .args(["-c", COMPARE])
        .arg(generators().join("requirements.txt"));
    quiet(&mut compare, HOW)
}

/// Prints what each checkpoint weighs.
fn weigh(checkpoints: &Path) -> Result<()> {
    let mut total = 0;
    let mut folders = fs::read_dir(checkpoints)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("reading {}", checkpoints.display()))?;
    folders.sort_by_key(fs::DirEntry::file_name);
    for folder in folders {
        let bytes = bytes_under(&folder.path())?;
        total += bytes;
        println!(
            "  {:>9} bytes  {}",
            bytes,
            folder.file_name().to_string_lossy()
        );
    }
    println!("  {total:>9} bytes in all, budget {BUDGET_BYTES}");
    if total > BUDGET_BYTES {
        bail!(
            "the golden checkpoints are over their budget: make models narrower or prompts shorter"
        );
    }
    Ok(())
}

fn bytes_under(path: &Path) -> Result<u64> {
    let context = || format!("reading {}", path.display());
    let about = fs::symlink_metadata(path).with_context(context)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    fs::read_dir(path)
        .with_context(context)?
        .map(|entry| bytes_under(&entry.with_context(context)?.path()))
        .sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_made_before_its_adapters() {
        let plan = plan(Some("smolvlm")).unwrap();
        assert_eq!(
            plan,
            [
                ("idefics.py", vec!["smolvlm"]),
                ("lora.py", vec!["smolvlm"])
            ]
        );
    }

    /// Programs that answer every question with yes and with no stand for the Python of a whole environment and of half a one.
    #[cfg(unix)]
    #[test]
    fn an_environment_without_pip_is_none() {
        let [yes, no] = ["true", "false"].map(|name| crate::paths::which(name).unwrap());
        assert!(has_pip(&yes));
        assert!(!has_pip(&no));
        assert!(!has_pip(Path::new("no-such-python-here")));
    }

    #[test]
    fn an_unknown_checkpoint_is_refused_with_the_known_ones() {
        let error = plan(Some("gpt")).unwrap_err().to_string();
        assert!(
            error.contains("`gpt`") && error.contains("siglip2-naflex"),
            "{error}"
        );
    }

    #[test]
    fn every_script_and_checkpoint_is_there() {
        for (script, names) in plan(None).unwrap() {
            assert!(generators().join(script).is_file(), "{script}");
            let is_checkpoint = GENERATORS.iter().any(|(known, _)| *known == script);
            for name in names.into_iter().filter(|_| is_checkpoint) {
                let config = root()
                    .join("tests/fixtures/checkpoints")
                    .join(name)
                    .join("config.json");
                assert!(config.is_file(), "{}", config.display());
            }
        }
    }

    #[test]
    fn the_weight_of_a_folder_is_that_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("goldens")).unwrap();
        fs::write(folder.path().join("a"), [0; 3]).unwrap();
        fs::write(folder.path().join("goldens/b"), [0; 4]).unwrap();
        assert_eq!(bytes_under(folder.path()).unwrap(), 7);
    }
}
