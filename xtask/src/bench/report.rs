//! What all benches print: the machine, lines of JSON read back, and tables.

use std::fs;
use std::path::Path;

use anstream::println;
use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::run::quiet;

/// The machine and the versions, which a figure means nothing without; printed, and the first line of the JSON.
pub(super) fn machine() -> Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let flags = field("flags");
    let has = |flag: &str| flags.split_whitespace().any(|known| known == flag);
    let version = |program: &str, argument: &str| {
        let told = quiet(std::process::Command::new(program).arg(argument), "");
        told.unwrap_or_else(|_| "absent".into())
    };
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let machine = json!({
        "machine": field("model name"),
        "family_model": format!("{}/{}", field("cpu family"), field("model")),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "avx2": has("avx2"),
        "avx512_vnni": has("avx512_vnni"),
        "avx_vnni": has("avx_vnni"),
        "load": load.split_whitespace().next(),
        "rustc": version("rustc", "--version"),
        "node": version("node", "--version"),
        "date": version("date", "-u"),
    });
    println!("{machine}");
    machine
}

/// The lines of JSON that a program printed.
///
/// # Errors
/// When a line is none.
pub(super) fn lines(printed: &str) -> Result<Vec<Value>> {
    let parse = |line: &str| {
        serde_json::from_str(line).with_context(|| format!("not a line of figures: {line}"))
    };
    printed.lines().map(parse).collect()
}

/// A number of a line of figures; NaN where it has none, which no gate lets through.
pub(super) fn number(line: &Value, key: &str) -> f64 {
    line[key].as_f64().unwrap_or(f64::NAN)
}

/// What is known of a figure that was taken several times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    /// The one in the middle; of an even number the lower of the two.
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Of these; of none all are NaN.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        Self {
            median: at(values.len().saturating_sub(1) / 2),
            least: at(0),
            most: at(values.len().wrapping_sub(1)),
        }
    }

    /// As JSON.
    pub(super) fn json(self) -> Value {
        json!({ "median": self.median, "least": self.least, "most": self.most })
    }

    /// `12.3 (11.9-12.8)`, with as many decimals as asked for.
    pub(super) fn shown(self, decimals: usize) -> String {
        format!(
            "{:.decimals$} ({:.decimals$}-{:.decimals$})",
            self.median, self.least, self.most
        )
    }
}

/// Writes figures as JSON.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write(path: &Path, figures: &[Value]) -> Result<()> {
    let text = serde_json::to_string_pretty(figures)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_the_middle_and_both_ends() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]);
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![4.0, 2.0]).median, 2.0);
        assert_eq!(spread.shown(1), "2.0 (1.0-3.0)");
        assert!(Spread::of(Vec::new()).most.is_nan());
    }
}
