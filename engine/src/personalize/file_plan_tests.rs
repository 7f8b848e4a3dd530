//! Plans over repositories of every form, with a list of their files and without one.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use super::*;

/// Names of the files a plan takes, sorted, asked in both ways: over a list, and by asking for each.
fn taken(has: &[&str], choice: &Choice) -> Result<Vec<String>> {
    let listed = drive(
        has,
        Some(has.iter().map(|&name| name.to_owned()).collect()),
        choice,
    );
    let asked = drive(has, None, choice);
    match (&listed, &asked) {
        (Ok((listed, _)), Ok((asked, _))) => assert_eq!(listed, asked, "with and without a list"),
        (Err(listed), Err(asked)) => assert_eq!(listed.code(), asked.code(), "{listed} / {asked}"),
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => {}
    }
    listed.map(|(names, _)| names)
}

fn drive(
    has: &[&str],
    listing: Option<Vec<String>>,
    choice: &Choice,
) -> Result<(Vec<String>, usize)> {
    let is_listed = listing.is_some();
    let mut plan = FilePlan::new(listing, choice.clone());
    let mut asked = BTreeSet::new();
    for steps in 0.. {
        match plan.next()? {
            Step::Find { names } => {
                assert!(!is_listed, "asks for what the list says: {names:?}");
                assert!(!names.is_empty() && steps < 6);
                for name in names {
                    assert!(asked.insert(name.clone()), "{name} is asked for twice");
                    plan.told(&name, has.contains(&name.as_str()));
                }
            }
            Step::Read { name } => plan.read(&name, index().as_bytes())?,
            Step::Take { texts, weights, .. } => {
                let mut names = [texts, weights].concat();
                names.sort();
                let before = names.len();
                names.dedup();
                assert_eq!(names.len(), before, "a file is taken twice");
                return Ok((names, asked.len()));
            }
        }
    }
    unreachable!()
}

fn index() -> String {
    r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"#.into()
}

const TEXTS: [&str; 3] = ["config.json", "processor_config.json", "tokenizer.json"];

fn plain(has: &[&str]) -> Vec<String> {
    taken(has, &Choice::default()).unwrap()
}

fn refusal(has: &[&str], choice: &Choice) -> (&'static str, String) {
    let error = taken(has, choice).unwrap_err();
    (error.code(), error.to_string())
}

fn sorted(parts: &[&[&str]]) -> Vec<String> {
    let mut all: Vec<String> = parts.concat().into_iter().map(str::to_owned).collect();
    all.sort();
    all
}

fn weights(name: &str) -> Choice {
    Choice {
        weights: Some(name.into()),
        ..Choice::default()
    }
}

fn mmproj(name: &str) -> Choice {
    Choice {
        mmproj: Some(name.into()),
        ..Choice::default()
    }
}

#[test]
fn one_file_or_shards_are_taken_whole_and_nothing_else() {
    let extra = [
        "README.md",
        "pytorch_model.bin",
        "model.onnx",
        "onnx/model.onnx",
        "names.json",
    ];
    let known = [
        "generation_config.json",
        "chat_template.jinja",
        "special_tokens_map.json",
        "model.json",
    ];
    let one = [&TEXTS[..], &known, &["model.safetensors"]];
    assert_eq!(plain(&[&one.concat()[..], &extra].concat()), sorted(&one));
    let shards = [
        "model.safetensors.index.json",
        "model-1.safetensors",
        "model-2.safetensors",
    ];
    let sharded = [&TEXTS[..], &shards];
    assert_eq!(
        plain(&[&sharded.concat()[..], &["model-3.safetensors"]].concat()),
        sorted(&sharded)
    );
    // Both forms: the whole file, as the engine would.
    assert_eq!(
        plain(&[&TEXTS[..], &shards, &["model.safetensors"]].concat()),
        sorted(&[&TEXTS, &["model.safetensors"]])
    );
}

#[test]
fn a_retriever_is_taken_with_the_file_that_says_how_photos_are_prepared() {
    let base = [&TEXTS[..], &["model.safetensors"]].concat();
    let retriever = [
        "retriever/config.json",
        "retriever/model.safetensors",
        "retriever/retrieval.json",
    ];
    for own in [
        &["retriever/preprocessor_config.json"][..],
        &["retriever/processor_config.json"],
        &[],
    ] {
        let all = [&base[..], &retriever, own].concat();
        assert_eq!(
            plain(&[&all[..], &["retriever/tokenizer.json"]].concat()),
            sorted(&[&all])
        );
    }
    for gone in &retriever[1..] {
        let rest: Vec<&str> = [&base[..], &retriever]
            .concat()
            .into_iter()
            .filter(|name| name != gone)
            .collect();
        let (code, message) = refusal(&rest, &Choice::default());
        assert!(code == "missing" && message.starts_with(gone), "{message}");
    }
    // Thresholds alone search nothing.
    assert_eq!(
        plain(&[&base[..], &["retriever/retrieval.json"]].concat()),
        sorted(&[&base])
    );
}

#[test]
fn gguf_files_alone_are_a_model_under_the_names_of_the_hub() {
    let hub = [
        "SmolVLM-256M-Instruct-Q8_0.gguf",
        "mmproj-SmolVLM-256M-Instruct-f16.gguf",
    ];
    let listed = |has: &[&str], choice: &Choice| {
        drive(
            has,
            Some(has.iter().map(|&name| name.to_owned()).collect()),
            choice,
        )
        .map(|(names, _)| names)
    };
    assert_eq!(
        listed(
            &[&hub[..], &["README.md", ".gitattributes"]].concat(),
            &Choice::default()
        )
        .unwrap(),
        hub
    );
    // The address of the file itself is enough where nobody lists: its projector is found by custom.
    assert_eq!(plain_with(&hub, &weights(hub[0])), hub);
    for projector in [
        "mmproj.gguf",
        "mmproj-F16.gguf",
        "mmproj-model-f16.gguf",
        "mmproj-SmolVLM-256M-Instruct-Q8_0.gguf",
        "mmproj-SmolVLM-256M-Instruct.gguf",
    ] {
        assert_eq!(
            plain_with(&[hub[0], projector], &weights(hub[0])),
            [hub[0], projector]
        );
    }
    // Names that say nothing.
    assert_eq!(
        listed(&["a.gguf", "b.gguf"], &Choice::default()).unwrap(),
        ["a.gguf", "b.gguf"]
    );
    assert_eq!(
        listed(&["a.gguf", "b.gguf"], &weights("b.gguf")).unwrap(),
        ["a.gguf", "b.gguf"]
    );
    // Ours, described by the files beside them, or by themselves where those are not whole.
    let ours = [&TEXTS[..], &["model.gguf", "mmproj.gguf"]];
    assert_eq!(plain(&ours.concat()), sorted(&ours));
    assert_eq!(
        plain(&["config.json", "model.gguf", "mmproj.gguf"]),
        ["mmproj.gguf", "model.gguf"]
    );
    assert_eq!(
        plain(&["config.json", "tokenizer.json", "model.gguf", "mmproj.gguf"]),
        ["mmproj.gguf", "model.gguf", "tokenizer.json"]
    );
}

fn plain_with(has: &[&str], choice: &Choice) -> Vec<String> {
    taken(has, choice).unwrap()
}

#[test]
fn a_split_gguf_is_taken_in_all_its_parts_and_missing_ones_are_named() {
    let parts = [
        "M-Q8_0-00001-of-00003.gguf",
        "M-Q8_0-00002-of-00003.gguf",
        "M-Q8_0-00003-of-00003.gguf",
    ];
    let all = [&parts[..], &["mmproj-M-f16.gguf"]].concat();
    for part in parts {
        assert_eq!(plain_with(&all, &weights(part)), all);
        let rest: Vec<&str> = all
            .iter()
            .copied()
            .filter(|name| *name != parts[1])
            .collect();
        let (code, message) = refusal(&rest, &weights(part));
        // Without a list, a part that is not there cannot be told from a wrong address.
        assert!(code == "missing" || part == parts[1], "{message}");
        assert!(message.contains(parts[1]), "{message}");
    }
    let gone = ["M-00002-of-00003.gguf", "mmproj.gguf"];
    let (_, message) = refusal(&gone, &weights("M-00002-of-00003.gguf"));
    assert!(
        message.starts_with("M-00001-of-00003.gguf is missing") && message.contains("and 1 more"),
        "{message}"
    );
}

/// A model that reads text only has nothing that prepares photos, and its configuration says that it needs nothing.
#[test]
fn a_model_that_reads_text_only_needs_neither_processor_nor_projector() {
    let has = ["config.json", "tokenizer.json", "model.safetensors"];
    for (model_type, whole) in [("llama", true), ("smolvlm", false)] {
        let mut plan = FilePlan::new(Some(has.map(str::to_owned).into()), Choice::default());
        let Step::Read { name } = plan.next().unwrap() else {
            panic!("the configuration was not asked for");
        };
        assert_eq!(name, "config.json");
        let config = format!(r#"{{"model_type": "{model_type}"}}"#);
        plan.read(&name, config.as_bytes()).unwrap();
        assert_eq!(plan.next().is_ok(), whole, "{model_type}");
    }
    for alone in ["model.gguf", "SmolLM2-135M-Instruct.Q4_1.gguf"] {
        assert_eq!(plain_with(&[alone], &weights(alone)), [alone]);
    }
    assert_eq!(plain(&["model.gguf"]), ["model.gguf"]);
    // Beside a description of photos it is half of a model that sees.
    let half = [&TEXTS[..], &["model.gguf"]].concat();
    let (code, message) = refusal(&half, &Choice::default());
    assert_eq!(code, "missing");
    assert!(message.contains("mmproj"), "{message}");
    // Two of one stem are one model twice, and no text model with its projector.
    let twice = ["M.Q4_1.gguf", "M.Q8_0.gguf"];
    assert_eq!(plain_with(&twice, &weights(twice[0])), [twice[0]]);
    let listed = Some(twice.map(str::to_owned).into());
    let (code, message) = match drive(&twice, listed, &Choice::default()) {
        Err(error) => (error.code(), error.to_string()),
        Ok((names, _)) => panic!("{names:?}"),
    };
    assert_eq!(code, "option", "{message}");
    assert!(message.contains(twice[0]) && message.contains(twice[1]));
}

#[test]
fn where_several_are_possible_the_choice_is_asked_for_with_their_names() {
    let text = ["S-Q4_0.gguf", "S-Q8_0.gguf"];
    let vision = ["mmproj-S-Q8_0.gguf", "mmproj-S-f16.gguf"];
    let all = [&text[..], &vision].concat();
    let listed = |choice: &Choice| {
        drive(
            &all,
            Some(all.iter().map(|&name| name.to_owned()).collect()),
            choice,
        )
        .map(|(names, _)| names)
    };
    let told = |choice: &Choice| listed(choice).unwrap_err().to_string();
    assert_eq!(
        told(&Choice::default()),
        "option `weights`: choose one of S-Q4_0.gguf, S-Q8_0.gguf"
    );
    assert_eq!(
        told(&mmproj(vision[0])),
        "option `weights`: choose one of S-Q4_0.gguf, S-Q8_0.gguf"
    );
    assert_eq!(
        told(&weights(text[0])),
        "option `mmproj`: choose one of mmproj-S-Q8_0.gguf, mmproj-S-f16.gguf"
    );
    // Two projectors found by asking are two all the same.
    let (code, message) = refusal(&all, &weights(text[1]));
    assert_eq!(
        (code, message),
        (
            "option",
            "option `mmproj`: choose one of mmproj-S-Q8_0.gguf, mmproj-S-f16.gguf".into()
        )
    );
    for pair in [[text[0], vision[1]], [text[1], vision[0]]] {
        let choice = Choice {
            weights: Some(pair[0].into()),
            ..mmproj(pair[1])
        };
        assert_eq!(plain_with(&all, &choice), pair);
    }
    let (code, message) = refusal(
        &all,
        &Choice {
            weights: Some(text[0].into()),
            ..mmproj("other.gguf")
        },
    );
    assert!(
        code == "option"
            && message.contains("`other.gguf` is not in the folder; there are: S-Q4_0.gguf"),
        "{message}"
    );
    let same = Choice {
        weights: Some(text[0].into()),
        ..mmproj(text[0])
    };
    assert_eq!(refusal(&all, &same).0, "option");
}

#[test]
fn what_is_missing_is_named() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["photo.jpg"],
            "config.json is missing: this is not the folder of a model",
        ),
        (
            &["config.json", "model.safetensors"],
            "tokenizer.json is missing",
        ),
        (
            &["config.json", "tokenizer.json", "model.safetensors"],
            "preprocessor_config.json is missing: it (or processor_config.json)",
        ),
        (
            &TEXTS,
            "the file of weights is missing: neither model.safetensors nor",
        ),
        (
            &["mmproj.gguf"],
            "the file of the text model's weights (.gguf) is missing",
        ),
        (
            &["model.safetensors", "tokenizer.json"],
            "config.json is missing",
        ),
    ];
    for (has, words) in cases {
        let (code, message) = refusal(has, &Choice::default());
        assert!(code == "missing" && message.contains(words), "{message}");
    }
    let (code, message) = refusal(
        &[&TEXTS[..], &["model.safetensors"]].concat(),
        &weights("other.gguf"),
    );
    assert!(
        code == "missing" && message.starts_with("other.gguf is missing"),
        "{message}"
    );
    assert_eq!(refusal(&TEXTS, &weights("model.bin")).0, "option");
}

#[test]
fn adapters_are_taken_as_listed_or_as_asked_for() {
    let base = [&TEXTS[..], &["model.safetensors"]].concat();
    let files = [
        "adapters/a/adapter_config.json",
        "adapters/a/adapter_model.safetensors",
    ];
    let half = ["adapters/b/adapter_config.json"];
    let all = [
        &base[..],
        &files,
        &half,
        &["adapters/a/README.md", "adapters/a/x/adapter_config.json"],
    ]
    .concat();
    let listing = Some(all.iter().map(|&name| name.to_owned()).collect());
    let (names, _) = drive(&all, listing, &Choice::default()).unwrap();
    assert_eq!(
        names,
        sorted(&[&base, &files]),
        "an adapter without weights blocks nothing"
    );
    // Nobody can list: only what is asked for by name is looked for.
    assert_eq!(
        drive(&all, None, &Choice::default()).unwrap().0,
        sorted(&[&base])
    );
    let ask = |name: &str| Choice {
        adapters: Some(vec![name.into()]),
        ..Choice::default()
    };
    assert_eq!(plain_with(&all, &ask("a")), sorted(&[&base, &files]));
    assert_eq!(
        plain_with(
            &all,
            &Choice {
                adapters: Some(Vec::new()),
                ..Choice::default()
            }
        ),
        sorted(&[&base])
    );
    let (code, message) = refusal(&all, &ask("b"));
    assert!(
        code == "missing" && message.starts_with("adapters/b/adapter_model.safetensors"),
        "{message}"
    );
    for name in ["../a", "", "a/b", ".."] {
        assert_eq!(refusal(&all, &ask(name)).0, "option", "{name}");
    }
}

#[test]
fn what_the_index_names_is_checked_before_it_is_asked_for() {
    let mut plan = FilePlan::new(None, Choice::default());
    let bad = r#"{"weight_map": {"a": "../model.safetensors"}}"#;
    assert_eq!(
        plan.read(INDEX, bad.as_bytes()).unwrap_err().code(),
        "weights"
    );
}

#[path = "file_plan_encoder_tests.rs"]
mod encoders;
