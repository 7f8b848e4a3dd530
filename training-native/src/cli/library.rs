//! `namelens library`: the things you named, in a file: add, list, remove, import, export.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anstream::{eprintln, println};
use anyhow::{Context, Result, bail};
use chrono::Utc;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use namelens::device::DeviceChoice;
use namelens::native_host::NativeHost;
use namelens::results_file::ResultsFile;
use namelens::things::import::Source;
use namelens::things::{LibraryFile, bundle_of, reference_check};
use namelens_engine::Result as EngineResult;
use namelens_engine::concepts::{Concept, ConceptPatch, Library, NewConcept};
use namelens_engine::host::Host;
use namelens_engine::image::decode;
use namelens_engine::personalize::Engine;
use serde_json::json;

use super::concept;
use super::find::load;

/// Options of `namelens library`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  namelens library add 'Mochi=mochi.jpg@0.2,0.1,0.7,0.9:my cat' --category cat
  namelens library add Mochi=another-photo-of-her.jpg
  namelens library --file toys.json import example_database/database.json
  namelens library list
  namelens find --library things.json Pictures/

The file holds photos, names and what the model made of them. It is written whole or not at all.")]
pub(super) struct LibraryArgs {
    /// File of the library; it is made where there is none.
    #[arg(long, global = true, default_value = "things.json")]
    file: PathBuf,
    /// Folder of the model that looks at photos.
    #[arg(long, global = true, default_value = "models/photos")]
    model: PathBuf,
    /// Where to compute.
    #[arg(long, global = true, value_enum, default_value = "auto")]
    device: DeviceChoice,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Add things, or photos to things that are there.
    Add {
        /// `NAME=PHOTO`, where in the photo it is (`@left,top,right,bottom`, from 0 to 1), and what cannot be seen (`:INFO`).
        #[arg(required = true, value_name = "NAME=PHOTO[@BOX][:INFO]")]
        things: Vec<String>,
        /// What kind of thing it is: `cat`, `mug`.
        #[arg(long)]
        category: Option<String>,
    },
    /// Say which things there are.
    List {
        /// Print them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove a thing with its photos.
    Remove {
        /// Its name, or another name of it.
        name: String,
    },
    /// Add the things of another file: a library, or a database.json of RAP or RePIC with its photos beside it.
    Import {
        /// The file, or the folder it is in.
        #[arg(value_name = "FILE")]
        from: PathBuf,
    },
    /// Write the things to another file, for the page or another machine.
    Export {
        /// The file.
        #[arg(value_name = "FILE")]
        to: PathBuf,
    },
}

impl LibraryArgs {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When a photo, a name or a file cannot be used; the library is then as it was.
    pub(super) fn run(&self) -> Result<()> {
        match &self.what {
            What::Add { things, category } => self.add(things, category.as_deref()),
            What::List { json } => list(&LibraryFile::open(&self.file)?.library()?, *json),
            What::Remove { name } => self.remove(name),
            What::Import { from } => self.import(from),
            What::Export { to } => self.export(to),
        }
    }

    fn add(&self, options: &[String], category: Option<&str>) -> Result<()> {
        // What a person mistyped is said before the model is loaded.
        let things = concept::read_all("", options)?;
        let mut file = LibraryFile::open_or_new(&self.file)?;
        let stop = AtomicBool::new(false);
        let host = NativeHost::new(&stop);
        let mut engine = self.engine(&mut file, &host)?;
        let now = now_ms();
        let edit = |library: &mut Library| -> EngineResult<Vec<(String, usize)>> {
            let of = |thing| put(library, thing, category, now);
            things.into_iter().map(of).collect()
        };
        let added = pollster::block_on(engine.edit_library(&host, edit))?;
        file.write(&engine.library)?;
        for (id, first) in added {
            if let Some(thing) = engine.library.get(&id) {
                tell(&engine, thing, first, &host)?;
            }
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut file = LibraryFile::open(&self.file)?;
        let mut library = file.library()?;
        let known = library.find_by_name_or_alias(name);
        let id = known.map(|thing| thing.id.clone()).with_context(|| {
            let shown = self.file.display();
            format!("there is no `{name}` in {shown}; `namelens library list` has the names")
        })?;
        let thing = library.delete(&id)?;
        file.write(&library)?;
        println!("removed {}", thing.name);
        Ok(())
    }

    fn import(&self, from: &Path) -> Result<()> {
        let source = Source::read(from)?;
        let mut file = LibraryFile::open_or_new(&self.file)?;
        let stop = AtomicBool::new(false);
        let host = NativeHost::new(&stop);
        let mut engine = self.engine(&mut file, &host)?;
        let bar = ProgressBar::new_spinner().with_message("looking at the photos");
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        let inside = source.inside.as_deref();
        let import = engine.import_file(source.file, &source.photos, inside, now_ms(), &host);
        let imported = pollster::block_on(import);
        bar.finish_and_clear();
        let imported = imported?;
        for problem in &imported.problems {
            eprintln!("warning: {problem}");
        }
        for (old, new) in &imported.renamed {
            eprintln!("warning: there is a {old} already; the new one is called {new}");
        }
        file.write(&engine.library)?;
        let shown = source.path.display();
        println!("added {} things from {shown}", imported.added.len());
        Ok(())
    }

    fn export(&self, to: &Path) -> Result<()> {
        let to_file = ResultsFile::new("export", to, &[&self.file])?;
        let library = LibraryFile::open(&self.file)?.library()?;
        to_file.write(&bundle_of(&library)?)?;
        println!("wrote {} things to {}", library.len(), to.display());
        Ok(())
    }

    fn engine(&self, file: &mut LibraryFile, host: &dyn Host) -> Result<Engine> {
        let mut engine = load(&self.model, self.device)?;
        file.give_to(&mut engine, host)?;
        Ok(engine)
    }
}

fn now_ms() -> u64 {
    u64::try_from(Utc::now().timestamp_millis()).unwrap_or(0)
}

/// Adds a thing, or its photos to the one of its name: its id, and the number of its first new photo.
fn put(
    library: &mut Library,
    mut thing: NewConcept,
    category: Option<&str>,
    now: u64,
) -> EngineResult<(String, usize)> {
    let known = library.find_by_name_or_alias(&thing.name);
    let Some(known) = known.map(|known| (known.id.clone(), known.references.len())) else {
        thing.category = category.unwrap_or_default().to_owned();
        return Ok((library.add(thing, now)?, 0));
    };
    for photo in thing.references {
        library.add_reference(&known.0, photo, now)?;
    }
    let patch = ConceptPatch {
        info: Some(thing.info).filter(|info| !info.is_empty()),
        category: category.map(str::to_owned),
        ..ConceptPatch::default()
    };
    library.edit(&known.0, patch, now)?;
    Ok(known)
}

/// Says what was seen of new photos of a thing, and whether they will do.
fn tell(engine: &Engine, thing: &Concept, first: usize, host: &dyn Host) -> Result<()> {
    let count = thing.references.len();
    let photos = if count == 1 { "photo" } else { "photos" };
    println!("{}: {count} {photos}", thing.name);
    for photo in &thing.references[first..] {
        let pixels = decode(&photo.photo)?;
        let box_ = photo.box_.unwrap_or([0.0, 0.0, 1.0, 1.0]);
        if let Some(retriever) = engine.retriever() {
            let words = pollster::block_on(retriever.words(&pixels, box_, 3, host))?;
            let words: Vec<String> = words
                .iter()
                .map(|word| format!("{} {:.0} %", word.word, word.share * 100.0))
                .collect();
            if !words.is_empty() {
                println!("  looks like: {}", words.join(", "));
            }
        }
        for warning in reference_check::warnings(&pixels, photo.box_) {
            eprintln!("  note: {warning}");
        }
    }
    if let Some((other, _)) = reference_check::alike(&engine.library, &thing.id) {
        eprintln!(
            "  note: it looks much like {other}; one may be taken for the other, and more photos of both help"
        );
    }
    Ok(())
}

fn list(library: &Library, as_json: bool) -> Result<()> {
    if as_json {
        let things: Vec<_> = library.list().map(described).collect();
        println!("{}", serde_json::to_string_pretty(&things)?);
        return Ok(());
    }
    if library.is_empty() {
        bail!("there are no things in it; add one with `namelens library add NAME=PHOTO`");
    }
    for thing in library.list() {
        let count = thing.references.len();
        let photos = if count == 1 { "photo" } else { "photos" };
        let mut line = format!("{}  {count} {photos}", thing.name);
        for text in [&thing.category, &thing.info] {
            if !text.is_empty() {
                line += &format!("  {text}");
            }
        }
        println!("{line}");
    }
    Ok(())
}

fn described(thing: &Concept) -> serde_json::Value {
    let photos = thing.references.iter();
    let photos: Vec<_> = photos
        .map(|photo| json!({ "bytes": photo.photo.len(), "box": photo.box_ }))
        .collect();
    json!({
        "id": thing.id,
        "name": thing.name,
        "aliases": thing.aliases,
        "category": thing.category,
        "info": thing.info,
        "photos": photos,
        "createdMs": thing.created_ms,
        "updatedMs": thing.updated_ms,
    })
}
