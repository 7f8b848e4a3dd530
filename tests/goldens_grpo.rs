//! Losses, gradients, metrics and advantages of GRPO and its kin against TRL's own lines in f64.
//!
//! `fixtures/generate/grpo.py` made the cases. With `NAMELENS_GOLDENS` set, `grpo/losses.json` and `grpo/advantages.json`
//! of that folder are read instead.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use burn::tensor::{Bool, Device, Tensor, TensorData};
use namelens::rl::advantage;
use namelens::rl::aggregate::Counts;
use namelens::rl::config::{GrpoConfig, LossType};
use namelens::rl::entropy::high_entropy;
use namelens::rl::loss::{LossInputs, loss};
use namelens::rl::metrics::Metrics;
use namelens::rl::settings;
use serde_json::{Map, Value};

/// f32 against f64: a few roundings of values near one.
const RTOL: f64 = 1e-5;
const ATOL: f64 = 1e-6;
/// Settings of a case that say how TRL cuts a step, not what it computes.
const CUTS: [&str; 2] = ["importance_correction", "num_items"];

fn folder() -> PathBuf {
    let own = || {
        // At run time: a build directory shared by two checkouts keeps the path of the other.
        Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("fixtures/grpo")
    };
    let other = std::env::var_os("NAMELENS_GOLDENS").map(|folder| Path::new(&folder).join("grpo"));
    // A folder of checkpoints alone asks for nothing here.
    other.filter(|folder| folder.exists()).unwrap_or_else(own)
}

fn cases(name: &str) -> Vec<Value> {
    let path = folder().join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file: Value = serde_json::from_str(&text).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "{} holds nothing", path.display());
    println!("{} cases of {}", cases.len(), path.display());
    cases
}

fn config(case: &Value) -> GrpoConfig {
    let mut changes: Map<String, Value> = case["settings"].as_object().unwrap().clone();
    changes.retain(|name, _| !CUTS.contains(&name.as_str()));
    if let Some(corrected) = case["settings"].get("importance_correction") {
        changes.insert("importance_sampling_correction".into(), corrected.clone());
    }
    settings::with(&GrpoConfig::default(), &changes).unwrap()
}

/// A table of a case; what is null becomes `fill`.
#[derive(Clone)]
struct Table {
    values: Vec<f64>,
    shape: [usize; 2],
}

fn table(value: &Value, fill: f64) -> Option<Table> {
    let rows = value.as_array()?;
    let cell = |v: &Value| v.as_f64().unwrap_or(fill);
    let values: Vec<f64> = rows
        .iter()
        .flat_map(|row| row.as_array().unwrap().iter().map(cell))
        .collect();
    Some(Table {
        shape: [rows.len(), values.len() / rows.len()],
        values,
    })
}

impl Table {
    fn tensor(&self, device: &Device) -> Tensor<2> {
        let values: Vec<f32> = self.values.iter().map(|v| *v as f32).collect();
        Tensor::from_data(TensorData::new(values, self.shape), device)
    }

    /// With `harm` wherever `mask` is not.
    fn poisoned(mut self, mask: &[bool], harm: f64) -> Self {
        // One ratio a row has no tokens outside the mask.
        if self.values.len() == mask.len() {
            for (value, counts) in self.values.iter_mut().zip(mask) {
                if !counts {
                    *value = harm;
                }
            }
        }
        self
    }
}

/// A case, ready to be computed.
struct Case {
    config: GrpoConfig,
    inputs: Value,
    outputs: Value,
    mask: Vec<bool>,
    shape: [usize; 2],
    num_items: f64,
}

impl Case {
    fn of(case: &Value) -> Self {
        let mask = table(&case["inputs"]["mask"], 0.0).unwrap();
        Self {
            config: config(case),
            inputs: case["inputs"].clone(),
            outputs: case["outputs"].clone(),
            mask: mask.values.iter().map(|v| *v != 0.0).collect(),
            shape: mask.shape,
            num_items: case["settings"]["num_items"].as_f64().unwrap(),
        }
    }

    fn high(&self) -> Vec<bool> {
        let entropies = table(&self.inputs["entropies"], 0.0).unwrap();
        high_entropy(
            &entropies.values,
            &self.mask,
            self.config.top_entropy_quantile,
        )
        .unwrap()
    }

    /// The counts of the step that this micro-batch is a part of, as TRL reckons them.
    fn counts(&self) -> Counts {
        let rounds = self.config.gradient_accumulation_steps as f64;
        let [rows, tokens] = self.shape;
        let per_row: Vec<usize> = (0..rows)
            .map(|r| {
                self.mask[r * tokens..][..tokens]
                    .iter()
                    .filter(|m| **m)
                    .count()
            })
            .collect();
        let bonus = self.high().iter().filter(|h| **h).count();
        let own = Counts::of(&per_row, bonus).share(rounds);
        let generation = Counts {
            tokens: self.num_items,
            ..own
        };
        let steps = self.config.generation_steps() as f64;
        match self.config.loss_type {
            LossType::Dapo | LossType::Cispo | LossType::Vespo => Counts {
                tokens: generation.share(rounds / steps).tokens,
                ..own
            },
            // TRL's `bnpo` divides each micro-batch by its own tokens.
            _ => own,
        }
    }

    /// The inputs of some rows, with `harm` outside the mask.
    fn rows(&self, rows: std::ops::Range<usize>, harm: f64, device: &Device) -> LossInputs {
        let cut = |t: Tensor<2>| t.narrow(0, rows.start, rows.len());
        let read = |name: &str| {
            let table = table(&self.inputs[name], harm)?;
            Some(cut(table.poisoned(&self.mask, harm).tensor(device)))
        };
        let bools = |values: Vec<bool>| {
            let all = Tensor::<2, Bool>::from_data(TensorData::new(values, self.shape), device);
            all.narrow(0, rows.start, rows.len())
        };
        let advantages: Vec<f32> =
            serde_json::from_value(self.inputs["advantages"].clone()).unwrap();
        LossInputs {
            logps: read("logps").unwrap().require_grad(),
            entropies: read("entropies"),
            old_logps: read("old_logps"),
            ref_logps: read("ref_logps"),
            sampling_logps: read("sampling_logps"),
            importance_ratio: read("importance_ratio"),
            high_entropy: Some(bools(self.high())),
            mask: bools(self.mask.clone()),
            advantages: Tensor::from_data(&advantages[rows], device),
        }
    }

    /// Loss, gradient and metrics of some rows.
    fn compute(&self, rows: std::ops::Range<usize>, harm: f64) -> (f64, Vec<f64>, Metrics) {
        let device = Device::flex().autodiff();
        let inputs = self.rows(rows, harm, &device);
        let logps = inputs.logps.clone();
        let coef = self.config.entropy_coef;
        let (loss, figures) = loss(inputs, &self.config, &self.counts(), coef).unwrap();
        let gradient = logps.grad(&loss.backward()).unwrap();
        let gradient: Vec<f32> = gradient.into_data().try_to_vec().unwrap();
        let value = f64::from(loss.into_scalar::<f32>());
        (
            value,
            gradient.into_iter().map(f64::from).collect(),
            figures.read().unwrap(),
        )
    }

    fn whole(&self, harm: f64) -> (f64, Vec<f64>, Metrics) {
        self.compute(0..self.shape[0], harm)
    }
}

fn near(got: f64, want: f64, what: &str) -> f64 {
    let error = (got - want).abs();
    assert!(
        error <= ATOL + RTOL * want.abs(),
        "{what}: {got}, not {want}"
    );
    error / (ATOL + RTOL * want.abs())
}

#[test]
fn losses_gradients_and_metrics_are_those_of_trl() {
    let mut worst = 0.0f64;
    for (at, case) in cases("losses.json").iter().enumerate() {
        let case = Case::of(case);
        let (value, gradient, metrics) = case.whole(0.0);
        let name = |what: &str| format!("case {at} ({:?}), {what}", case.config.loss_type);
        worst = worst.max(near(
            value,
            case.outputs["loss"].as_f64().unwrap(),
            &name("loss"),
        ));
        let wanted = table(&case.outputs["grad"], 0.0).unwrap().values;
        assert_eq!(gradient.len(), wanted.len());
        for (t, (got, want)) in gradient.iter().zip(&wanted).enumerate() {
            worst = worst.max(near(*got, *want, &name(&format!("gradient of token {t}"))));
            assert!(case.mask[t] || *got == 0.0, "{}", name("outside the mask"));
        }
        for (metric, want) in case.outputs["metrics"].as_object().unwrap() {
            // The weight of the bonus is the caller's.
            let Some(want) = want.as_f64().filter(|_| metric != "entropy_coef") else {
                continue;
            };
            let mut got = metrics
                .get(metric)
                .unwrap_or_else(|| panic!("{}", name(metric)));
            let of_step = matches!(
                case.config.loss_type,
                LossType::Dapo | LossType::Cispo | LossType::Vespo
            );
            if metric == "policy_loss" && !of_step {
                // TRL logs the mean over micro-batches, here it is the part of the step.
                got *= case.config.gradient_accumulation_steps as f64;
            }
            worst = worst.max(near(got, want, &name(metric)));
        }
    }
    println!("worst error: {worst:.2} of the tolerance");
}

#[test]
fn nothing_outside_the_mask_matters() {
    for (at, case) in cases("losses.json").iter().enumerate() {
        let case = Case::of(case);
        let clean = case.whole(0.0);
        for harm in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e30] {
            assert_eq!(
                case.whole(harm),
                clean,
                "case {at} with {harm} outside the mask"
            );
        }
    }
}

#[test]
fn parts_of_a_step_add_up_to_the_whole() {
    for (at, case) in cases("losses.json").iter().enumerate() {
        let case = Case::of(case);
        let (value, gradient, metrics) = case.whole(0.0);
        let cut = 1 + at % (case.shape[0] - 1);
        let (a, first, mut merged) = case.compute(0..cut, 0.0);
        let (b, second, rest) = case.compute(cut..case.shape[0], 0.0);
        near(a + b, value, &format!("case {at}, loss of two parts"));
        // The parts divide by the same counts: not one operation on a token differs.
        assert_eq!([first, second].concat(), gradient, "case {at}");
        merged.merge(rest);
        for (name, value) in metrics.values() {
            near(
                merged.get(name).unwrap(),
                value,
                &format!("case {at}, {name} of two parts"),
            );
        }
    }
}

#[test]
fn advantages_are_those_of_trl() {
    for (at, case) in cases("advantages.json").iter().enumerate() {
        let config = config(case);
        let rewards: Vec<Vec<Option<f64>>> =
            serde_json::from_value(case["inputs"]["rewards"].clone()).unwrap();
        let found = advantage::advantages(&rewards, &config).unwrap();
        let wanted: Vec<f64> =
            serde_json::from_value(case["outputs"]["advantages"].clone()).unwrap();
        assert_eq!(found.values.len(), wanted.len());
        for (row, (got, want)) in found.values.iter().zip(&wanted).enumerate() {
            near(f64::from(*got), *want, &format!("case {at}, row {row}"));
        }
        let names: Vec<String> = (0..rewards[0].len()).map(|f| f.to_string()).collect();
        let metrics = advantage::metrics(&rewards, &names, &found);
        for name in ["reward", "reward_std", "frac_reward_zero_std"] {
            match case["outputs"][name].as_f64() {
                Some(want) => {
                    near(
                        metrics.get(name).unwrap(),
                        want,
                        &format!("case {at}, {name}"),
                    );
                }
                None => assert_eq!(metrics.get(name), None, "case {at}, {name}"),
            }
        }
    }
}
