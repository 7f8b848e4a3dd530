//! A file of concepts with the photos it names, found beside it: in its folder, and in the folder above.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use namelens_engine::concepts::{ConceptFile, GivenPhoto};
use walkdir::WalkDir;

use super::MOST_BYTES;

/// Most files that are considered, and how deep below the folder above: it may be somebody's whole home.
const MOST_FILES: usize = 100_000;
const DEPTH: usize = 3;

/// A file that can be imported.
#[derive(Debug)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub file: ConceptFile,
    /// The photos it names, as far as they are there.
    pub photos: Vec<GivenPhoto>,
    /// Its own path among theirs.
    pub inside: Option<String>,
}

impl Source {
    /// Reads a file of concepts, or the one in a folder.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let path = match path.is_dir() {
            true => in_folder(path)?,
            false => path.to_owned(),
        };
        let bytes = super::read(&path)?;
        let bytes = bytes.with_context(|| format!("there is no {}", path.display()))?;
        let context = || format!("cannot import {}", path.display());
        let file = ConceptFile::parse(&bytes).with_context(context)?;
        let (photos, inside) = match file {
            ConceptFile::Bundle(_) => (Vec::new(), None),
            ConceptFile::Database(_) => beside(&file, &path).with_context(context)?,
        };
        Ok(Self {
            path,
            file,
            photos,
            inside,
        })
    }
}

/// The file of concepts in a folder: `database.json`, or the only one that ends in `.json`.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let database = folder.join("database.json");
    if database.is_file() {
        return Ok(database);
    }
    let mut files = Vec::new();
    for entry in folder
        .read_dir()
        .with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"))
            && path.is_file()
        {
            files.push(path);
        }
    }
    match files.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!("{} has no database.json; name the file", folder.display()),
        _ => bail!("{} has several .json files; name one", folder.display()),
    }
}

/// The photos of a database, and its own path among them.
fn beside(file: &ConceptFile, path: &Path) -> Result<(Vec<GivenPhoto>, Option<String>)> {
    let real = path.canonicalize()?;
    let folder = real.parent().context("it is in no folder")?;
    // Paths of RAP's databases start from the folder above.
    let base = folder.parent().unwrap_or(folder);
    let own = inside(base, &real);
    let near = files(folder, usize::MAX);
    let mut best = chosen(file, base, &near, &own);
    let mut wide = near;
    wide.extend(
        files(base, DEPTH)
            .into_iter()
            .filter(|path| !path.starts_with(folder)),
    );
    let wider = chosen(file, base, &wide, &own);
    // What lies farther away is looked at only for what is not near: it may have the same names.
    if wider.len() > best.len() {
        best = wider;
    }
    let mut photos = Vec::with_capacity(best.len());
    let mut total = 0;
    for path in best {
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        total += bytes.len();
        if total > MOST_BYTES {
            bail!(
                "its photos have more than {} MiB; import a part of them",
                MOST_BYTES >> 20
            );
        }
        photos.push((inside(base, &path), bytes.into()));
    }
    Ok((photos, Some(own)))
}

/// Those of the files that the database names.
fn chosen(file: &ConceptFile, base: &Path, paths: &[PathBuf], own: &str) -> Vec<PathBuf> {
    let names: Vec<String> = paths.iter().map(|path| inside(base, path)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let needed = file.needs(&names, Some(own));
    needed.into_iter().map(|at| paths[at].clone()).collect()
}

/// A path counted from a folder, as other machines write it.
fn inside(base: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(base).unwrap_or(path);
    let names = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy());
    names.collect::<Vec<_>>().join("/")
}

/// The files below a folder that may be photos, by name.
fn files(folder: &Path, depth: usize) -> Vec<PathBuf> {
    WalkDir::new(folder)
        .max_depth(depth)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| !entry.file_type().is_dir())
        .take(MOST_FILES)
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.is_file() && is_picture(path))
        .collect()
}

fn is_picture(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("");
    let pictures = [
        "jpg", "jpeg", "png", "webp", "gif", "bmp", "heic", "avif", "jfif",
    ];
    pictures.contains(&extension.to_ascii_lowercase().as_str())
}
