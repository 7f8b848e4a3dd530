//! Mentions in whole and in streamed answers.

use proptest::prelude::*;

use super::*;

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

#[test]
fn neutralised_names_are_found_again() {
    assert_eq!(run("<a‹b› c> runs").1, pairs(&[("odd", "a‹b› c")]));
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

proptest! {
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
