//! Golden checkpoints: small models of each family and what the reference implementation computes with them, stage by stage.
//!
//! Their format is in `tests/fixtures/checkpoints/README.md`. `NAMELENS_GOLDENS` names another folder of checkpoints in the
//! same format, to be checked by the same tests.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use namelens::bundle::FileSource;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::connector::Visual;
use namelens_engine::model::families;
use namelens_engine::model::lora::Adapter;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::positions::Grid;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::ModelFiles;
use namelens_engine::weights::SliceSource;
use safetensors::SafeTensors;
use serde_json::Value;

use crate::largest_gap;

/// One checkpoint folder.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// The folder.
    pub dir: PathBuf,
    /// Its name.
    pub name: String,
    /// `config.json`
    pub config: Value,
}

/// One case of a checkpoint: its description and its tensors.
pub struct Case {
    /// Checkpoint and case.
    pub name: String,
    /// The description.
    pub meta: Value,
    bytes: Vec<u8>,
}

/// The folder of golden checkpoints.
pub fn root() -> PathBuf {
    match std::env::var_os("NAMELENS_GOLDENS") {
        Some(folder) => folder.into(),
        // At run time: a build directory shared by two checkouts keeps the path of the other.
        None => Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("run by cargo"))
            .join("fixtures/checkpoints"),
    }
}

/// Every checkpoint whose `model_type` is one of `types`, by name.
///
/// # Panics
/// When there is none: missing data is a failure.
pub fn checkpoints(types: &[&str]) -> Vec<Checkpoint> {
    let entries = std::fs::read_dir(root()).expect("the folder of golden checkpoints");
    let mut found: Vec<Checkpoint> = entries
        .filter_map(|entry| {
            let dir = entry.expect("readable").path();
            let config = std::fs::read_to_string(dir.join("config.json")).ok()?;
            let config: Value = serde_json::from_str(&config).expect("JSON");
            let is_wanted = types.iter().any(|&t| config["model_type"] == t);
            let name = dir.file_name()?.to_str()?.to_owned();
            is_wanted.then_some(Checkpoint { dir, name, config })
        })
        .collect();
    assert!(
        !found.is_empty(),
        "no checkpoint of {types:?} in {}",
        root().display()
    );
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Those that write: the vision-language checkpoints, and that of a decoder which reads text only.
pub fn writers() -> Vec<Checkpoint> {
    checkpoints(&["idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl", "llama"])
}

/// The vision-language checkpoints.
pub fn vlms() -> Vec<Checkpoint> {
    checkpoints(&["idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl"])
}

impl Checkpoint {
    /// The text of one of its files.
    pub fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.dir.join(name)).ok()
    }

    /// Its files by name, with `processing` in place of what the image processor's file says.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn files(&self, processing: &Value) -> HashMap<String, Vec<u8>> {
        let mut files = HashMap::new();
        for entry in std::fs::read_dir(&self.dir).expect("a folder") {
            let path = entry.expect("readable").path();
            if !path.is_file() {
                continue;
            }
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .expect("a name");
            let mut bytes = std::fs::read(&path).expect("readable");
            if name.ends_with("processor_config.json") {
                let mut json: Value = serde_json::from_slice(&bytes).expect("JSON");
                let part = match json.get("image_processor") {
                    Some(_) => &mut json["image_processor"],
                    None => &mut json,
                };
                for (key, value) in processing.as_object().into_iter().flatten() {
                    part[key] = value.clone();
                }
                bytes = json.to_string().into_bytes();
            }
            files.insert(name.to_owned(), bytes);
        }
        files
    }

    /// Its cases, by name.
    ///
    /// # Panics
    /// When there is none, or one cannot be read.
    pub fn cases(&self) -> Vec<Case> {
        let entries = std::fs::read_dir(self.dir.join("goldens")).expect("goldens");
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.expect("readable").path())
            .collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "safetensors"));
        files.sort();
        assert!(!files.is_empty(), "{}: no goldens", self.name);
        let case = |file: &PathBuf| Case {
            name: format!(
                "{}/{}",
                self.name,
                file.file_stem().expect("a name").to_string_lossy()
            ),
            meta: serde_json::from_str(
                &std::fs::read_to_string(file.with_extension("json")).expect("its description"),
            )
            .expect("JSON"),
            bytes: std::fs::read(file).expect("readable"),
        };
        files.iter().map(case).collect()
    }

    /// Its parameters, under the names of its family.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn source(&self) -> CheckpointSource {
        let weights = namelens::bundle::open_weights(&self.dir).expect("weights");
        let model_type = self.config["model_type"].as_str().expect("a model type");
        CheckpointSource::new(weights).with_names(families::names(model_type))
    }

    /// Its vision-language model.
    ///
    /// # Panics
    /// When it cannot be built, or has tensors nobody asked for.
    pub fn vlm(&self, device: &Device) -> (Vlm, VlmConfig) {
        let config = VlmConfig::from_json(&self.config.to_string()).expect("a configuration");
        let mut source = self.source();
        let vlm = Vlm::new(&mut ParamBuilder::new(&mut source, device), &config).expect("a model");
        assert_eq!(
            source.unused(),
            Vec::<&str>::new(),
            "{}: tensors left over",
            self.name
        );
        (vlm, config)
    }

    /// The adapter of this name.
    ///
    /// # Panics
    /// When there is none.
    pub fn adapter(&self, name: &str) -> Adapter {
        let folder = format!("adapters/{name}");
        let config = self.text(&format!("{folder}/adapter_config.json"));
        let config = config.expect("its configuration");
        let weights = self.dir.join(&folder).join("adapter_model.safetensors");
        let weights = Box::new(FileSource::open(&weights).expect("its weights"));
        let model_type = self.config["model_type"].as_str().expect("a model type");
        let names = families::names(model_type);
        Adapter::open(&folder, &config, weights, names).expect("an adapter")
    }

    /// Mean and deviation of each channel, as the image processor's file says.
    ///
    /// # Panics
    /// When no file says it.
    pub fn normalisation(&self) -> [(f32, f32); 3] {
        let parse = |file: &str| -> Option<Value> { serde_json::from_str(&self.text(file)?).ok() };
        let part = parse("processor_config.json")
            .and_then(|mut whole| whole.get_mut("image_processor").map(Value::take))
            .or_else(|| parse("preprocessor_config.json"))
            .expect("an image processor");
        [0, 1, 2].map(|at| {
            let number = |key: &str| part[key][at].as_f64().expect("three numbers") as f32;
            (number("image_mean"), number("image_std"))
        })
    }
}

impl Case {
    fn tensor<T>(
        &self,
        name: &str,
        read: impl Fn(&[u8], safetensors::Dtype) -> Vec<T>,
    ) -> Option<(Vec<usize>, Vec<T>)> {
        let tensors = SafeTensors::deserialize(&self.bytes).expect("safetensors");
        let view = tensors.tensor(name).ok()?;
        Some((view.shape().to_vec(), read(view.data(), view.dtype())))
    }

    /// A float tensor.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn floats(&self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        self.tensor(name, |bytes, dtype| {
            assert_eq!(dtype, safetensors::Dtype::F32, "{name}");
            let number = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
            bytes.chunks_exact(4).map(number).collect()
        })
    }

    /// A tensor of whole numbers.
    ///
    /// # Panics
    /// When it is of another type.
    pub fn ints(&self, name: &str) -> Option<(Vec<usize>, Vec<i64>)> {
        self.tensor(name, |bytes, dtype| match dtype {
            safetensors::Dtype::I64 => bytes
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().expect("8 bytes")))
                .collect(),
            safetensors::Dtype::I32 => bytes
                .chunks_exact(4)
                .map(|b| i64::from(i32::from_le_bytes(b.try_into().expect("4 bytes"))))
                .collect(),
            safetensors::Dtype::U8 => bytes.iter().map(|&b| i64::from(b)).collect(),
            other => panic!("{name}: {other:?}"),
        })
    }

    /// Rows of token ids, and how many of each begin the row only to fill it up.
    ///
    /// # Panics
    /// When the case has none.
    pub fn rows(&self) -> (Vec<Vec<u32>>, Vec<usize>) {
        let (shape, ids) = self.ints("input_ids").expect("input_ids");
        let (_, mask) = self.ints("attention_mask").expect("attention_mask");
        let rows = ids
            .chunks(shape[1])
            .map(|row| row.iter().map(|&id| id as u32).collect());
        let padding = mask
            .chunks(shape[1])
            .map(|row| row.iter().take_while(|&&m| m == 0).count());
        (rows.collect(), padding.collect())
    }

    /// Whether rows are filled up.
    pub fn is_padded(&self) -> bool {
        self.rows().1.iter().any(|&padding| padding > 0)
    }

    /// Visual tokens of all photos, and the grid of each photo's.
    pub fn visual(
        &self,
        checkpoint: &Checkpoint,
        vlm: &Vlm,
        config: &VlmConfig,
        device: &Device,
    ) -> (Option<Visual>, Vec<Grid>) {
        let photos = self.frames(checkpoint, config, device);
        let grid = |pixels: &Tensor<4>| {
            let vision = vlm.vision().expect("a tower");
            vision.token_grid(pixels.dims()[2], pixels.dims()[3])
        };
        let grids = photos.iter().map(grid).collect();
        let parts = photos
            .into_iter()
            .map(|pixels| vlm.encode_images(pixels).expect("a tower"))
            .collect();
        (Visual::joined(parts), grids)
    }
}

/// Files in memory as the engine takes them.
pub fn bundle(files: HashMap<String, Vec<u8>>) -> ModelFiles {
    let mut model = ModelFiles::default();
    for (name, bytes) in files {
        model.insert(name, Box::new(SliceSource::from(bytes)));
    }
    model
}

/// Largest difference of two lists of numbers, in standard deviations of what is expected; infinite where one is not finite, and
/// where what is expected has no deviation.
///
/// # Panics
/// When they are not equally long.
pub fn distance(actual: &[f32], expected: &[f32]) -> f32 {
    let most = largest_gap(actual, expected);
    let mean = expected.iter().map(|&v| f64::from(v)).sum::<f64>() / expected.len() as f64;
    let variance = expected
        .iter()
        .map(|&v| (f64::from(v) - mean).powi(2))
        .sum::<f64>()
        / expected.len() as f64;
    match variance > 0.0 {
        true => most / variance.sqrt() as f32,
        false => f32::INFINITY,
    }
}
