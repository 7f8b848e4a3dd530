//! `namelens eval`: a run that was killed ends with the figures of one that was not, and libraries do not mix.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use burn::tensor::Device;
use namelens::evaluate::report::Report;
use namelens::export::open_bundle;
use namelens_engine::concepts::{Library, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::{Engine, Kind, Outcome, Request, Retrieval};
use playroom::{Rgb, SampleOptions};

fn model() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("../models/playroom")
}

/// Asks a few rows; `more` are further arguments.
fn eval(json: &Path, questions: &str, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_namelens"))
        .args(["eval", "--device", "cpu", "--rows"])
        .arg("refuse/unknown,caption/1/repic,caption/1/rap,recognize/unaided")
        .args(["--compare", "--questions", questions])
        .arg("--model")
        .arg(model())
        .arg("--json")
        .arg(json)
        .args(more)
        .output()
        .unwrap()
}

fn report(json: &Path) -> Report {
    let mut report: Report = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    for row in &mut report.rows {
        row.ms_per_question = 0.0;
    }
    report
}

#[test]
fn a_killed_evaluation_resumes_from_its_cache() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (whole, part, cache) = (path("whole.json"), path("part.json"), path("cache"));
    let cache = cache.to_str().unwrap();
    assert!(eval(&whole, "4", &[]).status.success());
    assert!(eval(&part, "2", &["--cache", cache]).status.success());
    // As a kill in the middle of a line leaves it.
    let file = path("cache/refuse-unknown.jsonl");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 5]).unwrap();
    let rest = eval(&part, "4", &["--cache", cache]);
    assert!(rest.status.success(), "{rest:?}");
    assert_eq!(report(&part), report(&whole));
    let rows: Vec<(String, usize)> = report(&whole)
        .rows
        .iter()
        .map(|row| (row.row.clone(), row.questions))
        .collect();
    let wanted = [
        "refuse/unknown",
        "recognize/unaided",
        "caption/1/repic-retrieval",
        "caption/1/repic-prompt",
        "caption/1/rap-prompt",
    ];
    assert_eq!(rows, wanted.map(|row| (row.to_owned(), 4)));
    let other = eval(&part, "4", &["--cache", cache, "--seed", "2"]);
    assert!(!other.status.success());
    assert!(String::from_utf8_lossy(&other.stderr).contains("--cache"));
    let unknown = eval(&part, "4", &["--rows", "captions"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("caption/1/skip"));
}

fn png(picture: &Rgb) -> Vec<u8> {
    let mut out = std::io::Cursor::new(Vec::new());
    let (side, kind) = (picture.size, image::ColorType::Rgb8);
    let format = image::ImageFormat::Png;
    image::write_buffer_with_format(&mut out, &picture.pixels, side, side, kind, format).unwrap();
    out.into_inner()
}

fn engine() -> Engine {
    let files = open_bundle(&model()).unwrap();
    pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ())).unwrap()
}

/// What is answered about `photo` when the library knows one thing, called Miso, by this reference.
fn asked(engine: &mut Engine, reference: &[u8], photo: &[u8]) -> Outcome {
    engine.library = Library::new("");
    let new = NewConcept {
        name: "Miso".into(),
        references: vec![Reference::new(reference.to_vec())],
        ..NewConcept::default()
    };
    let id = engine.library.add(new, 0).unwrap();
    let request = Request {
        hints: false,
        retrieval: Retrieval::Ids(vec![id]),
        ..Request::new(Kind::Caption)
    };
    pollster::block_on(engine.run(&request, photo, &Still, &mut |_| ())).unwrap()
}

#[test]
fn another_library_with_the_same_names_shows_its_own_photos() {
    let sample = |seed| playroom::sample(seed, &SampleOptions::default());
    let (one, other) = (sample(1), sample(2));
    let photo = png(&one.photo);
    let references = [png(&one.concepts[0].image), png(&other.concepts[0].image)];
    let mut shared = engine();
    let first = asked(&mut shared, &references[0], &photo);
    let second = asked(&mut shared, &references[1], &photo);
    let fresh = asked(&mut engine(), &references[1], &photo);
    assert_eq!(
        (&second.raw, second.confidence),
        (&fresh.raw, fresh.confidence)
    );
    assert_ne!(
        first.confidence, second.confidence,
        "the photos do not matter"
    );
}
