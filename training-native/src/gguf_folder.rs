//! Which GGUF files of a folder are one model: the parts of its text model and one vision projector (mmproj).

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use namelens_engine::model::gguf_config::{ARCHITECTURE, PROJECTOR};
use namelens_engine::weights::{WeightFile, split_files};

use crate::bundle::FileSource;

/// The GGUF files of the model that `path` is a file of: all parts of its text model, and the one vision projector of the
/// folder.
///
/// # Errors
/// When a file cannot be read, or it is not clear which projector is meant.
pub fn gguf_files(path: &Path) -> Result<Vec<PathBuf>> {
    model_files(path, None)
}

/// As [`gguf_files`], with the vision projector `mmproj`: the name of a file beside the text model, or a path.
///
/// # Errors
/// When a file cannot be read, or it is not clear which projector is meant.
pub fn model_files(path: &Path, mmproj: Option<&str>) -> Result<Vec<PathBuf>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no readable name", path.display()))?;
    if is_projector(path)? {
        bail!(
            "{} is a vision projector; name the text model",
            path.display()
        );
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files: Vec<PathBuf> = match split_files(name)? {
        Some(parts) => parts.iter().map(|part| folder.join(part)).collect(),
        None => vec![path.to_owned()],
    };
    // Without one the text model is all there is: it reads text only, or says itself what it lacks.
    files.extend(chosen(&projectors(folder)?, folder, mmproj)?);
    Ok(files)
}

/// The vision projectors of a model's folder that do not belong to the model, because `mmproj` is another one.
///
/// # Errors
/// When the folder cannot be read, there are several projectors and none is chosen, or the chosen one is not in the folder.
pub fn other_projectors(folder: &Path, mmproj: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut all = projectors(folder)?;
    let own = chosen(&all, folder, mmproj)?;
    if let Some(own) = own.as_ref().filter(|own| !all.contains(own)) {
        bail!(
            "{} is not in {}; name the text model's file to use a vision projector of another folder",
            own.display(),
            folder.display()
        );
    }
    all.retain(|path| Some(path) != own.as_ref());
    Ok(all)
}

/// The projector that is meant: the one named, or the only one.
fn chosen(projectors: &[PathBuf], folder: &Path, mmproj: Option<&str>) -> Result<Option<PathBuf>> {
    let names = || -> String {
        let names: Vec<String> = projectors
            .iter()
            .filter_map(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        names.join(", ")
    };
    let Some(wanted) = mmproj else {
        return match projectors {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            _ => bail!(
                "{} has several vision projectors; choose one with --mmproj: {}",
                shown(folder),
                names()
            ),
        };
    };
    if let Some(own) = projectors.iter().find(|path| path.ends_with(wanted)) {
        return Ok(Some(own.clone()));
    }
    let path = PathBuf::from(wanted);
    if path.is_file() {
        if is_projector(&path)? {
            return Ok(Some(path));
        }
        bail!("--mmproj {wanted} is not a vision projector");
    }
    match projectors {
        [] => bail!(
            "--mmproj {wanted}: {} has no vision projectors",
            shown(folder)
        ),
        _ => bail!(
            "--mmproj {wanted}: {} has no such vision projector, but {}",
            shown(folder),
            names()
        ),
    }
}

/// The vision projectors of a folder, sorted.
fn projectors(folder: &Path) -> Result<Vec<PathBuf>> {
    let here = match folder.as_os_str().is_empty() {
        true => Path::new("."),
        false => folder,
    };
    let context = || format!("cannot read {}", here.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir(here).with_context(context)? {
        let name = entry.with_context(context)?.file_name();
        let path = folder.join(name);
        let is_gguf = path.extension().is_some_and(|kind| kind == "gguf");
        // A damaged file beside the model is none of ours.
        if is_gguf && path.is_file() && is_projector(&path).unwrap_or(false) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_projector(path: &Path) -> Result<bool> {
    let name = path.display().to_string();
    let file = WeightFile::open(&name, Box::new(FileSource::open(path)?))?;
    Ok(file.metadata().str(ARCHITECTURE) == Some(PROJECTOR))
}

fn shown(folder: &Path) -> String {
    match folder.as_os_str().is_empty() {
        true => "this folder".to_owned(),
        false => folder.display().to_string(),
    }
}
