//! What files leave out is as `transformers` has it: our table against its classes, and whole files against what it makes of them.
//!
//! `fixtures/defaults.json` is what `fixtures/generate/defaults.py` found.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use namelens_engine::class_defaults::rows;
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::families::defaults_taken;
use namelens_tests::golden::root;
use serde_json::{Map, Value, json};

fn golden() -> Value {
    let text = std::fs::read_to_string(root().join("../defaults.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

#[test]
fn every_row_of_the_table_is_a_default_of_transformers_and_every_default_has_a_row() {
    let golden = golden();
    let mut theirs = BTreeSet::new();
    for group in ["classes", "processors"] {
        for (class, keys) in object(&golden[group]) {
            for (key, default) in object(keys) {
                theirs.insert((class.clone(), key.clone(), default.to_string()));
            }
        }
    }
    let ours = rows().map(|(class, key, default)| {
        let default = match default.starts_with('=') {
            true => json!(default),
            false => serde_json::from_str(default).unwrap(),
        };
        (class.to_owned(), key.to_owned(), default.to_string())
    });
    let ours: BTreeSet<_> = ours.collect();
    assert!(theirs.len() > 200, "{}", theirs.len());
    assert_eq!(ours, theirs);
}

/// What was taken for a file, under the paths `transformers` has: old files have the decoder's keys beside the others, and
/// another name for the parameters of rotary positions.
fn taken(config: &Value) -> Result<BTreeMap<String, Value>, String> {
    let taken = defaults_taken(&config.to_string()).map_err(|error| error.to_string())?;
    let path = |key: String, class: &str| {
        let flat = class.ends_with("TextConfig") && !key.starts_with("text_config");
        let key = key.replace("rope_scaling.", "rope_parameters.");
        match flat {
            true => format!("text_config.{key}"),
            false => key,
        }
    };
    let taken = taken.into_iter();
    Ok(taken.map(|t| (path(t.key, &t.class), t.value)).collect())
}

/// Whether a file itself says what is at a path.
fn is_stated(config: &Value, path: &str) -> bool {
    let has = |path: &str| {
        let found = path.split('.').try_fold(config, |part, key| part.get(key));
        found.is_some_and(|value| !value.is_null())
    };
    let renamed = [
        ("rope_parameters.", "rope_scaling."),
        ("rope_parameters.", ""),
        ("rope_parameters.rope_type", "rope_scaling.type"),
        ("text_config.", ""),
        ("depth", "num_hidden_layers"),
        ("num_heads", "num_attention_heads"),
    ];
    // The newest file is tied where either part says so.
    let inside = path == "tie_word_embeddings" && has("text_config.tie_word_embeddings");
    let all = |path: String| -> Vec<String> {
        let others = renamed.iter().filter(|(name, _)| path.contains(name));
        let others = others.map(|(name, other)| path.replace(name, other));
        std::iter::once(path.clone()).chain(others).collect()
    };
    inside
        || all(path.to_owned())
            .into_iter()
            .flat_map(all)
            .any(|path| has(&path))
}

#[test]
fn files_that_leave_keys_out_are_completed_as_transformers_completes_them() {
    let golden = golden();
    for (case, entry) in object(&golden["completed"]) {
        let (config, values) = (&entry["config"], object(&entry["values"]));
        let taken = match taken(config) {
            Ok(taken) => taken,
            // The class's own default is a model that reads no texts.
            Err(error) if error.contains("use_qformer_text_input") => continue,
            Err(error) => panic!("{case}: {error}"),
        };
        assert!(!taken.is_empty(), "{case}");
        for (path, value) in &taken {
            assert_eq!(values.get(path), Some(value), "{case}: {path}");
        }
        for path in values.keys().filter(|path| !taken.contains_key(*path)) {
            assert!(is_stated(config, path), "{case}: {path} was not completed");
        }
    }
}

#[test]
fn each_key_alone_may_be_left_out() {
    let golden = golden();
    let mut tried = 0;
    for (checkpoint, keys) in object(&golden["dropped"]) {
        let text = std::fs::read_to_string(root().join(checkpoint).join("config.json")).unwrap();
        let whole: Value = serde_json::from_str(&text).unwrap();
        for (path, value) in object(keys) {
            let mut less = whole.clone();
            let pointer = format!("/{}", path.replace('.', "/"));
            let (part, key) = pointer.rsplit_once('/').unwrap();
            object_mut(less.pointer_mut(part).unwrap())
                .remove(key)
                .unwrap();
            match taken(&less) {
                Ok(taken) => assert_eq!(taken.get(path), Some(value), "{checkpoint}: {path}"),
                // What the class says may not fit the rest of a small file.
                Err(error) => {
                    let refused = [
                        ("use_qformer_text_input", "use_qformer_text_input"),
                        ("patch_size", "window_size"),
                        ("spatial_merge_size", "window_size"),
                    ];
                    let known = |(left_out, named): &(&str, &str)| {
                        key == *left_out && error.contains(named)
                    };
                    assert!(refused.iter().any(known), "{checkpoint}: {path}: {error}");
                }
            }
            tried += 1;
        }
    }
    assert!(tried > 150, "{tried}");
}

fn object_mut(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().unwrap()
}

#[test]
fn published_files_that_were_refused_are_read() {
    let golden = golden();
    let read = |case: &str| {
        let config = &golden["completed"][case]["config"];
        VlmConfig::from_json(&config.to_string()).unwrap()
    };
    let smol = read("SmolVLM2-2.2B-Instruct");
    assert_eq!(smol.text_config.num_attention_heads, 32);
    assert_eq!(smol.vision_config.num_attention_heads, 16);
    let awq = read("Qwen2.5-VL-7B-Instruct-AWQ").vision_config;
    assert_eq!((awq.num_hidden_layers, awq.num_attention_heads), (32, 16));
    assert_eq!(awq.intermediate_size, 3420);
    assert_eq!(awq.variant.windows.full, [7, 15, 23, 31]);
    let qwen3 = read("Qwen3-VL-8B");
    assert_eq!(qwen3.vision_config.num_attention_heads, 16);
    assert_eq!(qwen3.vision_config.variant.deepstack, [8, 16, 24]);
    assert_eq!(qwen3.text_config.head_dim, Some(128));
}

#[test]
fn an_image_processor_that_says_nothing_but_its_name_is_its_class() {
    let golden = golden();
    for (class, values) in object(&golden["processors"]) {
        let values = object(values);
        for name in [class.clone(), format!("{class}Fast")] {
            let json = json!({ "image_processor_type": name }).to_string();
            let taken = ImageProcessor::defaults_taken("preprocessor_config.json", &json).unwrap();
            for taken in &taken {
                assert_eq!(
                    values.get(&taken.key),
                    Some(&taken.value),
                    "{class}: {}",
                    taken.key
                );
            }
            // Only a bare number as `size` needs to know what it is of.
            let asked: BTreeSet<&str> = taken.iter().map(|taken| taken.key.as_str()).collect();
            let left = values.keys().filter(|key| !asked.contains(key.as_str()));
            let left: Vec<_> = left.filter(|key| *key != "default_to_square").collect();
            assert_eq!(left, Vec::<&String>::new(), "{class}");
        }
    }
}

/// What a configuration alone would have made, or would have exchanged without a word.
#[test]
fn heads_beyond_any_and_layers_out_of_order_are_refused() {
    let folder = root();
    let read = |name: &str, change: &dyn Fn(&mut Value)| {
        let text = std::fs::read_to_string(folder.join(name).join("config.json")).unwrap();
        let mut config = serde_json::from_str(&text).unwrap();
        change(&mut config);
        VlmConfig::from_json(&config.to_string()).map_err(|error| error.to_string())
    };
    let error = read("smolvlm", &|config| {
        config["text_config"]["head_dim"] = (1 << 20).into()
    })
    .unwrap_err();
    assert!(error.contains("head_dim"), "{error}");
    let layers = |config: &Value| config["vision_config"]["deepstack_visual_indexes"].clone();
    let mut ascending = Value::Null;
    read("qwen3_vl", &|_| ()).unwrap();
    let text = std::fs::read_to_string(folder.join("qwen3_vl/config.json")).unwrap();
    ascending.clone_from(&layers(&serde_json::from_str(&text).unwrap()));
    let mut turned = ascending.as_array().unwrap().clone();
    assert!(turned.len() > 1, "{ascending}");
    turned.reverse();
    let error = read("qwen3_vl", &|config| {
        config["vision_config"]["deepstack_visual_indexes"] = turned.clone().into();
    })
    .unwrap_err();
    assert!(error.contains("ascending"), "{error}");
}
