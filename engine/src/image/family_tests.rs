//! The processors of all families against transformers (fixtures by `tests/fixtures/generate/images.py`), and hostile configurations.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::config::Config;
use super::naflex::Naflex;
use super::qwen::Qwen;
use super::tests::{fixture, pattern};
use super::*;

fn golden() -> Value {
    serde_json::from_slice(&fixture("families.json")).unwrap()
}

fn processor(config: &Value) -> ImageProcessor {
    ImageProcessor::from_json("p.json", &config.to_string()).unwrap()
}

fn sides(value: &Value) -> Vec<u32> {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn every_family_equals_transformers_bit_for_bit() {
    let golden = golden();
    let mut seen = 0;
    for family in golden["processors"].as_array().unwrap() {
        let config = &family["config"];
        let processor = processor(config);
        for case in family["cases"].as_array().unwrap() {
            let side = |key: &str| case[key].as_u64().unwrap() as u32;
            let done = processor
                .process(&pattern(side("width"), side("height")))
                .unwrap();
            let [frame] = &done.frames[..] else {
                panic!("{config}: {} frames", done.frames.len())
            };
            let to = [frame.width as u32, frame.height as u32];
            assert_eq!(to[..], sides(&case["to"]), "{config} {case}");
            assert_eq!(frame.pixels.len(), 3 * frame.width * frame.height);
            if let Some(fixed) = processor.side() {
                assert_eq!((frame.width, frame.height), (fixed, fixed));
            }
            if let Some(unit) = processor.unit() {
                assert_eq!((frame.width % unit, frame.height % unit), (0, 0));
            }
            // A sample says more than a digest when something is off.
            let sample: Vec<f32> = serde_json::from_value(case["sample"].clone()).unwrap();
            let step = (frame.pixels.len() / 3).max(1);
            let ours: Vec<f32> = frame.pixels.iter().step_by(step).take(4).copied().collect();
            assert_eq!(ours, sample, "{config} {case}");
            let bytes: Vec<u8> = frame.pixels.iter().flat_map(|v| v.to_le_bytes()).collect();
            let hash = Sha256::digest(&bytes);
            let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(hex, case["sha256"].as_str().unwrap(), "{config} {case}");
            seen += 1;
        }
    }
    assert!(seen > 130, "{seen}");
}

#[test]
fn sizes_equal_those_of_transformers() {
    let check = |table: &Value, size: &dyn Fn(u32, u32) -> Result<(u32, u32)>| {
        let rows = table["sizes"].as_array().unwrap();
        assert!(rows.len() > 300);
        for row in rows {
            let &[w, h, width, height] = &sides(row)[..] else {
                panic!("{row}")
            };
            assert_eq!(size(w, h), Ok((width, height)), "{w} x {h}");
        }
    };
    let golden = golden();
    for table in golden["qwen_sizes"].as_array().unwrap() {
        let json = json!({
            "patch_size": table["unit"].as_u64().unwrap() / 2,
            "size": {"shortest_edge": table["least"], "longest_edge": table["most"]},
        });
        let config = json.to_string();
        let qwen = Qwen::from_config(
            &Config::parse("p.json", &config)
                .unwrap()
                .of_class("Qwen2VLImageProcessor".into()),
        )
        .unwrap();
        check(table, &|w, h| qwen.size(w, h));
    }
    for table in golden["naflex_sizes"].as_array().unwrap() {
        let json = json!({"patch_size": table["patch"], "max_num_patches": table["budget"]});
        let config = json.to_string();
        let naflex = Naflex::from_config(
            &Config::parse("p.json", &config)
                .unwrap()
                .of_class("Siglip2ImageProcessor".into()),
        )
        .unwrap();
        check(table, &|w, h| naflex.size(w, h));
    }
}

#[test]
fn shapes_a_model_cannot_take_are_refused() {
    let refused = |config: Value, width: u32, height: u32| {
        let photo = pattern(width, height);
        let Err(Error::Image { problem }) = processor(&config).process(&photo) else {
            panic!("{config} took {width} x {height}")
        };
        problem
    };
    let qwen = |key: &str, value: Value| json!({"image_processor_type": "Qwen2VLImageProcessor", key: value});
    let resized = qwen("do_resize", json!(true));
    assert!(processor(&resized).process(&pattern(200, 1)).is_ok());
    assert!(refused(resized.clone(), 201, 1).contains("crop"));
    assert!(refused(resized, 1, 201).contains("crop"));
    assert!(refused(qwen("do_resize", json!(false)), 56, 57).contains("28"));
    // Every photo would grow to this.
    let size = json!({"shortest_edge": 1u64 << 60, "longest_edge": 1u64 << 60});
    assert!(refused(qwen("size", size), 3, 3).contains("too large"));
    let naflex =
        json!({"image_processor_type": "Siglip2ImageProcessor", "max_num_patches": 1 << 20});
    assert!(refused(naflex, 100, 100).contains("too large"));
    let clip = json!({"image_processor_type": "CLIPImageProcessor", "size": 4000});
    assert!(refused(clip, 1, 300).contains("too large"));
}

#[test]
fn a_photo_with_wrong_fields_is_refused() {
    let mut photo = pattern(40, 40);
    photo.width = u32::MAX;
    for name in ["Qwen2VL", "CLIP", "Siglip", "Siglip2", "Blip", "SmolVLM"] {
        for resize in [true, false] {
            let config = json!({"image_processor_type": format!("{name}ImageProcessor"), "do_resize": resize});
            assert!(processor(&config).process(&photo).is_err());
        }
    }
}

#[test]
fn the_type_is_told_by_name_or_by_keys() {
    let same =
        |left: Value, right: Value| assert_eq!(processor(&left), processor(&right), "{left}");
    let typed = |name: &str| json!({"image_processor_type": name});
    same(
        typed("Qwen2VLImageProcessorFast"),
        typed("Qwen2VLImageProcessor"),
    );
    same(
        typed("SmolVLMImageProcessor"),
        typed("Idefics3ImageProcessorPil"),
    );
    same(
        json!({"feature_extractor_type": "CLIPFeatureExtractor"}),
        typed("CLIPImageProcessor"),
    );
    same(json!({"merge_size": 2}), typed("Qwen2VLImageProcessor"));
    same(
        json!({"max_num_patches": 256}),
        typed("Siglip2ImageProcessor"),
    );
    same(
        json!({"do_image_splitting": true}),
        typed("Idefics3ImageProcessor"),
    );
    same(json!({"crop_size": 224}), typed("CLIPImageProcessor"));
    same(
        json!({"image_processor": typed("BlipImageProcessor")}),
        typed("BlipImageProcessor"),
    );
    assert_eq!(processor(&typed("BlipImageProcessor")).side(), Some(384));
    assert_eq!(processor(&typed("CLIPImageProcessor")).side(), Some(224));
    assert_eq!(
        processor(&typed("Idefics3ImageProcessor")).side(),
        Some(364)
    );
    assert_eq!(processor(&typed("Qwen2VLImageProcessor")).side(), None);
    assert_eq!(processor(&typed("Qwen2VLImageProcessor")).unit(), Some(28));

    for (config, expected) in [
        (
            typed("ViTImageProcessor"),
            "`ViTImageProcessor` is not supported",
        ),
        (json!({}), "is missing"),
        (json!({"image_processor_type": 3}), "not a name"),
    ] {
        let error = ImageProcessor::from_json("p.json", &config.to_string()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("image_processor_type"), "{text}");
        assert!(
            expected == "not a name" || text.contains("SiglipImageProcessor"),
            "{text}"
        );
    }
}

#[test]
fn a_folder_gives_the_newer_file_first() {
    let file = |name: &'static str, text: &'static str| {
        move |asked: &str| Ok((asked == name).then(|| text.to_owned()))
    };
    let old = file("preprocessor_config.json", r#"{"crop_size": 30}"#);
    let new = file(
        "processor_config.json",
        r#"{"image_processor": {"crop_size": 20}}"#,
    );
    let other = file("processor_config.json", r#"{"image_seq_len": 64}"#);
    let side = |read: &dyn Fn(&str) -> Result<Option<String>>| {
        ImageProcessor::from_folder(read).map(|processor| processor.side())
    };
    assert_eq!(side(&old), Ok(Some(30)));
    assert_eq!(side(&new), Ok(Some(20)));
    assert_eq!(side(&|f| Ok(new(f)?.or(old(f)?))), Ok(Some(20)));
    assert_eq!(side(&|f| Ok(other(f)?.or(old(f)?))), Ok(Some(30)));
    let error = side(&other).unwrap_err().to_string();
    assert!(error.contains("missing"), "{error}");
}

#[test]
fn configurations_that_cannot_be_meant_name_their_key() {
    let cases = [
        ("Qwen2VL", r#""patch_size": 0"#, "patch_size"),
        ("Qwen2VL", r#""patch_size": 4294967297"#, "patch_size"),
        (
            "Qwen2VL",
            r#""patch_size": 4096, "merge_size": 4096"#,
            "merge_size",
        ),
        ("Qwen2VL", r#""min_pixels": -1"#, "min_pixels"),
        ("Qwen2VL", r#""min_pixels": 0"#, "size"),
        ("Qwen2VL", r#""min_pixels": 9, "max_pixels": 8"#, "size"),
        ("Qwen2VL", r#""size": {"height": 3, "width": 3}"#, "size"),
        ("Siglip2", r#""max_num_patches": 0"#, "max_num_patches"),
        ("Siglip2", r#""max_num_patches": 1e30"#, "max_num_patches"),
        ("Siglip", r#""size": {"height": 224}"#, "size"),
        (
            "Siglip",
            r#""size": {"shortest_edge": 3, "longest_edge": 9}"#,
            "size",
        ),
        ("Siglip", r#""size": {"height": 0, "width": 4}"#, "size"),
        ("CLIP", r#""size": 1152921504606846976"#, "size"),
        ("CLIP", r#""crop_size": {"shortest_edge": 4}"#, "crop_size"),
        ("Blip", r#""resample": 0"#, "resample"),
        ("Blip", r#""image_std": 1e-60"#, "image_std"),
    ];
    for (name, keys, key) in cases {
        let json = format!(r#"{{"image_processor_type": "{name}ImageProcessor", {keys}}}"#);
        match ImageProcessor::from_json("p.json", &json) {
            Err(Error::Config { key: found, .. }) => assert_eq!(found, key, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_photo_becomes_whole_patches(
        width in 1u32..300, height in 1u32..300, patch in 1u32..40, merge in 1u32..4, budget in 1u64..200,
    ) {
        let most = budget * u64::from(patch * merge).pow(2);
        let qwen = json!({"image_processor_type": "Qwen2VLImageProcessor", "patch_size": patch, "merge_size": merge, "min_pixels": 1, "max_pixels": most});
        let naflex = json!({"image_processor_type": "Siglip2ImageProcessor", "patch_size": patch, "max_num_patches": budget});
        for config in [qwen, naflex] {
            let processor = processor(&config);
            let unit = processor.unit().unwrap();
            if let Ok(done) = processor.process(&pattern(width, height)) {
                let frame = &done.frames[0];
                prop_assert_eq!((frame.width % unit, frame.height % unit), (0, 0));
                prop_assert!(frame.width > 0 && frame.height > 0);
                prop_assert_eq!(frame.pixels.len(), 3 * frame.width * frame.height);
                prop_assert!(frame.pixels.iter().all(|v| v.is_finite()));
            }
        }
    }
}
