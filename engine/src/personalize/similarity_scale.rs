//! How the similarities of one encoder compare with those that the search was built on.
//!
//! The constants of the search (what is considered, what is sure, how similar a stranger is) are similarities of EfficientNet-Lite0.
//! Another encoder's are spread otherwise, so they are brought to that scale first: as in the score normalisation of speaker
//! verification (Auckenthaler et al., Digital Signal Processing 10, 2000), by what is measured of things that are there and of
//! things that are not.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Similarities of an encoder, as they were measured on photos; `similarity` of its `retrieval.json`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SimilarityScale {
    /// Median over things that are not in a photo.
    pub absent: f32,
    /// Median over things that are.
    pub present: f32,
}

/// EfficientNet-Lite0's, on the things that the constants of the search were chosen on: `namelens eval photos` prints them.
const SEARCH: SimilarityScale = SimilarityScale {
    absent: 0.419,
    present: 0.807,
};

/// What `retrieval.json` has beside the calibration.
#[derive(Deserialize)]
struct File {
    similarity: Option<SimilarityScale>,
}

impl SimilarityScale {
    /// Reads the `similarity` of a `retrieval.json`; `None` where it has none.
    ///
    /// # Errors
    /// [`Error::Config`] when it is not two cosines, of which `present` is the higher one.
    pub fn from_json(json: &str) -> Result<Option<Self>> {
        let refuse = |problem: String| Error::Config {
            file: "retrieval.json".into(),
            key: "similarity".into(),
            problem,
        };
        let file: File = serde_json::from_str(json).map_err(|error| refuse(error.to_string()))?;
        match file.similarity {
            Some(scale) if !scale.is_usable() => Err(refuse(
                "must have `absent` and `present`, cosines of which `present` is higher".into(),
            )),
            scale => Ok(scale),
        }
    }

    /// The medians of similarities of things that are not there and of things that are; `None` where they tell nothing apart.
    pub fn measured(absent: &[f32], present: &[f32]) -> Option<Self> {
        let scale = Self {
            absent: median(absent)?,
            present: median(present)?,
        };
        scale.is_usable().then_some(scale)
    }

    fn is_usable(&self) -> bool {
        let cosine = |v: f32| (-1.0..=1.0).contains(&v);
        // Below a thousandth it would be noise that is spread.
        cosine(self.absent) && cosine(self.present) && self.present - self.absent >= 1e-3
    }

    /// Factor and shift that bring a similarity to the scale of the search.
    fn line(self) -> (f32, f32) {
        let factor = (SEARCH.present - SEARCH.absent) / (self.present - self.absent);
        (factor, SEARCH.absent - factor * self.absent)
    }

    /// A similarity on the scale of the search.
    pub(super) fn of(self, similarity: f32) -> f32 {
        let (factor, shift) = self.line();
        factor * similarity + shift
    }

    /// [`Self::of`] many.
    pub(super) fn of_all(self, similarities: Tensor<2>) -> Tensor<2> {
        let (factor, shift) = self.line();
        similarities * factor + shift
    }
}

fn median(values: &[f32]) -> Option<f32> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f32::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn medians_come_to_lie_where_those_of_the_search_are() {
        let scale = SimilarityScale::measured(&[0.3, 0.1, 0.2], &[0.4, 0.5, 0.3]).unwrap();
        assert_eq!((scale.absent, scale.present), (0.2, 0.4));
        let close = |a: f32, b: f32| (a - b).abs() < 1e-6;
        assert!(close(scale.of(0.2), SEARCH.absent) && close(scale.of(0.4), SEARCH.present));
        assert!(close(scale.of(0.3), (SEARCH.absent + SEARCH.present) / 2.0));
    }

    #[test]
    fn what_tells_nothing_apart_is_no_scale() {
        assert_eq!(SimilarityScale::measured(&[0.9, 0.9], &[0.9]), None);
        assert_eq!(SimilarityScale::measured(&[0.9], &[0.2]), None);
        assert_eq!(SimilarityScale::measured(&[f32::NAN], &[0.2]), None);
        assert_eq!(SimilarityScale::measured(&[], &[0.2]), None);
        for json in [
            r#"{"similarity": {"absent": 0.5}}"#,
            r#"{"similarity": {"absent": 0.5, "present": 0.4}}"#,
            r#"{"similarity": {"absent": -2, "present": 0.4}}"#,
            r#"{"similarity": 1}"#,
            "[",
        ] {
            let error = SimilarityScale::from_json(json).unwrap_err();
            assert!(error.to_string().contains("similarity"), "{json}: {error}");
        }
        assert_eq!(SimilarityScale::from_json(r#"{"score": 9}"#).unwrap(), None);
        let json = r#"{"score": 9, "similarity": {"absent": 0.5, "present": 0.75}}"#;
        let read = SimilarityScale::from_json(json).unwrap().unwrap();
        assert_eq!((read.absent, read.present), (0.5, 0.75));
    }
}
