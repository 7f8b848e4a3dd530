//! What loading refuses, `check` has said before, from headers alone, and what it has not said does not block: whole folders
//! with one thing broken in many ways.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use burn::tensor::Device;
use namelens::export::{Conversion, Types, convert};
use namelens_engine::Error;
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;
use namelens_engine::personalize::inventory::Inventory;
use namelens_engine::weights::Dtype;
use namelens_tests::golden::{Checkpoint, bundle, checkpoints, vlms};
use serde_json::{Value, json};

type Files = HashMap<String, Vec<u8>>;

fn load(files: &Files) -> Result<Engine, Error> {
    let (device, mut quiet) = (Device::flex(), |_, _| ());
    pollster::block_on(Engine::load(
        bundle(files.clone()),
        &device,
        &Still,
        &mut quiet,
    ))
}

fn checked(files: &Files) -> Inventory {
    Inventory::take(bundle(files.clone()), &Device::flex()).unwrap()
}

/// The file an error is about: its message begins with it.
fn file_of(message: &str) -> &str {
    message.split(": ").next().unwrap_or_default()
}

/// Loads and checks; the refusal, if there was one.
fn agree(files: &Files, what: &str) -> Option<String> {
    let problems = checked(files).problems;
    match load(files) {
        Ok(_) => {
            assert_eq!(problems, Vec::<String>::new(), "{what}: loads all the same");
            None
        }
        Err(error) => {
            let error = error.to_string();
            let told = problems.iter().any(|p| file_of(p) == file_of(&error));
            assert!(told, "{what}: {error}: is not among {problems:#?}");
            Some(error)
        }
    }
}

/// A folder with everything: adapters and, if asked for, a retriever.
fn whole(checkpoint: &Checkpoint, retriever: Option<&str>) -> Files {
    let mut files = checkpoint.files(&json!({}));
    let adapters = checkpoint.dir.join("adapters");
    for name in ["narrow", "wide"] {
        for file in ["adapter_config.json", "adapter_model.safetensors"] {
            if let Ok(bytes) = std::fs::read(adapters.join(name).join(file)) {
                files.insert(format!("adapters/{name}/{file}"), bytes);
            }
        }
    }
    if let Some(name) = retriever {
        let duals = checkpoints(&["siglip", "siglip2", "clip"]);
        let dual = duals.into_iter().find(|c| c.name == name).unwrap();
        for (file, bytes) in dual.files(&json!({})) {
            files.insert(format!("retriever/{file}"), bytes);
        }
        let thresholds = json!({ "window": 0.9, "whole": 0.9 }).to_string();
        files.insert("retriever/retrieval.json".into(), thresholds.into());
    }
    files
}

/// What may lie where a file should be.
fn ways(bytes: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let pointer = b"version https://git-lfs.github.com/spec/v1\n\
        oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 538090408\n";
    let page = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body></body></html>\n";
    vec![
        ("gone", None),
        ("empty", Some(Vec::new())),
        ("a pointer", Some(pointer.to_vec())),
        ("a web page", Some(page.to_vec())),
        ("an answer", Some(b"Entry not found".to_vec())),
        ("gzip", Some([b"\x1f\x8b\x08\x00", bytes].concat())),
        ("zip", Some([b"PK\x03\x04", bytes].concat())),
        ("cut off", Some(bytes[..bytes.len() / 2].to_vec())),
        (
            "one byte short",
            Some(bytes[..bytes.len().max(1) - 1].to_vec()),
        ),
        ("more behind", Some([bytes, b"x"].concat())),
        ("zeros", Some(vec![0; bytes.len().min(4096)])),
        ("an object", Some(b"{}".to_vec())),
        ("a list", Some(b"[]".to_vec())),
        ("null", Some(b"null".to_vec())),
        ("words", Some(b"hello".to_vec())),
        ("a mark before", Some([b"\xef\xbb\xbf", bytes].concat())),
    ]
}

/// Breaks each file in every way; what is refused names what lies there.
fn break_each(files: &Files) {
    assert_eq!(agree(files, "whole"), None);
    let mut refused = 0;
    for (name, bytes) in files {
        for (way, broken) in ways(bytes) {
            let mut files = files.clone();
            match broken {
                Some(bytes) => files.insert(name.clone(), bytes),
                None => files.remove(name),
            };
            let what = format!("{name}: {way}");
            let refusal = agree(&files, &what);
            refused += usize::from(refusal.is_some());
            if name.starts_with("adapters/") {
                assert_eq!(refusal, None, "{what}: nobody has chosen it");
            }
            let told = match way {
                "a pointer" => "git-lfs",
                "a web page" => "web page",
                "gzip" | "zip" => "archive",
                "an answer" => "server's answer",
                _ => continue,
            };
            if let Some(refusal) = refusal {
                assert!(
                    refusal.contains(told) && refusal.contains(name),
                    "{what}: {refusal}"
                );
            }
        }
    }
    assert!(refused > 25, "{refused}");
}

fn checkpoint(name: &str) -> Checkpoint {
    vlms().into_iter().find(|c| c.name == name).unwrap()
}

#[test]
fn idefics3_with_siglip() {
    break_each(&whole(&checkpoint("idefics3"), Some("siglip")));
}

#[test]
fn smolvlm_in_shards_with_adapters() {
    break_each(&whole(&checkpoint("smolvlm"), None));
}

#[test]
fn qwen2_5_vl_with_adapters_and_clip() {
    break_each(&whole(&checkpoint("qwen2_5_vl"), Some("clip")));
}

#[test]
fn qwen3_vl() {
    break_each(&whole(&checkpoint("qwen3_vl"), None));
}

fn converted(name: &str) -> Files {
    let out = tempfile::tempdir().unwrap();
    let conversion = Conversion {
        types: Types {
            text: Dtype::Q8_0,
            vision: Dtype::F16,
            embeddings: Dtype::Q8_0,
        },
        split: None,
        force: false,
    };
    convert(
        &checkpoint(name).dir,
        out.path(),
        conversion,
        &mut |_, _| (),
    )
    .unwrap();
    let files = ["model.gguf", "mmproj.gguf"];
    files
        .map(|file| {
            (
                file.to_owned(),
                std::fs::read(out.path().join(file)).unwrap(),
            )
        })
        .into()
}

#[test]
fn gguf_alone() {
    break_each(&converted("smolvlm"));
    let (mut mixed, other) = (converted("qwen2_5_vl"), converted("qwen3_vl"));
    mixed.insert("mmproj.gguf".into(), other["mmproj.gguf"].clone());
    let told = agree(&mixed, "the projector of another model").unwrap();
    assert!(told.contains("qwen3vl_merger"), "{told}");
    let mut two = converted("smolvlm");
    two.insert("other.gguf".into(), two["model.gguf"].clone());
    assert!(agree(&two, "two text models").is_some());
}

fn replaced(files: &Files, name: &str, text: &str) -> Files {
    let mut files = files.clone();
    files.insert(name.into(), text.as_bytes().to_vec());
    files
}

#[test]
fn templates_that_are_none_or_print_no_photo_are_refused_before_the_first_photo() {
    let files = whole(&checkpoint("idefics3"), None);
    let jinja = "chat_template.jinja";
    assert!(files.contains_key(jinja));
    for (template, told) in [
        ("{% for message in messages %}", "does not compile"),
        ("Just some words", "chat template"),
        ("<p>{{ messages }}</p>", "chat template"),
        (
            "{{ raise_exception('no photos, please') }}",
            "no photos, please",
        ),
        (
            "{% for m in messages %}{{ m['content'][1]['text'] }}{% endfor %}",
            "chat template",
        ),
    ] {
        let told_there = agree(&replaced(&files, jinja, template), template).unwrap();
        assert!(told_there.contains(told), "{template}: {told_there}");
    }
}

#[test]
fn an_adapter_nobody_chose_blocks_nothing_and_says_why_when_it_is_chosen() {
    let files = whole(&checkpoint("qwen2_5_vl"), None);
    let config = "adapters/narrow/adapter_config.json";
    let weights = "adapters/narrow/adapter_model.safetensors";
    let mut json: Value = serde_json::from_slice(&files[config]).unwrap();
    json["use_dora"] = json!(true);
    let dora = replaced(&files, config, &json.to_string());
    json["use_dora"] = json!(false);
    json["r"] = json!(7);
    let rank = replaced(&files, config, &json.to_string());
    let mut other = files.clone();
    let smol = checkpoint("smolvlm").dir.join("adapters/narrow");
    for file in ["adapter_config.json", "adapter_model.safetensors"] {
        let bytes = std::fs::read(smol.join(file)).unwrap();
        other.insert(format!("adapters/narrow/{file}"), bytes);
    }
    let mut half = files.clone();
    half.remove(weights);
    let page = replaced(&files, weights, "<!doctype html><p>Sign in</p>");
    for (files, told) in [
        (dora, "use_dora"),
        (rank, "rank is 7"),
        (other, "adapter is for another model"),
        (half, "is missing"),
        (page, "web page"),
    ] {
        assert_eq!(agree(&files, told), None);
        let optional = checked(&files).optional;
        assert_eq!(optional.len(), 1, "{told}: {optional:#?}");
        assert_eq!(optional[0].what, "adapter `narrow`");
        assert!(optional[0].problem.contains(told), "{optional:#?}");
        let mut engine = load(&files).unwrap();
        assert_eq!(engine.adapters(), ["wide"]);
        let (name, reason) = &engine.broken_adapters()[0];
        assert_eq!(
            (name.as_str(), reason.to_string()),
            ("narrow", optional[0].problem.clone())
        );
        let refusal = engine.use_adapter(Some("narrow")).unwrap_err().to_string();
        assert!(
            refusal.contains(told) && refusal.contains("narrow"),
            "{refusal}"
        );
        engine.use_adapter(Some("wide")).unwrap();
        engine.use_adapter(None).unwrap();
        // The same name is free for a whole one.
        let text = String::from_utf8(whole(&checkpoint("qwen2_5_vl"), None)[config].clone());
        let whole = namelens_engine::weights::SliceSource::from(
            whole(&checkpoint("qwen2_5_vl"), None)[weights].clone(),
        );
        engine
            .add_adapter("narrow", &text.unwrap(), Box::new(whole))
            .unwrap();
        assert!(engine.broken_adapters().is_empty());
        engine.use_adapter(Some("narrow")).unwrap();
    }
    let mut engine = load(&replaced(&files, config, "{}")).unwrap();
    engine.remove_adapter("narrow").unwrap();
    assert!(engine.broken_adapters().is_empty());
}

#[test]
fn quantised_folders_are_named_by_their_method() {
    let files = whole(&checkpoint("qwen2_5_vl"), None);
    let mut json: Value = serde_json::from_slice(&files["config.json"]).unwrap();
    json["quantization_config"] = json!({ "quant_method": "awq", "bits": 4 });
    let awq = replaced(&files, "config.json", &json.to_string());
    let told = agree(&awq, "AWQ").unwrap();
    assert!(
        told.contains("AWQ (4 bits)") && told.contains("F16 or BF16"),
        "{told}"
    );
    // One line says it, and no tensor is blamed.
    assert_eq!(checked(&awq).problems.len(), 1);
    assert!(checked(&awq).family == "qwen2_5_vl");
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let mut files = whole(&checkpoint("idefics3"), Some("siglip"));
    for (name, text) in [
        (
            "tokenizer.json",
            "version https://git-lfs.github.com/spec/v1\nsize 3\n",
        ),
        ("chat_template.jinja", "<html></html>"),
        (
            "preprocessor_config.json",
            r#"{"image_processor_type": "Mine"}"#,
        ),
        ("retriever/retrieval.json", "{}"),
    ] {
        files.insert(name.into(), text.as_bytes().to_vec());
    }
    files.remove("model.safetensors");
    let problems = checked(&files).problems;
    for file in [
        "tokenizer.json",
        "chat_template.jinja",
        "preprocessor_config.json",
        "model.safetensors",
    ] {
        let told = problems.iter().filter(|problem| problem.contains(file));
        assert_eq!(told.count(), 1, "{file}: {problems:#?}");
    }
}

/// Every value of a JSON, by its path.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut inner = |key: &str, value: &Value| {
        found.push(format!("{at}/{key}"));
        paths(value, &format!("{at}/{key}"), found);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| inner(key, value)),
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(at, value)| inner(&at.to_string(), value));
        }
        _ => {}
    }
}

/// Every value of every configuration of one folder, changed.
fn change_each(files: &Files) {
    let mut refused = 0;
    for (name, bytes) in files {
        let Ok(json) = serde_json::from_slice::<Value>(bytes) else {
            continue;
        };
        if !name.ends_with("config.json") && name != "retriever/retrieval.json" {
            continue;
        }
        let mut all = Vec::new();
        paths(&json, "", &mut all);
        // A table of some hundred tokens, one like the other.
        all.retain(|path| !path.contains("added_tokens_decoder"));
        for path in &all {
            for value in [
                json!(null),
                json!(0),
                json!(6),
                json!("x"),
                json!([1]),
                json!({}),
            ] {
                let mut json = json.clone();
                *json.pointer_mut(path).unwrap() = value.clone();
                let what = format!("{name} {path} {value}");
                let refusal = agree(&replaced(files, name, &json.to_string()), &what);
                refused += usize::from(refusal.is_some());
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// A file that lies about a million layers is not asked for each of them.
#[test]
fn a_lie_of_any_size_is_told_at_once() {
    for layers in [0, 1, 200, 1 << 20] {
        let files = whole(&checkpoint("idefics3"), None);
        let mut json: Value = serde_json::from_slice(&files["config.json"]).unwrap();
        json["text_config"]["num_hidden_layers"] = json!(layers);
        let lie = replaced(&files, "config.json", &json.to_string());
        assert!(agree(&lie, "layers").is_some());
        assert!(checked(&lie).problems.len() <= 300);
    }
}

#[test]
fn any_value_of_idefics3_and_siglip() {
    change_each(&whole(&checkpoint("idefics3"), Some("siglip")));
}

#[test]
fn any_value_of_qwen2_5_vl_and_its_adapters() {
    change_each(&whole(&checkpoint("qwen2_5_vl"), None));
}

#[test]
fn any_value_of_qwen3_vl() {
    change_each(&whole(&checkpoint("qwen3_vl"), None));
}
