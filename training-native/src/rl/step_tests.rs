//! A step without an update in between changes no ratio, whatever dropout leaves out; and what is taught is taught at temperature 1.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Bool, Device, Tensor};
use namelens_engine::host::Still;
use namelens_engine::model::vlm::Vlm;

use super::super::config::{ImportanceSamplingLevel, LossType, Teacher};
use super::super::dataset::{Prompts, Source};
use super::super::demonstrations::generate;
use super::super::loss::LossInputs;
use super::super::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use super::super::policy::Policy;
use super::super::rollout::Draw;
use super::*;
use crate::ranks::Alone;
use crate::rewards::registry::{RewardOptions, build};
use crate::train::gradients::global_norm;

fn config() -> GrpoConfig {
    GrpoConfig {
        loss_type: LossType::Grpo,
        per_device_train_batch_size: 2,
        num_generations: 2,
        max_completion_length: 8,
        temperature: 2.0,
        reward_funcs: vec!["set-f1".into()],
        use_peft: true,
        lora_r: 4,
        lora_dropout: 0.0,
        ..GrpoConfig::default()
    }
}

fn policy(config: &GrpoConfig) -> Policy {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    let room = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    Policy::open(&room.join("../models/playroom"), config, &Device::flex()).unwrap()
}

fn drawn(policy: &Policy, config: &GrpoConfig) -> Generation {
    let prompts = PlayroomPrompts::new(PlayroomOptions::default());
    let prompts = Prompts::new(Source::Playroom(prompts), None).unwrap();
    let mut rewards = [build("set-f1", &RewardOptions::default()).unwrap()];
    let draw = Draw {
        number: 0,
        ranks: &Alone,
        host: &Still,
    };
    let mut found = generate(policy, &prompts, &mut rewards, config, draw, &mut 0).unwrap();
    for (at, row) in found.rows.iter_mut().enumerate() {
        // Whatever they are worth: both signs can be clipped.
        row.advantage = if at % 2 == 0 { 1.0 } else { -1.0 };
    }
    found
}

fn stepped(
    vlm: &Vlm,
    found: &mut Generation,
    parts: Range<usize>,
    fresh: bool,
    config: &GrpoConfig,
) -> (f64, Metrics) {
    let key = StepKey {
        dropout: 5,
        fresh,
        entropy_coef: 0.0,
        shards: 1,
    };
    let training = Device::flex().autodiff();
    let (gradients, figures) =
        gradients(vlm, found, parts, key, config, &Alone, &training).unwrap();
    (global_norm(vlm, &gradients), figures)
}

/// Adapters that have learned something: what is left out of their inputs shows.
struct Learned;

impl ModuleMapper for Learned {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| match values.is_require_grad() {
            true => Tensor::from_inner(values.inner() + 0.02).require_grad(),
            false => values,
        })
    }
}

#[test]
fn what_dropout_leaves_out_moves_no_ratio() {
    let config = GrpoConfig {
        importance_sampling_level: ImportanceSamplingLevel::Sequence,
        epsilon: 1e-4,
        steps_per_generation: Some(3),
        lora_dropout: 0.5,
        ..config()
    };
    let mut policy = policy(&config);
    policy.vlm = policy.vlm.clone().map(&mut Learned);
    let mut found = drawn(&policy, &config);
    let (_, first) = stepped(&policy.vlm, &mut found, 0..1, true, &config);
    assert_eq!(first.get("clip_ratio/region_mean"), Some(0.0));
    for part in 1..3 {
        // Nothing was updated, so this pass sees what the first one would have.
        let (_, figures) = stepped(&policy.vlm, &mut found, part..part + 1, false, &config);
        assert_eq!(figures.get("clip_ratio/region_mean"), Some(0.0), "{part}");
    }
    // Left-out inputs do move what the model says.
    let rollout = |row: &Rolled| row.tempered.iter().sum::<f32>() / row.tokens.len() as f32;
    let training =
        |row: &Rolled| row.old.as_ref().unwrap().iter().sum::<f32>() / row.tokens.len() as f32;
    let moved = |row: &Rolled| (rollout(row) - training(row)).abs() > 1e-3;
    assert!(found.rows[2..].iter().any(moved));
}

#[test]
fn what_is_taught_is_taught_at_temperature_one() {
    let at = |temperature: f64| {
        let config = GrpoConfig {
            teacher: Teacher::Gold,
            temperature,
            beta: 0.1,
            ..config()
        };
        config.validate().unwrap();
        let policy = policy(&config);
        let mut found = drawn(&policy, &config);
        let (norm, figures) = stepped(&policy.vlm, &mut found, 0..1, true, &config);
        let kl = figures.get("kl").unwrap();
        assert!(kl.abs() < 1e-6, "the reference is the same model: {kl}");
        norm
    };
    assert_eq!(at(2.0), at(1.0));
}

/// Two tokens with logits 1 and 0, of which the first is right.
#[test]
fn the_gradient_of_a_taught_token_is_that_of_its_likelihood() {
    let slope = |teacher: Teacher| {
        let config = GrpoConfig {
            teacher,
            ..config()
        };
        let device = Device::flex().autodiff();
        let logits = Tensor::<2>::from_floats([[1.0, 0.0]], &device).require_grad();
        let tempered = logits.clone() / config.learned_temperature();
        let inputs = LossInputs {
            logps: log_softmax(tempered, 1).narrow(1, 0, 1),
            entropies: None,
            old_logps: None,
            ref_logps: None,
            sampling_logps: None,
            importance_ratio: None,
            high_entropy: None,
            mask: Tensor::<2, Bool>::full([1, 1], true, &device),
            advantages: Tensor::ones([1], &device),
        };
        let (loss, _) = loss(inputs, &config, &Counts::of(&[1], 0), 0.0).unwrap();
        let gradients = loss.backward();
        let slopes = logits.grad(&gradients).unwrap().into_data();
        slopes.try_to_vec::<f32>().unwrap()[0]
    };
    // p - 1 at temperature 1; a policy's own at 2 is (p - 1) / 2 of the flatter distribution.
    assert!((slope(Teacher::Gold) + 0.268_941).abs() < 1e-5);
    assert!((slope(Teacher::BestOfReference) + 0.268_941).abs() < 1e-5);
    assert!((slope(Teacher::Policy) + 0.188_770).abs() < 1e-5);
}
