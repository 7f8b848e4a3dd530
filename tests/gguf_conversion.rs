//! What `namelens convert` writes, keeps and refuses.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use namelens::export::{Conversion, Divergence, convert, divergence, open_bundle};
use namelens_engine::personalize::inventory::Inventory;
use namelens_engine::weights::Dtype;
use namelens_tests::gguf::{all, converted, model, weights};
use namelens_tests::golden::{Checkpoint, checkpoints, vlms};
use serde_json::json;

#[test]
fn a_conversion_is_not_lost_by_accident() {
    let checkpoint = &vlms()[0];
    let (folder, written) = converted(checkpoint, all(Dtype::F16), Some(30_000));
    let again = |force: bool| Conversion {
        types: all(Dtype::Q8_0),
        split: None,
        force,
    };
    let error = convert(&checkpoint.dir, folder.path(), again(false), &mut |_, _| ()).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    convert(&checkpoint.dir, folder.path(), again(true), &mut |_, _| ()).unwrap();
    // No part of the split is left to be taken for another model.
    assert!(
        written
            .files
            .iter()
            .filter(|f| f.contains("-of-"))
            .all(|f| !folder.path().join(f).exists())
    );
    let error = convert(
        &checkpoint.dir,
        &checkpoint.dir,
        again(true),
        &mut |_, _| (),
    )
    .unwrap_err();
    assert!(error.to_string().contains("own folder"), "{error}");
    let manifest = std::fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let files = manifest["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    for file in files {
        let path = folder.path().join(file["path"].as_str().unwrap());
        assert_eq!(file["bytes"], std::fs::metadata(path).unwrap().len());
        assert_eq!(file["sha256"].as_str().unwrap().len(), 64);
    }
}

/// A checkpoint's folder with its configuration changed.
fn changed(name: &str, change: impl FnOnce(&mut serde_json::Value)) -> tempfile::TempDir {
    let checkpoint = vlms().into_iter().find(|c| c.name == name).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = checkpoint.config.clone();
    change(&mut config);
    for (file, bytes) in checkpoint.files(&serde_json::json!({})) {
        std::fs::write(folder.path().join(file), bytes).unwrap();
    }
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    folder
}

fn conversion() -> Conversion {
    Conversion {
        types: all(Dtype::F16),
        split: None,
        force: false,
    }
}

/// Training tools write 1e-5 as the number that single precision has for it; GGUF holds just that.
#[test]
fn an_epsilon_in_single_precision_is_the_one_in_double() {
    for (name, path) in [
        ("idefics3", "/text_config/rms_norm_eps"),
        ("idefics3", "/vision_config/layer_norm_eps"),
        ("qwen3_vl", "/text_config/rms_norm_eps"),
    ] {
        for eps in [1e-5_f32, 1e-6, 0.003] {
            let folder = changed(name, |config| {
                *config.pointer_mut(path).unwrap() = f64::from(eps).into();
            });
            let out = tempfile::tempdir().unwrap();
            convert(folder.path(), out.path(), conversion(), &mut |_, _| ()).unwrap();
            let (_, config) = model(weights(out.path(), "model.gguf"), &Device::flex());
            let read = match path.contains("rms") {
                true => config.text_config.rms_norm_eps,
                false => config.vision_config.layer_norm_eps,
            };
            assert_eq!(read as f32, eps, "{name} {path}");
        }
    }
}

#[test]
fn what_gguf_cannot_say_is_told_in_one_line() {
    let refusal = |folder: &Path| {
        let out = tempfile::tempdir().unwrap();
        let error = convert(folder, out.path(), conversion(), &mut |_, _| ()).unwrap_err();
        format!("{error:#}")
    };
    let base = changed("qwen3_vl", |config| {
        config["vision_config"]["rope_parameters"] = serde_json::json!({ "rope_theta": 5000.0 });
    });
    let told = refusal(base.path());
    assert!(told.contains("5000") && told.contains("10000"), "{told}");
    assert!(told.len() < 300 && !told.contains('\n'), "{told}");
    let quantised = changed("qwen3_vl", |config| {
        config["quantization_config"] = serde_json::json!({ "quant_method": "fp8" });
    });
    assert!(refusal(quantised.path()).contains("FP8"));
    let pointer = changed("qwen3_vl", |_| ());
    let text = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 11422654\n";
    for file in [
        "tokenizer.json",
        "model.safetensors",
        "config.json",
        "chat_template.jinja",
    ] {
        let path = pointer.path().join(file);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let told = refusal(pointer.path());
        assert!(
            told.contains("git-lfs pointer") && told.contains(file),
            "{told}"
        );
        std::fs::write(&path, whole).unwrap();
    }
}

fn text_only() -> Checkpoint {
    checkpoints(&["llama"]).remove(0)
}

/// How far a conversion of the text-only checkpoint is from it.
fn measured(dtype: Dtype, texts: &Path) -> Divergence {
    let checkpoint = text_only();
    let (folder, written) = converted(&checkpoint, all(dtype), None);
    assert!(written.parts.iter().all(|part| part.bytes > 0));
    divergence(&checkpoint.dir, folder.path(), texts, &mut |_, _| ()).unwrap()
}

#[test]
fn a_conversion_is_measured_by_its_next_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("words.txt");
    std::fs::write(
        &text,
        "the quick brown fox jumps over the lazy dog. ".repeat(20),
    )
    .unwrap();
    let chats = folder.path().join("chats.jsonl");
    let turn = |role: &str| json!({ "role": role, "content": "what is in the photo?" });
    let chat = json!({ "messages": [turn("user"), turn("assistant")] });
    std::fs::write(&chats, format!("{chat}\n\n{chat}\n")).unwrap();
    // Nothing is rounded but by summing, then more and more.
    let same = measured(Dtype::F32, &text);
    assert!(same.nats.abs() < 1e-9 && same.top1 == 1.0, "{same:?}");
    let (eight, four) = (measured(Dtype::Q8_0, &text), measured(Dtype::Q4_0, &text));
    assert!(
        eight.tokens > 100 && eight.tokens == four.tokens,
        "{eight:?}"
    );
    assert!(
        eight.nats > 1e-9 && four.nats > 10.0 * eight.nats,
        "{eight:?} {four:?}"
    );
    let chat = measured(Dtype::Q4_0, &chats);
    assert!(
        chat.tokens > 10 && chat.nats > 0.0 && chat.error > 0.0,
        "{chat:?}"
    );
    // And what there is nothing to learn from is said.
    std::fs::write(&text, "").unwrap();
    let (out, _) = converted(&text_only(), all(Dtype::Q8_0), None);
    let refused = divergence(&text_only().dir, out.path(), &text, &mut |_, _| ());
    assert!(refused.unwrap_err().to_string().contains("no text"));
    std::fs::write(&chats, "{\"turns\": []}\n").unwrap();
    let refused = divergence(&text_only().dir, out.path(), &chats, &mut |_, _| ());
    assert!(format!("{:#}", refused.unwrap_err()).contains("line 1"));
}

/// The files in a folder and in its folders, with what is in them.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        match path.is_dir() {
            true => found.extend(
                files(&path)
                    .into_iter()
                    .map(|(below, bytes)| (name.join(below), bytes)),
            ),
            false => found.push((name, std::fs::read(&path).unwrap())),
        }
    }
    found
}

/// A retriever is kept whole, whatever it is made of, and so are adapters.
#[test]
fn what_recognises_things_and_adapters_come_along() {
    let photos = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/photos/retriever");
    let duals = checkpoints(&["siglip", "siglip2"]);
    let dual = duals.iter().find(|dual| dual.name == "siglip2").unwrap();
    let dual = dual.files(&json!({}));
    let thresholds = json!({ "window": 0.9, "whole": 0.9 }).to_string();
    let thresholds = ("retrieval.json".into(), thresholds.into());
    let dual = dual.into_iter().map(|(name, bytes)| (name.into(), bytes));
    let dual = dual.chain([thresholds]).collect();
    let smolvlm = vlms();
    let smolvlm = smolvlm
        .iter()
        .find(|model| model.name == "smolvlm")
        .unwrap();
    let adapters = smolvlm.dir.join("adapters");
    for retriever in [files(&photos), dual] {
        let model = changed("smolvlm", |_| ());
        let mut beside = Vec::new();
        for (files, name) in [(retriever, "retriever"), (files(&adapters), "adapters")] {
            beside.extend(
                files
                    .into_iter()
                    .map(|(path, bytes)| (Path::new(name).join(path), bytes)),
            );
        }
        for (inside, bytes) in &beside {
            let path = model.path().join(inside);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let out = tempfile::tempdir().unwrap();
        convert(model.path(), out.path(), conversion(), &mut |_, _| ()).unwrap();
        let converted = open_bundle(out.path()).unwrap();
        let inventory = Inventory::take(converted, &Device::flex()).unwrap();
        assert_eq!(inventory.problems, Vec::<String>::new());
        let manifest = std::fs::read_to_string(out.path().join("manifest.json")).unwrap();
        for (inside, bytes) in beside {
            assert!(
                std::fs::read(out.path().join(&inside)).unwrap() == bytes,
                "{inside:?}"
            );
            let name = inside.to_str().unwrap().replace('\\', "/");
            assert!(
                manifest.contains(&format!("\"{name}\"")),
                "{name} is not listed"
            );
        }
    }
}
