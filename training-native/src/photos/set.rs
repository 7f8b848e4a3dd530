//! A set of photos: a folder a thing, and boxes where somebody drew them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use namelens_engine::image::{Rgb8, decode};
use serde::Deserialize;

/// Where things are in the photos of a set.
const BOXES: &str = "boxes.json";
/// Ends of the names of photos.
const KINDS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// One photo of one thing.
#[derive(Debug, Clone)]
pub struct Photo {
    /// `thing/file`.
    pub key: String,
    /// Number of the thing among [`PhotoSet::things`].
    pub thing: usize,
    /// The photo, upright.
    pub pixels: Rgb8,
    /// Where the thing is, fractions; the whole photo where nobody said.
    pub box_: [f32; 4],
    /// Whether somebody drew the box.
    pub boxed: bool,
}

/// Photos of several things.
#[derive(Debug, Clone)]
pub struct PhotoSet {
    /// Names of the folders, sorted.
    pub things: Vec<String>,
    /// All photos, thing by thing.
    pub photos: Vec<Photo>,
}

/// A line of `boxes.json`; other keys are notes.
#[derive(Debug, Deserialize)]
struct Boxed {
    #[serde(rename = "box")]
    box_: [f32; 4],
}

impl PhotoSet {
    /// Reads the folders of `folder`, each of which has the photos of one thing, and its `boxes.json`, if there is one.
    ///
    /// # Errors
    /// When the folder cannot be read, a photo is broken, a box leaves its photo, or there are fewer than two things with two
    /// photos each.
    pub fn read(folder: &Path) -> Result<Self> {
        let boxes = read_boxes(folder)?;
        let mut set = Self {
            things: Vec::new(),
            photos: Vec::new(),
        };
        for thing in names(folder, Path::is_dir)? {
            let below = folder.join(&thing);
            let photos = names(&below, is_photo)?;
            if photos.is_empty() {
                continue;
            }
            for file in photos {
                let key = format!("{thing}/{file}");
                let path = below.join(&file);
                let bytes =
                    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let pixels = decode(&bytes).with_context(|| path.display().to_string())?;
                let drawn = boxes.get(&key).map(|boxed| boxed.box_);
                if let Some(problem) =
                    drawn.and_then(|b| namelens_engine::concepts::check_box(&b).err())
                {
                    bail!("{BOXES}: {key}: {problem}");
                }
                set.photos.push(Photo {
                    key,
                    thing: set.things.len(),
                    pixels,
                    box_: drawn.unwrap_or([0.0, 0.0, 1.0, 1.0]),
                    boxed: drawn.is_some(),
                });
            }
            set.things.push(thing);
        }
        let several = |thing: usize| set.of(thing).nth(1).is_some();
        if (0..set.things.len())
            .filter(|&thing| several(thing))
            .count()
            < 2
        {
            bail!(
                "{} has fewer than two folders with two photos each; a set is a folder of things, each a folder of photos",
                folder.display()
            );
        }
        Ok(set)
    }

    /// Numbers of the photos of a thing.
    pub fn of(&self, thing: usize) -> impl Iterator<Item = usize> {
        let photos = self.photos.iter().enumerate();
        photos
            .filter(move |(_, photo)| photo.thing == thing)
            .map(|(at, _)| at)
    }
}

fn read_boxes(folder: &Path) -> Result<BTreeMap<String, Boxed>> {
    let path = folder.join(BOXES);
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is not {{\"thing/photo.jpg\": {{\"box\": [left, top, right, bottom]}}}}",
            path.display()
        )
    })
}

/// Names in a folder that `wanted` takes, sorted.
fn names(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let (true, Some(name)) = (
            wanted(&path),
            path.file_name().and_then(|name| name.to_str()),
        ) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn is_photo(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    ending.is_some_and(|ending| KINDS.iter().any(|kind| ending == *kind))
}
