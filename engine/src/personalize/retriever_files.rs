//! What a model's files say of the encoders of its retriever: configuration, thresholds and photos; parameters are beside them.

use super::calibration::Calibration;
use super::encoder_files::{self, CONFIG, MEASURED, RETRIEVER, WORDS, uncalibrated};
use super::files::ModelFiles;
use super::retriever::Thresholds;
use super::similarity_scale::SimilarityScale;
use crate::image::ImageProcessor;
use crate::model::dual_config::DualConfig;
use crate::model::families;
use crate::model::feature_config::FeatureConfig;
use crate::weights::Weights;
use crate::{Error, Result};

/// Files that say how photos are prepared.
const PROCESSORS: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];

/// What is known of an encoder before its parameters are read.
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
    /// The folders of the encoders of a model, each with a slash behind it: `retriever/`, then those in it by their names.
    pub(super) fn folders(files: &ModelFiles) -> Vec<String> {
        encoder_files::folders(files.names())
    }

    /// Reads what lies in the folder of an encoder. `captioner` is the captioner's image processor.
    pub(super) fn describe(
        files: &ModelFiles,
        folder: &str,
        captioner: Option<&ImageProcessor>,
    ) -> Result<Self> {
        let json = files.text(&format!("{folder}{CONFIG}"))?;
        let described = match families::makes_features(&json) {
            Ok(true) => features(files, folder, &json),
            Ok(false) => dual(files, folder, &json, captioner),
            Err(error) => Err(error),
        };
        described.map_err(|error| below(folder, error))
    }

    /// Its family, as `model_type` of its configuration names it.
    pub(super) fn family(&self) -> &str {
        match self {
            Self::Dual { config, .. } => &config.model_type,
            Self::Features { config, .. } => config.model_type(),
        }
    }

    /// Whether another encoder can stand beside it, which lies in this folder.
    ///
    /// # Errors
    /// Where nobody knows how sure one of its similarities makes.
    pub(super) fn check_beside(&self, folder: &str) -> Result<()> {
        match self {
            Self::Dual { .. } => Err(not_comparable()),
            Self::Features { calibration, .. } => match calibration {
                None => Err(uncalibrated(folder)),
                Some(_) => Ok(()),
            },
        }
    }

    /// The parameters of the encoder in a folder, and a digest of their file.
    pub(super) fn weights(files: &mut ModelFiles, folder: &str) -> Result<(Weights, String)> {
        let name = encoder_files::weights(folder, |name| files.contains(name));
        files.digested(&name)
    }
}

fn features(files: &ModelFiles, folder: &str, json: &str) -> Result<RetrieverFiles> {
    let config = FeatureConfig::from_json(json)?;
    families::refuse_quantised(json)?;
    let processor = match config {
        FeatureConfig::Convolutional(_) => None,
        FeatureConfig::Transformer { .. } => Some(whole_photos(files, folder)?),
    };
    let measured = files.optional_text(&format!("{folder}{MEASURED}"))?;
    let calibration = measured.as_deref().map(Calibration::from_json).transpose();
    let calibration = calibration?;
    let scale = measured.as_deref().map(SimilarityScale::from_json);
    let scale = scale.transpose()?.flatten();
    // The search knows the similarities of the convolutional encoder; those of all others must be told.
    if processor.is_some() && calibration.is_some() && scale.is_none() {
        return Err(Error::Config {
            file: MEASURED.into(),
            key: "similarity".into(),
            problem: "is missing; `namelens eval photos --calibrate` measures it".into(),
        });
    }
    let words = files
        .optional_text(&format!("{folder}{WORDS}"))?
        .unwrap_or_default();
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
fn whole_photos(files: &ModelFiles, folder: &str) -> Result<ImageProcessor> {
    let read = |name: &str| files.optional_text(&format!("{folder}{name}"));
    let processor = ImageProcessor::from_folder(&read)?;
    match processor.can_process_whole() {
        true => Ok(processor),
        false => Err(Error::Config {
            file: PROCESSORS[0].into(),
            key: "image_processor_type".into(),
            problem: "cuts photos into frames of its own, and this encoder reads them whole; BitImageProcessor is that of DINOv2".into(),
        }),
    }
}

fn dual(
    files: &ModelFiles,
    folder: &str,
    json: &str,
    captioner: Option<&ImageProcessor>,
) -> Result<RetrieverFiles> {
    let config = DualConfig::from_json(json)?;
    families::refuse_quantised(json)?;
    let thresholds = Thresholds::from_json(&files.text(&format!("{folder}{MEASURED}"))?)?;
    // A checkpoint of its own prepares photos its own way; ours sees them as the captioner does.
    let own = PROCESSORS
        .iter()
        .any(|name| files.contains(&format!("{folder}{name}")));
    let processor = match (own, captioner) {
        (true, _) => {
            let read = |name: &str| files.optional_text(&format!("{folder}{name}"));
            ImageProcessor::from_folder(&read)?
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

/// The error of a dual encoder beside another encoder.
pub(super) fn not_comparable() -> Error {
    refused(
        "a dual encoder has thresholds and no confidences, so no other one can stand beside it; leave one of them out",
    )
}

/// The error of an encoder that is in a list twice.
pub(super) fn twice() -> Error {
    refused("an encoder is there twice; leave one of them out")
}

fn refused(problem: &str) -> Error {
    Error::Config {
        file: RETRIEVER.into(),
        key: "(encoders)".into(),
        problem: problem.into(),
    }
}

/// The error of a retriever that neither says how photos are prepared nor has a captioner that does.
fn no_processor() -> Error {
    Error::Config {
        file: PROCESSORS[0].into(),
        key: "(whole file)".into(),
        problem: "is missing, and there is no captioner whose photos it could share".into(),
    }
}

/// The same error, said of a file in this folder: a model has several of some names.
fn below(folder: &str, error: Error) -> Error {
    match error {
        Error::Config { file, key, problem } if !file.contains('/') => Error::Config {
            file: format!("{folder}{file}"),
            key,
            problem,
        },
        other => other,
    }
}
