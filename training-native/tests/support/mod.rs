//! What tests of `namelens find` and `namelens library` share: photos of things, and the program.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::Engine;

/// Where the dog is in `dog-0.jpg` and `dog-1.jpg`, the can in `can-0.jpg` and `can-1.jpg`.
pub const DOG: [[f32; 4]; 2] = [[0.07, 0.215, 0.915, 1.0], [0.215, 0.115, 0.855, 1.0]];
pub const CAN: [[f32; 4]; 2] = [[0.31, 0.165, 0.68, 0.845], [0.32, 0.24, 0.68, 0.91]];

fn here() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
}

pub fn fixture(name: &str) -> PathBuf {
    here().join("tests/fixtures/photos").join(name)
}

pub fn model() -> PathBuf {
    here().join("../models/photos").canonicalize().unwrap()
}

/// The program, in a folder.
pub fn namelens(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_namelens"));
    command.current_dir(folder).args(args);
    command
        .arg("--model")
        .arg(model())
        .args(["--device", "cpu"]);
    command
}

pub fn stdout(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned()
}

pub fn stderr(out: &Output) -> String {
    String::from_utf8_lossy(&out.stderr).into_owned()
}

/// Runs a command that must succeed, and says what it printed.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    let out = namelens(folder, args).output().unwrap();
    assert!(out.status.success(), "{args:?}: {}", stderr(&out));
    out
}

/// Runs a command that must fail, and returns what it says.
pub fn refused(folder: &Path, args: &[&str]) -> String {
    let out = namelens(folder, args).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {}", stderr(&out));
    stderr(&out)
}

/// `NAME=PHOTO@BOX` of a fixture.
pub fn spoken(name: &str, photo: &str, box_: [f32; 4]) -> String {
    let [left, top, right, bottom] = box_;
    let photo = fixture(photo);
    format!("{name}={}@{left},{top},{right},{bottom}", photo.display())
}

/// An engine that knows the dog Rex and the can Whale, as every one of its encoders sees them.
pub fn knowing_two(mut engine: Engine) -> Engine {
    for (name, photo, box_) in [("Rex", "dog-0.jpg", DOG[0]), ("Whale", "can-0.jpg", CAN[0])] {
        let photo = Reference::new(std::fs::read(fixture(photo)).unwrap()).with_box(Some(box_));
        let new = NewConcept {
            name: name.into(),
            references: vec![photo],
            ..NewConcept::default()
        };
        engine.library.add(new, 0).unwrap();
    }
    pollster::block_on(engine.embed_references(&Still)).unwrap();
    engine
}

/// A folder with `things.json`, which knows the dog Rex and the can Whale, and `photos/` with four photos.
pub fn album() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (dog, can) = (
        spoken("Rex", "dog-0.jpg", DOG[0]),
        spoken("Whale", "can-0.jpg", CAN[0]),
    );
    run(root, &["library", "add", &dog, &can]);
    for (name, place) in [
        ("dog-1.jpg", "photos/2024/dog.jpg"),
        ("can-1.jpg", "photos/2024/can.jpg"),
        ("cat-0.jpg", "photos/cat.jpg"),
        ("teapot-0.jpg", "photos/kitchen/teapot"),
    ] {
        put(root, place, &std::fs::read(fixture(name)).unwrap());
    }
    folder
}

/// Writes a file, and the folders it is in.
pub fn put(root: &Path, place: &str, bytes: &[u8]) {
    let path = root.join(place);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

pub fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |r: [f32; 4]| (r[2] - r[0]).max(0.0) * (r[3] - r[1]).max(0.0);
    let shared = area([
        a[0].max(b[0]),
        a[1].max(b[1]),
        a[2].min(b[2]),
        a[3].min(b[3]),
    ]);
    shared / (area(a) + area(b) - shared)
}
