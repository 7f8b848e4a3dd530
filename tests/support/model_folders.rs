//! Writes model folders of the forms that strangers publish, and what the native engine says with each: for the browser specs.
//!
//! `model-folders OUT` makes `OUT/<form>/` and `OUT/said.json`. Made anew for every run, since each would be half a megabyte of
//! random numbers in the repository.
#![allow(
    clippy::unwrap_used,
    reason = "a step of the test suite; what fails must stop it"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use namelens::bundle::FileSource;
use namelens::export::{Conversion, Types, convert};
use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::{Choice, Engine, Kind, ModelFiles, Request};
use namelens_engine::weights::Dtype;
use namelens_tests::album::root;
use serde_json::Value;

fn main() {
    let out = PathBuf::from(std::env::args().nth(1).unwrap());
    let checkpoints = root().join("tests/fixtures/checkpoints");
    let smolvlm = checkpoints.join("smolvlm");
    if out.exists() {
        fs::remove_dir_all(&out).unwrap();
    }
    let mut said = BTreeMap::new();
    // The hub's GGUF repositories: nothing but two files, or more where there are several projectors.
    let hub = [
        ("model.gguf", "SmolVLM-256M-Instruct-f16.gguf"),
        ("mmproj.gguf", "mmproj-SmolVLM-256M-Instruct-f16.gguf"),
    ];
    gguf(&smolvlm, &out.join("hub"), None, |name| {
        hub.iter().find(|(ours, _)| *ours == name).unwrap().1.into()
    });
    gguf(&smolvlm, &out.join("two"), None, |name| {
        hub.iter().find(|(ours, _)| *ours == name).unwrap().1.into()
    });
    let projector = out.join("two").join(hub[1].1);
    let other = out.join("two/mmproj-SmolVLM-256M-Instruct-BF16.gguf");
    fs::copy(projector, other).unwrap();
    split(&smolvlm, &out.join("split"));
    retriever(
        &smolvlm,
        &checkpoints.join("siglip"),
        &out.join("retriever"),
    );
    for form in ["hub", "split", "retriever"] {
        said.insert(form, caption(&out.join(form)));
    }
    let text = serde_json::to_string_pretty(&said).unwrap();
    fs::write(out.join("said.json"), text + "\n").unwrap();
}

/// The GGUF files of a checkpoint, each under the name that `called` gives it, and nothing else.
fn gguf(from: &Path, out: &Path, split: Option<u64>, called: impl Fn(&str) -> String) {
    let work = tempfile::tempdir().unwrap();
    let types = Types {
        text: Dtype::F16,
        vision: Dtype::F16,
        embeddings: Dtype::F16,
    };
    let conversion = Conversion {
        types,
        split,
        force: false,
    };
    convert(from, work.path(), conversion, &mut |_, _| ()).unwrap();
    fs::create_dir_all(out).unwrap();
    for entry in fs::read_dir(work.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".gguf") {
            fs::copy(work.path().join(&name), out.join(called(&name))).unwrap();
        }
    }
}

/// A text model in three parts.
fn split(from: &Path, out: &Path) {
    for bytes in (10_000..400_000).step_by(5_000) {
        gguf(from, out, Some(bytes), |name| match name {
            "mmproj.gguf" => "mmproj-Model-f16.gguf".into(),
            part => part.replace("model-", "Model-f16-"),
        });
        if out.join("Model-f16-00001-of-00003.gguf").exists() {
            return;
        }
        fs::remove_dir_all(out).unwrap();
    }
    panic!("no size of parts makes three");
}

/// A checkpoint with a dual encoder of its own way of preparing photos.
fn retriever(captioner: &Path, dual: &Path, out: &Path) {
    fs::create_dir_all(out.join("retriever")).unwrap();
    for entry in fs::read_dir(captioner).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, out.join(path.file_name().unwrap())).unwrap();
        }
    }
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        fs::copy(dual.join(name), out.join("retriever").join(name)).unwrap();
    }
    // Of random weights no similarity means anything: everything counts as found.
    let thresholds = r#"{ "window": -1, "whole": -1 }"#;
    fs::write(out.join("retriever/retrieval.json"), thresholds).unwrap();
}

/// What the model says of the first scene of the page's album, which shows a thing that was named; as the page does it.
fn caption(folder: &Path) -> String {
    let mut files = ModelFiles::default();
    for below in ["", "retriever/"] {
        let Ok(entries) = fs::read_dir(folder.join(below)) else {
            continue;
        };
        for path in entries
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
        {
            let name = format!("{below}{}", path.file_name().unwrap().to_string_lossy());
            files.insert(name, Box::new(FileSource::open(&path).unwrap()));
        }
    }
    files.select(&Choice::default()).unwrap();
    let mut engine =
        pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ())).unwrap();
    let (thing, photo) = album("reference");
    let text = |key: &str| thing[key].as_str().unwrap_or_default().to_owned();
    // The page knows more of its own things than their names, and the captioner is told it.
    let named = NewConcept {
        name: "Miso".into(),
        category: text("category"),
        info: text("info"),
        references: vec![Reference::new(photo)],
        ..NewConcept::default()
    };
    engine.library.add(named, 0).unwrap();
    pollster::block_on(engine.embed_references(&Still)).unwrap();
    let request = Request::new(Kind::Caption);
    pollster::block_on(engine.run(&request, &album("scene").1, &Still, &mut |_| ()))
        .unwrap()
        .text
}

/// What the album says of its first photo of a role, and the photo.
fn album(role: &str) -> (Value, Vec<u8>) {
    let album = root().join("web-demo/public/album");
    let list: Vec<Value> =
        serde_json::from_slice(&fs::read(album.join("album.json")).unwrap()).unwrap();
    let mut photos = list.into_iter();
    let entry = photos.find(|photo| photo["role"] == role).unwrap();
    let photo = fs::read(album.join(entry["file"].as_str().unwrap())).unwrap();
    (entry, photo)
}
