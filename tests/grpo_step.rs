//! Real steps of GRPO on the embedded model, two photos among its prompts, against TRL and PyTorch in f64: gradients, SGD, AdamW.
//!
//! `fixtures/generate/grpo_step.py` made the golden. There prompts are filled up on the left and one batch is one micro-batch;
//! here a prompt is read once for its group and the step is two micro-batches.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::Module;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::Device;
use namelens::ranks::Alone;
use namelens::rewards::row::Photo;
use namelens::rl::advantage::advantages;
use namelens::rl::buffer::{Generation, Rolled, by_row, scores};
use namelens::rl::config::GrpoConfig;
use namelens::rl::metrics::Metrics;
use namelens::rl::policy::Policy;
use namelens::rl::prompt::Prompt;
use namelens::rl::settings;
use namelens::rl::step::{StepKey, gradients};
use namelens::train::gradients::{clip_by_global_norm, global_norm};
use namelens::train::optimizer::{Moments, Rule};
use namelens::train::schedule::{Decay, Schedule};
use namelens::train::{UpdateOptions, Updater};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::{Message, Part};
use namelens_tests::album::{model, root};
use namelens_tests::sketch::{Gradient, Weight, apart, read, whole, worst};
use namelens_tests::training_devices;
use serde_json::Value;

/// Log-probabilities and entropies in nats: f32 in another order of summation.
const NATS: f64 = 2e-5;
/// Of a loss or norm, as a share of it: ten layers forth and back in f32.
const SHARE: f64 = 1e-4;
/// Of a gradient: its difference from the reference, as a share of its norm.
const GRADIENT: f64 = 1e-4;
/// Of one parameter's gradient: the same share of its norm, and this of the whole gradient's where its own is next to nothing, as
/// of the biases of keys, which softmax takes away again.
const FAINT: f64 = 2e-6;

struct Golden(Value);

impl Golden {
    fn read() -> Self {
        let path = root().join("tests/fixtures/grpo/step.json");
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }

    fn config(&self) -> GrpoConfig {
        let changes = self.0["settings"].as_object().unwrap().clone();
        GrpoConfig {
            per_device_train_batch_size: 4,
            gradient_accumulation_steps: 2,
            steps_per_generation: None,
            // So that log-probabilities of the first pass are kept.
            num_iterations: 5,
            use_peft: false,
            freeze_vision: false,
            ..settings::with(&GrpoConfig::default(), &changes).unwrap()
        }
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        serde_json::from_value(self.0[name].clone()).unwrap()
    }

    /// The completions of the golden as a generation of ours.
    fn generation(&self, policy: &Policy, config: &GrpoConfig) -> Generation {
        let plain = policy.vlm.valid();
        let prepare = |asked: &Value| {
            let prepared = policy.kit.prepare(&plain, prompt(asked)).unwrap();
            let ids: Vec<u32> = serde_json::from_value(asked["ids"].clone()).unwrap();
            assert_eq!(prepared.ids, ids, "a prompt reads as another");
            prepared
        };
        let prompts: Vec<_> = self.0["prompts"]
            .as_array()
            .unwrap()
            .iter()
            .map(prepare)
            .collect();
        let completions: Vec<Vec<u32>> =
            serde_json::from_value(self.0["completions"].clone()).unwrap();
        let rewards: Vec<_> = self.floats("rewards").into_iter().map(Some).collect();
        let table: Vec<_> = rewards.iter().map(|reward| vec![*reward]).collect();
        let compared = advantages(&table, config).unwrap().values;
        assert_eq!(compared.len(), self.floats("advantages").len());
        for (got, want) in compared.iter().zip(self.floats("advantages")) {
            near(f64::from(*got), want, 1e-6, "advantage");
        }
        let row = |(at, tokens): (usize, Vec<u32>)| Rolled {
            prompt: at / config.num_generations,
            text: String::new(),
            ended: policy.kit.chat.ends().contains(tokens.last().unwrap()),
            counts: true,
            sampled: vec![0.0; tokens.len()],
            tempered: vec![0.0; tokens.len()],
            tokens,
            reference: None,
            old: None,
            rewards: vec![rewards[at].map(|reward| reward as f32)],
            advantage: compared[at],
        };
        let mut found = Generation {
            prompts,
            rows: completions.into_iter().enumerate().map(row).collect(),
            metrics: Metrics::default(),
        };
        let all = scores(
            &policy.reference,
            &found.prompts,
            &found.rows,
            config.temperature,
        );
        let known = by_row(all.unwrap().logps, &found.rows).unwrap();
        for (row, known) in found.rows.iter_mut().zip(known) {
            row.reference = Some(known);
        }
        found
    }
}

fn prompt(asked: &Value) -> Prompt {
    let message = |message: &Value| Message {
        role: message["role"].as_str().unwrap().into(),
        content: message["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(|part| match part["text"].as_str() {
                Some(text) => Part::Text(text.into()),
                None => Part::Image,
            })
            .collect(),
    };
    let album = root().join("web-demo/public/album");
    let file = |name: &Value| Photo::File(album.join(name.as_str().unwrap()));
    Prompt {
        messages: asked["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(message)
            .collect(),
        photos: asked["photos"]
            .as_array()
            .unwrap()
            .iter()
            .map(file)
            .collect(),
        columns: serde_json::Map::new(),
    }
}

fn open(config: &GrpoConfig, device: &Device) -> Policy {
    Policy::open(&model(), config, device).unwrap()
}

fn near(got: f64, want: f64, share: f64, what: &str) {
    // Losses pass through zero; what is left of their terms there is about 1e-2.
    let bar = share * want.abs().max(1e-2);
    assert!(
        (got - want).abs() <= bar,
        "{what}: {got}, not {want} (within {bar:.1e})"
    );
}

fn step(
    vlm: &Vlm,
    found: &mut Generation,
    pass: u64,
    config: &GrpoConfig,
    device: &Device,
) -> (GradientsParams, Metrics) {
    let key = StepKey {
        dropout: 0,
        fresh: pass == 0,
        entropy_coef: 0.0,
        shards: 1,
    };
    let training = device.clone().autodiff();
    gradients(vlm, found, 0..2, key, config, &Alone, &training).unwrap()
}

#[test]
fn the_gradient_of_a_step_is_the_references() {
    training_devices()
        .iter()
        .for_each(gradient_is_the_references);
}

fn gradient_is_the_references(device: &Device) {
    let golden = Golden::read();
    let config = golden.config();
    let policy = open(&config, device);
    let mut found = golden.generation(&policy, &config);
    let seen = scores(
        &policy.reference,
        &found.prompts,
        &found.rows,
        config.temperature,
    )
    .unwrap();
    for (name, values) in [("logps", seen.logps), ("entropies", seen.entropies)] {
        let want: Vec<Vec<f64>> = serde_json::from_value(golden.0[name].clone()).unwrap();
        let got = by_row(values, &found.rows).unwrap();
        assert!(
            got.iter().map(Vec::len).eq(want.iter().map(Vec::len)),
            "{name}"
        );
        for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
            assert!(
                (f64::from(*got) - want).abs() <= NATS,
                "{name}: {got}, not {want}"
            );
        }
    }
    let (gradients, figures) = step(&policy.vlm, &mut found, 0, &config, device);
    let want = &golden.0["first"];
    near(
        figures.get("loss").unwrap(),
        want["loss"].as_f64().unwrap(),
        SHARE,
        "loss",
    );
    assert_eq!(figures.get("clip_ratio/region_mean"), Some(0.0));
    let norm = global_norm(&policy.vlm, &gradients);
    near(norm, want["grad_norm"].as_f64().unwrap(), SHARE, "norm");
    let ours = read(&policy.vlm, &policy.kit.all, Gradient(&gradients));
    for (name, want) in want["full"].as_object().unwrap() {
        let want: Vec<f64> = serde_json::from_value(want.clone()).unwrap();
        let largest = want.iter().fold(0.0f64, |most, v| most.max(v.abs()));
        assert_eq!(ours[name].len(), want.len(), "{name}");
        for (got, want) in ours[name].iter().zip(&want) {
            let bar = GRADIENT * largest + FAINT * norm;
            assert!((got - want).abs() <= bar, "{name}: {got}, not {want}");
        }
    }
    let apart = apart(&ours, &want["gradients"]);
    println!(
        "{device:?}: whole {:.1e}, worst {:?}",
        whole(&apart),
        worst(&apart)
    );
    for (name, [difference, own]) in &apart {
        let bar = GRADIENT * own + FAINT * norm;
        assert!(*difference <= bar, "{name}: {difference:.1e} of {own:.1e}");
    }
    assert!(whole(&apart) <= GRADIENT / 4.0, "{:.1e}", whole(&apart));
}

#[test]
fn a_step_of_sgd_ends_where_the_reference_does() {
    let device = &Device::flex();
    let golden = Golden::read();
    let config = golden.config();
    let policy = open(&config, device);
    let mut found = golden.generation(&policy, &config);
    let before = read(&policy.vlm, &policy.kit.all, Weight);
    let (gradients, _) = step(&policy.vlm, &mut found, 0, &config, device);
    let limit = golden.0["sgd"]["max_grad_norm"].as_f64().unwrap();
    let (gradients, norm) = clip_by_global_norm(&policy.vlm, gradients, limit);
    assert!(norm > limit, "nothing is clipped");
    let rate = golden.0["sgd"]["learning_rate"].as_f64().unwrap();
    let rate = ModuleLrScheduler::new(rate).step();
    let vlm = SgdConfig::new()
        .init()
        .step(rate, policy.vlm.clone(), gradients);
    let mut moved = read(&vlm, &policy.kit.all, Weight);
    for (name, values) in &mut moved {
        values
            .iter_mut()
            .zip(&before[name])
            .for_each(|(after, before)| *after -= before);
    }
    let apart = apart(&moved, &golden.0["first"]["sgd"]);
    println!(
        "{device:?}: whole {:.1e}, worst {:?}",
        whole(&apart),
        worst(&apart)
    );
    // A weight is rounded to 2^-24 of itself, and a step moves it by a few thousandths of itself.
    assert!(whole(&apart) <= 1e-4, "{:.1e}", whole(&apart));
    let (_, figures) = step(&vlm, &mut found, 1, &config, device);
    let want = golden.0["first"]["loss_after_sgd"].as_f64().unwrap();
    near(figures.get("loss").unwrap(), want, 1e-3, "loss after it");
}

#[test]
fn five_steps_of_adamw_take_the_references_path() {
    let device = &Device::flex();
    let golden = Golden::read();
    let config = golden.config();
    let mut policy = open(&config, device);
    let mut found = golden.generation(&policy, &config);
    let before = read(&policy.vlm, &policy.kit.all, Weight);
    let rule = &golden.0["adamw"];
    let number = |name: &str| rule[name].as_f64().unwrap();
    let options = UpdateOptions {
        rule: Rule::Adamw,
        schedule: Schedule {
            peak: number("learning_rate"),
            warmup: 0,
            total: rule["steps"].as_u64().unwrap(),
            floor: 0.0,
            decay: Decay::Linear,
        },
        weight_decay: number("weight_decay") as f32,
        moments: Moments {
            beta_1: number("adam_beta1") as f32,
            beta_2: number("adam_beta2") as f32,
            epsilon: number("adam_epsilon") as f32,
        },
        clip: number("max_grad_norm"),
    };
    let names = policy.kit.names.clone();
    let mut updater = Updater::new(&policy.vlm, &names, options);
    let lines = golden.0["five"]["steps"].as_array().unwrap();
    for (at, want) in lines.iter().enumerate() {
        let (gradients, figures) = step(&policy.vlm, &mut found, at as u64, &config, device);
        let (vlm, updated) = updater
            .update(policy.vlm.clone(), gradients, at as u64, &|_| 1.0)
            .unwrap();
        policy.vlm = vlm;
        let number = |name: &str| want[name].as_f64().unwrap();
        let got = |name: &str| figures.get(name).unwrap();
        println!("{at}: loss {} not {want}", got("loss"));
        near(
            got("loss"),
            number("loss"),
            5e-4,
            &format!("loss of step {at}"),
        );
        near(got("kl"), number("kl"), 5e-4, &format!("kl of step {at}"));
        near(
            updated.norm,
            number("grad_norm"),
            5e-4,
            &format!("norm of step {at}"),
        );
        assert!((updated.rate / number("learning_rate") - 1.0).abs() < 1e-9);
    }
    let mut moved = read(&policy.vlm, &policy.kit.all, Weight);
    for (name, values) in &mut moved {
        values
            .iter_mut()
            .zip(&before[name])
            .for_each(|(after, before)| *after -= before);
    }
    let mut apart = apart(&moved, &golden.0["five"]["adamw"]);
    // Their gradient is zero but for rounding, which AdamW makes large.
    apart.retain(|name, _| !name.ends_with("k_proj.bias"));
    println!(
        "{device:?}: whole {:.1e}, worst {:?}",
        whole(&apart),
        worst(&apart)
    );
    // The direction of a step is that of the gradient over its own size, which makes small gradients and their noise large.
    assert!(whole(&apart) <= 2e-3, "{:.1e}", whole(&apart));
}

#[test]
fn rounded_products_have_a_gradient_near_the_references() {
    let golden = Golden::read();
    let cases = [
        (Device::flex(), true),
        #[cfg(feature = "cuda")]
        (Device::cuda(0usize), false),
        #[cfg(feature = "cuda")]
        (Device::cuda(0usize), true),
    ];
    for (device, bf16) in cases {
        let config = GrpoConfig {
            bf16,
            ..golden.config()
        };
        let policy = open(&config, &device);
        let mut found = golden.generation(&policy, &config);
        let (gradients, _) = step(&policy.vlm, &mut found, 0, &config, &device);
        let ours = read(&policy.vlm, &policy.kit.all, Gradient(&gradients));
        let apart = whole(&apart(&ours, &golden.0["first"]["gradients"]));
        println!("{device:?}, bf16 {bf16}: whole {apart:.1e}");
        // Factors of 8 bits are off by up to 4e-3 each, those of TF32 by 5e-4, through ten layers forth and back; and less than a
        // tenth of one would mean that nothing was rounded.
        let within = if bf16 { 4e-4..0.1 } else { 5e-5..0.01 };
        assert!(within.contains(&apart), "{device:?}, {bf16}: {apart:.1e}");
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn a_device_without_bf16_says_so() {
    let config = GrpoConfig {
        bf16: true,
        ..Golden::read().config()
    };
    let refused = Policy::open(&model(), &config, &namelens_tests::wgpu()).unwrap_err();
    assert!(format!("{refused:#}").contains("bf16"), "{refused:#}");
}
