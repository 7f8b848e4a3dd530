//! `namelens find`: the right things in the right photos, whatever else lies in the folders and whenever it was stopped.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Stdio;

use burn::tensor::Device;
use namelens::export::open_bundle;
use namelens::photos::variants::collage;
use namelens_engine::concepts::retrieval::Mode;
use namelens_engine::host::Still;
use namelens_engine::image::{Rgb8, decode};
use namelens_engine::personalize::Engine;
use serde_json::Value;
use support::{
    CAN, DOG, album, fixture, iou, knowing_two, model, namelens, put, refused, run, stderr, stdout,
};

fn box_of(found: &Value) -> [f32; 4] {
    serde_json::from_value(found["box"].clone()).unwrap()
}

/// What `--json -` tells.
fn json(root: &Path, more: &[&str]) -> Value {
    let args = [&["find", "photos", "--json", "-"][..], more].concat();
    serde_json::from_str(&stdout(&run(root, &args))).unwrap()
}

/// Path and names of what was found.
fn names(report: &Value) -> Vec<(String, Vec<String>)> {
    let photos = report["photos"].as_array().unwrap().iter();
    photos
        .map(|photo| {
            let found = photo["found"].as_array().unwrap().iter();
            let names = found.map(|found| found["name"].as_str().unwrap().to_owned());
            let path = photo["path"].as_str().unwrap().replace('\\', "/");
            (path, names.collect())
        })
        .collect()
}

fn wanted() -> Vec<(String, Vec<String>)> {
    [
        ("photos/2024/can.jpg", vec!["Whale".to_owned()]),
        ("photos/2024/dog.jpg", vec!["Rex".to_owned()]),
        ("photos/cat.jpg", vec![]),
        ("photos/kitchen/teapot", vec![]),
    ]
    .map(|(path, names)| (path.to_owned(), names))
    .to_vec()
}

#[test]
fn things_are_found_where_they_are_and_nowhere_else() {
    let album = album();
    let root = album.path();
    let out = run(
        root,
        &["find", "photos", "--draw", "drawn", "--csv", "found.csv"],
    );
    let lines: Vec<String> = stdout(&out).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].contains("can.jpg  Whale ") && lines[0].contains(" % [0."),
        "{}",
        lines[0]
    );
    assert!(
        stderr(&out).contains("4 photos, 0 passed over: Rex in 1, Whale in 1"),
        "{}",
        stderr(&out)
    );
    // The same of what was kept, as JSON.
    let report = json(root, &[]);
    assert_eq!(names(&report), wanted());
    for (photo, truth) in [(0, CAN[1]), (1, DOG[1])] {
        let box_ = box_of(&report["photos"][photo]["found"][0]);
        assert!(iou(box_, truth) >= 0.5, "{box_:?} {truth:?}");
    }
    assert_eq!(report["things"]["Rex"], 1);
    // A line a place of a thing behind the titles, with the same numbers.
    let csv = fs::read_to_string(root.join("found.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        (rows.len(), rows[0][1], rows[1][1], rows[2][1]),
        (3, "name", "Whale", "Rex")
    );
    let left: f32 = rows[2][3].parse().unwrap();
    assert!((left - box_of(&report["photos"][1]["found"][0])[0]).abs() < 1e-3);
    // Copies of the two, of the photos' size, and the photos as they were.
    let copy = fs::read(root.join("drawn/2024/dog.jpg.boxes.jpg")).unwrap();
    let photo = fs::read(root.join("photos/2024/dog.jpg")).unwrap();
    assert_eq!(photo, fs::read(fixture("dog-1.jpg")).unwrap());
    let (copy, photo) = (decode(&copy).unwrap(), decode(&photo).unwrap());
    assert_eq!((copy.width, copy.height), (photo.width, photo.height));
    let pairs = copy.pixels.iter().zip(&photo.pixels);
    assert!(
        pairs.filter(|(a, b)| a.abs_diff(**b) > 60).count() > 300,
        "nothing is drawn"
    );
    assert!(!root.join("drawn/cat.jpg.boxes.jpg").exists());
}

#[test]
fn a_torn_or_damaged_cache_changes_no_answer() {
    let album = album();
    let root = album.path();
    let whole = json(root, &[]);
    let cache = root.join("things.json.cache");
    let bytes = fs::read(&cache).unwrap();
    let others = |report: &Value| report["photos"].clone();
    for length in [0, 5, 200, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&cache, &bytes[..length]).unwrap();
        assert_eq!(others(&json(root, &[])), others(&whole), "{length}");
        assert_eq!(others(&json(root, &[])), others(&whole), "{length}, again");
    }
    let mut damaged = bytes.clone();
    for at in (300..damaged.len()).step_by(5000) {
        damaged[at] ^= 0xff;
    }
    fs::write(&cache, damaged).unwrap();
    assert_eq!(others(&json(root, &[])), others(&whole));
    assert_eq!(others(&json(root, &["--no-cache"])), others(&whole));
    fs::write(&cache, "my diary").unwrap();
    let error = refused(root, &["find", "photos"]);
    assert!(error.contains("left as it is"), "{error}");
    assert_eq!(fs::read(&cache).unwrap(), b"my diary");
}

#[test]
fn another_library_needs_no_second_look() {
    let album = album();
    let root = album.path();
    json(root, &["--least", "0"]);
    let cache = root.join("things.json.cache");
    let size = fs::metadata(&cache).unwrap().len();
    // Moved, and read from a place where nothing can be decoded any more but by what was kept.
    fs::rename(root.join("photos/2024"), root.join("photos/old")).unwrap();
    run(root, &["library", "remove", "Rex"]);
    let report = json(root, &[]);
    let found: Vec<String> = names(&report)
        .into_iter()
        .flat_map(|(_, names)| names)
        .collect();
    assert_eq!(found, ["Whale"]);
    let grown = fs::metadata(&cache).unwrap().len() - size;
    // Two new places, and at most a closer look that the first library had no need of.
    assert!(grown < size, "{grown} of {size}");
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_named_and_passed_over() {
    let album = album();
    let root = album.path();
    let dog = fs::read(root.join("photos/2024/dog.jpg")).unwrap();
    put(root, "photos/half.jpg", &dog[..dog.len() / 2]);
    put(root, "photos/empty.png", b"");
    put(root, "photos/IMG_1.HEIC", b"\0\0\0\x18ftypheic\0\0\0\0");
    put(root, "photos/IMG_2.heic", b"\0\0\0\x18ftypheic\0\0\0\0");
    put(root, "photos/notes.txt", b"not a photo");
    put(root, "photos/film.mov", b"\0\0\0\x18ftypqt  \0\0\0\0");
    std::os::unix::fs::symlink(root.join("photos"), root.join("photos/2024/up")).unwrap();
    for (name, width, height) in [
        ("thin.png", 1, 10_000),
        ("flat.png", 10_000, 1),
        ("dot.png", 1, 1),
    ] {
        let pixels = vec![90; (width * height * 3) as usize];
        let path = root.join("photos").join(name);
        image::save_buffer(path, &pixels, width, height, image::ColorType::Rgb8).unwrap();
    }
    let out = run(root, &["find", "photos", "--json", "found.json"]);
    let said = stderr(&out);
    for part in [
        "half.jpg: ",
        "empty.png: ",
        "links back to",
        "2 HEIC files are not read",
        "7 photos, 5 passed over",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(
        !said.contains("notes.txt") && !said.contains("film.mov"),
        "{said}"
    );
    let report: Value =
        serde_json::from_slice(&fs::read(root.join("found.json")).unwrap()).unwrap();
    let found = names(&report)
        .into_iter()
        .filter(|(_, names)| !names.is_empty());
    assert_eq!(found.count(), 2);
    let kinds = report["passed"].as_array().unwrap().iter();
    let unsupported = kinds
        .filter(|passed| passed["kind"] == "unsupported")
        .count();
    assert_eq!(unsupported, 2);
    let error = refused(root, &["find", "photos/half.jpg"]);
    assert!(error.contains("not one photo could be read"), "{error}");
    let error = refused(root, &["find", "photos/nowhere"]);
    assert!(error.contains("cannot read photos/nowhere"), "{error}");
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let album = album();
    for more in [&[][..], &["--json", "-"], &["--csv", "-"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let args = [&["find", "photos/2024"][..], more].concat();
        let mut command = namelens(album.path(), &args);
        let out = command
            .stdout(writer)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(out.status.success(), "{more:?}: {}", stderr(&out));
        assert!(!stderr(&out).contains("panic"), "{}", stderr(&out));
    }
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let album = album();
    let root = album.path();
    for (args, part) in [
        (
            &["find", "photos", "--library", "nowhere.json"][..],
            "library --file nowhere.json add",
        ),
        (
            &["find", "photos", "--json", "-", "--csv", "-"],
            "would be mixed",
        ),
        (
            &["find", "photos/kitchen/..", "--cache", "photos/cat.jpg"],
            "is no cache",
        ),
    ] {
        let error = refused(root, args);
        assert!(error.contains(part), "{part}: {error}");
    }
    let out = namelens(root, &["find", "photos", "--least", "2"])
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(2));
    fs::create_dir(root.join("nothing")).unwrap();
    let error = refused(root, &["find", "nothing"]);
    assert!(error.contains("there are no photos"), "{error}");
}

/// The model, knowing the dog Rex and the can Whale.
fn engine() -> Engine {
    let files = open_bundle(&model()).unwrap();
    let (device, mut quiet) = (Device::flex(), |_, _| ());
    let engine = pollster::block_on(Engine::load(files, &device, &Still, &mut quiet));
    knowing_two(engine.unwrap())
}

#[test]
fn two_of_one_thing_get_a_box_each() {
    let engine = engine();
    let shown = |name: &str| decode(&fs::read(fixture(name)).unwrap()).unwrap();
    let (can, teapot) = (shown("can-1.jpg"), shown("teapot-0.jpg"));
    let search = |photos: [(&Rgb8, [f32; 4]); 2]| {
        let (canvas, truth) = collage(&photos, 384).unwrap();
        let (mut scan, retriever) = (None, engine.retriever().unwrap());
        let found = retriever.search(&canvas, &mut scan, "", &engine.library, Mode::Auto, &Still);
        (pollster::block_on(found).unwrap(), truth)
    };
    let (found, truth) = search([(&can, CAN[1]), (&can.mirrored(), mirrored(CAN[1]))]);
    assert_eq!(found.len(), 1, "{found:?}");
    let boxes: Vec<[f32; 4]> = found[0]
        .box_
        .into_iter()
        .chain(found[0].more_boxes.clone())
        .collect();
    assert_eq!(boxes.len(), 2, "{found:?}");
    for truth in truth {
        assert!(
            boxes.iter().any(|box_| iou(*box_, truth) >= 0.5),
            "{boxes:?} {truth:?}"
        );
    }
    let (found, _) = search([(&can, CAN[1]), (&teapot, [0.0, 0.0, 1.0, 1.0])]);
    assert_eq!(
        (found.len(), found[0].more_boxes.len()),
        (1, 0),
        "{found:?}"
    );
}

fn mirrored([left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
    [1.0 - right, top, 1.0 - left, bottom]
}

#[test]
fn what_is_kept_of_a_photo_finds_what_the_photo_does() {
    let engine = engine();
    let retriever = engine.retriever().unwrap();
    for name in ["dog-1.jpg", "can-1.jpg", "cat-0.jpg", "teapot-0.jpg"] {
        let photo = decode(&fs::read(fixture(name)).unwrap()).unwrap();
        let search = |scan: &mut Option<_>| {
            let found = retriever.search(&photo, scan, "", &engine.library, Mode::All, &Still);
            pollster::block_on(found).unwrap()
        };
        let plain = search(&mut None);
        let mut kept = Some(pollster::block_on(retriever.scan_to_keep(&photo, &Still)).unwrap());
        let rounded = search(&mut kept);
        let bytes = retriever.pack(kept.as_ref().unwrap()).unwrap();
        assert!(bytes.len() < 700_000, "{name}: {} bytes", bytes.len());
        let again = search(&mut retriever.unpack(&bytes));
        assert_eq!(rounded, again, "{name}");
        for (plain, rounded) in plain.iter().zip(&rounded) {
            let apart = (plain.score - rounded.score).abs();
            assert!(apart < 2e-3, "{name}: {} {}", plain.score, rounded.score);
            if let (Some(a), Some(b)) = (plain.box_, rounded.box_) {
                assert!(iou(a, b) > 0.9, "{name}: {a:?} {b:?}");
            }
        }
        println!("{name}: {} bytes", bytes.len());
    }
}
