//! What threads that share work gain, told apart by how near the cores were to each other at the time.
//!
//! The cores of a virtual machine share a cache at one moment and not at the next. A token is a hundred and fifty pieces of work that two
//! threads hand each other, so it is a fifth slower then; what has one thread is not.

use anstream::println;
use serde_json::{Value, json};

use super::report::{Spread, number};

/// Nanoseconds a word takes from a core to another and back where they share a cache; four times as long where not.
const NEAR: f64 = 250.0;

/// For engines of several threads how they did while the cores were near each other, and otherwise: beside `ours` in the same round.
pub(super) fn table(ours: &str, engines: &[String], lines: &[Value]) -> Vec<Value> {
    let mut rows = Vec::new();
    for engine in engines {
        for is_near in [true, false] {
            let turns: Vec<&Value> = lines
                .iter()
                .filter(|line| line["engine"] == *engine && near(line) == Some(is_near))
                .collect();
            if turns.is_empty() {
                continue;
            }
            let decode = |line: &Value| number(&line["runs"][0], "decode");
            let ratios = turns.iter().filter_map(|turn| {
                let same = |line: &&Value| line["engine"] == ours && line["round"] == turn["round"];
                Some(decode(turn) / decode(lines.iter().find(same)?))
            });
            let ratio = Spread::of(ratios.collect());
            let speed = Spread::of(turns.iter().map(|turn| decode(turn)).collect());
            let cores = if is_near { "near" } else { "far" };
            println!(
                "{engine}, cores {cores} in {} turns: decode {} tok/s, {:.2}x {ours}",
                turns.len(),
                speed.shown(1),
                ratio.median
            );
            rows.push(json!({
                "engine": engine,
                "cores": cores,
                "turns": turns.len(),
                "decode_tokens_per_second": speed.json(),
                "over": ours,
                "ratio": ratio.json(),
            }));
        }
    }
    rows
}

/// Whether the cores were near each other before and after a turn; `None` of a turn of one thread.
fn near(line: &Value) -> Option<bool> {
    let times = line["roundTripNs"].as_array()?;
    Some(
        times
            .iter()
            .all(|time| time.as_f64().is_some_and(|time| time < NEAR)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_near_only_where_they_were_before_and_after() {
        let line = |times: Value| json!({ "roundTripNs": times });
        assert_eq!(near(&line(json!([110.0, 120.5]))), Some(true));
        assert_eq!(near(&line(json!([110.0, 560.0]))), Some(false));
        assert_eq!(near(&line(json!([560.0, 110.0]))), Some(false));
        assert_eq!(near(&line(json!([null, 110.0]))), Some(false));
        assert_eq!(near(&line(Value::Null)), None);
    }
}
