//! Photos against Pillow and transformers (fixtures made by `tests/fixtures/image/make.py`), and hostile bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

pub(super) fn fixture(name: &str) -> Vec<u8> {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../tests/fixtures/image");
    fs::read(folder.join(name)).unwrap()
}

/// The photo of `make.py`'s `pattern`.
pub(super) fn pattern(width: u32, height: u32) -> Rgb8 {
    let mut pixels = Vec::new();
    for y in 0..u64::from(height) {
        for x in 0..u64::from(width) {
            for c in 0..3 {
                let v = x * 3 + y * 5 + c * 85 + (x * y) % 31 * 7 + (x * x + y * 3) % 17 * 5;
                pixels.push((v % 256) as u8);
            }
        }
    }
    Rgb8::new(width, height, pixels).unwrap()
}

#[test]
fn resizing_equals_pillow_bit_for_bit() {
    let small = [
        (74, 46),
        (16, 10),
        (37, 11),
        (90, 23),
        (100, 3),
        (3, 100),
        (1, 1),
        (36, 22),
    ];
    let mut cases: Vec<_> = small.map(|to| ((37, 23), to)).into();
    cases.extend([((1, 40), (5, 7)), ((300, 2), (20, 20)), ((1, 1), (4, 3))]);
    let golden = fixture("resized.rgb");
    let mut rest = golden.as_slice();
    for ((w, h), (width, height)) in cases {
        for filter in [Filter::Lanczos3, Filter::Bicubic, Filter::Bilinear] {
            let ours = resize(&pattern(w, h), width, height, filter).unwrap();
            let (expected, after) = rest.split_at((width * height * 3) as usize);
            assert!(
                ours.pixels == expected,
                "{w} x {h} to {width} x {height}, {filter:?}"
            );
            rest = after;
        }
    }
    assert!(rest.is_empty());
}

#[test]
fn processing_equals_transformers_bit_for_bit() {
    let cases: Vec<serde_json::Value> = serde_json::from_slice(&fixture("processed.json")).unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let number = |key: &str| case[key].as_u64().unwrap();
        let json = serde_json::json!({
            "image_processor_type": "Idefics3ImageProcessorFast",
            "size": {"longest_edge": number("longest")},
            "max_image_size": {"longest_edge": number("tile")},
            "do_image_splitting": case["split"],
            "resample": case["resample"],
        });
        let processor = ImageProcessor::from_json("p.json", &json.to_string()).unwrap();
        let photo = pattern(number("width") as u32, number("height") as u32);
        let done = processor.process(&photo).unwrap();
        assert_eq!(
            (done.rows as u64, done.cols as u64),
            (number("rows"), number("cols")),
            "{case}"
        );
        assert_eq!(done.frames.len() as u64, number("frames"), "{case}");
        let mut hash = Sha256::new();
        for frame in &done.frames {
            assert_eq!(Some(frame.width), processor.side());
            assert_eq!(frame.pixels.len(), 3 * frame.width * frame.height);
            frame
                .pixels
                .iter()
                .for_each(|v| hash.update(v.to_le_bytes()));
        }
        let hex: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, case["sha256"].as_str().unwrap(), "{case}");
    }
}

#[test]
fn configuration_errors_name_the_key() {
    for (json, key) in [
        ("[]", "(whole file)"),
        ("{", "(whole file)"),
        (r#"{"size": {"height": 3, "width": 3}}"#, "size"),
        (r#"{"size": {"longest_edge": 99999999999}}"#, "size"),
        (
            r#"{"max_image_size": {"longest_edge": 2}}"#,
            "max_image_size",
        ),
        (r#"{"resample": 0}"#, "resample"),
        (r#"{"image_std": [1, 0, 1]}"#, "image_std"),
        (r#"{"image_mean": [1, 0]}"#, "image_mean"),
        (r#"{"do_resize": 1}"#, "do_resize"),
        (r#"{"rescale_factor": "x"}"#, "rescale_factor"),
    ] {
        let json = json.replacen(
            '{',
            r#"{"image_processor_type": "SmolVLMImageProcessor", "#,
            usize::from(json.len() > 2),
        );
        match ImageProcessor::from_json("p.json", &json) {
            Err(Error::Config { key: found, .. }) => assert_eq!(found, key, "{json}"),
            other => panic!("{json}: {other:?}"),
        }
    }
}

/// Decodes a fixture and compares it with what Pillow made of it.
fn compare(name: &str, width: u32, height: u32, tolerance: u8) {
    let photo = decode(&fixture(name)).unwrap();
    assert_eq!((photo.width, photo.height), (width, height), "{name}");
    let expected = fixture(&format!("{name}.rgb"));
    assert_eq!(photo.pixels.len(), expected.len());
    let worst = photo
        .pixels
        .iter()
        .zip(&expected)
        .map(|(a, b)| a.abs_diff(*b))
        .max()
        .unwrap();
    assert!(
        worst <= tolerance,
        "{name}: differs from Pillow by {worst} levels"
    );
}

#[test]
fn lossless_formats_decode_exactly() {
    for name in [
        "rgb.png",
        "rgba.png",
        "palette.png",
        "grey.png",
        "grey16.png",
        "grey_alpha.png",
        "lossless.webp",
        "animated.webp",
        "animated.png",
    ] {
        compare(name, 12, 10, 0);
    }
}

#[test]
fn lossy_formats_decode_closely() {
    // The standards leave the inverse transform and chroma upsampling to the decoder: a few levels on a smooth ramp.
    for name in ["photo.jpg", "grey.jpg", "progressive.jpg", "lossy.webp"] {
        compare(name, 20, 24, 4);
    }
    // Four rounded planes are multiplied.
    compare("cmyk.jpg", 20, 24, 6);
}

#[test]
fn every_exif_orientation_comes_out_upright() {
    let expected = fixture("orientation.rgb");
    for (i, golden) in expected.chunks_exact(16 * 24 * 3).enumerate() {
        let photo = decode(&fixture(&format!("orientation_{}.jpg", i + 1))).unwrap();
        let size = if i < 4 { (24, 16) } else { (16, 24) };
        assert_eq!((photo.width, photo.height), size, "orientation {}", i + 1);
        // Flat colours, so the JPEG decoders agree to rounding; the ringing at the quadrant edges does not.
        let worst = photo
            .pixels
            .iter()
            .zip(golden)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap();
        assert!(worst <= 4, "orientation {}: {worst}", i + 1);
    }
    assert_eq!(expected.len(), 8 * 16 * 24 * 3);
}

#[test]
fn what_is_not_a_photo_is_refused_with_advice() {
    let jpeg = fixture("photo.jpg");
    for bytes in [
        &b""[..],
        b"GIF89a\x01\x00\x01\x00",
        b"hello",
        &jpeg[..40],
        &fixture("rgb.png")[..60],
    ] {
        let Err(Error::Image { problem }) = decode(bytes) else {
            panic!("accepted {bytes:?}")
        };
        assert!(
            problem.contains(';') || problem.contains('?'),
            "no advice in: {problem}"
        );
    }
}

#[test]
fn huge_declared_sizes_are_refused_before_allocation() {
    let crc = |bytes: &[u8]| {
        !bytes.iter().fold(!0u32, |crc, &b| {
            (0..8).fold(crc ^ u32::from(b), |c, _| {
                if c & 1 == 1 {
                    (c >> 1) ^ 0xEDB8_8320
                } else {
                    c >> 1
                }
            })
        })
    };
    // 16,385 breaks the side, 16,000 x 16,000 the area; what PNG itself forbids is the decoder's to refuse.
    for (width, height, expected) in [
        (16_385u32, 1u32, "too large"),
        (1, 16_385, "too large"),
        (16_000, 16_000, "too large"),
        (u32::MAX / 2, u32::MAX / 2, ""),
        (0, 5, ""),
    ] {
        let mut png = fixture("rgb.png");
        png[16..20].copy_from_slice(&width.to_be_bytes());
        png[20..24].copy_from_slice(&height.to_be_bytes());
        let sum = crc(&png[12..29]);
        png[29..33].copy_from_slice(&sum.to_be_bytes());
        let error = decode(&png).unwrap_err().to_string();
        assert!(error.contains(expected), "{width} x {height}: {error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn damaged_photos_never_panic(
        name in prop::sample::select(vec!["photo.jpg", "progressive.jpg", "cmyk.jpg", "rgba.png", "lossy.webp", "animated.webp", "orientation_6.jpg"]),
        cut in 0.0..1.0f64,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = fixture(name);
        if cut > 0.3 {
            bytes.truncate((bytes.len() as f64 * cut) as usize);
        }
        for (at, value) in flips {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
        }
        if let Ok(photo) = decode(&bytes) {
            prop_assert_eq!(photo.pixels.len(), photo.width as usize * photo.height as usize * 3);
        }
    }

    #[test]
    fn any_photo_processes(width in 1u32..90, height in 1u32..90, split: bool, longest in 1u32..200) {
        let json = format!(r#"{{"size": {{"longest_edge": {longest}}}, "max_image_size": {{"longest_edge": 24}}}}"#);
        let processor = ImageProcessor::from_json("p.json", &json).unwrap().with_image_splitting(split);
        let done = processor.process(&pattern(width, height)).unwrap();
        prop_assert_eq!(done.frames.len(), done.rows * done.cols + 1);
        prop_assert!(done.frames.iter().flat_map(|f| &f.pixels).all(|v| v.is_finite()));
    }
}
