//! Adapters that are read, adapters that are refused, and what an adapter does to a layer.

use burn::tensor::{Device, Tensor, TensorData};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::settings::Settings;
use super::{Adapter, Lora};
use crate::Result;
use crate::model::linear::Linear;
use crate::model::names::{Group, Names, third};
use crate::model::params::{Init, ParamBuilder, ParamSource, Values};
use crate::ops::{QuantKind, QuantMatrix};
use crate::weights::{Dtype, SliceSource, TensorData as Stored, decode, encode, write_safetensors};

/// A family whose files fuse queries, keys and values, under two names.
const NAMES: Names = &[Group {
    ours: "model.tower.",
    theirs: &["model.visual.", "visual."],
    pieces: &[
        ("q_proj", "qkv", third(0)),
        ("k_proj", "qkv", third(1)),
        ("v_proj", "qkv", third(2)),
    ],
}];

fn config(changes: Value) -> String {
    let mut config = json!({
        "peft_type": "LORA", "r": 2, "lora_alpha": 5, "bias": "none", "fan_in_fan_out": false,
        "target_modules": ["qkv"], "modules_to_save": null, "rank_pattern": {}, "task_type": "CAUSAL_LM",
        "megatron_core": "megatron.core", "lora_dropout": 0.05, "init_lora_weights": true,
    });
    for (key, value) in changes.as_object().unwrap() {
        config[key] = value.clone();
    }
    config.to_string()
}

fn settings(changes: Value) -> Result<Settings> {
    Settings::parse("adapter_config.json", &config(changes))
}

/// Numbers around zero, others for each seed.
fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let number = |at: usize| ((at * 37 + seed * 101 + 11) % 67) as f32 / 33.0 - 1.0;
    (0..count).map(number).collect()
}

type Raw<'a> = (&'a str, &'a [usize], Vec<f32>);

fn file(tensors: &[Raw<'_>]) -> Vec<u8> {
    let encoded: Vec<_> = tensors
        .iter()
        .map(|(_, _, values)| encode(Dtype::F32, values).unwrap())
        .collect();
    let views: Vec<_> = tensors
        .iter()
        .zip(&encoded)
        .map(|((name, shape, _), bytes)| Stored {
            name,
            shape,
            dtype: Dtype::F32,
            bytes,
        })
        .collect();
    let mut out = Vec::new();
    write_safetensors(&mut out, &[], &views).unwrap();
    out
}

fn adapter(changes: Value, tensors: &[Raw<'_>]) -> Result<Adapter> {
    let source = Box::new(SliceSource::from(file(tensors)));
    Adapter::open("a", &config(changes), source, NAMES)
}

const A: &str = "base_model.model.visual.0.qkv.lora_A.weight";
const B: &str = "base_model.model.visual.0.qkv.lora_B.weight";

/// One fused layer of 3 x 32 rows and 64 columns, under its older name.
fn fused() -> Vec<Raw<'static>> {
    vec![
        (A, &[2, 64], numbers(128, 1)),
        (B, &[96, 2], numbers(192, 2)),
    ]
}

#[test]
fn scales_are_alpha_by_rank_or_by_its_root() {
    assert_eq!(settings(json!({})).unwrap().scale("x"), 2.5);
    let root = settings(json!({"use_rslora": true, "r": 4, "lora_alpha": 3})).unwrap();
    assert_eq!(root.scale("x"), 1.5);
}

#[test]
fn the_first_pattern_that_fits_gives_rank_and_alpha() {
    let found = settings(json!({
        "rank_pattern": {"^model.q_proj": 8, "q_proj": 4},
        "alpha_pattern": {"b.q_proj": 1.0},
    }))
    .unwrap();
    let of = |path: &str| (found.rank(path), found.scale(path));
    assert_eq!(of("model.q_proj"), (8, 5.0 / 8.0));
    assert_eq!(of("x.model.q_proj"), (4, 5.0 / 4.0));
    assert_eq!(of("a.b.q_proj"), (4, 0.25));
    assert_eq!(of("a.not_q_proj"), (2, 2.5));
    assert_eq!(of("q_proj.other"), (2, 2.5));
}

#[test]
fn what_is_more_than_lora_is_refused_by_its_key() {
    for (key, value) in [
        ("peft_type", json!("IA3")),
        ("r", json!(0)),
        ("r", json!(1_u64 << 60)),
        ("r", json!(-1)),
        ("r", json!("8")),
        ("lora_alpha", json!(null)),
        ("lora_alpha", json!(1e300)),
        ("bias", json!("lora_only")),
        ("fan_in_fan_out", json!(true)),
        ("use_dora", json!(true)),
        ("lora_bias", json!(true)),
        ("use_qalora", json!(true)),
        ("use_rslora", json!("yes")),
        ("modules_to_save", json!(["lm_head"])),
        ("trainable_token_indices", json!([1])),
        ("target_parameters", json!(["experts.w"])),
        ("layer_replication", json!([[0, 4]])),
        ("alora_invocation_tokens", json!([5])),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("init_lora_weights", json!("olora")),
        ("target_modules", json!([1])),
        ("rank_pattern", json!({"layers.[0-9]+.q_proj": 4})),
        ("rank_pattern", json!({"q_proj": 0})),
        ("alpha_pattern", json!(["q_proj"])),
        ("some_new_thing", json!(1)),
    ] {
        let error = settings(json!({ key: value.clone() })).unwrap_err();
        assert_eq!(error.code(), "config");
        let text = error.to_string();
        assert!(text.contains(&format!("`{key}`")), "{key}: {value}: {text}");
    }
    for json in ["", "[]", "3", "{\"r\":2}"] {
        assert!(
            Settings::parse("adapter_config.json", json).is_err(),
            "{json}"
        );
    }
}

#[test]
fn ways_to_say_nothing_are_accepted() {
    for (key, value) in [
        ("target_modules", json!("all-linear")),
        (
            "target_modules",
            json!("^(?!.*visual).*(?:q_proj|v_proj).*"),
        ),
        ("init_lora_weights", json!("gaussian")),
        ("some_new_thing", json!(null)),
        ("enable_lora", json!(false)),
        ("rank_pattern", json!(null)),
    ] {
        assert!(
            settings(json!({ key: value.clone() })).is_ok(),
            "{key}: {value}"
        );
    }
}

#[test]
fn a_fused_layer_is_split_by_rows_of_b() {
    let mut adapter = adapter(json!({}), &fused()).unwrap();
    assert!(adapter.is_for("model.visual.0.qkv.weight"));
    assert!(
        adapter
            .take("model.tower.1.q_proj", [32, 64])
            .unwrap()
            .is_none()
    );
    let [q, k, v] = ["q", "k", "v"].map(|which| {
        let key = format!("model.tower.0.{which}_proj");
        adapter.take(&key, [32, 64]).unwrap().unwrap()
    });
    adapter.all_taken().unwrap();
    assert_eq!(q.a, k.a);
    assert_eq!([q.b, k.b, v.b].concat(), fused()[1].2);
    assert_eq!((v.rank, v.scale), (2, 2.5));
}

#[test]
fn adapters_of_another_model_or_damaged_ones_are_refused() {
    let cases: Vec<(Vec<Raw<'_>>, Value, &str)> = vec![
        (vec![], json!({}), "there are none"),
        (
            fused()[..1].to_vec(),
            json!({}),
            "lora_B.weight: is missing",
        ),
        (fused(), json!({"r": 3}), "the rank is 3"),
        (
            vec![(
                "base_model.model.embed.lora_embedding_A",
                &[2, 4],
                numbers(8, 1),
            )],
            json!({}),
            "lora_embedding_A: is no",
        ),
        (
            vec![("visual.0.qkv.lora_A.weight", &[2, 4], numbers(8, 1))],
            json!({}),
            "is no `lora_A`",
        ),
        (
            vec![
                (A, &[2, 8, 8], numbers(128, 1)),
                (B, &[96, 2], numbers(192, 2)),
            ],
            json!({}),
            "[2, 8, 8]",
        ),
        (
            [
                fused(),
                vec![
                    (
                        "base_model.model.model.visual.0.qkv.lora_A.weight",
                        &[2, 64],
                        numbers(128, 1),
                    ),
                    (
                        "base_model.model.model.visual.0.qkv.lora_B.weight",
                        &[96, 2],
                        numbers(192, 1),
                    ),
                ],
            ]
            .concat(),
            json!({}),
            "is the same layer as",
        ),
    ];
    for (tensors, changes, expected) in cases {
        let error = adapter(changes, &tensors).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn shapes_and_numbers_are_checked_when_a_layer_takes_its_share() {
    let take = |tensors: &[Raw<'_>], dims| {
        let mut adapter = adapter(json!({}), tensors).unwrap();
        let error = adapter.take("model.tower.0.q_proj", dims).unwrap_err();
        error.to_string()
    };
    assert!(take(&fused(), [32, 63]).contains("lora_A.weight: expected shape [2, 63]"));
    assert!(take(&fused(), [64, 64]).contains("lora_B.weight: expected shape [192, 2]"));
    assert!(take(&fused(), [usize::MAX, 64]).contains("expected shape"));
    let mut damaged = fused();
    damaged[1].2[7] = f32::NAN;
    assert!(take(&damaged, [32, 64]).contains("lora_B.weight: element 7"));
    let mut adapter = adapter(json!({}), &fused()).unwrap();
    adapter.take("model.tower.0.other", [1, 1]).unwrap();
    let left = adapter.all_taken().unwrap_err().to_string();
    assert!(
        left.contains("qkv.lora_") && left.contains("1 more tensors"),
        "{left}"
    );
    assert!(
        adapter
            .take_stored("visual.0.qkv.weight", &[96, 8, 8])
            .is_err()
    );
}

/// One layer of 96 rows and 64 columns.
struct OneLayer {
    quantised: bool,
}

impl ParamSource for OneLayer {
    fn values(&mut self, name: &str, shape: &[usize], _init: Init) -> Result<Values> {
        let seed = name.len();
        Ok(Values::Host(numbers(shape.iter().product(), seed)))
    }

    fn quantised(&mut self, name: &str, rows: usize, cols: usize) -> Result<Option<QuantMatrix>> {
        if !self.quantised {
            return Ok(None);
        }
        let blocks = encode(Dtype::Q8_0, &numbers(rows * cols, name.len()))?;
        let matrix = QuantMatrix::from_ggml(&blocks, QuantKind::Q8_0, rows, cols, &Device::flex())?;
        Ok(Some(matrix))
    }

    fn contains(&self, _name: &str) -> bool {
        true
    }
}

/// `x (W + D)ᵀ + b` in double precision; `D` is what the adapter adds, if one does.
fn product(x: &[f32], weight: &[f32], added: Option<&[f32]>, bias: &[f32]) -> Vec<f32> {
    let mut y = Vec::new();
    for x in x.chunks(64) {
        for (row, bias) in bias.iter().enumerate() {
            let term = |col: usize| {
                let at = row * 64 + col;
                let added = added.map_or(0.0, |added| f64::from(added[at]));
                f64::from(x[col]) * (f64::from(weight[at]) + added)
            };
            y.push(((0..64).map(term).sum::<f64>() + f64::from(*bias)) as f32);
        }
    }
    y
}

#[test]
fn a_layer_with_an_adapter_says_what_the_merged_weight_says() {
    let device = Device::flex();
    for quantised in [false, true] {
        let mut source = OneLayer { quantised };
        let mut p = ParamBuilder::new(&mut source, &device);
        let mut layer = Linear::new(&mut p, "model.tower.0.fc", 64, 96, true).unwrap();
        assert_eq!(layer.dims(), [96, 64]);
        let mut weight = numbers(96 * 64, "model.tower.0.fc.weight".len());
        if quantised {
            let blocks = encode(Dtype::Q8_0, &weight).unwrap();
            weight.clear();
            decode(Dtype::Q8_0, &blocks, &mut weight).unwrap();
        }
        let bias = numbers(96, "model.tower.0.fc.bias".len());
        let mut shares = Vec::new();
        for (name, alpha) in [("one", 5), ("two", 1)] {
            let mut adapter = adapter(json!({ "lora_alpha": alpha }), &fused()).unwrap();
            let update = adapter
                .take_stored("visual.0.qkv.weight", &[96, 64])
                .unwrap()
                .unwrap();
            shares.push(update.rows(0..96));
            assert_eq!(update.rows(5..7), shares.last().unwrap()[5 * 64..7 * 64]);
            layer.add_lora(Lora::new(name, layer.key(), update, &device));
        }
        for rows in [1, 3, 20] {
            let x = numbers(rows * 64, 9);
            let run = |layer: &Linear| -> Vec<f32> {
                let x = Tensor::<2>::from_data(TensorData::new(x.clone(), [rows, 64]), &device);
                layer.forward(x).into_data().try_to_vec().unwrap()
            };
            for (name, share) in [
                (None, None),
                (Some("two"), Some(1)),
                (Some("one"), Some(0)),
                (None, None),
            ] {
                layer.use_adapter(name);
                let want = product(&x, &weight, share.map(|at: usize| &shares[at][..]), &bias);
                let largest = want.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                for (got, want) in run(&layer).iter().zip(&want) {
                    // Sums of 64 and 2 terms in another order, each rounded to 2^-24; with blocks activations have 16 bits.
                    let bar = if quantised { 3e-5 } else { 4e-6 };
                    assert!(
                        (got - want).abs() <= bar * largest,
                        "{quantised} {name:?}: {got}, not {want}"
                    );
                }
            }
        }
        layer.use_adapter(Some("one"));
        layer.remove_adapter("one");
        layer.use_adapter(Some("one"));
        let x = Tensor::<2>::ones([1, 64], &device);
        let y: Vec<f32> = layer.forward(x).into_data().try_to_vec().unwrap();
        let want = product(&[1.0; 64], &weight, None, &bias);
        assert!(y.iter().zip(&want).all(|(y, want)| (y - want).abs() < 1e-4));
    }
}

#[cfg(feature = "train")]
#[test]
fn both_halves_of_a_pair_have_gradients() {
    use burn::module::{ModuleVisitor, Param};

    struct Found<'a>(&'a burn::tensor::Gradients, usize);
    impl ModuleVisitor for Found<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let grad = param.val().grad(self.0).unwrap();
            let sum: f32 = grad.abs().sum().into_data().try_to_vec().unwrap()[0];
            assert!(sum > 0.0);
            self.1 += 1;
        }
    }

    let device = Device::flex().autodiff();
    let mut adapter = adapter(json!({}), &fused()).unwrap();
    let update = adapter
        .take_stored("visual.0.qkv.weight", &[96, 64])
        .unwrap()
        .unwrap();
    let lora = Lora::new("one", "x", update, &device);
    let x = Tensor::<2>::from_data(TensorData::new(numbers(128, 3), [2, 64]), &device);
    let gradients = lora.forward(x).sum().backward();
    let mut found = Found(&gradients, 0);
    burn::module::Module::visit(&lora, &mut found);
    assert_eq!(found.1, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_adapters_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        config_edits in prop::collection::vec((any::<prop::sample::Index>(), 32u8..127), 0..4),
        dims in prop::array::uniform2(any::<usize>()),
    ) {
        let mut bytes = file(&fused());
        for (at, value) in edits {
            // Damage to the header is what matters.
            let at = at.index(240);
            bytes[at] = value;
        }
        let mut config = config(json!({"rank_pattern": {"qkv": 2}})).into_bytes();
        for (at, value) in config_edits {
            let at = at.index(config.len());
            config[at] = value;
        }
        let config = String::from_utf8(config).unwrap();
        if let Ok(mut adapter) = Adapter::open("a", &config, Box::new(SliceSource::from(bytes)), NAMES) {
            for dims in [dims, [32, 64]] {
                let _ = adapter.take("model.tower.0.k_proj", dims);
            }
            let _ = adapter.all_taken();
        }
    }
}
