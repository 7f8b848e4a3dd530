//! A DINOv2 folder as its authors publish it as what recognises things: a small random checkpoint, which knows nothing, and says so.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use burn::tensor::Device;
use namelens::export::open_bundle;
use namelens_engine::concepts::retrieval::Mode;
use namelens_engine::host::Still;
use namelens_engine::image::decode;
use namelens_engine::personalize::Engine;
use namelens_engine::personalize::inventory::Inventory;
use support::{CAN, DOG, fixture, knowing_two, spoken, stderr, stdout};

/// A calibration of random weights means nothing; it is there to be read.
const CALIBRATION: &str = r#"{"score": 9, "margin": 29, "bias": -7, "lone": {"score": 9, "bias": -7}, "similarity": {"absent": 0.8, "present": 0.9}}"#;
const CHECKPOINTS: [&str; 3] = ["dinov2", "dinov2-swiglu", "dinov2-registers"];

/// A copy of a checkpoint, as it is published or with a calibration.
fn published(name: &str, calibration: Option<&str>) -> tempfile::TempDir {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap());
    let from = here.join("../tests/fixtures/checkpoints").join(name);
    let folder = tempfile::tempdir().unwrap();
    for name in [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ] {
        fs::copy(from.join(name), folder.path().join(name)).unwrap();
    }
    if let Some(calibration) = calibration {
        fs::write(folder.path().join("retrieval.json"), calibration).unwrap();
    }
    folder
}

fn load(folder: &Path) -> namelens_engine::Result<Engine> {
    let files = open_bundle(folder).unwrap();
    pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ()))
}

fn with_things(folder: &Path) -> Engine {
    knowing_two(load(folder).unwrap())
}

#[test]
fn things_are_looked_for_and_what_was_seen_is_kept() {
    for name in CHECKPOINTS {
        let folder = published(name, Some(CALIBRATION));
        let engine = with_things(folder.path());
        let retriever = engine.retriever().unwrap();
        let photo = decode(&fs::read(fixture("dog-0.jpg")).unwrap()).unwrap();
        let search = |scan: &mut Option<_>| {
            let found = retriever.search(&photo, scan, "", &engine.library, Mode::All, &Still);
            pollster::block_on(found).unwrap()
        };
        let plain = search(&mut None);
        assert_eq!(plain.len(), 2, "{name}");
        for found in &plain {
            assert!(found.score.is_finite() && (0.0..=1.0).contains(&found.confidence.unwrap()));
            if let Some([left, top, right, bottom]) = found.box_ {
                assert!(0.0 <= left && left < right && right <= 1.0);
                assert!(0.0 <= top && top < bottom && bottom <= 1.0);
            }
        }
        // Even random features know the very photo again.
        assert!(plain[0].score > plain[1].score, "{name}: {plain:?}");
        let mut kept = Some(pollster::block_on(retriever.scan_to_keep(&photo, &Still)).unwrap());
        let rounded = search(&mut kept);
        let bytes = retriever.pack(kept.as_ref().unwrap()).unwrap();
        let mut back = retriever.unpack(&bytes);
        assert!(back.is_some());
        assert_eq!(rounded, search(&mut back), "{name}");
        for (plain, rounded) in plain.iter().zip(&rounded) {
            // Levels are a 127th of a cell's strongest feature; here they are spread three times as wide.
            assert!((plain.score - rounded.score).abs() < 0.02, "{name}");
        }
        let seen = pollster::block_on(retriever.salient_box(&photo, &mut None, &Still)).unwrap();
        assert!(seen[0] < seen[2] && seen[1] < seen[3]);
        let words = retriever.words(&photo, [0.0, 0.0, 1.0, 1.0], 5, &Still);
        assert!(pollster::block_on(words).unwrap().is_empty());
    }
}

#[test]
fn confidence_is_refused_rather_than_guessed() {
    let folder = published("dinov2", None);
    let engine = with_things(folder.path());
    let retriever = engine.retriever().unwrap();
    let photo = decode(&fs::read(fixture("can-0.jpg")).unwrap()).unwrap();
    let mut scan = None;
    let sightings = retriever.sightings(&photo, &mut scan, &engine.library, &Still);
    // Both, perhaps in several places.
    let sightings = pollster::block_on(sightings).unwrap();
    for id in ["rex", "whale"] {
        let own = sightings.iter().find(|one| one.concept == id).unwrap();
        assert!(own.score.is_finite() && own.confidence.is_none());
    }
    let mut scan = None;
    let found = retriever.search(&photo, &mut scan, "", &engine.library, Mode::Auto, &Still);
    let error = pollster::block_on(found).unwrap_err().to_string();
    assert!(error.contains("eval photos"), "{error}");
    // The similarities of another encoder are not those the search knows.
    let half = r#"{"score": 9, "margin": 29, "bias": -7, "lone": {"score": 9, "bias": -7}}"#;
    let error = load(published("dinov2", Some(half)).path()).unwrap_err();
    assert!(error.to_string().contains("similarity"), "{error}");
}

#[test]
fn headers_tell_what_it_needs() {
    for (name, parameters) in [("dinov2", 44_304), ("dinov2-registers", 44_448)] {
        let folder = published(name, None);
        let files = open_bundle(folder.path()).unwrap();
        let inventory = Inventory::take(files, &Device::flex()).unwrap();
        assert_eq!(inventory.problems, Vec::<String>::new());
        assert!(inventory.family.starts_with("dinov2"));
        assert_eq!(inventory.parts[0].parameters, parameters);
        let told = &inventory.optional[0].problem;
        assert!(told.contains("eval photos"), "{told}");
    }
    let folder = published("dinov2", Some(CALIBRATION));
    fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let files = open_bundle(folder.path()).unwrap();
    let inventory = Inventory::take(files, &Device::flex()).unwrap();
    assert!(inventory.problems[0].contains("preprocessor_config.json"));
    assert!(load(folder.path()).is_err());
}

/// The first model with the encoders of others beside its own.
fn beside(folders: &[&Path]) -> namelens_engine::Result<Engine> {
    let mut files = open_bundle(folders[0]).unwrap();
    for other in &folders[1..] {
        files.add_retriever_of(open_bundle(other).unwrap())?;
    }
    pollster::block_on(Engine::load(files, &Device::flex(), &Still, &mut |_, _| ()))
}

#[test]
fn several_encoders_look_at_one_photo() {
    let [first, second] =
        ["dinov2", "dinov2-registers"].map(|name| published(name, Some(CALIBRATION)));
    let photos = support::model();
    let engine = knowing_two(beside(&[&photos, first.path(), second.path()]).unwrap());
    let retriever = engine.retriever().unwrap();
    assert_eq!(retriever.count(), 3);
    let digests: Vec<&str> = retriever.digest().split('+').collect();
    assert_eq!(digests.len(), 3);
    assert!(engine.library.unseen_references().is_empty());
    for concept in engine.library.list() {
        let embedded = &concept.references[0].embedded;
        let by: Vec<&str> = embedded.iter().map(|one| one.encoder.as_str()).collect();
        assert_eq!(by, digests);
    }
    let alone: Vec<Engine> = [&*photos, first.path(), second.path()]
        .into_iter()
        .map(with_things)
        .collect();
    for name in ["dog-1.jpg", "can-1.jpg"] {
        let photo = decode(&fs::read(fixture(name)).unwrap()).unwrap();
        let search = |engine: &Engine, scan: &mut Option<_>| {
            let retriever = engine.retriever().unwrap();
            let found = retriever.search(&photo, scan, "", &engine.library, Mode::All, &Still);
            pollster::block_on(found).unwrap()
        };
        let together = search(&engine, &mut None);
        // Of each thing, what the surest of them says when it is alone.
        for found in &together {
            let by: Vec<_> = alone
                .iter()
                .map(|engine| search(engine, &mut None))
                .filter_map(|all| all.into_iter().find(|one| one.id == found.id))
                .collect();
            let sure = |one: &namelens_engine::concepts::Retrieved| one.confidence.unwrap();
            let surest = by.iter().max_by(|a, b| sure(a).total_cmp(&sure(b)));
            assert_eq!(sure(found), sure(surest.unwrap()), "{name}: {}", found.name);
            assert!(by.iter().any(|one| one.box_ == found.box_), "{name}");
        }
        let mut kept = Some(pollster::block_on(retriever.scan_to_keep(&photo, &Still)).unwrap());
        let rounded = search(&engine, &mut kept);
        let bytes = retriever.pack(kept.as_ref().unwrap()).unwrap();
        let mut back = retriever.unpack(&bytes);
        assert!(back.is_some());
        assert_eq!(rounded, search(&engine, &mut back));
        // To another list of encoders they are nothing.
        assert!(
            alone
                .iter()
                .all(|engine| engine.retriever().unwrap().unpack(&bytes).is_none())
        );
    }
}

#[test]
fn encoders_that_cannot_be_compared_do_not_stand_beside_each_other() {
    let calibrated = published("dinov2", Some(CALIBRATION));
    let photos = support::model();
    let bare = published("dinov2-registers", None);
    let problems = |folders: &[&Path]| {
        let mut files = open_bundle(folders[0]).unwrap();
        for other in &folders[1..] {
            files.add_retriever_of(open_bundle(other).unwrap()).unwrap();
        }
        Inventory::take(files, &Device::flex()).unwrap().problems
    };
    for (folders, told) in [
        ([&*photos, bare.path()], "eval photos"),
        ([bare.path(), &*photos], "eval photos"),
        ([&*photos, &*photos], "twice"),
    ] {
        let error = beside(&folders).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
        // Headers tell as much.
        let problems = problems(&folders);
        assert!(
            problems.iter().any(|one| one.contains(told)),
            "{problems:?}"
        );
    }
    assert_eq!(
        problems(&[&photos, calibrated.path()]),
        Vec::<String>::new()
    );
    // One that knows the Playroom's toys has no say in photographs.
    let playroom = photos.join("../playroom");
    let mixed = beside(&[&photos, &playroom]).unwrap_err().to_string();
    assert!(mixed.contains("Playroom"), "{mixed}");
}

fn namelens(args: &[&str], model: &Path) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_namelens"));
    command.args(args).arg("--model").arg(model);
    command.args(["--device", "cpu"]).output().unwrap()
}

#[test]
fn the_commands_take_it_once_it_is_calibrated() {
    let bare = published("dinov2-registers", None);
    let place = tempfile::tempdir().unwrap();
    let things = place.path().join("things.json");
    let things = things.to_str().unwrap();
    let rex = spoken("Rex", "dog-0.jpg", DOG[0]);
    let whale = spoken("Whale", "can-0.jpg", CAN[0]);
    let add = ["library", "--file", things, "add", &rex, &whale];
    let refused = namelens(&add, bare.path());
    assert_eq!(refused.status.code(), Some(1), "{}", stderr(&refused));
    assert!(
        stderr(&refused).contains("--calibrate"),
        "{}",
        stderr(&refused)
    );
    assert!(!Path::new(things).exists());

    let calibrated = published("dinov2-registers", Some(CALIBRATION));
    let added = namelens(&add, calibrated.path());
    assert!(added.status.success(), "{}", stderr(&added));
    let photo = fixture("dog-1.jpg");
    let find = [
        "find",
        photo.to_str().unwrap(),
        "--library",
        things,
        "--json",
        "-",
    ];
    let found = namelens(&find, calibrated.path());
    assert!(found.status.success(), "{}", stderr(&found));
    let report: serde_json::Value = serde_json::from_str(&stdout(&found)).unwrap();
    assert!(report.is_object(), "{report}");

    let second = published("dinov2", Some(CALIBRATION));
    let told = namelens(
        &[
            "caption",
            photo.to_str().unwrap(),
            "--concept",
            &rex,
            "--retriever",
            calibrated.path().to_str().unwrap(),
            "--retriever",
            second.path().to_str().unwrap(),
        ],
        &support::model(),
    );
    assert!(told.status.success(), "{}", stderr(&told));
    let mut check = std::process::Command::new(env!("CARGO_BIN_EXE_namelens"));
    let checked = check.arg("check").arg(bare.path()).output().unwrap();
    assert!(checked.status.success(), "{}", stderr(&checked));
    let told = stdout(&checked);
    assert!(
        told.contains("dinov2_with_registers") && told.contains("--calibrate"),
        "{told}"
    );
}
