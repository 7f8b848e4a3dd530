//! Which options of a run are others than those it was made with, in words.

use std::collections::BTreeMap;

use serde_json::Value;

/// Changes that are told; a run of another kind of training differs in all.
const TOLD: usize = 6;

/// What differs between the options `before` and `now` of a run, both JSON; empty where nothing does.
///
/// An option that there was not yet when the run was made is no change where it has the value of `defaults`, which leaves things as
/// they were. Text that is JSON itself is looked into, and so are the places of an outer list, by the names of `places`.
pub fn changes(before: &str, now: &str, defaults: &str, places: &[&str]) -> Vec<String> {
    if before == now {
        return Vec::new();
    }
    let [before, now, defaults] = [before, now, defaults].map(|text| {
        let mut found = BTreeMap::new();
        flatten(parsed(text), "", places, &mut found);
        found
    });
    let mut found = Vec::new();
    for (name, value) in &now {
        match before.get(name).or_else(|| defaults.get(name)) {
            Some(old) if old == value => (),
            Some(old) => found.push(format!("{} {old}, not {value}", named(name))),
            None => found.push(format!("no {}, not {value}", named(name))),
        }
    }
    let gone = before.iter().filter(|(name, _)| !now.contains_key(*name));
    found.extend(gone.map(|(name, old)| format!("{} {old}, which is none any more", named(name))));
    if found.len() > TOLD {
        let more = found.len() - TOLD;
        found.truncate(TOLD);
        found.push(format!("{more} more"));
    }
    found
}

fn named(name: &str) -> &str {
    if name.is_empty() { "options" } else { name }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Adds the leaves of `value` under their names; a list below the outermost one is a leaf.
fn flatten(value: Value, name: &str, places: &[&str], found: &mut BTreeMap<String, Value>) {
    let below = |key: &str| match name {
        "" => key.to_owned(),
        name => format!("{name}.{key}"),
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(value, &below(&key), &[], found);
            }
        }
        Value::Array(values) if !places.is_empty() => {
            for (at, value) in values.into_iter().enumerate() {
                let place = places.get(at).copied().unwrap_or("options");
                flatten(value, place, &[], found);
            }
        }
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(inner @ Value::Object(_)) => flatten(inner, name, &[], found),
            _ => {
                found.insert(name.to_owned(), Value::String(text));
            }
        },
        leaf => {
            found.insert(name.to_owned(), leaf);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    const PLACES: &[&str] = &["", "steps", "data"];

    fn run(settings: &Value, steps: u64) -> String {
        json!([settings.to_string(), steps, "playroom"]).to_string()
    }

    #[test]
    fn what_differs_is_named_with_both_values() {
        let before = run(&json!({"learning_rate": 1e-3, "reward_funcs": ["a"]}), 5);
        let now = run(&json!({"learning_rate": 1e-4, "reward_funcs": ["a"]}), 6);
        assert_eq!(
            changes(&before, &now, "{}", PLACES),
            ["learning_rate 0.001, not 0.0001", "steps 5, not 6"]
        );
        assert!(changes(&before, &before, "{}", PLACES).is_empty());
    }

    #[test]
    fn a_setting_that_is_new_and_has_its_default_is_no_change() {
        let before = run(&json!({"beta": 0}), 5);
        let defaults = json!({"beta": 0, "bf16": false}).to_string();
        let same = run(&json!({"beta": 0, "bf16": false}), 5);
        assert!(changes(&before, &same, &defaults, PLACES).is_empty());
        let other = run(&json!({"beta": 0, "bf16": true}), 5);
        assert_eq!(
            changes(&before, &other, &defaults, PLACES),
            ["bf16 false, not true"]
        );
        // Without a default nobody knows what the run did.
        assert_eq!(
            changes(&before, &same, "{}", PLACES),
            ["no bf16, not false"]
        );
        // Nor where a setting is gone.
        assert_eq!(
            changes(&same, &before, &defaults, PLACES),
            ["bf16 false, which is none any more"]
        );
    }

    #[test]
    fn what_is_no_json_is_compared_whole() {
        assert_eq!(
            changes("steps 5", "steps 6", "{}", &[]),
            ["options \"steps 5\", not \"steps 6\""]
        );
    }
}
