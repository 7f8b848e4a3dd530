//! Records: limits, trimming, ids, embeddings.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn concept(name: &str) -> Concept {
    Concept {
        id: "x".into(),
        name: name.into(),
        aliases: vec![],
        category: String::new(),
        info: String::new(),
        references: vec![],
        created_ms: 0,
        updated_ms: 0,
    }
}

#[test]
fn names_are_trimmed_and_limited() {
    let mut ok = concept("  Captain Biscuit 🐈 ");
    ok.aliases = vec!["Cap".into(), " Cap ".into(), "Captain Biscuit 🐈".into()];
    ok.normalise().unwrap();
    assert_eq!(
        (ok.name.as_str(), ok.aliases.as_slice()),
        ("Captain Biscuit 🐈", &["Cap".to_owned()][..])
    );
    concept(&"é".repeat(64)).normalise().unwrap();
    for bad in [
        "",
        "   ",
        "<>",
        "\u{202e}",
        "a\nb",
        "a\u{0}b",
        &"é".repeat(65),
    ] {
        let error = concept(bad).normalise().unwrap_err();
        assert_eq!(error.code(), "concept", "{bad:?}");
    }
}

#[test]
fn embeddings_must_be_unit_length_and_say_their_encoder() {
    let photo = || Reference::new([1u8, 2]);
    photo().validate().unwrap();
    let unit = vec![0.6, 0.8];
    let nameless = photo().with_embeddings("", vec![unit.clone()]);
    assert!(nameless.validate().unwrap_err().contains("encoder"));
    let seen = photo().with_embeddings("e1", vec![unit.clone()]);
    seen.validate().unwrap();
    for bad in [vec![0.6, 0.9], vec![f32::NAN, 0.0], vec![1.0], vec![]] {
        let seen = photo().with_embeddings("e1", vec![unit.clone(), bad]);
        assert!(seen.validate().is_err());
    }
    // Of another width, by another encoder.
    let both = seen.with_embeddings("e2", vec![vec![0.0, 0.0, 1.0]]);
    both.validate().unwrap();
    let twice = both.with_embeddings("e1", vec![unit]);
    assert!(twice.validate().unwrap_err().contains("twice"));
}

#[test]
fn slugs_keep_every_script() {
    for (name, want) in [
        ("Mr. Otto!", "mr-otto"),
        ("小白", "小白"),
        ("🐈", "concept"),
        ("<Anya>", "anya"),
        ("C3-PO", "c3-po"),
    ] {
        assert_eq!(slug(name), want);
    }
}

#[test]
fn a_box_lies_in_the_photo_and_has_an_area() {
    assert!(check_box(&[0.0, 0.0, 1.0, 1.0]).is_ok());
    for outside in [
        [-0.1, 0.0, 0.5, 0.5],
        [0.5, 0.5, 1.2, 0.9],
        [f32::NAN, 0.0, 1.0, 1.0],
    ] {
        assert!(
            check_box(&outside)
                .unwrap_err()
                .contains("leaves the photo")
        );
    }
    for empty in [
        [0.5, 0.1, 0.5, 0.9],
        [0.9, 0.1, 0.2, 0.9],
        [0.1, 0.4, 0.9, 0.405],
    ] {
        assert!(check_box(&empty).unwrap_err().contains("no area"));
    }
    let boxed = Reference::new([1u8]).with_box(Some([0.2, 0.2, 0.2, 0.4]));
    assert!(boxed.validate().is_err());
}
