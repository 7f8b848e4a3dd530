//! Checkpoint folders of every age load, and folders that are damaged, incomplete or lie are refused by name.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use burn::tensor::Device;
use namelens_engine::Error;
use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::{Choice, Engine, Kind, Request};
use namelens_tests::golden::{Checkpoint, bundle, checkpoints};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde_json::{Value, json};

type Files = HashMap<String, Vec<u8>>;

fn checkpoint(name: &str) -> Checkpoint {
    let all = checkpoints(&["idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl"]);
    all.into_iter().find(|c| c.name == name).unwrap()
}

fn files(name: &str) -> Files {
    checkpoint(name).files(&json!({}))
}

fn load(files: Files) -> Result<Engine, Error> {
    pollster::block_on(Engine::load(
        bundle(files),
        &Device::flex(),
        &Still,
        &mut |_, _| (),
    ))
}

fn refusal(files: Files) -> String {
    match load(files) {
        Ok(_) => panic!("a refusal was expected"),
        Err(error) => error.to_string(),
    }
}

/// What a folder has besides the model does not count, and what the plan takes is all that loading asks for.
#[test]
fn the_selected_files_are_the_model() {
    for name in ["idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl"] {
        let mut all = files(name);
        for other in ["README.md", "pytorch_model.bin", "onnx/model.onnx"] {
            all.insert(other.into(), b"other".to_vec());
        }
        let mut model = bundle(all);
        model.select(&Choice::default()).unwrap();
        assert!(!model.contains("README.md") && model.contains("config.json"));
        let engine =
            pollster::block_on(Engine::load(model, &Device::flex(), &Still, &mut |_, _| ()))
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        let whole = load(files(name)).unwrap();
        let [ours, theirs] = [&engine, &whole].map(|engine| engine.captioner().unwrap());
        assert_eq!(ours.generation_report(), theirs.generation_report());
        assert_eq!(ours.parameters(), theirs.parameters());
    }
    let mut some = files("smolvlm");
    some.remove("model-00002-of-00003.safetensors").unwrap();
    let error = bundle(some).select(&Choice::default()).unwrap_err();
    assert_eq!(error.code(), "missing");
    assert!(
        error
            .to_string()
            .starts_with("model-00002-of-00003.safetensors is missing: the model is in 3 files")
    );
}

#[derive(Clone)]
struct Stored(Dtype, Vec<usize>, Vec<u8>);

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        self.0
    }
    fn shape(&self) -> &[usize] {
        &self.1
    }
    fn data(&self) -> Cow<'_, [u8]> {
        self.2.as_slice().into()
    }
    fn data_len(&self) -> usize {
        self.2.len()
    }
}

/// Changes the tensors of `model.safetensors`.
fn with_tensors(mut files: Files, change: impl FnOnce(&mut BTreeMap<String, Stored>)) -> Files {
    let bytes = files.remove("model.safetensors").unwrap();
    let read = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: BTreeMap<String, Stored> = read
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            (
                name,
                Stored(view.dtype(), view.shape().to_vec(), view.data().to_vec()),
            )
        })
        .collect();
    change(&mut tensors);
    let bytes = safetensors::serialize(&tensors, None).unwrap();
    files.insert("model.safetensors".into(), bytes);
    files
}

fn with_config(mut files: Files, change: impl FnOnce(&mut Value)) -> Files {
    let mut config: Value = serde_json::from_slice(&files["config.json"]).unwrap();
    change(&mut config);
    files.insert("config.json".into(), config.to_string().into_bytes());
    files
}

#[test]
fn the_hubs_flat_form_and_old_and_new_tensor_names_are_one_model() {
    let qwen = checkpoint("qwen2_5_vl");
    let mut legacy = files("qwen2_5_vl");
    legacy.remove("processor_config.json");
    for name in ["config.json", "preprocessor_config.json"] {
        let text = qwen.text(&format!("legacy/{name}")).unwrap();
        legacy.insert(name.into(), text.into_bytes());
    }
    let names: Value = serde_json::from_str(&qwen.text("names.json").unwrap()).unwrap();
    let list = |key: &str| -> Vec<String> {
        let names = names[key].as_array().unwrap().iter();
        names
            .map(|name| name.as_str().unwrap().to_owned())
            .collect()
    };
    let new: HashMap<String, String> = list("disk").into_iter().zip(list("memory")).collect();
    let renamed = with_tensors(files("qwen2_5_vl"), |tensors| {
        *tensors = tensors
            .iter()
            .map(|(name, t)| (new[name].clone(), t.clone()))
            .collect();
    });
    let answer = |files: Files| {
        let engine = load(files).unwrap();
        let found =
            pollster::block_on(engine.inspect(&[said("What is this?")], &[], 8, &Still)).unwrap();
        (found.logits.values, found.greedy_ids)
    };
    let whole = answer(files("qwen2_5_vl"));
    assert!(answer(legacy) == whole, "the hub's flat form");
    assert!(answer(renamed) == whole, "new names");
}

fn said(text: &str) -> namelens_engine::text::Message {
    namelens_engine::text::Message {
        role: "user".into(),
        content: vec![namelens_engine::text::Part::Text(text.into())],
    }
}

#[test]
fn tensors_that_are_missing_left_over_misshapen_or_no_numbers_are_named() {
    let norm = "model.text_model.norm.weight";
    let gone = with_tensors(files("idefics3"), |t| drop(t.remove(norm)));
    assert!(refusal(gone).contains(norm));

    let more = with_tensors(files("idefics3"), |t| {
        t.insert("model.audio.weight".into(), t[norm].clone());
    });
    assert!(refusal(more).contains("model.audio.weight"));

    let bent = with_tensors(files("idefics3"), |t| {
        let width = t[norm].1[0];
        t.get_mut(norm).unwrap().1 = vec![width / 2, 2];
    });
    assert!(refusal(bent).contains(norm));

    let nan = with_tensors(files("idefics3"), |t| {
        let norm = t.get_mut(norm).unwrap();
        assert_eq!(norm.0, Dtype::BF16);
        norm.2[6..8].copy_from_slice(&0x7fc0u16.to_le_bytes());
    });
    let said = refusal(nan);
    assert!(said.contains(norm) && said.contains("element 3"), "{said}");

    let mut shard = files("smolvlm");
    shard.remove("model-00002-of-00003.safetensors").unwrap();
    assert!(refusal(shard).contains("model-00002-of-00003.safetensors"));
    let mut cut = files("smolvlm");
    cut.get_mut("model-00003-of-00003.safetensors")
        .unwrap()
        .truncate(900);
    assert!(refusal(cut).contains("model-00003-of-00003.safetensors"));
}

#[test]
fn configurations_that_lie_are_caught_by_the_tensor_or_the_key() {
    type Lie = fn(&mut Value);
    let lies: [(&str, Lie, &str); 12] = [
        (
            "idefics3",
            |c| c["text_config"]["num_hidden_layers"] = json!(4),
            "layers.3",
        ),
        (
            "idefics3",
            |c| c["text_config"]["num_hidden_layers"] = json!(2),
            "layers.2",
        ),
        (
            "idefics3",
            |c| c["text_config"]["hidden_size"] = json!(128),
            "expected shape",
        ),
        ("idefics3", |c| c["model_type"] = json!("llava"), "`llava`"),
        (
            "idefics3",
            |c| c["image_token_id"] = json!(100_000),
            "image_token_id",
        ),
        (
            "idefics3",
            |c| c["text_config"]["vocab_size"] = json!(1u64 << 60),
            "vocab_size",
        ),
        (
            "idefics3",
            |c| c["text_config"]["rope_scaling"] = json!({"rope_type": "yarn"}),
            "yarn",
        ),
        (
            "qwen2_5_vl",
            |c| c["vision_config"]["window_size"] = json!(3),
            "window_size",
        ),
        (
            "qwen2_5_vl",
            |c| c["text_config"]["rope_parameters"]["mrope_section"] = json!([1, 2, 3]),
            "mrope_section",
        ),
        (
            "qwen2_5_vl",
            |c| c["vision_config"]["patch_size"] = json!(0),
            "patch_size",
        ),
        (
            "qwen3_vl",
            |c| c["vision_config"]["deepstack_visual_indexes"] = json!([0, 9]),
            "deepstack_visual_indexes",
        ),
        (
            "qwen3_vl",
            |c| c["vision_config"]["num_position_embeddings"] = json!(25),
            "expected shape",
        ),
    ];
    for (name, lie, told) in lies {
        let said = refusal(with_config(files(name), lie));
        assert!(said.contains(told), "{name}: {said} does not say {told}");
    }
}

#[test]
fn files_of_another_model_are_refused() {
    let mut swapped = files("qwen2_5_vl");
    swapped.insert(
        "processor_config.json".into(),
        files("smolvlm").remove("processor_config.json").unwrap(),
    );
    assert!(refusal(swapped).contains("multiples of 8"));
    for name in ["tokenizer.json", "config.json", "model.safetensors"] {
        let mut gone = files("idefics3");
        gone.remove(name).unwrap();
        let said = refusal(gone);
        assert!(said.contains(name), "{said}");
    }
}

/// A captioner with a dual encoder from another folder, which searches photos prepared its own way.
#[test]
fn siglip_and_clip_search_photos_for_any_captioner() {
    let picture = |shade: u8| {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let pixel = |x: u32, y: u32| image::Rgb([(x * 5) as u8, (y * 3) as u8, shade]);
        let picture = image::RgbImage::from_fn(50, 40, pixel);
        picture
            .write_to(&mut bytes, image::ImageFormat::Png)
            .unwrap();
        bytes.into_inner()
    };
    for name in ["siglip", "siglip2", "clip"] {
        let mut all = files("smolvlm");
        let encoder = checkpoints(&["siglip", "siglip2", "clip"]);
        let encoder = encoder.into_iter().find(|c| c.name == name).unwrap();
        for (file, bytes) in encoder.files(&json!({})) {
            all.insert(format!("retriever/{file}"), bytes);
        }
        let uncalibrated = refusal(all.clone());
        assert!(uncalibrated.contains("retrieval.json"), "{uncalibrated}");
        let thresholds = json!({ "window": 0.999, "whole": 0.999 }).to_string();
        all.insert("retriever/retrieval.json".into(), thresholds.into_bytes());
        let mut engine = load(all).unwrap();
        let new = NewConcept {
            name: "Miso".into(),
            references: vec![Reference::new(picture(90))],
            ..NewConcept::default()
        };
        engine.library.add(new, 0).unwrap();
        pollster::block_on(engine.embed_references(&Still)).unwrap();
        let found = |engine: &mut Engine, photo: &[u8]| {
            let request = Request {
                max_tokens: Some(2),
                ..Request::new(Kind::Caption)
            };
            let said = pollster::block_on(engine.run(&request, photo, &Still, &mut |_| ()));
            said.unwrap().retrieved
        };
        // The photo itself is as similar as can be; that weights are random does not matter.
        let same = found(&mut engine, &picture(90));
        assert_eq!(same.len(), 1, "{name}");
        assert!(same[0].score > 0.999, "{name}: {}", same[0].score);
    }
}

/// Every value of a JSON, by its path.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                found.push(format!("{at}/{key}"));
                paths(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                found.push(format!("{at}/{index}"));
                paths(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn no_value_in_a_configuration_makes_the_engine_panic() {
    let values = [
        json!(null),
        json!(-1),
        json!(0),
        json!(3),
        json!(1u64 << 60),
        json!(1e300),
        json!("x"),
        json!([]),
        json!([7, 7, 7]),
        json!({}),
        json!(true),
    ];
    let mut tried = 0;
    for name in ["idefics3", "qwen2_5_vl", "qwen3_vl"] {
        let whole = files(name);
        for file in [
            "config.json",
            "processor_config.json",
            "preprocessor_config.json",
            "generation_config.json",
            "tokenizer_config.json",
        ] {
            let Some(bytes) = whole.get(file) else {
                continue;
            };
            let json: Value = serde_json::from_slice(bytes).unwrap();
            let mut all = Vec::new();
            paths(&json, "", &mut all);
            for path in &all {
                for value in &values {
                    let mut json = json.clone();
                    *json.pointer_mut(path).unwrap() = value.clone();
                    let mut files = whole.clone();
                    files.insert(file.into(), json.to_string().into_bytes());
                    // Either answer will do; a message must say something.
                    if let Err(error) = load(files) {
                        assert!(
                            !error.to_string().is_empty(),
                            "{name} {file} {path} {value}"
                        );
                    }
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 1000, "only {tried}");
}
