//! Names people give to things: made from syllables and lists of several languages and scripts.

mod lists;

use crate::rng::Rng;
use crate::split::Split;
use lists::{
    ADJECTIVES, ARABIC, CYRILLIC, EMOJI, FOODS, GIVEN, GREEK, HANGUL, HANZI, KANA, SYLLABLES,
    TITLES,
};

/// Any name of a split: 2 to 16 characters, never with `<`, `>` or a newline.
pub fn random(rng: &mut Rng, split: Split) -> String {
    loop {
        let name = any(rng);
        let length = name.chars().count();
        if (2..=16).contains(&length) && Split::of_name(&name) == split {
            return name;
        }
    }
}

/// A name of a split that is not yet in `taken`.
pub fn fresh(rng: &mut Rng, split: Split, taken: &[&str]) -> String {
    loop {
        let name = random(rng, split);
        if !taken.contains(&name.as_str()) {
            return name;
        }
    }
}

fn any(rng: &mut Rng) -> String {
    match rng.below(100) {
        0..70 => latin(rng),
        70..77 => joined(rng, CYRILLIC, 2, 3),
        77..82 => joined(rng, GREEK, 2, 3),
        82..86 => chinese(rng),
        86..91 => rng.pick(KANA).to_owned() + &joined(rng, KANA, 1, 2),
        91..94 => joined(rng, HANGUL, 2, 3),
        94..97 => joined(rng, ARABIC, 2, 2),
        97..98 => format!("{}{}", latin_word(rng), rng.pick(EMOJI)),
        _ => format!("{} {}", latin_word(rng), rng.between(2, 99)),
    }
}

fn latin(rng: &mut Rng) -> String {
    match rng.below(100) {
        0..22 => rng.pick(GIVEN).to_owned(),
        22..58 => latin_word(rng),
        58..70 => format!("{} {}", rng.pick(TITLES), capital(rng.pick(FOODS))),
        70..78 => format!("{} {}", rng.pick(TITLES), latin_word(rng)),
        78..86 => format!(
            "{} {}",
            capital(rng.pick(ADJECTIVES)),
            capital(rng.pick(FOODS))
        ),
        86..91 => format!("{}-{}", latin_word(rng), latin_word(rng)),
        91..95 => format!("{}'{}", rng.pick(&["O", "D", "L", "K"]), latin_word(rng)),
        _ => capital(rng.pick(FOODS)),
    }
}

/// Two or three syllables, the first letter upper-case.
fn latin_word(rng: &mut Rng) -> String {
    capital(&joined(rng, SYLLABLES, 2, 3))
}

fn chinese(rng: &mut Rng) -> String {
    // "Xiao" (little) and doubled characters are how pets are called.
    match rng.below(3) {
        0 => format!("小{}", rng.pick(HANZI)),
        1 => rng.pick(HANZI).repeat(2),
        _ => format!("{}{}", rng.pick(HANZI), rng.pick(HANZI)),
    }
}

fn joined(rng: &mut Rng, parts: &[&str], low: usize, high: usize) -> String {
    let word: String = (0..rng.between(low, high))
        .map(|_| rng.pick(parts))
        .collect();
    capital(&word)
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
