//! Names and nothing but names, whatever tokens the text is made of.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;
use crate::weights::{SliceSource, WeightFile};

/// Every tokenizer of the fixtures that a file of its own brings.
const FILES: [(&str, &[u8]); 12] = {
    macro_rules! file {
        ($path:literal) => {
            (
                $path,
                include_bytes!(concat!("../../../", $path)).as_slice(),
            )
        };
    }
    [
        file!("models/playroom/tokenizer.json"),
        file!("tests/fixtures/text/tokenizer.json"),
        file!("tests/fixtures/text/chats_qwen.json"),
        file!("tests/fixtures/text/chats_smolvlm.json"),
        file!("tests/fixtures/checkpoints/idefics3/tokenizer.json"),
        file!("tests/fixtures/checkpoints/qwen2_5_vl/tokenizer.json"),
        file!("tests/fixtures/checkpoints/qwen3_vl/tokenizer.json"),
        file!("tests/fixtures/checkpoints/smolvlm/tokenizer.json"),
        file!("tests/fixtures/checkpoints/smolvlm-scale4/tokenizer.json"),
        file!("tests/fixtures/checkpoints/clip/tokenizer.json"),
        file!("tests/fixtures/checkpoints/siglip/tokenizer.json"),
        file!("tests/fixtures/checkpoints/siglip2/tokenizer.json"),
    ]
};
const GGUFS: [&[u8]; 4] = [
    include_bytes!("../../../tests/fixtures/gguf/tokenizer_smollm.gguf"),
    include_bytes!("../../../tests/fixtures/gguf/tokenizer_gpt-2.gguf"),
    include_bytes!("../../../tests/fixtures/gguf/tokenizer_qwen2.gguf"),
    include_bytes!("../../../tests/fixtures/gguf/tokenizer_default.gguf"),
];
/// Tokens no fixture has: brackets merged with what is before and behind them.
const MERGED: [&str; 22] = [
    "<T", "<To", "om>", "m>", ">.", ">,Ġ", "><", "><T", ">Ġ<", "Ġ<", "Ġ<T", ".Ġ<To", "<Tom>", "<Z",
    "</", "<|", "<b>", "om><An", "om><Zo", "An", "Anna", "<å°ı",
];

/// A byte-level vocabulary of all bytes and `more`; decoding needs no merges.
fn byte_level(more: &[String]) -> Tokenizer {
    let mut vocab = Map::new();
    let mut alphabet: Vec<char> = tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet()
        .into_iter()
        .collect();
    alphabet.sort_unstable();
    let bytes = alphabet.into_iter().map(String::from);
    for token in bytes.chain(more.iter().cloned()) {
        let id = vocab.len();
        vocab.entry(token).or_insert_with(|| json!(id));
    }
    let end = vocab.len();
    vocab.insert("<|end|>".into(), json!(end));
    let json = json!({
        "version": "1.0",
        "added_tokens": [{"id": end, "content": "<|end|>", "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false}],
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "vocab": vocab, "merges": []},
    });
    Tokenizer::from_json(json.to_string().as_bytes()).unwrap()
}

fn merged() -> Tokenizer {
    byte_level(&MERGED.map(str::to_owned))
}

static TOKENIZERS: LazyLock<Vec<(String, Tokenizer)>> = LazyLock::new(|| {
    let files = FILES
        .iter()
        .map(|(path, json)| ((*path).to_owned(), Tokenizer::from_json(json).unwrap()));
    let ggufs = GGUFS.iter().enumerate().map(|(i, bytes)| {
        let file = WeightFile::open("tokenizer.gguf", Box::new(SliceSource::new(*bytes))).unwrap();
        (
            format!("GGUF {i}"),
            Tokenizer::from_gguf(file.metadata()).unwrap(),
        )
    });
    files
        .chain(ggufs)
        .chain([("merged".to_owned(), merged())])
        .collect()
});

fn constraint(names: &[String], tokenizer: &Tokenizer) -> NameConstraint {
    NameConstraint::new(names.iter().map(String::as_str), tokenizer, &[])
}

fn may(constraint: &NameConstraint, id: u32) -> bool {
    match constraint.allowed() {
        Allowed::Only(ids) => ids.binary_search(&id).is_ok(),
        Allowed::Except(ids) => ids.binary_search(&id).is_err(),
    }
}

/// Whether some tokens spell `text` to its end, one after the other, each fulfilling `may`.
fn can_write(tokenizer: &Tokenizer, start: Option<&NameConstraint>, text: &str) -> bool {
    let pieces = tokenizer.pieces();
    let text = text.as_bytes();
    let mut places: Vec<(bool, Option<NameConstraint>)> = vec![(false, None); text.len()];
    places[0] = (true, start.cloned());
    for at in 0..text.len() {
        let (true, constraint) = places[at].clone() else {
            continue;
        };
        for &id in pieces.sorted() {
            let piece = pieces.get(id);
            if constraint.as_ref().is_some_and(|c| !may(c, id)) {
                continue;
            }
            if piece.starts_with(&text[at..]) {
                return true;
            }
            if text[at..].starts_with(piece) {
                let next = constraint.clone().map(|mut c| {
                    c.advance(id);
                    c
                });
                places[at + piece.len()] = (true, next);
            }
        }
    }
    false
}

/// What is wrong with a text: a `<` that opens no name. `open` says whether more may come.
fn wrong(text: &str, names: &[String]) -> Option<String> {
    let parts: Vec<&str> = text.split('<').skip(1).collect();
    let last = parts.len();
    parts.into_iter().enumerate().find_map(|(i, part)| {
        let fine = match part.split_once('>') {
            Some((name, _)) => names.iter().any(|known| known == name),
            // The last character may not be whole yet.
            None if i + 1 == last => {
                let begun = part.trim_end_matches(char::REPLACEMENT_CHARACTER);
                names.iter().any(|known| known.starts_with(begun))
            }
            None => false,
        };
        (!fine).then(|| format!("`<{part}` in {text:?}, names {names:?}"))
    })
}

fn some_names() -> impl Strategy<Value = Vec<String>> {
    let name = "[A-Z][a-z]{0,6}|[0-9]{1,3}[a-z ]{0,5}|[A-Z][a-z]{1,4} [A-Z0-9' ]{1,4}|\\PC{1,6}|[é小白ñ🦊ü\u{301}]{1,4}|[ _.|/-]{0,2}Tom";
    (prop::collection::vec(name, 1..5), "[a-z白 ]{1,3}").prop_map(|(mut names, more)| {
        // Names that begin others.
        names.push(format!("{}{more}", names[0]));
        names.push("Tom".into());
        names.push("Tommy".into());
        names.retain(|name| !name.contains(['<', '>', char::REPLACEMENT_CHARACTER]));
        names
    })
}

#[test]
fn a_merged_bracket_and_letter_open_a_name() {
    let names = ["Tom".to_owned(), "Anna".into(), "An".into()];
    let tokenizer = merged();
    let id = |token: &str| tokenizer.token_id(token).unwrap();
    let mut c = constraint(&names, &tokenizer);
    for fine in [
        "<", "Ġ<", "<T", "Ġ<T", "<To", ".Ġ<To", "<Tom>", "om>", "om><An", ">", "x", "Anna",
    ] {
        assert!(may(&c, id(fine)), "{fine}");
    }
    for barred in ["<Z", "</", "<|", "<b>", "om><Zo"] {
        assert!(!may(&c, id(barred)), "{barred}");
    }
    c.advance(id("Ġ<T"));
    let next = |c: &NameConstraint| match c.allowed() {
        Allowed::Only(ids) => ids
            .iter()
            .map(|&i| tokenizer.id_to_token(i).unwrap())
            .collect(),
        Allowed::Except(_) => vec![],
    };
    assert_eq!(next(&c), ["o", "om>", "om><An"]);
    c.advance(id("om><An"));
    assert_eq!(next(&c), [">", "n", ">.", ">,Ġ", "><", "><T", ">Ġ<"]);
    c.advance(id(">."));
    assert!(matches!(c.allowed(), Allowed::Except(_)));
    c.advance(id("<"));
    c.reset();
    assert!(matches!(c.allowed(), Allowed::Except(_)));
}

#[test]
fn odd_input_never_locks_the_answer() {
    let tokenizer = merged();
    let id = |token: &str| tokenizer.token_id(token).unwrap();
    for names in [
        vec![],
        vec![String::new()],
        vec!["a>b".to_owned(), "<".into()],
    ] {
        let mut none = constraint(&names, &tokenizer);
        assert_eq!(none.allowed(), Allowed::ANY);
        none.advance(id("<"));
        assert_eq!(none.allowed(), Allowed::ANY, "no names, no constraint");
    }
    let mut forced = constraint(&["Tom".into()], &tokenizer);
    forced.advance(id("<"));
    forced.advance(id("x"));
    assert!(
        may(&forced, id("y")),
        "a token forced from outside leaves the name"
    );
    forced.advance(id("<b>"));
    forced.advance(id("<T"));
    assert!(may(&forced, id("om>")) && !may(&forced, id("x")));
    forced.advance(77_777_777);
    assert!(may(&forced, id("om>")), "an unknown token adds nothing");
}

#[test]
fn a_token_that_ends_the_answer_stays_possible() {
    let tokenizer = merged();
    let end = tokenizer.token_id("<b>").unwrap();
    let special = tokenizer.token_id("<|end|>").unwrap();
    let names = ["Tom"];
    let mut c = NameConstraint::new(names, &tokenizer, &[end]);
    assert!(may(&c, end) && may(&c, special));
    c.advance(tokenizer.token_id("<T").unwrap());
    assert!(!may(&c, end) && !may(&c, special), "but not inside a name");
}

#[test]
fn names_that_tokens_cannot_spell_are_left_out() {
    // Letters of "Tom" and "Bo", but no "x", and nothing closes a name that ends in "y".
    let json = json!({"version": "1.0", "added_tokens": [],
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": {"<": 0, "T": 1, "om>": 2, "B": 3, "ox": 4, "o": 5, "?": 6, "<B": 7}, "unk_token": "?"}});
    let tokenizer = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
    let mut c = constraint(&["Tom".into(), "Box".into()], &tokenizer);
    assert_eq!(c.allowed(), Allowed::Except(&[7]));
    c.advance(0);
    assert_eq!(c.allowed(), Allowed::Only(&[1]));
    c.advance(1);
    assert_eq!(c.allowed(), Allowed::Only(&[2]));
    assert_eq!(
        constraint(&["Box".into()], &tokenizer).allowed(),
        Allowed::ANY
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_name_can_be_written_whole(names in some_names()) {
        for (which, tokenizer) in TOKENIZERS.iter() {
            let c = constraint(&names, tokenizer);
            for name in &names {
                let marked = format!("<{name}>");
                let able = can_write(tokenizer, None, &marked);
                prop_assert_eq!(can_write(tokenizer, Some(&c), &marked), able, "{} {:?}", which, name);
                let bytes = tokenizer.pieces().sorted().iter().filter(|id| tokenizer.pieces().get(**id).len() == 1).count();
                prop_assert!(able || bytes < 250, "{} has all bytes and cannot write {:?}", which, name);
            }
        }
    }

    #[test]
    fn nothing_but_a_name_can_be_written(
        names in some_names(),
        picks in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4), 1..40),
    ) {
        for (which, tokenizer) in TOKENIZERS.iter() {
            let mut c = constraint(&names, tokenizer);
            if c.allowed() == Allowed::ANY {
                continue;
            }
            let pieces = tokenizer.pieces();
            let mut ids = Vec::new();
            for (pick, opens) in &picks {
                let mut open: Vec<u32> = pieces.sorted().iter().copied().filter(|&id| may(&c, id)).collect();
                if *opens == 0 && open.iter().any(|&id| pieces.get(id).contains(&b'<')) {
                    open.retain(|&id| pieces.get(id).contains(&b'<'));
                }
                let id = open[pick.index(open.len())];
                c.advance(id);
                ids.push(id);
                let text = tokenizer.decode(&ids, true).unwrap();
                prop_assert_eq!(wrong(&text, &names), None, "{}", which);
            }
        }
    }

    #[test]
    fn any_merges_spell_names(
        more in prop::collection::vec("[<>TomAn]{2,5}", 0..30),
        pick in any::<prop::sample::Index>(),
    ) {
        let names: Vec<String> = ["Tom", "Tommy", "An", "Anna", "A"].map(str::to_owned).to_vec();
        let tokenizer = byte_level(&more);
        let c = constraint(&names, &tokenizer);
        for name in &names {
            let marked = format!("<{name}>");
            prop_assert!(can_write(&tokenizer, Some(&c), &marked), "{}", marked);
        }
        // Exactly the tokens that keep the text right are open, at every place.
        let start = format!("{}<{}", ["", "x "][pick.index(2)], &"Tommy"[..pick.index(6)]);
        let mut at = c.clone();
        for byte in start.chars() {
            at.advance(tokenizer.token_id(&byte.to_string().replace(' ', "Ġ")).unwrap());
        }
        for &id in tokenizer.pieces().sorted() {
            let piece = String::from_utf8_lossy(tokenizer.pieces().get(id)).into_owned();
            if piece.is_ascii() {
                let fine = wrong(&format!("{start}{piece}"), &names).is_none();
                prop_assert_eq!(may(&at, id), fine, "{} {:?}", start, piece);
            }
        }
    }
}

#[test]
fn a_token_that_is_barred_stays_out_of_texts() {
    let tokenizer = byte_level(&[]);
    let mut constraint = constraint(&["Tom".to_owned()], &tokenizer);
    assert!(may(&constraint, 7));
    constraint.bar(7);
    constraint.bar(7);
    assert!(!may(&constraint, 7) && may(&constraint, 8));
}
