//! Mentions in whole and in streamed answers.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::personalize::sanitize;

fn known() -> Vec<KnownName> {
    let known = |id: &str, spellings: &[&str]| KnownName {
        id: id.into(),
        spellings: spellings.iter().map(|s| (*s).to_owned()).collect(),
    };
    vec![
        known("mochi", &["Mochi", "小白"]),
        known("ana", &["Ana"]),
        known("ana-maria", &["Ana Maria 🐈"]),
        known("odd", &["a<b>\nc"]),
        known("anya", &["Anya", "<anya-chan>"]),
    ]
}

/// The text and the (concept, mentioned text) pairs.
fn run(answer: &str) -> (String, Vec<(String, String)>) {
    let parser = read(answer, known());
    let text = parser.text().to_owned();
    let chars: Vec<char> = text.chars().collect();
    let utf16: Vec<u16> = text.encode_utf16().collect();
    let mentions = parser
        .mentions()
        .into_iter()
        .map(|m| {
            let by_chars: String = chars[m.chars].iter().collect();
            assert_eq!(
                by_chars,
                String::from_utf16_lossy(&utf16[m.utf16]),
                "both units name the same text"
            );
            (m.concept, by_chars)
        })
        .collect();
    (text, mentions)
}

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter()
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn brackets_go_and_mentions_stay() {
    let (text, mentions) =
        run("🐈 <Mochi>'s hat is near <ANA MARIA 🐈>, **<小白>** and <anya-chan>.");
    assert_eq!(
        text,
        "🐈 Mochi's hat is near ANA MARIA 🐈, **小白** and anya-chan."
    );
    let want = [
        ("mochi", "Mochi"),
        ("ana-maria", "ANA MARIA 🐈"),
        ("mochi", "小白"),
        ("anya", "anya-chan"),
    ];
    assert_eq!(mentions, pairs(&want));
}

#[test]
fn names_without_brackets_count_in_their_own_spelling() {
    let (_, mentions) = run("Mochi meets mochi, Mochis, Ana and Ana Maria 🐈. 小白在这里");
    let want = [
        ("mochi", "Mochi"),
        ("ana", "Ana"),
        ("ana-maria", "Ana Maria 🐈"),
        ("mochi", "小白"),
    ];
    assert_eq!(mentions, pairs(&want));
}

#[test]
fn unknown_names_are_plain_text() {
    let parser = read("I do not know who <Zorro Ana> is, </Mochi>.", known());
    assert_eq!(parser.text(), "I do not know who Zorro Ana is, /Mochi.");
    assert!(
        parser.mentions().is_empty(),
        "a known name inside an unknown one is not meant"
    );
    assert_eq!(
        parser.unknown_names().collect::<Vec<_>>(),
        ["Zorro Ana", "/Mochi"]
    );
}

/// One concept of this name, id `it`, beside Mochi.
fn named(name: &str) -> Vec<KnownName> {
    let known = |id: &str, name: &str| KnownName {
        id: id.into(),
        spellings: vec![name.into()],
    };
    vec![known("it", name), known("mochi", "Mochi")]
}

/// The text of an answer about them, and what each mention is in it.
fn told(answer: &str, known: Vec<KnownName>) -> (String, Vec<(String, String)>) {
    let parser = read(answer, known);
    let chars: Vec<char> = parser.text().chars().collect();
    let units: Vec<u16> = parser.text().encode_utf16().collect();
    let mention = |m: Mention| {
        let text = String::from_utf16(&units[m.utf16]).unwrap();
        assert_eq!(text, chars[m.chars].iter().collect::<String>());
        (m.concept, text)
    };
    let mentions = parser.mentions().into_iter().map(mention).collect();
    (parser.text().to_owned(), mentions)
}

#[test]
fn names_are_shown_as_they_were_typed() {
    assert_eq!(run("<a‹b› c> runs").1, pairs(&[("odd", "a<b>\nc")]));
    for (name, form) in [
        ("<b>", "b"),
        ("<b>{{Mo}}</b>", "b›{{Mo}}‹/b"),
        ("a<b", "a‹b"),
        ("Mo  Mo", "Mo Mo"),
        ("\u{202e}olleH", "olleH"),
        ("שלום\u{200f}!", "שלום!"),
    ] {
        let (text, mentions) = told(&format!("🐈 <{form}> sees {form}, <Mochi>."), named(name));
        assert_eq!(text, format!("🐈 {name} sees {name}, Mochi."));
        assert_eq!(
            mentions,
            pairs(&[("it", name), ("it", name), ("mochi", "Mochi")])
        );
    }
    // In another case than its own, too: only the brackets were lost.
    assert_eq!(told("<A‹B>.", named("a<b")).0, "a<b.");
    // What is no name stays.
    assert_eq!(told("Is a ‹b› c?", named("a<b")).0, "Is a ‹b› c?");
}

#[test]
fn the_brackets_of_database_keys_are_not_shown() {
    let known = vec![KnownName {
        id: "anya".into(),
        spellings: vec!["Anya".into(), "<anya-chan>".into()],
    }];
    assert_eq!(
        told("<anya-chan> is <Anya>.", known).0,
        "anya-chan is Anya."
    );
}

#[test]
fn a_name_that_was_only_asked_about_is_shown_as_it_was_typed() {
    let mut parser = MentionParser::new(named("Bo")).and_show("Zo<rro");
    parser.push("I do not know who <Zo‹rro> is, <Bo>.");
    parser.finish();
    assert_eq!(parser.text(), "I do not know who Zo<rro is, Bo.");
    assert_eq!(parser.mentions().len(), 1);
    assert_eq!(parser.unknown_names().collect::<Vec<_>>(), ["Zo‹rro"]);
}

#[test]
fn colliding_forms_cannot_be_two_things() {
    use crate::concepts::{Library, NewConcept};
    let mut library = Library::new("");
    let add = |library: &mut Library, name: &str| {
        let name = name.to_owned();
        library.add(
            NewConcept {
                name,
                ..NewConcept::default()
            },
            0,
        )
    };
    add(&mut library, "a<b").unwrap();
    for same in ["a‹b", "A<B", "<a<b>", "a\u{200e}<b"] {
        let error = add(&mut library, same).unwrap_err().to_string();
        assert!(
            error.contains("already a name or alias of `a<b`"),
            "{error}"
        );
    }
    // Of two lists that did not come from a library the first counts.
    let mut two = named("a<b");
    two.extend(named("a‹b"));
    assert_eq!(told("<a‹b>", two).0, "a<b");
}

#[test]
fn an_odd_name_is_held_back_until_it_is_certain() {
    let mut parser = MentionParser::new(named("a<b"));
    assert_eq!(parser.push("See a"), "See ");
    assert_eq!(parser.push(" cat, a‹"), "a cat, ");
    assert_eq!(parser.push("b"), "");
    assert!(parser.mentions().is_empty());
    assert_eq!(parser.push("!"), "a<b!");
    assert_eq!(parser.mentions().len(), 1);
    assert_eq!(parser.push(" a‹b"), " ");
    assert_eq!(parser.finish(), "a<b");
    assert_eq!(parser.mentions().len(), 2);
}

#[test]
fn broken_brackets_do_no_harm() {
    assert_eq!(run("3 < 5 <= 6 -> <> <- ok").0, "3 < 5 <= 6 -> <> <- ok");
    assert_eq!(run("cut <Moch"), ("cut Moch".into(), vec![]));
    assert_eq!(
        run("cut <Mochi"),
        ("cut Mochi".into(), pairs(&[("mochi", "Mochi")]))
    );
    assert_eq!(run("<<Mochi> <Mo\nchi>").0, "Mochi Mo\nchi>");
    let long = "x".repeat(100);
    assert_eq!(run(&format!("<{long}>")).0, format!("{long}>"));
    assert_eq!(run(""), (String::new(), vec![]));
}

#[test]
fn half_a_name_is_never_shown() {
    let mut parser = MentionParser::new(known());
    assert_eq!(parser.push("See <Mo"), "See ");
    assert_eq!(parser.push("chi"), "");
    assert!(parser.mentions().is_empty());
    assert_eq!(parser.push("> and Ana"), "Mochi and Ana");
    assert_eq!(parser.mentions().len(), 1, "Ana may still become Anabel");
    assert_eq!(parser.push("bel, Ana"), "bel, Ana");
    assert_eq!(parser.mentions().len(), 1);
    assert_eq!(parser.finish(), "");
    assert_eq!(parser.mentions().len(), 2);
}

/// Names that are easy to get wrong, some of them parts of others.
const ODD: [&str; 14] = [
    "<b>",
    "a<b",
    "a<b c",
    "b c",
    "Ana",
    "Ana <Maria>",
    "🐈<🐕",
    "שלום",
    "مرحبا\u{200f}",
    "e\u{301}<",
    "Mo  Mo",
    "小<白",
    "x‹y",
    "<|im_end|>",
];

proptest! {
    /// Streamed in any pieces or read whole: the same text, every mention is the name as it was typed, nothing is taken back.
    #[test]
    fn odd_names_are_shown_as_typed(
        chosen in proptest::sample::subsequence((0..ODD.len()).collect::<Vec<_>>(), 1..6),
        parts in proptest::collection::vec((0usize..8, any::<bool>(), "[a-c ,.<>‹›\n]{0,5}"), 0..10),
        cuts in proptest::collection::vec(1usize..9, 0..60),
    ) {
        let known: Vec<KnownName> = chosen.iter().map(|&i| KnownName { id: i.to_string(), spellings: vec![ODD[i].into()] }).collect();
        let mut answer = String::new();
        for (which, marked, between) in parts {
            let form = sanitize::name(ODD[chosen[which % chosen.len()]]);
            answer += &if marked { format!("<{form}>{between}") } else { format!("{form}{between}") };
        }
        let whole = read(&answer, known.clone());
        let chars: Vec<char> = whole.text().chars().collect();
        let units: Vec<u16> = whole.text().encode_utf16().collect();
        for mention in whole.mentions() {
            let typed = ODD[mention.concept.parse::<usize>().unwrap()];
            let text: String = chars[mention.chars.clone()].iter().collect();
            prop_assert!(text == typed || sanitize::name(typed) == typed, "{} for {} in {}", text, typed, answer);
            prop_assert_eq!(String::from_utf16_lossy(&units[mention.utf16]), text);
        }
        let mut parser = MentionParser::new(known);
        let (mut shown, mut at) = (String::new(), 0);
        let letters: Vec<char> = answer.chars().collect();
        for cut in cuts {
            let end = (at + cut).min(letters.len());
            shown += parser.push(&letters[at..end].iter().collect::<String>());
            prop_assert!(whole.text().starts_with(&shown), "{:?} of {:?}", shown, whole.text());
            for early in parser.mentions() {
                prop_assert!(whole.mentions().contains(&early), "{:?} of {:?}", early, answer);
            }
            at = end;
        }
        shown += parser.push(&letters[at..].iter().collect::<String>());
        shown += parser.finish();
        prop_assert_eq!(&shown, whole.text());
        prop_assert_eq!(parser.mentions(), whole.mentions());
    }

    #[test]
    fn pieces_make_the_whole(answer in "(<|>|Mochi|Ana| Maria 🐈|小白|[a-z ,.'\n=-]){0,24}", cuts in proptest::collection::vec(0usize..12, 0..30)) {
        let whole = read(&answer, known());
        let mut parser = MentionParser::new(known());
        let mut shown = String::new();
        let chars: Vec<char> = answer.chars().collect();
        let mut at = 0;
        for cut in cuts {
            let end = (at + cut).min(chars.len());
            shown += parser.push(&chars[at..end].iter().collect::<String>());
            prop_assert_eq!(&shown, parser.text());
            prop_assert!(whole.text().starts_with(&shown), "what was shown stays");
            for early in parser.mentions() {
                prop_assert!(early.chars.end <= shown.chars().count());
            }
            at = end;
        }
        parser.push(&chars[at..].iter().collect::<String>());
        parser.finish();
        prop_assert_eq!(parser.text(), whole.text());
        prop_assert_eq!(parser.mentions(), whole.mentions());
    }
}
