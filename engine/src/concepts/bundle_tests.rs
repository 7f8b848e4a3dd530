//! Bundles: round trip, errors with their place, hostile bytes.
#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;
use crate::concepts::{NewConcept, OnCollision};

fn library() -> Library {
    let mut library = Library::new("e");
    let seen = Reference::new([0u8, 255, 7])
        .with_box(Some([0.1, 0.25, 0.75, 1.0]))
        .with_embeddings("e", vec![vec![0.6, 0.8], vec![1.0, 0.0]]);
    let mochi = NewConcept {
        name: "Mochi \"の\" 🐈".into(),
        aliases: vec!["<mochi>".into()],
        category: "cat".into(),
        info: "loves\njam".into(),
        references: vec![seen, Reference::new([1u8])],
        ..NewConcept::default()
    };
    library.add(mochi, 5).unwrap();
    library
        .add(
            NewConcept {
                name: "Bobo".into(),
                ..NewConcept::default()
            },
            6,
        )
        .unwrap();
    library
}

fn message(bytes: &[u8]) -> String {
    let error = read(bytes).unwrap_err();
    assert_eq!(error.code(), "bundle");
    error.to_string()
}

#[test]
fn a_bundle_brings_everything_back() {
    let library = library();
    let bytes = export(&library).unwrap();
    assert!(bytes.starts_with(br#"{"format":"namelens-concepts","version":1,"concepts":["#));
    let mut again = Library::new("e");
    let report = again
        .import(read(&bytes).unwrap(), OnCollision::Error)
        .unwrap();
    assert_eq!(report.added, ["mochi-の", "bobo"]);
    assert_eq!(
        again.list().collect::<Vec<_>>(),
        library.list().collect::<Vec<_>>()
    );
    assert_eq!(again.index(), library.index());
    assert_eq!(export(&again).unwrap(), bytes);
}

#[test]
fn what_several_encoders_made_comes_back() {
    let mut library = Library::new("e");
    let photos = vec![
        Reference::new([1u8])
            .with_embeddings("e", vec![vec![0.6, 0.8]])
            .with_embeddings("faces", vec![vec![1.0, 0.0, 0.0]; 2]),
        // One that found nothing has seen it all the same.
        Reference::new([2u8])
            .with_embeddings("faces", Vec::new())
            .with_embeddings("e", vec![vec![1.0, 0.0]]),
    ];
    let new = NewConcept {
        name: "Mochi".into(),
        references: photos.clone(),
        ..NewConcept::default()
    };
    library.add(new, 5).unwrap();
    let bytes = export(&library).unwrap();
    let read = read(&bytes).unwrap();
    assert_eq!(read[0].references, photos);
    // An earlier build passes over what it does not know.
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(text.matches(r#""others":["#).count(), 2);
    let twice = text.replace(r#""encoder":"faces","dim":3"#, r#""encoder":"e","dim":3"#);
    assert!(message(twice.as_bytes()).contains("twice"));
}

#[test]
fn errors_name_the_place() {
    assert!(message(b"").contains("line 1, column 0"));
    assert!(message(br#"{"format": "zip"}"#).contains("not a concept bundle"));
    let newer = br#"{"format": "namelens-concepts", "version": 2, "things": []}"#;
    assert!(
        message(newer).contains("update NameLens"),
        "{}",
        message(newer)
    );
    assert!(message(br#"{"format": "namelens-concepts"}"#).contains("version"));
    let with = |concept: &str| {
        format!(r#"{{"format":"namelens-concepts","version":1,"concepts":[{concept}]}}"#)
            .into_bytes()
    };
    assert!(message(&with(r#"{"id":"a","name":" "}"#)).contains("concepts[0]"));
    assert!(message(&with(r#"{"id":"","name":"x"}"#)).contains("concepts[0]"));
    let photo = |p: &str| with(&format!(r#"{{"id":"a","name":"A","references":[{p}]}}"#));
    assert!(message(&photo(r#"{"photo":"*"}"#)).contains("concepts[0].references[0].photo"));
    let torn = photo(r#"{"photo":"","encoder":"e","dim":2,"embeddings":"AAAAAA=="}"#);
    assert!(message(&torn).contains("references[0].embeddings"));
    let hostile =
        photo(r#"{"photo":"","encoder":"e","dim":18446744073709551615,"embeddings":"AAAAAA=="}"#);
    assert!(message(&hostile).contains("whole embeddings"));
    let not_unit = photo(r#"{"photo":"","encoder":"e","dim":1,"embeddings":"AACAfw=="}"#);
    assert!(
        message(&not_unit).contains("squared length inf"),
        "{}",
        message(&not_unit)
    );
    assert!(message(&vec![b' '; MAX_BYTES + 1]).contains("at most 64"));
    let many = with(&vec![r#"{"id":"a","name":"A"}"#; MAX_CONCEPTS + 1].join(","));
    assert!(message(&many).contains("10001 concepts"));
    assert!(message(&with(&"[".repeat(100_000))).contains("column"));
}

proptest! {
    /// Flipped, cut and doubled bytes: a typed error or a library, never a panic, never half of it.
    #[test]
    fn mutated_bundles_never_panic(
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        truncate in any::<bool>(),
        swap in proptest::option::of((0usize..8, 0usize..8)),
    ) {
        let mut text = String::from_utf8(export(&library()).unwrap()).unwrap();
        // Structure-aware edits reach further than flipped bytes: whole words change places.
        const WORDS: [&str; 8] = ["\"name\"", "\"dim\":2", "\"\"", "[]", "null", "-1", "1e999", "{}"];
        if let Some((a, b)) = swap {
            text = text.replacen(WORDS[a], WORDS[b], 2);
        }
        let mut bytes = text.into_bytes();
        for (at, byte) in edits {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        let mut target = library();
        let before = target.clone();
        match read(&bytes).and_then(|concepts| target.import(concepts, OnCollision::Rename)) {
            Ok(report) => prop_assert_eq!(target.len(), before.len() + report.added.len()),
            Err(error) => {
                prop_assert_eq!(error.code(), "bundle");
                prop_assert_eq!(target, before);
            }
        }
    }
}
