//! From messages and photos as files to tokens: a checkpoint folder as it is, through the engine's front door.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::tensor::Device;
use namelens_engine::host::Still;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::personalize::{Engine, Kind, Request};
use namelens_engine::text::{Message, Part};
use namelens_tests::golden::{Case, Checkpoint, bundle, distance, vlms, writers};
#[cfg(feature = "wgpu")]
use namelens_tests::network_bar;
use namelens_tests::{floats, gap};
use serde_json::Value;

/// As in `goldens.rs`: f32 in another order of summation, against bugs of 1e-3 and more.
const BAR: f32 = 1e-4;

/// The picture `name` of a case as the bytes of a file.
fn photo(case: &Case, name: &str) -> Vec<u8> {
    let (shape, levels) = case.ints(name).unwrap();
    let pixels = levels.into_iter().map(|level| level as u8).collect();
    let picture = image::RgbImage::from_raw(shape[1] as u32, shape[0] as u32, pixels).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}

/// A conversation of a case, and its photos as files.
fn chat(case: &Case, row: &Value) -> (Vec<Message>, Vec<Vec<u8>>) {
    let mut photos = Vec::new();
    let mut part = |part: &Value| match part["type"].as_str().unwrap() {
        "image" => {
            photos.push(photo(case, part["tensor"].as_str().unwrap()));
            Part::Image
        }
        _ => Part::Text(part["text"].as_str().unwrap().to_owned()),
    };
    let messages = row.as_array().unwrap().iter().map(|message| Message {
        role: message["role"].as_str().unwrap().to_owned(),
        content: message["content"]
            .as_array()
            .unwrap()
            .iter()
            .map(&mut part)
            .collect(),
    });
    (messages.collect(), photos)
}

/// Every row of every case through [`Engine::inspect`], held to the golden: ids, pixels, visual tokens, logits, greedy ids.
fn walk(checkpoint: &Checkpoint, device: &Device, bar: f32) -> f32 {
    let mut worst = 0.0f32;
    let config = VlmConfig::from_json(&checkpoint.config.to_string()).unwrap();
    for case in checkpoint.cases() {
        let files = bundle(checkpoint.files(&case.meta["processing"]));
        let engine = pollster::block_on(Engine::load(files, device, &Still, &mut |_, _| ()));
        let engine = engine.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let (rows, padding) = case.rows();
        let (shape, logits) = case.floats("logits").unwrap();
        let (steps, greedy) = case.ints("greedy_ids").unwrap();
        let mut frames: Vec<f32> = Vec::new();
        for (row, messages) in case.meta["messages"].as_array().unwrap().iter().enumerate() {
            let (messages, photos) = chat(&case, messages);
            let found =
                pollster::block_on(engine.inspect(&messages, &photos, steps[1], &Still)).unwrap();
            assert_eq!(
                found.input_ids,
                rows[row][padding[row]..],
                "{}: ids of row {row}",
                case.name
            );
            frames.extend(found.pixel_values.iter().flat_map(|photo| &photo.values));
            let first = (row * shape[1] + padding[row]) * shape[2];
            let want = &logits[first..(row + 1) * shape[1] * shape[2]];
            let far = distance(&found.logits.values, want);
            assert!(
                far <= bar,
                "{}: logits of row {row} {far:.1e} deviations off",
                case.name
            );
            worst = worst.max(far);
            let want: Vec<u32> = greedy[row * steps[1]..][..steps[1]]
                .iter()
                .map(|&id| id as u32)
                .collect();
            assert_eq!(
                found.greedy_ids, want,
                "{}: greedy tokens of row {row}",
                case.name
            );
        }
        let want = case.frames(checkpoint, &config, &Device::flex());
        let want: Vec<f32> = want.into_iter().flat_map(floats).collect();
        assert_eq!(frames.len(), want.len(), "{}: pixels", case.name);
        // The reference's own bytes, normalised: not one level off.
        let off = frames
            .iter()
            .zip(&want)
            .position(|(a, b)| gap(*a, *b) > 1e-6);
        assert_eq!(off, None, "{}: a pixel differs", case.name);
    }
    worst
}

#[test]
fn a_folder_answers_as_the_reference_does() {
    for checkpoint in writers() {
        let worst = walk(&checkpoint, &Device::flex(), BAR);
        println!("whole | {} | {worst:.1e}", checkpoint.name);
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_answers_as_the_reference_does() {
    for device in namelens_tests::gpus() {
        for checkpoint in writers() {
            let worst = walk(&checkpoint, &device, network_bar(&device, BAR));
            println!("whole on {device:?} | {} | {worst:.1e}", checkpoint.name);
        }
    }
}

/// What a checkpoint says of the first scene of the page's album, as the page asks.
fn caption(checkpoint: &Checkpoint, device: &Device) -> String {
    let album = root().join("web-demo/public/album");
    let list: Value =
        serde_json::from_slice(&std::fs::read(album.join("album.json")).unwrap()).unwrap();
    let scenes = list.as_array().unwrap().iter();
    let scene = scenes
        .clone()
        .find(|photo| photo["role"] == "scene")
        .unwrap();
    let photo = std::fs::read(album.join(scene["file"].as_str().unwrap())).unwrap();
    let files = bundle(checkpoint.files(&Value::Null));
    let engine = pollster::block_on(Engine::load(files, device, &Still, &mut |_, _| ()));
    let request = Request::new(Kind::Caption);
    let said = pollster::block_on(engine.unwrap().run(&request, &photo, &Still, &mut |_| ()));
    said.unwrap().text
}

/// What every backend must say of a photo with each family's random weights: here on the CPU, below on Vulkan, and in
/// `tests/browser/families.spec.ts` on the CPU and on WebGPU. `NAMELENS_BLESS=1` writes it anew.
#[test]
fn the_cpu_says_of_the_scene_what_the_fixture_holds() {
    let path = root().join("tests/fixtures/scene.json");
    let said: BTreeMap<String, String> = vlms()
        .iter()
        .map(|checkpoint| {
            (
                checkpoint.name.clone(),
                caption(checkpoint, &Device::flex()),
            )
        })
        .collect();
    if std::env::var_os("NAMELENS_BLESS").is_some() {
        std::fs::write(&path, serde_json::to_string_pretty(&said).unwrap() + "\n").unwrap();
    }
    let fixture: BTreeMap<String, String> =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(said, fixture);
}

#[cfg(feature = "wgpu")]
#[test]
fn a_gpu_says_of_the_scene_what_the_fixture_holds() {
    let fixture = std::fs::read(root().join("tests/fixtures/scene.json")).unwrap();
    let fixture: BTreeMap<String, String> = serde_json::from_slice(&fixture).unwrap();
    // Not on CUDA: what random weights say next is decided by less than its products are rounded by.
    let device = namelens_tests::wgpu();
    for checkpoint in vlms() {
        assert_eq!(
            caption(&checkpoint, &device),
            fixture[&checkpoint.name],
            "{}",
            checkpoint.name
        );
    }
}

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}
