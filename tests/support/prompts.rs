//! Prompts with photos for tests of rollouts and of training: real scenes for the embedded model, golden cases for the families.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::generate::Photos;
use namelens_engine::image::{ImageProcessor, PhotoLayout, decode};
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::connector::Visual;
use namelens_engine::model::params::{ParamBuilder, ParamNames};
use namelens_engine::model::positions::Grid;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::{Message, Part};

use crate::album::{model, photo};
use crate::golden::{Case, Checkpoint, vlms};

/// Tokens and what their photos became.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Tokens of the prompt.
    pub ids: Vec<u32>,
    /// Its visual tokens, of a plain device.
    pub visual: Option<Visual>,
    /// The photos' grids.
    pub grids: Vec<Grid>,
}

impl Asked {
    /// The photos as a session takes them.
    pub fn photos(&self) -> Option<Photos<'_>> {
        let visual = self.visual.as_ref()?;
        let grids = &self.grids;
        Some(Photos { visual, grids })
    }
}

/// The embedded model on a device, with the names of its parameters.
///
/// # Panics
/// When it cannot be read.
pub fn playroom(device: &Device) -> (Vlm, VlmConfig, ParamNames) {
    let config = std::fs::read_to_string(model().join("config.json")).unwrap();
    let config = VlmConfig::from_json(&config).unwrap();
    let mut source = CheckpointSource::new(namelens::bundle::open_weights(&model()).unwrap());
    let mut params = ParamBuilder::new(&mut source, device);
    let vlm = Vlm::new(&mut params, &config).unwrap();
    (vlm, config, params.into_names())
}

/// Prompts of several lengths for the embedded model: no photo, one, two; `vlm` lives on a plain device.
///
/// # Panics
/// When the album cannot be read.
pub fn scenes(vlm: &Vlm, config: &VlmConfig) -> Vec<Asked> {
    let json = std::fs::read_to_string(model().join("preprocessor_config.json")).unwrap();
    let processor = ImageProcessor::from_json("preprocessor_config.json", &json).unwrap();
    let device = vlm.decoder.device();
    let encode = |files: &[&str]| {
        let frames = files.iter().map(|file| {
            let processed = processor.process(&decode(&photo(file)).unwrap()).unwrap();
            let frame = &processed.frames[0];
            let data = TensorData::new(frame.pixels.clone(), [1, 3, frame.height, frame.width]);
            Tensor::<4>::from_data(data, &device)
        });
        vlm.encode_images(Tensor::cat(frames.collect(), 0)).unwrap()
    };
    let chat = namelens::bundle::chat(&model(), config.tokens_per_image()).unwrap();
    let prompt = |files: &[&str], question: &str| {
        let mut content = vec![Part::Image; files.len()];
        content.push(Part::Text(question.into()));
        let role = "user".into();
        let layouts = vec![PhotoLayout::WHOLE; files.len()];
        let messages = [Message { role, content }];
        Asked {
            ids: chat.encode(&messages, &layouts, true).unwrap(),
            visual: (!files.is_empty()).then(|| encode(files)),
            grids: Vec::new(),
        }
    };
    vec![
        prompt(&["scene-0.png"], "Describe the photo."),
        prompt(&[], "Who is Miso?"),
        prompt(
            &["thing-0-0.png", "scene-1.png"],
            "Is the first thing in the second photo?",
        ),
        prompt(&["scene-2.png"], "What is in the photo and where?"),
    ]
}

/// One model of every family on a plain device with two of its golden prompts, at least one with a photo.
///
/// # Panics
/// When the checkpoints cannot be read.
pub fn families() -> Vec<(String, Vlm, VlmConfig, Vec<Asked>)> {
    let device = Device::flex();
    let family = |checkpoint: Checkpoint| {
        let (vlm, config) = checkpoint.vlm(&device);
        let asked = |case: &Case| {
            let (visual, grids) = case.visual(&checkpoint, &vlm, &config, &device);
            let ids = case.rows().0.remove(0);
            Asked { ids, visual, grids }
        };
        let cases = checkpoint.cases();
        let whole = |photos: bool| {
            let fits = |case: &&Case| {
                let ids = &case.rows().0[0];
                !case.is_padded() && ids.contains(&config.image_token_id) == photos
            };
            cases.iter().find(fits).map(&asked)
        };
        let found: Vec<Asked> = [whole(true), whole(false)].into_iter().flatten().collect();
        assert!(found[0].visual.is_some(), "{}: no photo", checkpoint.name);
        (checkpoint.name.clone(), vlm, config, found)
    };
    vlms().into_iter().map(family).collect()
}
