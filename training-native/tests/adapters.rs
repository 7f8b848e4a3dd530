//! A engine with adapters: they come with the model's folder, are chosen by name, and nothing seen with one is used with another.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use namelens::bundle::{FileSource, open_weights};
use namelens::export::open_bundle;
use namelens::merge::merge;
use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::{Engine, Kind, Request, Retrieval};
use namelens_engine::text::{Message, Part};
use namelens_engine::weights::{Dtype, TensorData, encode, write_safetensors};
use serde_json::json;

fn playroom() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom")
}

/// Writes an adapter of rank 2 for queries and values of tower and decoder, other numbers for each seed.
fn write_adapter(folder: &Path, seed: usize) {
    let weights = open_weights(&playroom()).unwrap();
    let mut tensors = Vec::new();
    for tensor in weights.files()[0].tensors() {
        let Some(path) = tensor.name.strip_suffix(".weight") else {
            continue;
        };
        if !path.ends_with("q_proj") && !path.ends_with("v_proj") {
            continue;
        }
        for (half, shape) in [("A", [2, tensor.shape[1]]), ("B", [tensor.shape[0], 2])] {
            let number = |at: usize| 0.3 * ((at * 7 + seed * 3) as f32).sin();
            let values: Vec<f32> = (0..shape[0] * shape[1]).map(number).collect();
            let bytes = encode(Dtype::F16, &values).unwrap();
            let name = format!("base_model.model.{path}.lora_{half}.weight");
            tensors.push((name, shape, bytes));
        }
    }
    let views: Vec<_> = tensors
        .iter()
        .map(|(name, shape, bytes)| TensorData {
            name,
            shape,
            dtype: Dtype::F16,
            bytes,
        })
        .collect();
    let mut file = Vec::new();
    write_safetensors(&mut file, &[("format", "pt")], &views).unwrap();
    let config = json!({"peft_type": "LORA", "r": 2, "lora_alpha": 1, "target_modules": ["q_proj", "v_proj"]});
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("adapter_config.json"), config.to_string()).unwrap();
    fs::write(folder.join("adapter_model.safetensors"), file).unwrap();
}

/// The embedded model with two adapters beside it.
fn model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("retriever")).unwrap();
    for part in ["", "retriever"] {
        for entry in fs::read_dir(playroom().join(part)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                let to = folder.path().join(part).join(path.file_name().unwrap());
                fs::copy(&path, to).unwrap();
            }
        }
    }
    for (name, seed) in [("two", 2), ("one", 1)] {
        write_adapter(&folder.path().join("adapters").join(name), seed);
    }
    fs::write(folder.path().join("adapters/notes.txt"), "no adapter").unwrap();
    folder
}

fn engine(model: &Path) -> Engine {
    let files = open_bundle(model).unwrap();
    pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ())).unwrap()
}

/// A PNG of stripes.
fn photo(seed: u32) -> Vec<u8> {
    let image = image::RgbImage::from_fn(96, 80, |x, y| {
        image::Rgb([
            (x * (3 + seed)) as u8,
            (y * 5) as u8,
            ((x + y) * seed) as u8,
        ])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

fn logits(engine: &Engine) -> Vec<f32> {
    let messages = [Message {
        role: "user".into(),
        content: vec![Part::Image, Part::Text("What is this?".into())],
    }];
    let found = pollster::block_on(engine.inspect(&messages, &[photo(1)], 1, &Still));
    found.unwrap().logits.values
}

/// What the engine writes of a photo with one named thing, and how sure it is.
fn caption(engine: &mut Engine) -> (String, f32) {
    let request = Request {
        retrieval: Retrieval::All,
        ..Request::new(Kind::Caption)
    };
    let outcome = pollster::block_on(engine.run(&request, &photo(2), &Still, &mut |_| ()));
    let outcome = outcome.unwrap();
    (outcome.raw, outcome.confidence)
}

fn named(engine: &mut Engine) {
    let concept = NewConcept {
        name: "Mochi".into(),
        references: vec![Reference::new(photo(3))],
        ..Default::default()
    };
    engine.library.add(concept, 0).unwrap();
}

#[test]
fn adapters_of_the_folder_are_chosen_by_name() {
    let model = model();
    let mut engine = engine(model.path());
    assert_eq!(engine.adapters(), ["one", "two"]);
    assert_eq!(engine.active_adapter(), None);
    let plain = logits(&engine);
    let with = |engine: &mut Engine, name| {
        engine.use_adapter(name).unwrap();
        assert_eq!(engine.active_adapter(), name);
        logits(engine)
    };
    let one = with(&mut engine, Some("one"));
    let two = with(&mut engine, Some("two"));
    assert!(one != plain && two != plain && one != two);
    assert_eq!(with(&mut engine, None), plain);
    assert_eq!(with(&mut engine, Some("one")), one);
    let error = engine.use_adapter(Some("three")).unwrap_err();
    assert!(error.to_string().contains("one, two"), "{error}");
    assert_eq!(engine.active_adapter(), Some("one"));

    let two = model.path().join("adapters/two");
    let config = fs::read_to_string(two.join("adapter_config.json")).unwrap();
    let source = || Box::new(FileSource::open(&two.join("adapter_model.safetensors")).unwrap());
    assert!(engine.add_adapter("two", &config, source()).is_err());
    engine.add_adapter("three", &config, source()).unwrap();
    engine.remove_adapter("one").unwrap();
    assert_eq!(engine.adapters(), ["two", "three"]);
    assert_eq!(logits(&engine), plain);
    engine.use_adapter(Some("three")).unwrap();
    assert_ne!(logits(&engine), plain);
}

#[test]
fn a_reference_photo_is_seen_anew_with_another_adapter() {
    let model = model();
    let mut fresh = engine(model.path());
    named(&mut fresh);
    fresh.use_adapter(Some("one")).unwrap();
    let want = caption(&mut fresh);

    let mut used = engine(model.path());
    named(&mut used);
    let plain = caption(&mut used);
    assert_ne!(plain, want);
    used.use_adapter(Some("one")).unwrap();
    assert_eq!(caption(&mut used), want);
    used.remove_adapter("one").unwrap();
    assert_eq!(caption(&mut used), plain);
}

#[test]
fn a_merged_bundle_is_a_bundle() {
    let model = model();
    let mut engine = engine(model.path());
    engine.use_adapter(Some("one")).unwrap();
    let want = logits(&engine);
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("merged");
    merge(
        model.path(),
        &model.path().join("adapters/one"),
        &out,
        &mut |_, _| (),
    )
    .unwrap();
    let merged = self::engine(&out);
    assert!(merged.adapters().is_empty());
    let largest = want.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    for (got, want) in logits(&merged).iter().zip(&want) {
        // Weights are rounded to F16, 2^-12 of themselves, and there are four layers of them in the tower and six in the decoder.
        assert!((got - want).abs() < 0.02 * largest, "{got}, not {want}");
    }
    // The manifest is that of the new weights.
    let manifest = |folder: &Path| fs::read_to_string(folder.join("manifest.json")).unwrap();
    namelens::export::write_manifest(model.path()).unwrap();
    assert_ne!(manifest(&out), manifest(model.path()));
    let written = manifest(&out);
    namelens::export::write_manifest(&out).unwrap();
    assert_eq!(manifest(&out), written);
}
