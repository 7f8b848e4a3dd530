//! Adapters in training: they start as nothing, learn alone, are kept in checkpoints, and PEFT's files say what they said.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData, activation};
use namelens::bundle::{open_weights, write_safetensors};
use namelens::export::adapter::write_adapter;
use namelens::train::gradients::set_trainable;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::completions::Completed;
use namelens_engine::model::families;
use namelens_engine::model::lora::{Adapter, LoraConfig, Start};
use namelens_engine::model::params::{ParamBuilder, ParamNames, RandomSource};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::random::Stream;
use namelens_tests::floats;
use namelens_tests::golden::{Case, distance, vlms};
use namelens_tests::prompts::{Asked, families as models, playroom, scenes};

/// As for the goldens: f32 in another order of summation.
const BAR: f32 = 1e-4;

fn config(rank: usize) -> LoraConfig {
    LoraConfig {
        rank,
        alpha: 6.0,
        dropout: 0.0,
        by_root: false,
        start: Start::Kaiming,
        targets: Vec::new(),
        excluded: Vec::new(),
    }
}

fn create(vlm: &mut Vlm, name: &str, config: &LoraConfig) -> ParamNames {
    let device = vlm.decoder.device();
    let mut source = RandomSource;
    let mut params = ParamBuilder::new(&mut source, &device);
    vlm.create_adapter(name, config, &mut params).unwrap();
    params.into_names()
}

/// Logits behind every token of a prompt; photos go through the tower, so that adapters there count.
fn logits(vlm: &Vlm, asked: &Asked) -> Vec<f32> {
    let (spots, _) = vlm.positions(&asked.ids, &asked.grids).unwrap();
    let reading = vlm
        .read_at(&asked.ids, asked.visual.as_ref(), &spots)
        .unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    floats(vlm.decoder.logits(hidden.reshape([tokens, width])).inner())
}

/// Gives the parameters of an adapter numbers as training might.
struct Trained<'a>(&'a ParamNames, f64);

impl ModuleMapper for Trained<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.0.name_of(param.id).is_none() {
            return param;
        }
        let (mut stream, scale) = (Stream::new(param.id.val()), self.1);
        param.map(|old| {
            let shape = old.dims();
            let count = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..count)
                .map(|_| (stream.normal() * scale) as f32)
                .collect();
            Tensor::from_data(TensorData::new(values, shape), &old.device())
        })
    }
}

#[test]
fn a_new_adapter_changes_nothing_and_is_where_it_should_be() {
    let (mut vlm, config_, _) = playroom(&Device::flex());
    let asked = scenes(&vlm, &config_).remove(0);
    let before = logits(&vlm, &asked);
    let some = LoraConfig {
        targets: vec!["text_model.layers".into(), "connector".into()],
        excluded: vec!["down_proj".into()],
        ..config(4)
    };
    let names = create(&mut vlm, "policy", &some);
    vlm.set_adapter(Some("policy")).unwrap();
    assert_eq!(logits(&vlm, &asked), before);
    let layers: BTreeSet<&str> = names
        .0
        .iter()
        .map(|(name, _)| name.split(".lora").next().unwrap())
        .collect();
    let text = &config_.text_config;
    assert_eq!(layers.len(), 6 * text.num_hidden_layers + 1, "{layers:?}");
    assert_eq!(names.0.len(), 2 * layers.len());
    assert!(layers.contains("policy:model.text_model.layers.0.self_attn.q_proj"));
    assert_eq!(vlm.adapter_params("policy").0, names.0);
    // `A` is spread within its bound, `B` is zero.
    for values in names.collect(&vlm) {
        let largest = values
            .values
            .iter()
            .fold(0.0f32, |most, v| most.max(v.abs()));
        match values.name.contains("lora_A") {
            true => {
                let bound = 1.0 / (values.shape[1] as f32).sqrt();
                assert!(
                    largest <= bound && largest > 0.8 * bound,
                    "{}: {largest}",
                    values.name
                );
            }
            false => assert_eq!(largest, 0.0, "{}", values.name),
        }
    }
    for (bad, option) in [
        (
            LoraConfig {
                rank: 0,
                ..config(1)
            },
            "r",
        ),
        (
            LoraConfig {
                dropout: 1.0,
                ..config(1)
            },
            "lora_dropout",
        ),
        (
            LoraConfig {
                alpha: f64::NAN,
                ..config(1)
            },
            "lora_alpha",
        ),
        (
            LoraConfig {
                targets: vec!["q".into()],
                ..config(1)
            },
            "target_modules",
        ),
    ] {
        let device = Device::flex();
        let mut source = RandomSource;
        let mut params = ParamBuilder::new(&mut source, &device);
        let error = vlm.create_adapter("other", &bad, &mut params).unwrap_err();
        assert!(error.to_string().contains(option), "{option}: {error}");
        assert_eq!(vlm.adapters(), ["policy"]);
    }
}

/// Which parameters have gradients: none of the base may.
struct Learn<'a>(&'a ParamNames, &'a Gradients, Vec<String>);

impl ModuleVisitor for Learn<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.0.name_of(param.id);
        let gradient = param.val().grad(self.1);
        assert!(
            name.is_some() || gradient.is_none(),
            "the base has gradients"
        );
        if let (Some(name), Some(gradient)) = (name, gradient) {
            let sum: f32 = floats(gradient).iter().map(|v| v.abs()).sum();
            assert!(sum > 0.0 && sum.is_finite(), "{name}: {sum}");
            self.2.push(name.to_owned());
        }
    }
}

/// The gradient of an adapter's parameters alone: the base is frozen and the reference, the adapter off, is the base.
#[test]
fn only_the_adapter_learns_and_without_it_the_model_is_as_it_was() {
    let device = Device::flex().autodiff();
    let (plain, config_, _) = playroom(&Device::flex());
    let asked = scenes(&plain, &config_).remove(0);
    let (mut vlm, _, _) = playroom(&device);
    let names = create(&mut vlm, "policy", &config(4));
    vlm.set_adapter(Some("policy")).unwrap();
    let vlm = vlm.map(&mut Trained(&names, 0.05));
    let vlm = set_trainable(vlm, &|id| names.name_of(id).is_none());
    let said = Completed {
        prompt: &asked.ids,
        completions: &[&[50, 60, 70], &[80, 90]],
        visual: asked.visual.as_ref(),
        grids: &asked.grids,
    };
    let score = |vlm: &Vlm| {
        let hidden = vlm.completion_states(&said).unwrap();
        vlm.decoder
            .token_scores(hidden, &said.tokens(), 1.0)
            .log_probs
    };
    let with = score(&vlm);
    let gradients = with.clone().sum().backward();
    let mut learn = Learn(&names, &gradients, Vec::new());
    vlm.visit(&mut learn);
    // All of the decoder; photos were encoded before.
    let decoder = names
        .0
        .iter()
        .filter(|(name, _)| name.contains("text_model"));
    assert_eq!(learn.2.len(), decoder.count());
    let mut reference = vlm.valid();
    reference.set_adapter(None).unwrap();
    let (without, base) = (floats(score(&reference)), floats(score(&plain)));
    assert_eq!(without, base);
    assert_ne!(floats(with.inner()), base);
}

#[test]
fn checkpoints_hold_the_adapter() {
    let (mut vlm, config_, _) = playroom(&Device::flex());
    let asked = scenes(&vlm, &config_).remove(0);
    let names = create(&mut vlm, "policy", &config(3));
    vlm.set_adapter(Some("policy")).unwrap();
    let vlm = vlm.map(&mut Trained(&names, 0.05));
    let folder = tempfile::tempdir().unwrap();
    write_safetensors(
        &folder.path().join("model.safetensors"),
        &names.collect(&vlm),
    )
    .unwrap();
    let (mut resumed, ..) = playroom(&Device::flex());
    let mut source = CheckpointSource::new(open_weights(folder.path()).unwrap());
    let device = Device::flex();
    let mut params = ParamBuilder::new(&mut source, &device);
    resumed
        .create_adapter("policy", &config(3), &mut params)
        .unwrap();
    assert_eq!(params.into_names().0, names.0);
    assert_eq!(source.unused(), Vec::<&str>::new());
    resumed.set_adapter(Some("policy")).unwrap();
    assert_eq!(logits(&resumed, &asked), logits(&vlm, &asked));
    // One of another rank is refused and leaves the model alone.
    let (mut other, ..) = playroom(&device);
    let mut source = CheckpointSource::new(open_weights(folder.path()).unwrap());
    let mut params = ParamBuilder::new(&mut source, &device);
    assert!(
        other
            .create_adapter("policy", &config(2), &mut params)
            .is_err()
    );
    assert!(other.adapters().is_empty());
}

/// Every layer of every family, towers and heads among them, while the base stands still.
#[test]
fn adapters_learn_in_every_layer_of_every_family() {
    let device = Device::flex().autodiff();
    for checkpoint in vlms() {
        let (mut vlm, config_) = checkpoint.vlm(&device);
        let names = create(&mut vlm, "policy", &config(3));
        vlm.set_adapter(Some("policy")).unwrap();
        let vlm = vlm.map(&mut Trained(&names, 0.05));
        let vlm = set_trainable(vlm, &|id| names.name_of(id).is_none());
        let shows = |case: &Case| {
            let ids = &case.rows().0[0];
            !case.is_padded() && ids.contains(&config_.image_token_id)
        };
        let case = checkpoint.cases().into_iter().find(shows).unwrap();
        let (visual, grids) = case.visual(&checkpoint, &vlm, &config_, &device);
        let said = Completed {
            prompt: &case.rows().0[0],
            completions: &[&[50, 60, 70], &[80, 90]],
            visual: visual.as_ref(),
            grids: &grids,
        };
        let hidden = vlm.completion_states(&said).unwrap();
        let scores = vlm
            .decoder
            .token_scores(hidden.clone(), &said.tokens(), 0.8);
        // The head's own adapter is in both; sums of some hundred terms in another order.
        let plain = activation::log_softmax(vlm.decoder.logits(hidden) / 0.8, 1);
        let vocabulary = plain.dims()[1];
        let plain = floats(plain.inner());
        let found = floats(scores.log_probs.clone().inner());
        for ((row, token), found) in plain.chunks(vocabulary).zip(said.tokens()).zip(found) {
            let want = row[token as usize];
            assert!(
                (found - want).abs() < 1e-5,
                "{}: {found}, not {want}",
                checkpoint.name
            );
        }
        let gradients = (scores.log_probs.sum() + scores.entropy.sum()).backward();
        let mut learn = Learn(&names, &gradients, Vec::new());
        vlm.visit(&mut learn);
        let idle: Vec<&str> = names
            .0
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !learn.2.iter().any(|l| l == name))
            .collect();
        assert_eq!(idle, Vec::<&str>::new(), "{}", checkpoint.name);
    }
}

/// Every family, the fused projections of Qwen's towers among them, in both scalings.
#[test]
fn what_is_written_for_peft_says_the_same_when_it_is_read() {
    for ((name, mut vlm, config_, asked), checkpoint) in models().into_iter().zip(vlms()) {
        let plain = vlm.clone();
        let names_of = families::names(&config_.model_type);
        for by_root in [false, true] {
            let mut vlm = vlm.clone();
            let settings = LoraConfig {
                by_root,
                start: Start::Gaussian,
                dropout: 0.1,
                ..config(3)
            };
            let names = create(&mut vlm, "policy", &settings);
            vlm.set_adapter(Some("policy")).unwrap();
            let mut vlm = vlm.map(&mut Trained(&names, 0.1));
            let photos = |vlm: &Vlm| {
                let shows = |case: &Case| {
                    let ids = &case.rows().0[0];
                    !case.is_padded() && ids.contains(&config_.image_token_id)
                };
                let case = checkpoint.cases().into_iter().find(shows).unwrap();
                let (visual, grids) = case.visual(&checkpoint, vlm, &config_, &Device::flex());
                Asked {
                    ids: case.rows().0.remove(0),
                    visual,
                    grids,
                }
            };
            let want = logits(&vlm, &photos(&vlm));
            let saved = vlm
                .save_adapter("policy", names_of, Some("somewhere/base"))
                .unwrap();
            let folder = tempfile::tempdir().unwrap();
            write_adapter(folder.path(), &saved).unwrap();
            let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
            let source = namelens::bundle::FileSource::open(
                &folder.path().join("adapter_model.safetensors"),
            )
            .unwrap();
            let adapter = Adapter::open(
                "saved",
                &read("adapter_config.json"),
                Box::new(source),
                names_of,
            )
            .unwrap();
            let mut other = plain.clone();
            other.add_adapter("saved", adapter).unwrap();
            other.set_adapter(Some("saved")).unwrap();
            let got = logits(&other, &photos(&other));
            let far = distance(&got, &want);
            let moved = distance(&logits(&plain, &photos(&plain)), &want);
            println!(
                "{name}, by root {by_root}: {far:.1e} deviations, the adapter moves {moved:.1e}"
            );
            assert!(
                far <= BAR && moved > 100.0 * BAR,
                "{name}: {far:.1e} {moved:.1e}"
            );
        }
        assert!(vlm.save_adapter("policy", names_of, None).is_err());
        assert!(!asked.is_empty());
    }
}

#[test]
fn what_is_left_out_depends_on_the_key_alone() {
    let (mut vlm, config_, _) = playroom(&Device::flex());
    let asked = scenes(&vlm, &config_).remove(0);
    let names = create(
        &mut vlm,
        "policy",
        &LoraConfig {
            dropout: 0.3,
            ..config(4)
        },
    );
    vlm.set_adapter(Some("policy")).unwrap();
    let mut vlm = vlm.map(&mut Trained(&names, 0.05));
    let whole = logits(&vlm, &asked);
    let mut at = |key: Option<u64>| {
        vlm.set_dropout(key);
        logits(&vlm, &asked)
    };
    let (one, two, again) = (at(Some(1)), at(Some(2)), at(Some(1)));
    assert_eq!(one, again);
    assert!(one != two && one != whole);
    assert_eq!(at(None), whole, "evaluation leaves nothing out");
}
