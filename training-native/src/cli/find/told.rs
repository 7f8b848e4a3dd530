//! Photos as they are done: copies with boxes, a bar, and lines in the order of the photos.

use std::path::Path;

use anstream::{eprintln, println};
use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use namelens::find::draw::Copies;
use namelens::find::labels::Labels;
use namelens::find::report::line;
use namelens::find::search::{LatePhoto, Seen};
use namelens::find::walk::PhotoFile;

/// What is done with each photo.
pub(super) struct Told<'a> {
    photos: &'a [PhotoFile],
    bar: ProgressBar,
    copies: Option<Copies>,
    /// Whether a program reads the output; else it has lines for people.
    is_read: bool,
    /// Photos that were done, in any order.
    seen: Vec<Option<Seen>>,
    /// How many of them were told.
    told: usize,
}

impl<'a> Told<'a> {
    /// Copies go into the folder `draw`, if there is one, with things written as `labels` says.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn new(
        photos: &'a [PhotoFile],
        draw: Option<&Path>,
        labels: Labels,
        is_read: bool,
    ) -> Result<Self> {
        if let (Some(folder), Some(legend)) = (draw, labels.legend()) {
            let folder = folder.display();
            eprintln!(
                "note: the copies in {folder} have numbers for names they cannot show: {legend}"
            );
        }
        let bar = ProgressBar::new(photos.len() as u64);
        bar.set_style(ProgressStyle::with_template(
            "{elapsed_precise} {wide_bar:.cyan/blue} {pos}/{len} photos, eta {eta}",
        )?);
        let copies = draw.map(|folder| Copies::into(folder, photos, labels));
        Ok(Self {
            photos,
            bar,
            copies: copies.transpose()?,
            is_read,
            seen: photos.iter().map(|_| None).collect(),
            told: 0,
        })
    }

    /// Draws what was found, and tells of photos in their order.
    ///
    /// # Errors
    /// When a copy cannot be written.
    pub(super) fn hear(&mut self, seen: Seen, photo: &LatePhoto<'_>) -> Result<()> {
        if let (Ok(found), Some(copies)) = (&seen.found, &mut self.copies)
            && !found.is_empty()
        {
            let photo = photo.get()?;
            copies.draw(&self.photos[seen.photo], photo, found)?;
        }
        self.bar.inc(1);
        let at = seen.photo;
        self.seen[at] = Some(seen);
        while let Some(Some(seen)) = self.seen.get(self.told) {
            self.tell(seen);
            self.told += 1;
        }
        Ok(())
    }

    fn tell(&self, seen: &Seen) {
        match &seen.found {
            Ok(found) if !found.is_empty() && !self.is_read => {
                let line = line(&self.photos[seen.photo].path, found);
                self.bar.suspend(|| println!("{line}"));
            }
            _ => {}
        }
    }

    /// Everything that was seen; what came out of order before a stop is told too.
    pub(super) fn finish(self) -> Vec<Option<Seen>> {
        self.bar.finish_and_clear();
        for seen in self.seen.iter().skip(self.told).flatten() {
            self.tell(seen);
        }
        self.seen
    }
}
