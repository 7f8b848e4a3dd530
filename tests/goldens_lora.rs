//! LoRA adapters on golden checkpoints against PEFT: unmerged, merged, switched, under older names and over quantised weights.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use burn::tensor::Device;
use namelens::bundle::{FileSource, open_weights};
use namelens::merge::merge;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::families;
use namelens_engine::model::lora::Adapter;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::weights::{
    Dtype, Metadata, SliceSource, TensorData, WeightFile, Weights, decode, encode, write_gguf,
    write_safetensors,
};
use namelens_tests::floats;
use namelens_tests::golden::{Case, Checkpoint, distance, vlms};

/// As in `goldens.rs`: largest distance from the reference in standard deviations of its logits, in f32.
const BAR: f32 = 1e-4;

/// The checkpoints with adapters, and the case their logits are of.
fn benches() -> Vec<(Checkpoint, Case)> {
    let mut found = Vec::new();
    for checkpoint in vlms() {
        let Some(meta) = checkpoint.text("adapters/logits.json") else {
            continue;
        };
        let meta: serde_json::Value = serde_json::from_str(&meta).unwrap();
        let name = format!("{}/{}", checkpoint.name, meta["case"].as_str().unwrap());
        let case = checkpoint
            .cases()
            .into_iter()
            .find(|case| case.name == name);
        found.push((checkpoint, case.unwrap()));
    }
    assert_eq!(found.len(), 2);
    found
}

/// What PEFT says.
fn want(checkpoint: &Checkpoint, name: &str) -> Vec<f32> {
    let path = checkpoint.dir.join("adapters/logits.safetensors");
    let file = WeightFile::open("logits", Box::new(FileSource::open(&path).unwrap())).unwrap();
    file.read_f32(file.get(&format!("logits_{name}")).unwrap())
        .unwrap()
}

fn names(checkpoint: &Checkpoint) -> namelens_engine::model::names::Names {
    families::names(checkpoint.config["model_type"].as_str().unwrap())
}

/// Logits of a case after every token.
fn logits(vlm: &Vlm, config: &VlmConfig, checkpoint: &Checkpoint, case: &Case) -> Vec<f32> {
    let (rows, _) = case.rows();
    let (visual, grids) = case.visual(checkpoint, vlm, config, &Device::flex());
    let (spots, _) = vlm.positions(&rows[0], &grids).unwrap();
    let reading = vlm.read_at(&rows[0], visual.as_ref(), &spots).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    floats(vlm.decoder.logits(hidden.reshape([tokens, width])))
}

#[test]
fn unmerged_adapters_say_what_peft_says() {
    for (checkpoint, case) in benches() {
        let (mut vlm, config) = checkpoint.vlm(&Device::flex());
        let plain = case.floats("logits").unwrap().1;
        let mut first = logits(&vlm, &config, &checkpoint, &case);
        assert!(distance(&first, &plain) <= BAR);
        for name in ["narrow", "wide"] {
            vlm.add_adapter(name, checkpoint.adapter(name)).unwrap();
            // Loaded is not in use.
            assert_eq!(logits(&vlm, &config, &checkpoint, &case), first);
        }
        assert_eq!(vlm.adapters(), ["narrow", "wide"]);
        for name in ["narrow", "wide"] {
            vlm.set_adapter(Some(name)).unwrap();
            assert_eq!(vlm.active_adapter(), Some(name));
            let got = logits(&vlm, &config, &checkpoint, &case);
            let far = distance(&got, &want(&checkpoint, name));
            println!("{} {name}: {far:.1e} deviations from PEFT", checkpoint.name);
            assert!(far <= BAR, "{} {name}: {far:.1e}", checkpoint.name);
            first = got;
        }
        // Back, off, and on again: to the bit.
        for (name, want) in [(Some("narrow"), false), (None, false), (Some("wide"), true)] {
            vlm.set_adapter(name).unwrap();
            let got = logits(&vlm, &config, &checkpoint, &case);
            assert_eq!(got == first, want, "{name:?}");
        }
        assert!(vlm.set_adapter(Some("other")).is_err());
        assert!(
            vlm.add_adapter("wide", checkpoint.adapter("narrow"))
                .is_err()
        );
        vlm.remove_adapter("narrow").unwrap();
        assert_eq!(logits(&vlm, &config, &checkpoint, &case), first);
        vlm.remove_adapter("wide").unwrap();
        assert_eq!((vlm.adapters().len(), vlm.active_adapter()), (0, None));
        let far = distance(&logits(&vlm, &config, &checkpoint, &case), &plain);
        assert!(far <= BAR, "{far:.1e}");
    }
}

#[test]
fn an_adapter_of_another_model_changes_nothing() {
    let benches = benches();
    for (at, (checkpoint, case)) in benches.iter().enumerate() {
        let (mut vlm, config) = checkpoint.vlm(&Device::flex());
        let other = &benches[1 - at].0;
        let error = vlm.add_adapter("x", other.adapter("wide")).unwrap_err();
        assert!(error.to_string().contains("adapters/wide"), "{error}");
        assert!(vlm.adapters().is_empty());
        let plain = case.floats("logits").unwrap().1;
        assert!(distance(&logits(&vlm, &config, checkpoint, case), &plain) <= BAR);
    }
}

#[test]
fn adapters_under_older_names_fit_too() {
    for (checkpoint, case) in benches() {
        let path = checkpoint
            .dir
            .join("adapters/wide/adapter_model.safetensors");
        let renamed = rewritten(&path, &|name| {
            name.replace("model.model.language_model.", "model.model.")
                .replace("model.model.visual.", "model.visual.")
        });
        let config = checkpoint
            .text("adapters/wide/adapter_config.json")
            .unwrap();
        let source = Box::new(SliceSource::from(renamed));
        let adapter = Adapter::open("older", &config, source, names(&checkpoint)).unwrap();
        let (mut vlm, config) = checkpoint.vlm(&Device::flex());
        vlm.add_adapter("older", adapter).unwrap();
        vlm.set_adapter(Some("older")).unwrap();
        let far = distance(
            &logits(&vlm, &config, &checkpoint, &case),
            &want(&checkpoint, "wide"),
        );
        assert!(far <= BAR, "{}: {far:.1e}", checkpoint.name);
    }
}

/// A safetensors file with other names.
fn rewritten(path: &Path, name: &dyn Fn(&str) -> String) -> Vec<u8> {
    let file = WeightFile::open("file", Box::new(FileSource::open(path).unwrap())).unwrap();
    let tensors: Vec<_> = file
        .tensors()
        .iter()
        .map(|tensor| (name(&tensor.name), tensor, file.read_raw(tensor).unwrap()))
        .collect();
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, tensor, bytes)| TensorData {
            name,
            shape: &tensor.shape,
            dtype: tensor.dtype,
            bytes,
        })
        .collect();
    let mut out = Vec::new();
    write_safetensors(&mut out, &[], &views).unwrap();
    out
}

/// The tensors of a checkpoint with those of layers in the decoder (or all) encoded anew.
fn encoded(checkpoint: &Checkpoint, dtype: Dtype) -> Vec<(String, Vec<usize>, Dtype, Vec<u8>)> {
    let weights = open_weights(&checkpoint.dir).unwrap();
    let mut tensors = Vec::new();
    for file in weights.files() {
        for tensor in file.tensors() {
            let values = file.read_f32(tensor).unwrap();
            let is_layer = tensor.name.contains("layers.") && tensor.shape.len() == 2;
            let whole = dtype.row_bytes(*tensor.shape.last().unwrap()).is_some();
            let dtype = if is_layer && whole { dtype } else { Dtype::F32 };
            let bytes = encode(dtype, &values).unwrap();
            tensors.push((tensor.name.clone(), tensor.shape.clone(), dtype, bytes));
        }
    }
    tensors
}

fn views(tensors: &[(String, Vec<usize>, Dtype, Vec<u8>)]) -> Vec<TensorData<'_>> {
    tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| TensorData {
            name,
            shape,
            dtype: *dtype,
            bytes,
        })
        .collect()
}

#[test]
fn merged_weights_say_what_the_unmerged_adapter_says() {
    for (checkpoint, case) in benches() {
        let room = tempfile::tempdir().unwrap();
        let full = room.path().join("f32");
        std::fs::create_dir(&full).unwrap();
        let config = checkpoint.dir.join("config.json");
        std::fs::copy(config, full.join("config.json")).unwrap();
        let mut bytes = Vec::new();
        write_safetensors(&mut bytes, &[], &views(&encoded(&checkpoint, Dtype::F32))).unwrap();
        std::fs::write(full.join("model.safetensors"), bytes).unwrap();

        let (mut vlm, config) = checkpoint.vlm(&Device::flex());
        vlm.add_adapter("wide", checkpoint.adapter("wide")).unwrap();
        vlm.set_adapter(Some("wide")).unwrap();
        let unmerged = logits(&vlm, &config, &checkpoint, &case);
        for (from, to) in [(&full, "f32-merged"), (&checkpoint.dir, "merged")] {
            let out = room.path().join(to);
            let wide = checkpoint.dir.join("adapters/wide");
            let merged = merge(from, &wide, &out, &mut |_, _| ()).unwrap();
            let folder = Checkpoint {
                dir: out,
                ..checkpoint.clone()
            };
            let (vlm, config) = folder.vlm(&Device::flex());
            let got = logits(&vlm, &config, &checkpoint, &case);
            let far = distance(&got, &unmerged);
            let reference = distance(&got, &want(&checkpoint, "wide_merged"));
            println!(
                "{} merged {:?}: {far:.1e} deviations from unmerged, {reference:.1e} from PEFT's merged; {:.1e} of the update rounded away, at most {:.1e}",
                checkpoint.name, merged.tensors, merged.typical, merged.worst
            );
            if merged.is_rounded() {
                // Published, not held to: what 16 bits lose.
                continue;
            }
            assert!(far <= BAR && reference <= BAR, "{far:.1e} {reference:.1e}");
            // A weight is rounded to 2^-24 of itself; updates are not much smaller than weights here.
            assert!(merged.worst < 1e-6, "{:.1e}", merged.worst);
        }
    }
}

/// Logits after a few words, so few that they are multiplied with blocks as they lie.
fn few(vlm: &Vlm) -> Vec<f32> {
    let reading = vlm.read(&[vec![5, 11, 17]], None).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    floats(vlm.decoder.logits(hidden.reshape([tokens, width])))
}

/// Blocks of 8 bits that stay blocks, and the same numbers as plain floats: with an adapter they say the same.
#[test]
fn an_adapter_over_blocks_is_the_adapter_over_their_numbers() {
    let device = Device::flex();
    for (checkpoint, case) in benches() {
        let config = VlmConfig::from_json(&checkpoint.config.to_string()).unwrap();
        let blocks = encoded(&checkpoint, Dtype::Q8_0);
        let is_block = |dtype: Dtype| dtype == Dtype::Q8_0;
        assert!(
            blocks
                .iter()
                .filter(|(.., dtype, _)| is_block(*dtype))
                .count()
                >= 3
        );
        let mut said = Vec::new();
        for keep in [true, false] {
            let mut tensors = blocks.clone();
            if !keep {
                for (_, _, dtype, bytes) in &mut tensors {
                    let mut values = Vec::new();
                    decode(*dtype, bytes, &mut values).unwrap();
                    (*dtype, *bytes) = (Dtype::F32, encode(Dtype::F32, &values).unwrap());
                }
            }
            // Only GGUF holds blocks, only safetensors kernels of five dimensions.
            let (dense, blocks): (Vec<_>, Vec<_>) = views(&tensors)
                .into_iter()
                .partition(|tensor| tensor.dtype == Dtype::F32);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            write_safetensors(&mut first, &[], &dense).unwrap();
            write_gguf(&mut second, &Metadata::new(), &blocks).unwrap();
            let mut weights = Weights::new();
            for (name, file) in [("dense", first), ("blocks", second)] {
                let source = Box::new(SliceSource::from(file));
                weights
                    .push(WeightFile::open(name, source).unwrap())
                    .unwrap();
            }
            let mut source = CheckpointSource::new(weights)
                .with_names(names(&checkpoint))
                .keep_blocks(&device);
            let mut vlm = Vlm::new(&mut ParamBuilder::new(&mut source, &device), &config).unwrap();
            let plain = few(&vlm);
            vlm.add_adapter("wide", checkpoint.adapter("wide")).unwrap();
            vlm.set_adapter(Some("wide")).unwrap();
            said.push((plain, few(&vlm), logits(&vlm, &config, &checkpoint, &case)));
        }
        let (plain, wide) = (
            distance(&said[0].0, &said[1].0),
            distance(&said[0].1, &said[1].1),
        );
        let many = distance(&said[0].2, &said[1].2);
        let exact = distance(&said[0].2, &want(&checkpoint, "wide"));
        println!(
            "{} Q8_0: blocks against their numbers {plain:.1e} plain, {wide:.1e} and {many:.1e} with an adapter; {exact:.1e} from full precision",
            checkpoint.name
        );
        // Not by the same path, or there would be nothing to compare.
        assert!(plain > 0.0, "the blocks were unpacked");
        // Products with blocks round activations to 16 bits, and hot layers carry it on: 1.0e-3 measured. Another block moves
        // logits by 1e-2.
        assert!(
            wide <= 3e-3 && many <= 3e-3,
            "{wide:.1e} {many:.1e} (plain {plain:.1e})"
        );
        // Eight bits of weights, none of the adapter's.
        assert!(exact < 0.5, "{exact:.1e}");
    }
}
