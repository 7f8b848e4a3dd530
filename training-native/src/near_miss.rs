//! What to say of a word nobody knows: the word, the nearest known one, and where that is no help, all of them.

/// Likeness (Jaro-Winkler, 0 to 1) from which a known word is offered instead.
const ALIKE: f64 = 0.8;

/// A sentence about `word`, which is no `kind` ("setting", "reward"): `unknown reward 'repik'; did you mean 'repic'?`
///
/// Case, `-` and `_` are no difference when the nearest is looked for.
pub fn unknown(kind: &str, word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(near) => format!("unknown {kind} '{word}'; did you mean '{near}'?"),
        None => format!("unknown {kind} '{word}'; known are {}", known.join(", ")),
    }
}

/// The known word most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let fold = |text: &str| text.to_lowercase().replace('-', "_");
    let word = fold(word);
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(&word, &fold(known)), *known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_named_and_strangers_get_the_list() {
        let known = ["epsilon", "epsilon_high", "beta"];
        assert_eq!(
            unknown("setting", "epsilom", &known),
            "unknown setting 'epsilom'; did you mean 'epsilon'?"
        );
        assert_eq!(nearest("Epsilon-High", &known), Some("epsilon_high"));
        assert_eq!(
            unknown("setting", "zzz", &known),
            "unknown setting 'zzz'; known are epsilon, epsilon_high, beta"
        );
        assert_eq!(nearest("", &[]), None);
    }
}
