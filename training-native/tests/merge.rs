//! A model folder with an adapter merged into it is the same folder with other weights, and says what the adapter said.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use namelens::bundle::{FileSource, open_weights};
use namelens::merge::merge;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::families;
use namelens_engine::model::lora::Adapter;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::vlm::Vlm;

/// A checkpoint of the fixtures; `smolvlm` is three shards of F16 with a tied head, `qwen2_5_vl` one file of BF16.
fn checkpoint(name: &str) -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../tests/fixtures/checkpoints")
        .join(name)
}

fn load(folder: &Path) -> (Vlm, VlmConfig) {
    let config = fs::read_to_string(folder.join("config.json")).unwrap();
    let config = VlmConfig::from_json(&config).unwrap();
    let names = families::names(&config.model_type);
    let mut source = CheckpointSource::new(open_weights(folder).unwrap()).with_names(names);
    let vlm = Vlm::new(
        &mut ParamBuilder::new(&mut source, &Device::flex()),
        &config,
    )
    .unwrap();
    (vlm, config)
}

/// Logits after each token of a prompt with one photo of waves.
fn logits(vlm: &Vlm, config: &VlmConfig) -> Vec<f32> {
    let side = match config.is_dynamic() {
        true => 4 * config.vision_config.patch_size * config.scale_factor,
        false => config.vision_config.image_size,
    };
    let pixels = (0..3 * side * side).map(|at| (at as f32 * 0.37).sin());
    let pixels = TensorData::new(pixels.collect::<Vec<f32>>(), [1, 3, side, side]);
    let visual = vlm
        .encode_images(Tensor::from_data(pixels, &Device::flex()))
        .unwrap();
    let mut ids = vec![5, 11, 17];
    ids.extend(vec![config.image_token_id; visual.len()]);
    ids.extend([40, 7, 31, 22]);
    let grid = vlm.vision().unwrap().token_grid(side, side);
    let (spots, _) = vlm.positions(&ids, &[grid]).unwrap();
    let reading = vlm.read_at(&ids, Some(&visual), &spots).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    let logits = vlm.decoder.logits(hidden.reshape([tokens, width]));
    logits.into_data().try_to_vec().unwrap()
}

/// Largest difference in standard deviations of `want`.
fn gap(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    let mean = want.iter().sum::<f32>() / want.len() as f32;
    let variance = want.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / want.len() as f32;
    let most = got.iter().zip(want).fold(0.0f32, |most, (g, w)| {
        assert!(g.is_finite());
        most.max((g - w).abs())
    });
    most / variance.sqrt()
}

/// Files below a folder, hidden ones too.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => found.push(path.strip_prefix(folder).unwrap().display().to_string()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_merged_folder_says_what_the_adapter_said() {
    for (name, dtype, tensors) in [("smolvlm", "F16", 34), ("qwen2_5_vl", "BF16", 38)] {
        let model = checkpoint(name);
        let adapter = model.join("adapters/wide");
        let room = tempfile::tempdir().unwrap();
        let out = room.path().join("merged");
        let mut steps = Vec::new();
        let merged = merge(&model, &adapter, &out, &mut |done, total| {
            steps.push((done, total));
        })
        .unwrap();
        assert_eq!(merged.tensors.get(dtype), Some(&tensors), "{name}");
        assert_eq!((merged.tensors.len(), steps.len()), (1, tensors + 1));
        assert_eq!(steps.last(), Some(&(tensors, tensors)));
        assert!(merged.is_rounded());
        assert_eq!(merged.left_out, ["adapters"]);

        let (mut unmerged, config) = load(&model);
        let plain = logits(&unmerged, &config);
        let settings = fs::read_to_string(adapter.join("adapter_config.json")).unwrap();
        let weights = FileSource::open(&adapter.join("adapter_model.safetensors")).unwrap();
        let names = families::names(&config.model_type);
        let adapter = Adapter::open("wide", &settings, Box::new(weights), names).unwrap();
        unmerged.add_adapter("wide", adapter).unwrap();
        unmerged.set_adapter(Some("wide")).unwrap();
        let want = logits(&unmerged, &config);
        let (vlm, _) = load(&out);
        let rounded = gap(&logits(&vlm, &config), &want);
        let moved = gap(&plain, &want);
        println!(
            "{name} {dtype}: rounding took {:.2e} of the update, at most {:.2e}; logits {rounded:.1e} deviations, the adapter moves them {moved:.1}",
            merged.typical, merged.worst
        );
        assert!(moved > 1.0, "{name}: {moved}");
        // F16 keeps 11 bits of a weight, BF16 8; what is half a unit of the weight is more of the update.
        let (share, bar) = if dtype == "F16" {
            (5e-3, 0.02)
        } else {
            (4e-2, 0.2)
        };
        assert!(
            (1e-6..share).contains(&merged.typical),
            "{name}: {}",
            merged.typical
        );
        assert!(merged.worst < share, "{name}: {}", merged.worst);
        assert!(rounded < bar, "{name}: {rounded}");
    }
}

/// A trained adapter changes weights far less than the fixtures' do, and 16 bits keep less of it: what the warning is for.
#[test]
fn the_weaker_an_adapter_the_more_of_it_rounding_takes() {
    let model = checkpoint("qwen2_5_vl");
    let strong = model.join("adapters/wide");
    let room = tempfile::tempdir().unwrap();
    let mut last = 0.0;
    for (at, alpha) in ["3", "0.3", "0.03"].into_iter().enumerate() {
        let weak = room.path().join(format!("adapter{at}"));
        fs::create_dir(&weak).unwrap();
        let settings = fs::read_to_string(strong.join("adapter_config.json")).unwrap();
        let settings = settings.replace("\"lora_alpha\": 3", &format!("\"lora_alpha\": {alpha}"));
        fs::write(weak.join("adapter_config.json"), settings).unwrap();
        let tensors = "adapter_model.safetensors";
        fs::copy(strong.join(tensors), weak.join(tensors)).unwrap();
        let out = room.path().join(format!("merged{at}"));
        let merged = merge(&model, &weak, &out, &mut |_, _| ()).unwrap();
        println!("alpha {alpha}: {:.2e}", merged.typical);
        assert!(merged.typical > 3.0 * last, "{alpha}: {}", merged.typical);
        last = merged.typical;
    }
    assert!(last > 0.1, "{last}");
}

#[test]
fn all_but_the_merged_bytes_stays_as_it_is() {
    let model = checkpoint("smolvlm");
    let room = tempfile::tempdir().unwrap();
    let out = room.path().join("deep/merged");
    merge(&model, &model.join("adapters/narrow"), &out, &mut |_, _| ()).unwrap();
    let mut expected = files(&model);
    expected.retain(|file| !file.starts_with("adapters/"));
    assert_eq!(files(&out), expected);
    for file in &expected {
        let (old, new) = (
            fs::read(model.join(file)).unwrap(),
            fs::read(out.join(file)).unwrap(),
        );
        assert_eq!(old.len(), new.len());
        assert!(file.ends_with(".safetensors") || old == new, "{file}");
    }
    let (old, new) = (open_weights(&model).unwrap(), open_weights(&out).unwrap());
    let mut changed = 0;
    for (old, new) in old.files().iter().zip(new.files()) {
        assert_eq!(old.tensors(), new.tensors());
        for tensor in old.tensors() {
            let same = old.read_raw(tensor).unwrap() == new.read_raw(tensor).unwrap();
            let is_target = ["q_proj.weight", "v_proj.weight"]
                .iter()
                .any(|end| tensor.name.ends_with(end));
            assert_eq!(same, !is_target, "{}", tensor.name);
            changed += usize::from(!same);
        }
    }
    assert_eq!(changed, 10);
}

#[test]
fn what_cannot_be_merged_leaves_nothing_behind() {
    let model = checkpoint("smolvlm");
    let room = tempfile::tempdir().unwrap();
    let out = room.path().join("merged");
    let refused = |model: &Path, adapter: &Path, out: &Path| {
        let error = merge(model, adapter, out, &mut |_, _| ()).unwrap_err();
        format!("{error:#}")
    };
    let wrong = checkpoint("qwen2_5_vl").join("adapters/narrow");
    assert!(refused(&model, &wrong, &out).contains("it is for another model"));
    assert!(refused(&model, room.path(), &out).contains("adapter_config.json"));
    let gguf = tempfile::tempdir().unwrap();
    fs::copy(model.join("config.json"), gguf.path().join("config.json")).unwrap();
    assert!(refused(gguf.path(), &wrong, &out).contains("before it was quantised"));

    // An adapter of the tied head, and one whose numbers no F16 holds.
    let narrow = model.join("adapters/narrow");
    let edited = tempfile::tempdir().unwrap();
    let settings = fs::read_to_string(narrow.join("adapter_config.json")).unwrap();
    let bytes = fs::read(narrow.join("adapter_model.safetensors")).unwrap();
    let write = |settings: &str, bytes: &[u8]| {
        fs::write(edited.path().join("adapter_config.json"), settings).unwrap();
        fs::write(edited.path().join("adapter_model.safetensors"), bytes).unwrap();
    };
    let longer = "model.text_model.layers.0.self_attn.q_proj.lora_";
    let header = String::from_utf8_lossy(&bytes[8..]).into_owned();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = header[..length].replace(longer, "lm_head.lora_");
    let head = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &bytes[8 + length..],
    ]
    .concat();
    write(&settings, &head);
    assert!(refused(&model, edited.path(), &out).contains("shares with its embeddings"));
    let mut strong = bytes.clone();
    for number in strong[8 + length..].chunks_exact_mut(4) {
        number.copy_from_slice(&300.0f32.to_le_bytes());
    }
    write(&settings, &strong);
    assert!(refused(&model, edited.path(), &out).contains("does not fit F16"));

    let inside = tempfile::tempdir().unwrap();
    for file in files(&model) {
        if !file.contains('/') {
            fs::copy(model.join(&file), inside.path().join(&file)).unwrap();
        }
    }
    let before = files(inside.path());
    let within = refused(inside.path(), &narrow, &inside.path().join("merged"));
    assert!(within.contains("copied into itself"), "{within}");
    assert_eq!(files(inside.path()), before);
    fs::create_dir(&out).unwrap();
    assert!(refused(&model, &narrow, &out).contains("exists already"));
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);
}
