//! A run that is interrupted and resumed ends with the very bytes of one that is not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor};
use namelens::stages::contrastive::{Contrastive, Student};
use namelens::train::fit::BatchKey;
use namelens::train::optimizer::Rule;
use namelens::train::schedule::Schedule;
use namelens::train::{FitOptions, Objective, checkpoint, fit};
use namelens::{bundle, presets};
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::dual_config::DualConfig;
use namelens_engine::model::params::{ParamBuilder, ParamSource, RandomSource};

const STEPS: u64 = 5;

/// The contrastive stage, which is interrupted in step `stop_in` and slows one part of the model.
struct Interrupted<'a> {
    stage: Contrastive,
    stop_in: Option<u64>,
    stop: &'a AtomicBool,
}

impl Objective<Student> for Interrupted<'_> {
    fn loss(
        &self,
        model: &Student,
        batch: BatchKey,
    ) -> anyhow::Result<(Tensor<1>, Vec<(String, f64)>)> {
        if self.stop_in == Some(batch.step) {
            self.stop.store(true, Ordering::Relaxed);
        }
        self.stage.loss(model, batch)
    }

    fn share(&self, name: &str, step: u64) -> f64 {
        match name {
            FROZEN => 0.0,
            SLOW if step < 3 => 0.1,
            _ => 1.0,
        }
    }
}

const FROZEN: &str = "vision_model.embeddings.patch_embedding.bias";
const SLOW: &str = "vision_model.embeddings.position_embedding.weight";

/// A dual encoder small enough for a few steps a second.
fn config() -> DualConfig {
    let mut config = presets::dual();
    config.vision_config.hidden_size = 32;
    config.vision_config.intermediate_size = 64;
    config.vision_config.num_hidden_layers = 1;
    config.text_config.hidden_size = 32;
    config.text_config.intermediate_size = 64;
    config.text_config.num_hidden_layers = 1;
    config
}

fn options() -> FitOptions {
    FitOptions {
        seed: 5,
        rule: Rule::Muon,
        schedule: Schedule {
            peak: 1e-2,
            warmup: 2,
            total: STEPS,
            floor: 0.1,
        },
        weight_decay: 0.05,
        clip: 1.0,
        shards: 2,
        accumulate: 2,
        log_every: 1,
        save_every: 100,
    }
}

/// Trains in `run` until the end or into step `stop_in`, going on from a checkpoint if there is one.
fn train(run: &Path, stop_in: Option<u64>) {
    let device = Device::flex().autodiff();
    device.seed(5);
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    let model_dir =
        PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom");
    let chat = bundle::chat(&model_dir, 1).unwrap();
    let stop = AtomicBool::new(false);
    let objective = Interrupted {
        stage: Contrastive {
            processor: bundle::processor().unwrap(),
            pad: chat.pad(),
            tokenizer: chat.tokenizer().clone(),
            pairs: 1,
            grid: config().vision_config.patches_per_side(),
            device: device.clone(),
        },
        stop_in,
        stop: &stop,
    };
    let latest = checkpoint::latest(run);
    let mut source: Box<dyn ParamSource> = if latest.exists() {
        Box::new(CheckpointSource::new(
            bundle::open_weights(&latest).unwrap(),
        ))
    } else {
        Box::new(RandomSource)
    };
    let mut params = ParamBuilder::new(source.as_mut(), &device);
    let model = Student::new(&mut params, &config()).unwrap();
    let names = params.into_names();
    fit(model, &names, &objective, &options(), run, &device, &stop).unwrap();
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(checkpoint::latest(run).join("model.safetensors")).unwrap()
}

fn values(run: &Path, name: &str) -> Vec<f32> {
    let weights = bundle::open_weights(&checkpoint::latest(run)).unwrap();
    let (file, tensor) = weights.find(name).unwrap();
    file.read_f32(tensor).unwrap()
}

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    let whole = tempfile::tempdir().unwrap();
    train(whole.path(), None);
    let parts = tempfile::tempdir().unwrap();
    train(parts.path(), Some(1));
    let half = weights(parts.path());
    train(parts.path(), None);
    assert_ne!(half, weights(parts.path()), "the second half did nothing");
    assert_eq!(weights(whole.path()), weights(parts.path()));
    let steps = |run: &Path| {
        let log = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
        log.lines().count() as u64
    };
    assert_eq!((steps(whole.path()), steps(parts.path())), (STEPS, STEPS));
    // Frozen biases start at zero and stay; others of the same kind do not.
    assert!(values(whole.path(), FROZEN).iter().all(|v| *v == 0.0));
    let free = values(whole.path(), "vision_model.post_layernorm.bias");
    assert!(free.iter().any(|v| *v != 0.0));
}

#[test]
fn other_options_are_refused_instead_of_continued() {
    let run = tempfile::tempdir().unwrap();
    train(run.path(), Some(0));
    let digest = serde_json::to_string(&FitOptions {
        clip: 2.0,
        ..options()
    });
    let error = checkpoint::progress(run.path(), options().seed, &digest.unwrap()).unwrap_err();
    assert!(error.to_string().contains("option"), "{error}");
}
