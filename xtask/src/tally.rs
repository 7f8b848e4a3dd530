//! How many tests passed, failed and were skipped, read from what the test runners themselves report.

use std::ops::AddAssign;

use anyhow::{Context, Result};
use serde_json::Value;

/// Numbers of tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and were content.
    pub(crate) passed: u64,
    /// Tests that ran and were not, or were stopped.
    pub(crate) failed: u64,
    /// Tests that did not run.
    pub(crate) skipped: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Tally {
    /// Adds what one line of a runner's output says; most lines say nothing.
    pub(crate) fn read_line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result: ") {
            // libtest and wasm-bindgen-test: `ok. 3 passed; 0 failed; 1 ignored; ...`
            let counts = rest.split_once(". ").map_or(rest, |(_, counts)| counts);
            counts.split(';').for_each(|count| self.read_count(count));
        } else if let Some((_, counts)) = line
            .strip_prefix("Summary [")
            .and_then(|rest| rest.split_once(" run: "))
        {
            // nextest: `Summary [ 1.2s] 4 tests run: 3 passed (1 slow), 1 failed, 0 skipped`
            counts.split(',').for_each(|count| self.read_count(count));
        } else if let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            // node --test: `# pass 3`
            if let Some((word, number)) = rest.split_once(' ') {
                self.read_count(&format!("{number} {word}"));
            }
        }
    }

    /// Adds one `3 passed`.
    fn read_count(&mut self, count: &str) {
        let mut words = count.split_whitespace();
        let Some(Ok(number)) = words.next().map(str::parse::<u64>) else {
            return;
        };
        match words.next() {
            Some("passed" | "pass") => self.passed += number,
            Some("failed" | "fail" | "timed" | "exec" | "cancelled") => self.failed += number,
            Some("skipped" | "ignored" | "todo") => self.skipped += number,
            _ => {}
        }
    }

    /// Reads Playwright's JSON report. A flaky test failed once, so it counts as failed.
    ///
    /// # Errors
    /// When the text is not such a report.
    pub(crate) fn from_playwright(report: &str) -> Result<Self> {
        let report: Value =
            serde_json::from_str(report).context("Playwright's report is not JSON")?;
        let count = |key: &str| {
            report["stats"][key]
                .as_u64()
                .with_context(|| format!("Playwright's report has no `stats.{key}`"))
        };
        Ok(Self {
            passed: count("expected")?,
            failed: count("unexpected")? + count("flaky")?,
            skipped: count("skipped")?,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (u64, u64, u64) {
        let mut tally = Tally::default();
        lines.iter().for_each(|line| tally.read_line(line));
        (tally.passed, tally.failed, tally.skipped)
    }

    #[test]
    fn libtest_is_summed_over_its_binaries() {
        let lines = [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ];
        assert_eq!(read(&lines), (4, 2, 1));
    }

    #[test]
    fn nextest_says_it_in_its_summary() {
        let line = "     Summary [   0.011s] 7 tests run: 3 passed (1 slow, 1 leaky), 2 failed, 1 timed out, 1 exec failed, 2 skipped";
        assert_eq!(read(&[line]), (3, 4, 2));
        assert_eq!(
            read(&["     Summary [   0.011s] 1 test run: 1 passed, 0 skipped"]),
            (1, 0, 0)
        );
    }

    #[test]
    fn node_says_it_line_by_line() {
        assert_eq!(
            read(&[
                "# tests 4",
                "# pass 2",
                "# fail 1",
                "# cancelled 0",
                "# skipped 1",
                "# duration_ms 5"
            ]),
            (2, 1, 1)
        );
        assert_eq!(read(&["ℹ pass 2", "ℹ fail 0"]), (2, 0, 0));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(
            read(&[
                "3 passed",
                "test a::b ... ok",
                "Summary of it all",
                "# Heading",
                ""
            ]),
            (0, 0, 0)
        );
    }

    #[test]
    fn playwright_reports_in_json() {
        let report = r#"{"stats": {"expected": 5, "unexpected": 1, "flaky": 1, "skipped": 2}}"#;
        assert_eq!(
            Tally::from_playwright(report).unwrap(),
            Tally {
                passed: 5,
                failed: 2,
                skipped: 2
            }
        );
        let error = Tally::from_playwright("{}").unwrap_err();
        assert!(format!("{error:#}").contains("stats.expected"), "{error:#}");
    }
}
