//! The embedded model and the album of the page, as the browser story uses them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::PathBuf;

use burn::tensor::Device;
use namelens::export::open_bundle;
use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::Engine;

/// The root of the checkout.
///
/// # Panics
/// Outside cargo.
pub fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

/// The folder of the Playroom's model as it was trained, in 16 bits.
pub fn model() -> PathBuf {
    root().join("models/playroom")
}

/// The folder of the same model as the package carries it, in 8 bits.
pub fn embedded() -> PathBuf {
    root().join("models/playroom-q8_0")
}

/// A photo of the album, by its file name.
///
/// # Panics
/// When there is none.
pub fn photo(file: &str) -> Vec<u8> {
    std::fs::read(root().join("web-demo/public/album").join(file)).unwrap()
}

/// The name the browser story gives to the first thing of the album.
pub const NAME: &str = "Zuzu Lint";

/// The embedded model with the first thing of the album in its library, and the first scene.
///
/// # Panics
/// When the model or the album cannot be read.
pub fn introduced(device: &Device) -> (Engine, Vec<u8>) {
    introduced_with(device, &["category", "info"])
}

/// The same, where no more than a name and a photo is known of the thing.
///
/// # Panics
/// As [`introduced`].
pub fn introduced_by_name_alone(device: &Device) -> (Engine, Vec<u8>) {
    introduced_with(device, &[])
}

fn introduced_with(device: &Device, known: &[&str]) -> (Engine, Vec<u8>) {
    let album = root().join("web-demo/public/album");
    let list = std::fs::read_to_string(album.join("album.json")).unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    let first = |role: &str| list.iter().find(|photo| photo["role"] == role).unwrap();
    let bytes = |photo: &serde_json::Value| {
        std::fs::read(album.join(photo["file"].as_str().unwrap())).unwrap()
    };
    let text = |key: &str| {
        let text = first("reference")[key].as_str().unwrap_or_default();
        if known.contains(&key) { text } else { "" }.to_owned()
    };
    let files = open_bundle(&embedded()).unwrap();
    let mut engine =
        pollster::block_on(Engine::load(files, device, &Still, &mut |_, _| ())).unwrap();
    let new = NewConcept {
        name: NAME.into(),
        category: text("category"),
        info: text("info"),
        references: vec![Reference::new(bytes(first("reference")))],
        ..Default::default()
    };
    engine.library.add(new, 0).unwrap();
    pollster::block_on(engine.embed_references(&Still)).unwrap();
    (engine, bytes(first("scene")))
}

/// The Playroom's model, and what its file says of it.
///
/// # Panics
/// When it cannot be read whole.
pub fn vlm(device: &Device) -> (Vlm, VlmConfig) {
    let config = std::fs::read_to_string(model().join("config.json")).unwrap();
    let config = VlmConfig::from_json(&config).unwrap();
    let mut source = CheckpointSource::new(namelens::bundle::open_weights(&model()).unwrap());
    let model = Vlm::new(&mut ParamBuilder::new(&mut source, device), &config).unwrap();
    assert_eq!(source.unused(), Vec::<&str>::new());
    (model, config)
}
