//! Photo files of every kind against Pillow (made by `tests/fixtures/generate/photos.py`), whole, cut and damaged.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde::Deserialize;

use super::tests::fixture;
use super::*;

/// A file that is decoded, and where its picture stands in `shown.png`.
#[derive(Deserialize)]
struct Shown {
    name: String,
    width: u32,
    height: u32,
    row: usize,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    reason: String,
}

fn list<T: for<'de> Deserialize<'de>>(name: &str) -> Vec<T> {
    serde_json::from_slice(&photo(name)).unwrap()
}

fn photo(name: &str) -> Vec<u8> {
    fixture(&format!("photos/{name}"))
}

/// Why a file is refused, with the advice that every refusal gives.
fn reason(name: &str, bytes: &[u8]) -> String {
    match decode(bytes) {
        Err(Error::Image { problem }) => {
            assert!(problem.contains("; "), "{name}: no advice in: {problem}");
            problem
        }
        other => panic!(
            "{name}: {:?}",
            other.map(|photo| (photo.width, photo.height))
        ),
    }
}

#[test]
fn every_kind_of_file_shows_what_pillow_shows() {
    let sheet = decode(&photo("shown.png")).unwrap();
    let files: Vec<Shown> = list("shown.json");
    assert!(files.len() > 80);
    for file in files {
        let ours = decode(&photo(&file.name)).unwrap_or_else(|e| panic!("{}: {e}", file.name));
        assert_eq!(
            (ours.width, ours.height),
            (file.width, file.height),
            "{}",
            file.name
        );
        let rows = sheet
            .pixels
            .chunks_exact(3 * sheet.width as usize)
            .skip(file.row);
        let expected = rows
            .take(file.height as usize)
            .flat_map(|row| &row[..3 * file.width as usize]);
        let off: Vec<u8> = ours
            .pixels
            .iter()
            .zip(expected)
            .map(|(a, b)| a.abs_diff(*b))
            .collect();
        assert_eq!(off.len(), ours.pixels.len());
        // The standard leaves the inverse transform and the upsampling of colours to the decoder: a few levels on the smooth
        // ramps of these files. PNG and lossless WebP leave nothing.
        let (most, mean) = if file.name.ends_with(".jpg") {
            (4, 1.0)
        } else {
            (0, 0.0)
        };
        let worst = *off.iter().max().unwrap();
        let sum: f64 = off.iter().map(|&v| f64::from(v)).sum();
        assert!(
            worst <= most,
            "{}: differs from Pillow by {worst} levels",
            file.name
        );
        assert!(
            sum <= mean * off.len() as f64,
            "{}: differs on the whole",
            file.name
        );
    }
}

#[test]
fn what_cannot_be_shown_is_refused_and_named() {
    let files: Vec<Refused> = list("refused.json");
    assert!(files.len() > 25);
    for file in files {
        let problem = reason(&file.name, &photo(&file.name));
        assert!(problem.contains(&file.reason), "{}: {problem}", file.name);
    }
}

/// Whether a part of a file gives the whole picture or none.
fn whole_or_refused(name: &str, part: &[u8], whole: &Rgb8) {
    if let Ok(photo) = decode(part) {
        let length = part.len();
        assert!(
            photo == *whole,
            "{name}: another picture from {length} bytes"
        );
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_or_the_whole_picture() {
    let files: Vec<Shown> = list("shown.json");
    let others = [
        "photo.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "grey16.png",
        "animated.png",
        "lossy.webp",
        "animated.webp",
    ];
    let mut refused = 0;
    for (name, bytes) in files
        .iter()
        .map(|file| (file.name.as_str(), photo(&file.name)))
        .chain(others.map(|name| (name, fixture(name))))
    {
        let whole = decode(&bytes).unwrap();
        for cut in 0..bytes.len() {
            whole_or_refused(name, &bytes[..cut], &whole);
            refused += usize::from(decode(&bytes[..cut]).is_err());
        }
    }
    assert!(refused > 30_000, "{refused} cuts were refused");
}

#[test]
fn a_jpeg_cut_anywhere_and_closed_is_refused_or_the_whole_picture() {
    // What a download that was cut looks like once an editor has "repaired" it: every viewer shows grey for the rest.
    let files: Vec<Shown> = list("shown.json");
    for file in files.iter().filter(|file| file.name.ends_with(".jpg")) {
        let bytes = photo(&file.name);
        let whole = decode(&bytes).unwrap();
        // What is gone with a cut between the headers is told by them alone: the turn, the kind of colours.
        let scan = bytes
            .windows(2)
            .position(|pair| pair == [0xFF, 0xDA])
            .unwrap();
        for cut in scan..bytes.len() {
            let closed = [&bytes[..cut], &[0xFF, 0xD9]].concat();
            whole_or_refused(&file.name, &closed, &whole);
        }
    }
}

#[test]
fn sides_and_pixels_are_bounded_before_a_jpeg_is_decoded() {
    let tall = photo("420.jpg");
    let frame = tall
        .windows(2)
        .position(|pair| pair == [0xFF, 0xC0])
        .unwrap();
    for (width, height, expected) in [
        (16_385u16, 1u16, "too large"),
        (1, 65_535, "too large"),
        (12_000, 12_000, "too large"),
        (0, 5, "empty"),
        (16_000, 6_000, "scan ends 0 %"),
    ] {
        let mut bytes = tall.clone();
        bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
        bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
        let problem = reason("resized header", &bytes);
        assert!(problem.contains(expected), "{width} x {height}: {problem}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn damaged_files_of_every_kind_never_panic(
        file: prop::sample::Index,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        lost in prop::option::of((any::<prop::sample::Index>(), 1..9usize)),
    ) {
        let files: Vec<Shown> = list("shown.json");
        let mut bytes = photo(&files[file.index(files.len())].name);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some((at, count)) = lost {
            let at = at.index(bytes.len());
            bytes.drain(at..(at + count).min(bytes.len()));
        }
        if let Ok(photo) = decode(&bytes) {
            prop_assert_eq!(photo.pixels.len(), photo.width as usize * photo.height as usize * 3);
        }
    }
}
