//! Plans over photo encoders: as their authors publish them, and several beside each other in a model.

use super::*;

/// A plan over these files, with or without a list of them, in which `config.json` says what `config` says.
fn with_config(
    has: &[&str],
    listed: bool,
    config: &str,
    part: Part,
) -> Result<(Vec<String>, String)> {
    let names = || has.iter().map(|&name| name.to_owned()).collect();
    let choice = Choice {
        part,
        ..Choice::default()
    };
    let mut plan = FilePlan::new(listed.then(names), choice);
    loop {
        match plan.next()? {
            Step::Find { names } => {
                for name in names {
                    plan.told(&name, has.contains(&name.as_str()));
                }
            }
            Step::Read { name } => plan.read(&name, config.as_bytes())?,
            Step::Take {
                texts,
                weights,
                below,
            } => return Ok((sorted(&[&refs(&texts), &refs(&weights)]), below)),
        }
    }
}

fn refs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

const DINO: &str = r#"{"model_type": "dinov2"}"#;

#[test]
fn a_photo_encoder_as_it_is_published_is_a_retriever() {
    let files = [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
        "retrieval.json",
    ];
    let beside = ["README.md", "pytorch_model.bin", "tf_model.h5"];
    for listed in [true, false] {
        for part in [Part::Whole, Part::Retriever] {
            let has = [&files[..], &beside].concat();
            let (names, below) = with_config(&has, listed, DINO, part).unwrap();
            assert_eq!((&refs(&names)[..], &*below), (&files[..], "retriever/"));
            let uncalibrated = with_config(&files[..3], listed, DINO, part).unwrap_err();
            let told = uncalibrated.to_string();
            assert_eq!(uncalibrated.code(), "missing");
            assert!(told.starts_with("retrieval.json is missing"), "{told}");
            assert!(told.contains("namelens eval photos") && told.contains("--calibrate"));
            let weightless = [files[0], files[2], files[3]];
            let told = with_config(&weightless, listed, DINO, part).unwrap_err();
            assert!(
                told.to_string().starts_with("model.safetensors is missing"),
                "{told}"
            );
        }
        // It writes nothing, and other families in such a folder lack their words.
        let told = with_config(&files, listed, DINO, Part::Captioner).unwrap_err();
        assert!(told.to_string().contains("give it as the model"), "{told}");
        let smolvlm = r#"{"model_type": "smolvlm"}"#;
        let told = with_config(&files, listed, smolvlm, Part::Whole).unwrap_err();
        assert!(
            told.to_string().starts_with("tokenizer.json is missing"),
            "{told}"
        );
    }
}

#[test]
fn further_encoders_are_taken_where_they_can_be_listed_and_each_needs_its_own_calibration() {
    let first = [
        "retriever/config.json",
        "retriever/model.gguf",
        "retriever/retrieval.json",
    ];
    let second = [
        "retriever/dino/config.json",
        "retriever/dino/model.safetensors",
        "retriever/dino/preprocessor_config.json",
        "retriever/dino/retrieval.json",
    ];
    let captioner = [&TEXTS[..], &["model.safetensors"]].concat();
    let has = [
        &captioner[..],
        &first,
        &second,
        &["retriever/dino/onnx/model.onnx"],
    ]
    .concat();
    let taken = |has: &[&str], part| with_config(has, true, DINO, part);
    let (names, below) = taken(&has, Part::Whole).unwrap();
    assert_eq!(
        (names, &*below),
        (sorted(&[&captioner, &first, &second]), "")
    );
    assert_eq!(
        taken(&has, Part::Retriever).unwrap().0,
        sorted(&[&first, &second])
    );
    assert_eq!(
        taken(&has, Part::Captioner).unwrap().0,
        sorted(&[&captioner])
    );
    for gone in [second[1], second[3]] {
        let rest: Vec<&str> = has.iter().copied().filter(|name| *name != gone).collect();
        let told = taken(&rest, Part::Whole).unwrap_err().to_string();
        assert!(told.starts_with(&format!("{gone} is missing")), "{told}");
    }
    // Without the first there is no retriever.
    let alone = [&captioner[..], &second].concat();
    assert_eq!(taken(&alone, Part::Whole).unwrap().0, sorted(&[&captioner]));
    let told = taken(&captioner, Part::Retriever).unwrap_err().to_string();
    assert!(told.contains("nothing that searches photos"), "{told}");
}
