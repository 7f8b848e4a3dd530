//! What was computed of photos: references for as long as they stay, the photo last asked about until another one comes.

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::retriever::Scan;
use crate::concepts::Library;
use crate::generate::Session;
use crate::generate::session::SessionState;
use crate::image::PhotoLayout;
use crate::model::connector::Visual;
use crate::model::positions::Grid;
use crate::model::vlm::Vlm;

/// Which photo stands at a place of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PhotoKey {
    /// A reference, by its bytes; they are shared with the library, so that comparing them is quick.
    Reference(Arc<[u8]>),
    /// The photo that is asked about, cut into tiles or not as was asked for.
    Asked {
        /// [`super::types::Request::splitting`].
        splitting: Option<bool>,
    },
}

/// The reference photos as the decoder takes them, by concept: they come again with every request.
#[derive(Debug, Default)]
pub(super) struct ReferencePhotos(HashMap<String, (Arc<[u8]>, EncodedPhoto)>);

impl ReferencePhotos {
    /// What was computed of this photo of this concept.
    pub(super) fn get(&self, concept: &str, photo: &Arc<[u8]>) -> Option<EncodedPhoto> {
        let (known, encoded) = self.0.get(concept)?;
        (known == photo).then(|| encoded.clone())
    }

    /// Keeps what was computed, in place of another photo of the concept.
    pub(super) fn insert(&mut self, concept: &str, photo: Arc<[u8]>, encoded: EncodedPhoto) {
        self.0.insert(concept.to_owned(), (photo, encoded));
    }

    /// Drops the photos of concepts that `library` does not have any more.
    pub(super) fn prune(&mut self, library: &Library) {
        self.0.retain(|concept, _| library.get(concept).is_some());
    }

    /// Drops all of them.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// One photo as the decoder takes it.
#[derive(Debug, Clone)]
pub(super) struct EncodedPhoto {
    /// Its visual tokens.
    pub(super) visual: Visual,
    /// How the prompt shows it.
    pub(super) layout: PhotoLayout,
    /// Rows and columns of its visual tokens.
    pub(super) grid: Grid,
    /// Width and height of its frames, pixels.
    pub(super) size: (usize, usize),
}

/// What was computed of one photo. A model that changes (an adapter switched) makes it void.
#[derive(Debug, Default)]
pub(super) struct PhotoCache {
    /// SHA-256 of the photo's bytes; `None` of no photo.
    digest: Option<[u8; 32]>,
    /// What the retriever made of it.
    pub(super) scan: Option<Scan>,
    /// What the vision tower made of it, with or without [`super::types::Request::splitting`].
    pub(super) encoded: Option<(Option<bool>, EncodedPhoto)>,
    /// The decoder behind the last prompt with it.
    pub(super) session: Option<KeptSession>,
}

impl PhotoCache {
    /// This cache if it is of this photo (or of none), else an empty one of it.
    pub(super) fn of(self, photo: Option<&[u8]>) -> Self {
        let digest = photo.map(|photo| Sha256::digest(photo).into());
        if self.digest == digest {
            return self;
        }
        Self {
            digest,
            ..Self::default()
        }
    }
}

/// The decoder's cache behind a prompt, and which photos the prompt showed.
#[derive(Debug)]
pub(super) struct KeptSession {
    state: SessionState,
    photos: Vec<(PhotoKey, usize)>,
}

impl KeptSession {
    /// What `session` has read, a prompt with these photos (and the number of visual tokens of each) first.
    pub(super) fn new(session: Session<'_>, photos: Vec<(PhotoKey, usize)>) -> Self {
        Self {
            state: session.into_state(),
            photos,
        }
    }

    /// The session again, for a prompt with these photos: of what it has read, all before the first other photo remains.
    pub(super) fn resume<'a>(
        self,
        vlm: &'a Vlm,
        limit: usize,
        image_token: u32,
        photos: &[(PhotoKey, usize)],
    ) -> Session<'a> {
        let same = self.photos.iter().zip(photos).take_while(|(a, b)| a == b);
        let visual_tokens = same.map(|((_, tokens), _)| tokens).sum();
        Session::resume(vlm, limit, image_token, self.state, visual_tokens)
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[test]
    fn another_photo_empties_the_cache() {
        let mut cache = PhotoCache::default().of(Some(b"one"));
        cache.scan = Some(Scan {
            windows: Vec::new(),
            embeddings: Vec::new(),
            whole: vec![1.0],
            queries: Tensor::ones([1, 1], &Device::flex()),
            looks: Vec::new(),
            others: Vec::new(),
        });
        let cache = cache.of(Some(b"one"));
        assert!(cache.scan.is_some());
        assert!(cache.of(Some(b"two")).scan.is_none());
    }
}
