//! Photo by photo: what was seen of it, kept or new, compared with the library.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result};
use namelens_engine::concepts::retrieval::Mode;
use namelens_engine::concepts::{Library, Retrieved};
use namelens_engine::host::Still;
use namelens_engine::image::{Rgb8, decode};
use namelens_engine::personalize::Engine;
use namelens_engine::personalize::retriever::{Retriever, Scan};
use namelens_engine::{Error, Result as EngineResult};
use serde::Serialize;

use super::cache::Cache;
use super::key;
use super::prepare::{Prepared, Shared, ahead};
use super::walk::PhotoFile;

/// A thing that was found in a photo.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// Its id in the library.
    pub id: String,
    /// How sure it is that it is there, 0 to 1; none where the model only compares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// How similar it is.
    pub score: f32,
    /// Where it is: left, top, right and bottom as fractions of the photo.
    #[serde(rename = "box")]
    pub box_: Option<[f32; 4]>,
    /// Where more of the kind are, if there are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_boxes: Vec<[f32; 4]>,
}

/// What became of one photo.
#[derive(Debug)]
pub struct Seen {
    /// Its number.
    pub photo: usize,
    /// What is in it, surest first, or why it cannot be read.
    pub found: Result<Vec<Found>, String>,
    /// Whether it was looked at just now, not before.
    pub is_new: bool,
}

/// What looks through photos.
#[derive(Debug)]
pub struct Search<'a> {
    /// The model, and the library that is looked for.
    pub engine: &'a Engine,
    /// Least confidence of what counts as found.
    pub least: f32,
    /// Set to stop after the photo at hand.
    pub stop: &'a AtomicBool,
}

/// A photo that is decoded when it is wanted.
#[derive(Debug)]
pub struct LatePhoto<'a> {
    path: &'a Path,
    photo: OnceCell<Rgb8>,
}

impl LatePhoto<'_> {
    /// The photo.
    ///
    /// # Errors
    /// When the file cannot be read any more.
    pub fn get(&self) -> EngineResult<&Rgb8> {
        if let Some(photo) = self.photo.get() {
            return Ok(photo);
        }
        let bytes = std::fs::read(self.path).map_err(|error| Error::Image {
            problem: format!("cannot be read: {error}"),
        })?;
        let photo = decode(&bytes)?;
        Ok(self.photo.get_or_init(|| photo))
    }
}

impl Search<'_> {
    /// Looks through `photos`, about in their order; `on_seen` hears of each. Returns how many it heard of.
    ///
    /// # Errors
    /// When the device fails, the cache cannot be written, or `on_seen` fails.
    pub fn run(
        &self,
        photos: &[PhotoFile],
        cache: Option<Cache>,
        on_seen: &mut dyn FnMut(Seen, &LatePhoto<'_>) -> Result<()>,
    ) -> Result<usize> {
        let retriever = self.engine.retriever();
        let retriever =
            retriever.context("this model cannot search photos; choose one with a retriever")?;
        let shared = Shared {
            photos,
            cache: Mutex::new(cache),
            stop: self.stop,
        };
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let ready = ahead(scope, &shared, &next);
            let mut done = 0;
            for (at, prepared) in ready {
                let late = LatePhoto {
                    path: &photos[at].real,
                    photo: OnceCell::new(),
                };
                let (found, is_new) = match prepared {
                    Ok(prepared) => self.look(retriever, prepared, &photos[at], &late, &shared)?,
                    Err(problem) => (Err(problem), true),
                };
                let seen = Seen {
                    photo: at,
                    found,
                    is_new,
                };
                on_seen(seen, &late)?;
                done += 1;
                if self.stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            Ok(done)
        })
    }

    /// What is in a photo, and whether it was looked at just now.
    fn look(
        &self,
        retriever: &Retriever,
        prepared: Prepared,
        file: &PhotoFile,
        late: &LatePhoto<'_>,
        shared: &Shared<'_>,
    ) -> Result<(Result<Vec<Found>, String>, bool)> {
        let sum = prepared.sum;
        if let Some(photo) = prepared.photo {
            late.photo.get_or_init(|| photo);
        }
        let kept = shared.cache().as_mut().and_then(|cache| cache.scan(&sum));
        let mut scan = kept.as_ref().and_then(|bytes| retriever.unpack(bytes));
        let is_new = scan.is_none();
        let found = match find(retriever, &self.engine.library, late, &mut scan) {
            Ok(found) => found,
            Err(error @ Error::Image { .. }) => return Ok((Err(error.to_string()), is_new)),
            Err(error) => return Err(error.into()),
        };
        if let Some(cache) = shared.cache().as_mut() {
            let packed = scan.as_ref().and_then(|scan| retriever.pack(scan));
            // A closer look makes more of a photo that was known.
            if let Some(packed) = packed.filter(|packed| kept.as_ref() != Some(packed)) {
                cache.put_scan(&sum, &packed)?;
            }
            cache.put_place(&key::path_text(&file.real), prepared.stamp, &sum)?;
        }
        let found = found.into_iter().filter(|found| self.counts(found));
        Ok((Ok(found.map(Found::from).collect()), is_new))
    }

    fn counts(&self, found: &Retrieved) -> bool {
        match found.confidence {
            Some(confidence) => confidence >= self.least,
            None => found.is_found(),
        }
    }
}

fn find(
    retriever: &Retriever,
    library: &Library,
    late: &LatePhoto<'_>,
    scan: &mut Option<Scan>,
) -> EngineResult<Vec<Retrieved>> {
    pollster::block_on(async {
        if scan.is_none() {
            *scan = Some(retriever.scan_to_keep(late.get()?, &Still).await?);
        }
        let photo = || late.get();
        retriever
            .search_shown(&photo, scan, "", library, Mode::Auto, &Still)
            .await
    })
}

impl From<Retrieved> for Found {
    fn from(found: Retrieved) -> Self {
        Self {
            name: found.name,
            id: found.id,
            confidence: found.confidence,
            score: found.score,
            box_: found.box_,
            more_boxes: found.more_boxes,
        }
    }
}
