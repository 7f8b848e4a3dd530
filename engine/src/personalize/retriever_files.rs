//! What a model's files say of its retriever: configuration, thresholds and photos; its parameters are beside them.

use super::calibration::Calibration;
use super::files::ModelFiles;
use super::retriever::Thresholds;
use super::similarity_scale::SimilarityScale;
use crate::image::ImageProcessor;
use crate::model::dual_config::DualConfig;
use crate::model::families;
use crate::model::feature_config::FeatureConfig;
use crate::weights::Weights;
use crate::{Error, Result};

/// Its description; the model has a retriever where this is.
pub(super) const CONFIG: &str = "retriever/config.json";
/// Its parameters, in one form or the other.
const WEIGHTS: [&str; 2] = ["retriever/model.safetensors", "retriever/model.gguf"];
const THRESHOLDS: &str = "retriever/retrieval.json";
const WORDS: &str = "retriever/words.txt";
/// Files that say how photos are prepared.
const PROCESSORS: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];

/// What is known of a retriever before its parameters are read.
pub(super) enum RetrieverFiles {
    /// A dual encoder, which embeds regions.
    Dual {
        config: Box<DualConfig>,
        thresholds: Thresholds,
        processor: ImageProcessor,
    },
    /// A photo encoder, which makes maps of features.
    Features {
        config: Box<FeatureConfig>,
        /// How photos are normalised, where the network does not fix that.
        processor: Option<ImageProcessor>,
        /// Absent where nobody has measured it.
        calibration: Option<Calibration>,
        /// How its similarities compare with those the search was built on; as they are where it is absent.
        scale: Option<SimilarityScale>,
        /// What its classifier calls things, a word a category, or none.
        words: Vec<String>,
    },
}

impl RetrieverFiles {
    /// Reads what lies below `retriever/`; `None` where the model has no retriever. `captioner` is the captioner's image
    /// processor.
    pub(super) fn describe(
        files: &ModelFiles,
        captioner: Option<&ImageProcessor>,
    ) -> Result<Option<Self>> {
        if !files.contains(CONFIG) {
            return Ok(None);
        }
        let json = files.text(CONFIG)?;
        let described = match families::makes_features(&json).map_err(below)? {
            true => features(files, &json),
            false => dual(files, &json, captioner),
        };
        described.map(Some)
    }

    /// Its family, as `model_type` of its configuration names it.
    pub(super) fn family(&self) -> &str {
        match self {
            Self::Dual { config, .. } => &config.model_type,
            Self::Features { config, .. } => config.model_type(),
        }
    }

    /// Its parameters, and a digest of their file.
    pub(super) fn weights(files: &mut ModelFiles) -> Result<(Weights, String)> {
        let [usual, gguf] = WEIGHTS;
        let name = match !files.contains(usual) && files.contains(gguf) {
            true => gguf,
            false => usual,
        };
        files.digested(name)
    }
}

fn features(files: &ModelFiles, json: &str) -> Result<RetrieverFiles> {
    let config = FeatureConfig::from_json(json).map_err(below)?;
    families::refuse_quantised(json).map_err(below)?;
    let processor = match config {
        FeatureConfig::Convolutional(_) => None,
        FeatureConfig::Transformer { .. } => Some(whole_photos(files)?),
    };
    let measured = files.optional_text(THRESHOLDS)?;
    let calibration = measured.as_deref().map(Calibration::from_json).transpose();
    let calibration = calibration.map_err(below)?;
    let scale = measured.as_deref().map(SimilarityScale::from_json);
    let scale = scale.transpose().map_err(below)?.flatten();
    // The search knows the similarities of the convolutional encoder; those of all others must be told.
    if processor.is_some() && calibration.is_some() && scale.is_none() {
        return Err(Error::Config {
            file: THRESHOLDS.into(),
            key: "similarity".into(),
            problem: "is missing; `namelens eval photos --calibrate` measures it".into(),
        });
    }
    let words = files.optional_text(WORDS)?.unwrap_or_default();
    let words: Vec<String> = words.lines().map(str::to_owned).collect();
    if !words.is_empty() && words.len() != config.categories() {
        return Err(Error::Config {
            file: WORDS.into(),
            key: "(whole file)".into(),
            problem: format!(
                "has {} lines for {} categories; one line each",
                words.len(),
                config.categories()
            ),
        });
    }
    Ok(RetrieverFiles::Features {
        config: Box::new(config),
        processor,
        calibration,
        scale,
        words,
    })
}

/// How a transformer's photos are prepared: by its own image processor's file, at any size.
fn whole_photos(files: &ModelFiles) -> Result<ImageProcessor> {
    let read = |name: &str| files.optional_text(&beside(name));
    let processor = ImageProcessor::from_folder(&read).map_err(below)?;
    match processor.can_process_whole() {
        true => Ok(processor),
        false => Err(Error::Config {
            file: beside(PROCESSORS[0]),
            key: "image_processor_type".into(),
            problem: "cuts photos into frames of its own, and this encoder reads them whole; BitImageProcessor is that of DINOv2".into(),
        }),
    }
}

/// A file below `retriever/`.
fn beside(name: &str) -> String {
    format!("retriever/{name}")
}

fn dual(
    files: &ModelFiles,
    json: &str,
    captioner: Option<&ImageProcessor>,
) -> Result<RetrieverFiles> {
    let config = DualConfig::from_json(json).map_err(below)?;
    families::refuse_quantised(json).map_err(below)?;
    let thresholds = Thresholds::from_json(&files.text(THRESHOLDS)?).map_err(below)?;
    // A checkpoint of its own prepares photos its own way; ours sees them as the captioner does.
    let own = PROCESSORS.iter().any(|name| files.contains(&beside(name)));
    let processor = match (own, captioner) {
        (true, _) => {
            let read = |name: &str| files.optional_text(&beside(name));
            ImageProcessor::from_folder(&read).map_err(below)?
        }
        (false, Some(processor)) => processor.clone().with_image_splitting(false),
        (false, None) => return Err(no_processor()),
    };
    if processor.side() != Some(config.vision_config.image_size) {
        return Err(Error::Config {
            file: CONFIG.into(),
            key: "vision_config.image_size".into(),
            problem: "must be the side the photos are prepared for; encoders of changing sizes (NaFlex) cannot search photos yet".into(),
        });
    }
    Ok(RetrieverFiles::Dual {
        config: Box::new(config),
        thresholds,
        processor,
    })
}

/// The error of an encoder whose confidences nobody has measured.
pub(super) fn uncalibrated() -> Error {
    Error::Config {
        file: THRESHOLDS.into(),
        key: "(whole file)".into(),
        problem: "is missing: how sure a similarity of this encoder makes is not known, and is not guessed; `namelens eval photos` measures it on photos of your things, and writes this file with --calibrate".into(),
    }
}

/// The error of a retriever that neither says how photos are prepared nor has a captioner that does.
fn no_processor() -> Error {
    Error::Config {
        file: "retriever/preprocessor_config.json".into(),
        key: "(whole file)".into(),
        problem: "is missing, and there is no captioner whose photos it could share".into(),
    }
}

/// The same error, said of a file below `retriever/`: a model has two of some names.
fn below(error: Error) -> Error {
    match error {
        Error::Config { file, key, problem } if !file.contains('/') => Error::Config {
            file: format!("retriever/{file}"),
            key,
            problem,
        },
        other => other,
    }
}
