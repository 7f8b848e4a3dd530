//! A run that is interrupted and resumed ends with the very bytes of one that is not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use burn::tensor::Device;
use namelens::stages::contrastive::{Contrastive, Student};
use namelens::train::changes::changes;
use namelens::train::fit::BatchKey;
use namelens::train::optimizer::{BETA_2, Rule};
use namelens::train::schedule::{Decay, Schedule};
use namelens::train::{FitOptions, Loss, Objective, checkpoint, fit};
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
    fn loss(&self, model: &Student, batch: BatchKey) -> anyhow::Result<Loss> {
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
            decay: Decay::Cosine,
        },
        weight_decay: 0.05,
        beta_2: BETA_2,
        clip: 1.0,
        shards: 2,
        accumulate: 2,
        log_every: 1,
        save_every: 100,
    }
}

/// Trains in `run` until the end or into step `stop_in`, from a checkpoint if there is one.
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
    let mut source: Box<dyn ParamSource> = match checkpoint::resume_point(run).unwrap() {
        Some(latest) => Box::new(CheckpointSource::new(
            bundle::open_weights(&latest).unwrap(),
        )),
        None => Box::new(RandomSource),
    };
    let mut params = ParamBuilder::new(source.as_mut(), &device);
    let model = Student::new(&mut params, &config()).unwrap();
    let names = params.into_names();
    fit(model, &names, &objective, &options(), run, &device, &stop).unwrap();
}

fn latest(run: &Path) -> PathBuf {
    checkpoint::latest(run).unwrap().unwrap()
}

fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(latest(run).join("model.safetensors")).unwrap()
}

fn values(run: &Path, name: &str) -> Vec<f32> {
    let weights = bundle::open_weights(&latest(run)).unwrap();
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
    let other = FitOptions {
        clip: 2.5,
        ..options()
    };
    let digest = serde_json::to_string(&other).unwrap();
    let changed = |before: &str| changes(before, &digest, "{}", &[]);
    let error = checkpoint::progress(run.path(), options().seed, &changed).unwrap_err();
    assert!(error.to_string().contains(", not 2.5;"), "{error}");
    assert!(error.to_string().contains("options: clip "), "{error}");
}

/// The command line's contrastive stage, as few photos and as many checkpoints as there can be.
fn namelens(run: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namelens"));
    command.args(["train", "contrastive", "--device", "cpu", "--run"]);
    command.arg(run);
    command.args(["--shards", "1", "--batch", "1", "--steps", "4"]);
    command.args(["--save-every", "1", "--log-every", "1"]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// A folder in which training can start.
fn prepared() -> tempfile::TempDir {
    let run = tempfile::tempdir().unwrap();
    let manifest = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let tokenizer = manifest.join("../models/playroom/tokenizer.json");
    std::fs::copy(tokenizer, run.path().join("tokenizer.json")).unwrap();
    run
}

/// The lines of the log without the times.
fn logged(stage: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(stage.join("log.jsonl")).unwrap();
    text.lines()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["secs_per_step"] = 0.into();
            line
        })
        .collect()
}

#[test]
fn a_process_killed_again_and_again_ends_with_the_same_bytes() {
    let whole = prepared();
    assert!(namelens(whole.path()).status().unwrap().success());
    let killed = prepared();
    let stage = killed.path().join("contrastive");
    let (mut kills, mut before) = (0, 0);
    for round in 0.. {
        let mut child = namelens(killed.path()).spawn().unwrap();
        // Every other round while the next checkpoint is being written, every other one once it is there, so that the
        // run gets on; each time at another moment. What an earlier kill left half written is older than the process.
        let start = SystemTime::now();
        let next = stage.join(format!("step-{:08}", before + 1));
        let writing = next.with_extension("partial");
        let ended = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break Some(status);
            }
            let changed = writing.metadata().and_then(|found| found.modified());
            let in_write = round % 2 == 0 && changed.is_ok_and(|at| at > start);
            if next.exists() || in_write {
                std::thread::sleep(Duration::from_millis(round * 7 % 23));
                break None;
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
        kills += 1;
        let Some(latest) = checkpoint::latest(&stage).unwrap() else {
            // Killed in the first write: nothing to resume from, which the command must say.
            assert_eq!(before, 0);
            let refused = namelens(killed.path()).output().unwrap();
            assert!(!refused.status.success());
            let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(errors.contains("--start-over"), "{errors}");
            checkpoint::start_over(&stage).unwrap();
            continue;
        };
        let text = std::fs::read_to_string(latest.join("progress.json")).unwrap();
        let progress: checkpoint::Progress = serde_json::from_str(&text).unwrap();
        assert!(progress.step >= before, "{} after {before}", progress.step);
        before = progress.step;
        bundle::open_weights(&latest).unwrap();
    }
    assert!(kills >= 3, "{kills}");
    let other = whole.path().join("contrastive");
    assert_eq!(weights(&stage), weights(&other));
    assert_eq!(logged(&stage), logged(&other));
}

#[test]
fn logs_without_a_checkpoint_are_not_trained_over() {
    let run = prepared();
    let stage = run.path().join("contrastive");
    std::fs::create_dir(&stage).unwrap();
    std::fs::write(stage.join("log.jsonl"), "{\"step\":900}\n").unwrap();
    let refused = namelens(run.path()).output().unwrap();
    assert!(!refused.status.success());
    let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(errors.contains("--start-over"), "{errors}");
    let started = namelens(run.path()).arg("--start-over").output().unwrap();
    assert!(started.status.success(), "{started:?}");
    assert_eq!(logged(&stage).len(), 4);
    assert!(stage.join("before-1/log.jsonl").exists());
}
