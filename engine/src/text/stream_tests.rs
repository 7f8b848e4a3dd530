//! Text that arrives token by token adds up to the text of all tokens.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::test_support::*;
use super::*;

/// Streams `ids` and returns the pieces' sum and whether a piece but the last held a broken character.
fn stream(tokenizer: &Tokenizer, ids: &[u32], skip_special: bool) -> (String, bool) {
    let mut stream = TokenStream::new(tokenizer, skip_special);
    let mut all = String::new();
    for &id in ids {
        all.extend(stream.push(id).unwrap());
    }
    let broken = all.contains(char::REPLACEMENT_CHARACTER);
    all.extend(stream.finish().unwrap());
    (all, broken)
}

#[test]
fn a_character_cut_off_at_the_end_is_shown_as_broken() {
    let tokenizer = tokenizer();
    let mut ids = tokenizer.encode("a東", false).unwrap();
    ids.pop();
    assert_eq!(stream(&tokenizer, &ids, true), ("a\u{FFFD}".into(), false));
    assert_eq!(tokenizer.decode(&ids, true).unwrap(), "a\u{FFFD}");
}

#[test]
fn special_tokens_between_words_do_not_eat_spaces() {
    for tokenizer in [tokenizer(), unigram()] {
        let end = tokenizer.special_ids()[1];
        let mut ids = vec![end];
        for _ in 0..3 {
            ids.extend(tokenizer.encode("dog dog", false).unwrap());
            ids.push(end);
        }
        assert_eq!(
            stream(&tokenizer, &ids, true).0,
            tokenizer.decode(&ids, true).unwrap()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn streams_add_up_to_the_whole(text in "([a-z ,.]{0,8}|[éüß東京日本한글עברית🦊👩‍👧\u{FFFD}\u{200D}\n]{0,6}|\\PC{0,6}){0,8}") {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode(&text, false).unwrap();
        let (all, broken) = stream(&tokenizer, &ids, false);
        prop_assert_eq!(&all, &tokenizer.decode(&ids, false).unwrap());
        prop_assert_eq!(&all, &text);
        prop_assert!(!broken || text.contains(char::REPLACEMENT_CHARACTER));
    }

    #[test]
    fn any_ids_stream_as_they_decode(ids in prop::collection::vec(0u32..420, 0..40), skip: bool) {
        for tokenizer in [tokenizer(), unigram()] {
            prop_assert_eq!(stream(&tokenizer, &ids, skip).0, tokenizer.decode(&ids, skip).unwrap());
        }
    }
}
