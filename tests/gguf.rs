//! The Playroom's model as a GGUF pair: the same weights, the same answers, within what the blocks can hold.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor};
use namelens::bundle::{FileSource, open_weights};
use namelens::export::{convert_bundle, open_bundle, write_manifest};
use namelens_engine::generate::read_back::read;
use namelens_engine::host::Still;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_layout::GgufLayout;
use namelens_engine::model::params::{Init, ParamBuilder, ParamSource, Values};
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::{Engine, Kind, Request, Retrieval};
use namelens_engine::weights::{Dtype, WeightFile, Weights};
use namelens_tests::golden::distance;
use namelens_tests::uniform;

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn model() -> PathBuf {
    root().join("models/playroom")
}

fn config() -> VlmConfig {
    VlmConfig::from_json(&std::fs::read_to_string(model().join("config.json")).unwrap()).unwrap()
}

/// The model as it was trained with weights of `dtype`, in a folder of its own.
fn converted(dtype: Dtype) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    convert_bundle(&model(), folder.path(), dtype).unwrap();
    folder
}

fn source(folder: &Path) -> CheckpointSource {
    let config = config();
    let mut weights = Weights::new();
    for name in ["model.gguf", "mmproj.gguf"] {
        let bytes = FileSource::open(&folder.join(name)).unwrap();
        weights
            .push(WeightFile::open(name, Box::new(bytes)).unwrap())
            .unwrap();
    }
    CheckpointSource::new(weights).with_layout(GgufLayout::of(&config))
}

/// Logits after every token of a prompt with one photo of noise, then after each of a few words alone, which are so few
/// that they are multiplied with the blocks as they lie.
fn logits(source: &mut CheckpointSource, device: &Device) -> Vec<f32> {
    let config = config();
    let vlm = Vlm::new(&mut ParamBuilder::new(source, device), &config).unwrap();
    assert_eq!(source.unused(), Vec::<&str>::new());
    let side = config.vision_config.image_size;
    let visual = vlm
        .encode_images(Tensor::from_data(uniform([1, 3, side, side], 3), device))
        .unwrap();
    let mut ids: Vec<u32> = (0..9).map(|i| 40 + 13 * i).collect();
    ids.extend(vec![config.image_token_id; config.tokens_per_image()]);
    ids.extend((0..7).map(|i| 300 + 29 * i));
    let mut all = Vec::new();
    for (ids, visual) in [(ids, Some(visual)), (vec![60, 77, 308, 523], None)] {
        let reading = vlm.read(&[ids], visual.as_ref()).unwrap();
        let [_, tokens, width] = reading.x.dims();
        let hidden = vlm.forward(reading, None).reshape([tokens, width]);
        all.extend(pollster::block_on(read(vlm.decoder.logits(hidden))).unwrap());
    }
    all
}

#[test]
fn every_tensor_comes_back_in_its_place_and_order() {
    let folder = converted(Dtype::Q8_0);
    let mut gguf = source(folder.path());
    let original = open_weights(&model()).unwrap();
    let mut compared = 0;
    for tensor in original.files().iter().flat_map(WeightFile::tensors) {
        let want = original.files()[0].read_f32(tensor).unwrap();
        let got = gguf
            .values(&tensor.name, &tensor.shape, Init::Constant(0.0))
            .unwrap();
        let Values::Host(got) = got else {
            panic!("{}: no values", tensor.name)
        };
        for (block, (got, want)) in got.chunks(32).zip(want.chunks(32)).enumerate() {
            let largest = want.iter().fold(0.0f32, |most, v| most.max(v.abs()));
            // Half a step of 1/127 of the block's largest element, and the rounding of its half-precision scale.
            let bound = largest * (0.5 / 127.0 + 1e-3) + 1e-6;
            for (g, w) in got.iter().zip(want) {
                assert!(
                    (g - w).abs() <= bound,
                    "{} block {block}: {g} for {w}",
                    tensor.name
                );
            }
        }
        compared += 1;
    }
    // 56 of the decoder, 69 of the tower, one of the connector.
    assert_eq!(compared, 126);
    assert_eq!(gguf.unused(), Vec::<&str>::new());
}

#[test]
fn blocks_that_stay_packed_give_the_logits_of_the_unpacked_ones() {
    let device = Device::flex();
    for dtype in [Dtype::Q8_0, Dtype::Q4_0] {
        let folder = converted(dtype);
        let unpacked = logits(&mut source(folder.path()), &device);
        let packed = logits(&mut source(folder.path()).keep_blocks(&device), &device);
        // The same numbers summed in another order.
        assert!(
            distance(&packed, &unpacked) < 1e-3,
            "{dtype}: {}",
            distance(&packed, &unpacked)
        );
    }
}

#[test]
fn eight_bits_barely_move_the_logits() {
    let device = Device::flex();
    let mut original = CheckpointSource::new(open_weights(&model()).unwrap());
    let want = logits(&mut original, &device);
    let got = logits(&mut source(converted(Dtype::Q8_0).path()), &device);
    // Measured 0.16 standard deviations at worst of 50,000 logits after a prompt of noise (0.04 with the model before, whose
    // attention was less sharp).
    assert!(distance(&got, &want) < 0.3, "{}", distance(&got, &want));
}

#[test]
fn a_quantised_bundle_is_half_as_large_and_captions() {
    let folder = converted(Dtype::Q8_0);
    let size = |path: PathBuf| std::fs::metadata(path).unwrap().len();
    let pair = size(folder.path().join("model.gguf")) + size(folder.path().join("mmproj.gguf"));
    assert!(
        pair * 10 < size(model().join("model.safetensors")) * 6,
        "{pair} bytes"
    );
    let files = open_bundle(folder.path()).unwrap();
    let device = Device::flex();
    let mut engine =
        pollster::block_on(Engine::load(files, &device, &Still, &mut |_, _| ())).unwrap();
    let photo = std::fs::read(root().join("web-demo/public/album/scene-0.png")).unwrap();
    let request = Request {
        retrieval: Retrieval::Off,
        ..Request::new(Kind::Caption)
    };
    let outcome = pollster::block_on(engine.run(&request, &photo, &Still, &mut |_| ())).unwrap();
    assert!(
        outcome.text.ends_with('.') && outcome.text.len() > 10,
        "{}",
        outcome.text
    );
}

/// What the page downloads is what the repository trains from, and not an older state of it.
#[test]
fn the_model_of_the_package_is_made_of_the_trained_one() {
    let made = converted(Dtype::Q8_0);
    write_manifest(made.path()).unwrap();
    let shipped = root().join("models/playroom-q8_0");
    let manifest = std::fs::read_to_string(shipped.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let files = manifest["files"].as_array().unwrap().iter();
    let names: Vec<&str> = files.map(|file| file["path"].as_str().unwrap()).collect();
    assert!(names.contains(&"model.gguf"), "{names:?}");
    for name in names.into_iter().chain(["manifest.json"]) {
        let [made, shipped] = [made.path(), &*shipped].map(|folder| folder.join(name));
        assert!(
            std::fs::read(made).unwrap() == std::fs::read(shipped).unwrap(),
            "{name}: run `namelens export --model models/playroom --precision q8_0 --out models/playroom-q8_0`"
        );
    }
}

#[test]
fn a_bundle_is_not_converted_onto_itself() {
    let folder = converted(Dtype::F32);
    let error = convert_bundle(folder.path(), folder.path(), Dtype::Q8_0).unwrap_err();
    assert!(error.to_string().contains("overwritten"), "{error}");
    assert!(folder.path().join("model.safetensors").exists());
}

/// A model of somebody else's lacks what a bundle tells beside its weights: nothing is written that could not be opened.
#[test]
fn what_is_no_bundle_is_left_to_convert() {
    let made = tempfile::tempdir().unwrap();
    let out = made.path().join("out");
    let folder = root().join("tests/fixtures/checkpoints/idefics3");
    let error = convert_bundle(&folder, &out, Dtype::Q8_0).unwrap_err();
    assert!(error.to_string().contains("namelens convert"), "{error}");
    assert!(!out.exists());
}
