//! Stage 4: the reference photos and the photo become visual tokens, where there is a photo.

use super::caller::Caller;
use super::choose::Chosen;
use crate::Result;
use crate::concepts::Library;
use crate::host::Host;
use crate::image::{ImageProcessor, Rgb8, decode};
use crate::personalize::captioner::Captioner;
use crate::personalize::messages::ImageRef;
use crate::personalize::photo_cache::{EncodedPhoto, PhotoCache, PhotoKey};
use crate::personalize::photo_features::{features, frames};
use crate::personalize::types::Stage;
use crate::personalize::visual_bytes::{pack, unpack};

/// The photos of a request: those of the references, in the order of the chosen concepts, then the one that is asked about.
pub(super) struct EncodedPhotos {
    references: Vec<(PhotoKey, EncodedPhoto)>,
    /// `None` where the request is about no photo.
    asked: Option<EncodedPhoto>,
    splitting: Option<bool>,
}

impl EncodedPhotos {
    /// Those of a request that is about no photo.
    pub(super) fn none() -> Self {
        Self {
            references: Vec::new(),
            asked: None,
            splitting: None,
        }
    }

    /// The photo that a place of the prompt shows.
    pub(super) fn get(&self, place: ImageRef) -> Option<(PhotoKey, &EncodedPhoto)> {
        match place {
            ImageRef::Reference(at) => {
                let (key, photo) = self.references.get(at)?;
                Some((key.clone(), photo))
            }
            ImageRef::Photo => {
                let splitting = self.splitting;
                let asked = self.asked.as_ref()?;
                Some((PhotoKey::Asked { splitting }, asked))
            }
        }
    }

    /// Width and height of the photo that is asked about as the model sees it, pixels; 0 where there is none.
    pub(super) fn size(&self) -> (usize, usize) {
        self.asked.as_ref().map_or((0, 0), |asked| asked.size)
    }
}

/// Encodes what was not encoded before: the first reference of each chosen concept, and the photo.
pub(super) async fn vision_pass(
    (captioner, library): (&mut Captioner, &Library),
    chosen: &[Chosen],
    photo: &Rgb8,
    splitting: Option<bool>,
    cache: &mut PhotoCache,
    caller: &mut Caller<'_>,
) -> Result<EncodedPhotos> {
    let total = chosen.len() + 1;
    let mut references = Vec::with_capacity(chosen.len());
    captioner.reference_photos.prune(library);
    for Chosen { concept, photo, .. } in chosen {
        let encoded = match captioner.reference_photos.get(&concept.id, photo) {
            Some(known) => known,
            None => {
                let single = processor(captioner, Some(false))?;
                let name = captioner.kept_name(photo, &single);
                let shown = (&decode(photo)?, name.as_deref());
                let new = encode(captioner, &single, shown, caller.host).await?;
                let photos = &mut captioner.reference_photos;
                photos.insert(&concept.id, photo.clone(), new.clone());
                new
            }
        };
        references.push((PhotoKey::Reference(photo.clone()), encoded));
        caller.progress(Stage::Vision, references.len(), total);
    }
    let asked = match &cache.encoded {
        Some((before, known)) if *before == splitting => known.clone(),
        _ => {
            let processor = processor(captioner, splitting)?;
            let new = encode(captioner, &processor, (photo, None), caller.host).await?;
            cache.encoded = Some((splitting, new.clone()));
            new
        }
    };
    caller.progress(Stage::Vision, total, total);
    Ok(EncodedPhotos {
        references,
        asked: Some(asked),
        splitting,
    })
}

/// What prepares a photo that is cut into tiles, or not; as the checkpoint says when nobody chose.
///
/// # Errors
/// When the model reads text only.
pub(super) fn processor(captioner: &Captioner, splitting: Option<bool>) -> Result<ImageProcessor> {
    let processor = captioner.sight()?.0.clone();
    Ok(match splitting {
        Some(split) => processor.with_image_splitting(split),
        None => processor,
    })
}

/// Visual tokens of one photo. Those of a photo with a name are taken from the host if it kept them, and given to it if not.
async fn encode(
    captioner: &Captioner,
    processor: &ImageProcessor,
    (photo, name): (&Rgb8, Option<&str>),
    host: &dyn Host,
) -> Result<EncodedPhoto> {
    let (pixels, layout) = frames(processor, photo, &captioner.device)?;
    let [count, _, height, width] = pixels.dims();
    let (_, vision) = captioner.sight()?;
    let grid = vision.token_grid(height, width);
    let kept = match name {
        Some(name) => host.kept(name).await,
        None => None,
    };
    let tokens = count * grid.0 * grid.1;
    let visual = match kept.and_then(|kept| unpack(&kept, tokens, &captioner.device)) {
        Some(visual) => visual,
        None => {
            let visual = vision.connect(features(&vision.tower, pixels, host).await?);
            if let Some(name) = name {
                host.keep(name, pack(&visual).await?);
            }
            visual
        }
    };
    Ok(EncodedPhoto {
        visual,
        layout,
        grid,
        size: (width, height),
    })
}
