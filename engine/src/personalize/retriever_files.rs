//! What a model's files say of its retriever: configuration, thresholds and photos; its parameters are beside them.

use super::files::ModelFiles;
use super::retriever::Thresholds;
use crate::image::ImageProcessor;
use crate::model::dual_config::DualConfig;
use crate::model::families;
use crate::{Error, Result};

/// Its description; the model has a retriever where this is.
pub(super) const CONFIG: &str = "retriever/config.json";
/// Its parameters.
pub(super) const WEIGHTS: &str = "retriever/model.safetensors";
const THRESHOLDS: &str = "retriever/retrieval.json";
/// Files that say how photos are prepared.
const PROCESSORS: [&str; 2] = ["preprocessor_config.json", "processor_config.json"];

/// What is known of a retriever before its parameters are read.
pub(super) struct RetrieverFiles {
    pub(super) config: DualConfig,
    pub(super) thresholds: Thresholds,
    pub(super) processor: ImageProcessor,
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
        let config = DualConfig::from_json(&json).map_err(below)?;
        families::refuse_quantised(&json).map_err(below)?;
        let thresholds = Thresholds::from_json(&files.text(THRESHOLDS)?).map_err(below)?;
        // A checkpoint of its own prepares photos its own way; ours sees them as the captioner does.
        let beside = |name: &str| format!("retriever/{name}");
        let own = PROCESSORS.iter().any(|name| files.contains(&beside(name)));
        let processor = match own {
            true => {
                let read = |name: &str| files.optional_text(&beside(name));
                ImageProcessor::from_folder(&read).map_err(below)?
            }
            false => match captioner {
                Some(processor) => processor.clone().with_image_splitting(false),
                None => return Err(no_processor()),
            },
        };
        if processor.side() != Some(config.vision_config.image_size) {
            return Err(Error::Config {
                file: CONFIG.into(),
                key: "vision_config.image_size".into(),
                problem: "must be the side the photos are prepared for; encoders of changing sizes (NaFlex) cannot search photos yet".into(),
            });
        }
        Ok(Some(Self {
            config,
            thresholds,
            processor,
        }))
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
