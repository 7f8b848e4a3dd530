//! Every family as GGUF files and nothing else: the reference's logits, the same tokens, split or whole, packed or not.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use burn::tensor::Device;
use namelens::export::{Types, open_bundle};
use namelens_engine::host::Still;
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_config::{from_metadata, pair};
use namelens_engine::model::plan::{self, Planned};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::inspect::Inspection;
use namelens_engine::personalize::{Engine, Precision};
use namelens_engine::text::{Message, Part, TextSettings, Tokenizer};
use namelens_engine::weights::{Array, Dtype, Metadata, Value};
use namelens_tests::floats;
use namelens_tests::gguf::{all, converted, model, weights};
use namelens_tests::golden::{Case, Checkpoint, distance, vlms, writers};

/// Logits at every position of a case of one row, and the size of the vocabulary.
fn logits(
    checkpoint: &Checkpoint,
    case: &Case,
    vlm: &Vlm,
    config: &VlmConfig,
) -> (Vec<f32>, usize) {
    let device = Device::flex();
    let (rows, _) = case.rows();
    let (visual, grids) = case.visual(checkpoint, vlm, config, &device);
    let (spots, _) = vlm.positions(&rows[0], &grids).unwrap();
    let reading = vlm.read_at(&rows[0], visual.as_ref(), &spots).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    let logits = vlm.decoder.logits(hidden.reshape([tokens, width]));
    let [_, vocabulary] = logits.dims();
    (floats(logits), vocabulary)
}

/// Mean over all positions of the divergence (nats) of what is predicted from what should be.
fn divergence(got: &[f32], want: &[f32], vocabulary: usize) -> f64 {
    let log_softmax = |row: &[f32]| -> Vec<f64> {
        let most = row.iter().copied().fold(f32::MIN, f32::max);
        let sum: f64 = row.iter().map(|v| f64::from(v - most).exp()).sum();
        row.iter().map(|v| f64::from(v - most) - sum.ln()).collect()
    };
    let rows = got.chunks(vocabulary).zip(want.chunks(vocabulary));
    let each = rows.map(|(got, want)| {
        let (got, want) = (log_softmax(got), log_softmax(want));
        want.iter()
            .zip(got)
            .map(|(w, g)| w.exp() * (w - g))
            .sum::<f64>()
    });
    each.sum::<f64>() / (got.len() / vocabulary) as f64
}

#[test]
fn a_model_from_gguf_alone_has_the_references_logits() {
    let device = Device::flex();
    // Largest error of a logit in standard deviations, and mean divergence in nats. F32 is held to the bar of the
    // checkpoints themselves, and so is F16: it holds their bf16 numbers exactly where they are not tiny. The quantised
    // ones may be twice as far off as the worst measured: 0.41 (`qwen3_vl`) and 1.8e-3 (`llama`) for Q8_0, 3.5 and 0.12 for Q4_0 (`qwen3_vl`). These checkpoints are a few dozen numbers wide; in a real model many more errors of rounding cancel out.
    let bars = [
        (all(Dtype::F32), 1e-4, 1e-8),
        (all(Dtype::F16), 1e-4, 1e-8),
        (all(Dtype::Q8_0), 0.8, 3.6e-3),
        (all(Dtype::Q4_0), 7.0, 0.24),
    ];
    for checkpoint in writers() {
        for (types, bar, nats) in bars {
            let (folder, written) = converted(&checkpoint, types, None);
            let (vlm, config) = model(weights(folder.path(), "model.gguf"), &device);
            let (mut worst, mut sum, mut cases) = (0.0f32, 0.0, 0);
            for case in checkpoint.cases().iter().filter(|case| !case.is_padded()) {
                let (got, vocabulary) = logits(&checkpoint, case, &vlm, &config);
                let (_, want) = case.floats("logits").unwrap();
                worst = worst.max(distance(&got, &want));
                sum += divergence(&got, &want, vocabulary);
                cases += 1;
            }
            let sum = sum / f64::from(cases);
            let errors: Vec<String> = written
                .parts
                .iter()
                .map(|part| format!("{:?} {:.4}", part.part, part.error))
                .collect();
            println!(
                "{} | {} | {worst:.1e} std | {sum:.1e} nats | {}",
                checkpoint.name,
                types.text,
                errors.join(", ")
            );
            assert!(
                worst <= bar && sum.abs() <= nats,
                "{}: {}",
                checkpoint.name,
                types.text
            );
        }
    }
}

fn load(model: &Path) -> namelens_engine::Result<Engine> {
    let files = open_bundle(model).unwrap();
    pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ()))
}

/// What the whole engine makes of a chat with a photo.
fn inspected(model: &Path) -> Inspection {
    let engine = load(model).unwrap_or_else(|e| panic!("{}: {e}", model.display()));
    inspect(&engine)
}

fn inspect(engine: &Engine) -> Inspection {
    let root = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let photo = Path::new(&root).join("../web-demo/public/album/scene-0.png");
    let photo = std::fs::read(photo).unwrap();
    let user = Message {
        role: "user".into(),
        content: vec![
            Part::Image,
            Part::Text("Where is Bo's mug? 1234 naïve 你好 <image>".into()),
        ],
    };
    pollster::block_on(engine.inspect(&[user], &[photo], 4, &Still)).unwrap()
}

#[test]
fn the_engine_says_the_same_from_the_folder_and_from_gguf() {
    for checkpoint in vlms() {
        let (folder, _) = converted(&checkpoint, all(Dtype::F32), None);
        for file in ["config.json", "tokenizer.json", "preprocessor_config.json"] {
            assert!(!folder.path().join(file).exists());
        }
        let (from_folder, from_gguf) = (inspected(&checkpoint.dir), inspected(folder.path()));
        assert_eq!(
            from_gguf.input_ids, from_folder.input_ids,
            "{}",
            checkpoint.name
        );
        assert_eq!(
            from_gguf.greedy_ids, from_folder.greedy_ids,
            "{}",
            checkpoint.name
        );
        assert_eq!(from_gguf.pixel_values.len(), from_folder.pixel_values.len());
        for (ours, theirs) in from_gguf.pixel_values.iter().zip(&from_folder.pixel_values) {
            assert_eq!((&ours.shape, &ours.values), (&theirs.shape, &theirs.values));
        }
        let off = distance(&from_gguf.logits.values, &from_folder.logits.values);
        // The same numbers in the same order.
        assert!(off <= 1e-6, "{}: {off}", checkpoint.name);
    }
}

#[test]
fn blocks_made_while_loading_are_those_of_a_conversion() {
    let mut rounded = 0;
    for (precision, dtype) in [
        (Precision::Q8_0, Dtype::Q8_0),
        (Precision::Q4_1, Dtype::Q4_1),
        (Precision::Q4_0, Dtype::Q4_0),
    ] {
        let types = Types {
            text: dtype,
            vision: dtype,
            embeddings: Dtype::Q8_0,
        };
        for checkpoint in vlms() {
            let (folder, _) = converted(&checkpoint, types, None);
            let from_gguf = inspected(folder.path());
            let files = open_bundle(&checkpoint.dir).unwrap();
            let device = Device::flex();
            let mut progress = |_, _| ();
            let loaded = Engine::load_as(files, precision, &device, &Still, &mut progress);
            let engine = pollster::block_on(loaded).unwrap();
            // Blocks count as what they hold.
            let config = VlmConfig::from_json(&checkpoint.config.to_string()).unwrap();
            let planned = plan::parameters(&config, &device).unwrap();
            let planned: u64 = planned.iter().map(Planned::elements).sum();
            let counted = engine.captioner().unwrap().parameters();
            assert_eq!(counted as u64, planned, "{}", checkpoint.name);
            let in_blocks = inspect(&engine);
            let off = distance(&in_blocks.logits.values, &from_gguf.logits.values);
            // The same blocks, but attention's rows come in another order, and so do its sums, which now and then tips the rounding
            // of an activation to 16 bits: 3.4e-4 measured; another block moves logits by 1e-2.
            assert!(off <= 2e-3, "{} {precision:?}: {off}", checkpoint.name);
            let stored = inspected(&checkpoint.dir);
            let rounding = distance(&in_blocks.logits.values, &stored.logits.values);
            rounded += usize::from(rounding > 1e-3);
        }
    }
    // Rows narrower than a block stay as they are, and some of these checkpoints have no others.
    assert!(rounded >= 6, "{rounded} were rounded at all");
}

#[test]
fn tokens_and_settings_are_those_of_the_folder() {
    for checkpoint in writers() {
        let (folder, written) = converted(&checkpoint, all(Dtype::F16), None);
        let weights = weights(folder.path(), "model.gguf");
        let (text, _) = pair(&weights).unwrap();
        // By llama.cpp's own means, not as a tokenizer.json in the metadata.
        let rule = match checkpoint.config["model_type"].as_str().unwrap() {
            "qwen2_5_vl" | "qwen3_vl" => "qwen2",
            _ => "smollm",
        };
        assert_eq!(
            text.str("tokenizer.ggml.pre"),
            Some(rule),
            "{:?}",
            written.notes
        );
        assert!(text.get("tokenizer.huggingface.json").is_none());
        let json = checkpoint.text("tokenizer.json").unwrap();
        let theirs = Tokenizer::from_json(json.as_bytes()).unwrap();
        let ours = Tokenizer::from_gguf(text).unwrap();
        for case in checkpoint.cases() {
            for prompt in case.meta["prompt"].as_array().unwrap() {
                let prompt = prompt.as_str().unwrap();
                for special in [true, false] {
                    let ids = [&ours, &theirs].map(|t| t.encode(prompt, special).unwrap());
                    assert_eq!(ids[0], ids[1], "{}", case.name);
                }
            }
        }
        let read = |name: &str| Ok(checkpoint.text(name));
        let wanted = TextSettings::read(&read).unwrap();
        let settings = TextSettings::from_gguf(text).unwrap();
        assert_eq!(settings.chat_template, wanted.chat_template);
        assert_eq!(
            (&settings.bos, &settings.eos, &settings.pad),
            (&wanted.bos, &wanted.eos, &wanted.pad)
        );
        assert_eq!(settings.generation.eos, wanted.generation.eos);
    }
}

#[test]
fn parts_of_a_split_are_the_whole() {
    let device = Device::flex();
    for checkpoint in vlms() {
        let (whole, _) = converted(&checkpoint, all(Dtype::Q8_0), None);
        let (split, written) = converted(&checkpoint, all(Dtype::Q8_0), Some(8_000));
        let parts: Vec<&String> = written
            .files
            .iter()
            .filter(|f| f.contains("-of-"))
            .collect();
        assert!(parts.len() > 1, "{:?}", written.files);
        // Named by any of its parts.
        let name = parts[parts.len() - 1];
        let (ours, config) = model(weights(split.path(), name), &device);
        let (theirs, _) = model(weights(whole.path(), "model.gguf"), &device);
        let case = &checkpoint.cases()[0];
        let case = if case.is_padded() {
            &checkpoint.cases()[1]
        } else {
            case
        };
        assert_eq!(
            logits(&checkpoint, case, &ours, &config).0,
            logits(&checkpoint, case, &theirs, &config).0,
            "{}",
            checkpoint.name
        );
        // A part less is told, by its name.
        std::fs::remove_file(split.path().join(parts[1])).unwrap();
        let error = load(split.path()).unwrap_err().to_string();
        assert!(error.contains(parts[1].as_str()), "{error}");
    }
}

#[test]
fn files_have_any_name() {
    let checkpoint = &vlms()[0];
    let (folder, _) = converted(checkpoint, all(Dtype::F32), None);
    let rename = |from: &str, to: &str| {
        std::fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
    };
    rename("model.gguf", "SmolVLM-tiny-F32.gguf");
    rename("mmproj.gguf", "a-projector.gguf");
    assert_eq!(
        inspected(folder.path()).greedy_ids,
        inspected(&folder.path().join("SmolVLM-tiny-F32.gguf")).greedy_ids
    );
    std::fs::copy(
        folder.path().join("SmolVLM-tiny-F32.gguf"),
        folder.path().join("another.gguf"),
    )
    .unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another model of this kind"), "{error}");
}

#[test]
fn projectors_of_another_model_are_refused() {
    let checkpoints = vlms();
    let find = |name: &str| checkpoints.iter().find(|c| c.name == name).unwrap();
    let (folder, _) = converted(find("idefics3"), all(Dtype::F32), None);
    for (other, place) in [
        ("smolvlm", "clip.vision.projection_dim"),
        ("qwen3_vl", "general.architecture"),
    ] {
        let (wrong, _) = converted(find(other), all(Dtype::F32), None);
        let projector = wrong.path().join("mmproj.gguf");
        std::fs::copy(projector, folder.path().join("mmproj.gguf")).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn metadata_of_any_kind_is_read_or_refused() {
    let odd = [
        Value::U64(1 << 60),
        Value::U32(0),
        Value::I32(-1),
        Value::F32(f32::NAN),
        Value::String("x".into()),
        Value::Array(Array::I32(vec![7; 9])),
        Value::Array(Array::Bool(vec![true; 5000])),
    ];
    for checkpoint in vlms() {
        let (folder, _) = converted(&checkpoint, all(Dtype::F32), None);
        let weights = weights(folder.path(), "model.gguf");
        let (text, projector) = pair(&weights).unwrap();
        let projector = projector.unwrap();
        let has = |name: &str| weights.contains(name);
        let read = |text: &Metadata, projector: &Metadata| {
            let config = from_metadata(text, Some(projector), &has, None);
            let _ = ImageProcessor::from_gguf(projector);
            let _ = TextSettings::from_gguf(text);
            config
        };
        let wanted = read(text, projector).unwrap();
        let keys = |metadata: &Metadata| -> Vec<String> {
            metadata.iter().map(|(key, _)| key.to_owned()).collect()
        };
        let mut refused = 0;
        for value in &odd {
            for key in keys(text) {
                let text = text.clone().with(key, value.clone());
                refused += usize::from(read(&text, projector).is_err());
            }
            for key in keys(projector) {
                let projector = projector.clone().with(key, value.clone());
                refused += usize::from(read(text, &projector).is_err());
            }
        }
        assert!(refused > 100, "{}: {refused}", checkpoint.name);
        // What every model must say, and what llama.cpp leaves to its reader.
        for (key, needed) in [
            ("clip.vision.patch_size", true),
            ("clip.vision.window_size", false),
            ("clip.vision.spatial_merge_size", false),
            ("clip.vision.image_min_pixels", false),
            ("clip.vision.image_mean", false),
        ] {
            let left = projector.iter().filter(|(k, _)| *k != key);
            let mut without = Metadata::new();
            left.for_each(|(key, value)| without.set(key, value.clone()));
            let config = read(text, &without);
            assert_eq!(config.is_err(), needed, "{}: {key}", checkpoint.name);
            if key == "clip.vision.spatial_merge_size" {
                assert_eq!(config.unwrap(), wanted);
            }
        }
    }
}

/// As llama.cpp reads them: a factor without a type is a linear one.
#[test]
fn keys_that_would_change_the_numbers_are_refused() {
    let checkpoints = vlms();
    let checkpoint = checkpoints.iter().find(|c| c.name == "smolvlm").unwrap();
    let (folder, _) = converted(checkpoint, all(Dtype::F32), None);
    let weights = weights(folder.path(), "model.gguf");
    let (text, projector) = pair(&weights).unwrap();
    let has = |name: &str| weights.contains(name);
    let config = from_metadata(text, projector, &has, None).unwrap();
    let head = config.text_config.head_dim() as u32;
    for (key, value, fine) in [
        (
            "llama.rope.scaling.type",
            Value::String("none".into()),
            true,
        ),
        (
            "llama.rope.scaling.type",
            Value::String("yarn".into()),
            false,
        ),
        ("llama.rope.scaling.type", Value::U32(1), false),
        ("llama.rope.scaling.factor", Value::F32(0.0), true),
        ("llama.rope.scaling.factor", Value::F32(1.0), true),
        ("llama.rope.scaling.factor", Value::F32(4.0), false),
        ("llama.rope.scale_linear", Value::F32(4.0), false),
        ("llama.rope.scaling.attn_factor", Value::F32(2.0), false),
        ("llama.rope.dimension_count", Value::U32(head), true),
        ("llama.rope.dimension_count", Value::U32(head / 2), false),
        ("llama.attention.causal", Value::Bool(true), true),
        ("llama.attention.causal", Value::Bool(false), false),
    ] {
        let text = text.clone().with(key, value.clone());
        let read = from_metadata(&text, projector, &has, None);
        assert_eq!(read.is_ok(), fine, "{key} {value:?}: {read:?}");
        if let Err(error) = read {
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}

/// A head in a type that is not read is no head that is tied.
#[test]
fn a_tensor_of_a_type_that_is_not_read_is_not_taken_for_none() {
    const IQ4_NL: u32 = 20;
    let checkpoints = vlms();
    let mut seen = 0;
    for checkpoint in &checkpoints {
        let (folder, _) = converted(checkpoint, all(Dtype::F32), None);
        if !weights(folder.path(), "model.gguf").contains("output.weight") {
            continue;
        }
        seen += 1;
        let path = folder.path().join("model.gguf");
        let mut bytes = std::fs::read(&path).unwrap();
        let name = b"output.weight";
        let mut places = bytes.windows(name.len()).enumerate();
        // Not the end of `attn_output.weight`: its length stands before it.
        let length = (name.len() as u64).to_le_bytes();
        let at = places
            .find(|(at, found)| *found == name && *at >= 8 && bytes[at - 8..*at] == length)
            .unwrap()
            .0;
        // The name, how many dimensions, two of them, the type.
        let kind = at + name.len() + 4 + 2 * 8;
        bytes[kind..kind + 4].copy_from_slice(&IQ4_NL.to_le_bytes());
        std::fs::write(&path, bytes).unwrap();
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("output.weight") && error.contains("IQ4_NL"),
            "{error}"
        );
    }
    assert!(seen > 0, "no checkpoint has a head of its own");
}
