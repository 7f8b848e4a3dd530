//! The library of named things in a file: our own bundle, with what the encoder made of each photo in it.

pub mod import;
pub mod reference_check;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use namelens_engine::concepts::{Concept, Library, bundle};
use namelens_engine::host::Host;
use namelens_engine::personalize::Engine;

use crate::find::key::{Sum, sum};
use crate::whole_file;

/// Largest library, in bytes: that of ten thousand things with a photo of 100 kB each.
pub const MOST_BYTES: usize = 2 << 30;

/// A library as it was read, and where it is kept.
#[derive(Debug)]
pub struct LibraryFile {
    path: PathBuf,
    /// Of what was read; `None` where there was no file yet.
    sum: Option<Sum>,
    /// Its things.
    pub concepts: Vec<Concept>,
}

impl LibraryFile {
    /// Reads a library.
    ///
    /// # Errors
    /// When it is not there, is no library, or passes a limit.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Self::open_or_new(path)?;
        if file.sum.is_none() {
            let shown = path.display();
            bail!(
                "there is no library {shown}; begin one with `namelens library --file {shown} add NAME=PHOTO`"
            );
        }
        Ok(file)
    }

    /// Reads a library, or begins one where there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_or_new(path: &Path) -> Result<Self> {
        let shown = path.display();
        let Some(bytes) = read(path)? else {
            return Ok(Self {
                path: path.to_owned(),
                sum: None,
                concepts: Vec::new(),
            });
        };
        let concepts = bundle::read_within(&bytes, MOST_BYTES).with_context(|| {
            format!("{shown} is no library of NameLens; bring a database.json into one with `namelens library import {shown}`")
        })?;
        Ok(Self {
            path: path.to_owned(),
            sum: Some(sum(&bytes)),
            concepts,
        })
    }

    /// The library without a model: for what looks at no photo.
    ///
    /// # Errors
    /// When two things have one name.
    pub fn library(&self) -> Result<Library> {
        let mut library = Library::new("");
        for concept in &self.concepts {
            library.restore(concept.clone())?;
        }
        Ok(library)
    }

    /// Gives the things to an engine; of those that another model has seen, the photos are looked at anew.
    ///
    /// # Errors
    /// When one of them cannot be used: the file stays whole rather than lose it.
    pub fn give_to(&mut self, engine: &mut Engine, host: &dyn Host) -> Result<()> {
        let concepts = std::mem::take(&mut self.concepts);
        let restored = pollster::block_on(engine.restore(concepts, host));
        match restored.problems.into_iter().next() {
            Some(problem) => Err(anyhow::Error::new(problem)
                .context(format!("{} cannot be used as it is", self.path.display()))),
            None => Ok(()),
        }
    }

    /// Writes the library in the place of what was read, whole or not at all.
    ///
    /// # Errors
    /// When it is too large, cannot be written, or the file has been changed meanwhile.
    pub fn write(&mut self, library: &Library) -> Result<()> {
        let bytes = bundle::export_within(library, MOST_BYTES)?;
        let now = read(&self.path)?.map(|bytes| sum(&bytes));
        if now != self.sum {
            bail!(
                "{} was changed by another program meanwhile and is left as it is; run the command again",
                self.path.display()
            );
        }
        whole_file::write(&self.path, &bytes)?;
        self.sum = Some(sum(&bytes));
        Ok(())
    }
}

/// The bytes of a file, if there is one; none that is larger than a library is read.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let context = || format!("cannot read {}", path.display());
    match path.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(context),
        Ok(found) if found.is_dir() => bail!("{} is a folder; name a file", path.display()),
        Ok(found) if found.len() > MOST_BYTES as u64 => bail!(
            "{} has {} MiB; a library has at most {}",
            path.display(),
            found.len() >> 20,
            MOST_BYTES >> 20
        ),
        Ok(_) => {}
    }
    Ok(Some(std::fs::read(path).with_context(context)?))
}

/// A library as a file for other programs and the page: with what the encoder made of the photos, unless that is too much.
///
/// # Errors
/// When it is too large even so.
pub fn bundle_of(library: &Library) -> Result<Vec<u8>> {
    if let Ok(bytes) = bundle::export(library) {
        return Ok(bytes);
    }
    let mut bare = Library::new("");
    for concept in library.list() {
        let mut concept = concept.clone();
        for photo in &mut concept.references {
            photo.embedded.clear();
        }
        bare.restore(concept)?;
    }
    Ok(bundle::export(&bare)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use namelens_engine::concepts::{NewConcept, Reference};

    fn with(name: &str) -> Library {
        let mut library = Library::new("e");
        let photo = Reference::new(vec![7; 90_000]).with_embeddings("e", vec![vec![0.6, 0.8]]);
        let new = NewConcept {
            name: name.into(),
            references: vec![photo],
            ..NewConcept::default()
        };
        library.add(new, 0).unwrap();
        library
    }

    #[test]
    fn of_two_that_change_a_library_the_later_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("things.json");
        let [mut first, mut second] = [0, 1].map(|_| LibraryFile::open_or_new(&path).unwrap());
        first.write(&with("Mochi")).unwrap();
        let error = second.write(&with("Bo")).unwrap_err().to_string();
        assert!(error.contains("changed by another program"), "{error}");
        let names = |file: &LibraryFile| file.concepts[0].name.clone();
        assert_eq!(names(&LibraryFile::open(&path).unwrap()), "Mochi");
        // The one that wrote may write again.
        first.write(&with("Miso")).unwrap();
        assert_eq!(names(&LibraryFile::open(&path).unwrap()), "Miso");
    }

    #[test]
    fn what_is_exported_has_what_the_encoder_made_unless_it_is_too_much() {
        let embedded = |library: &Library| {
            let read = bundle::read(&bundle_of(library).unwrap()).unwrap();
            !read[0].references[0].embedded.is_empty()
        };
        let mut library = with("Mochi");
        assert!(embedded(&library));
        // 64 MiB with their embeddings, 12 without.
        for number in 0..100 {
            let photo =
                Reference::new(vec![7; 90_000]).with_embeddings("e", vec![vec![0.6, 0.8]; 60_000]);
            let new = NewConcept {
                name: format!("Thing {number}"),
                references: vec![photo],
                ..NewConcept::default()
            };
            library.add(new, 0).unwrap();
        }
        assert!(!embedded(&library));
    }
}
