//! Reports as the tables of a model card, and as bars.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result};

use super::card_lines::{ANSWERS, BINDING, CAPTIONS, COMPARED, Line, PARTS};
use super::report::{Figure, Report};
use crate::metrics::rates::Estimate;
use crate::plots::{self, Bar};

fn find<'a>(report: &'a Report, line: &Line) -> Option<&'a Figure> {
    let row = report.rows.iter().find(|row| row.row == line.row)?;
    row.figure(line.figure)
}

/// The tables of some reports, a column a report, as Markdown. Rows that no report has are left out.
pub fn tables(reports: &[Report]) -> String {
    let mut text = String::new();
    for report in reports {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "- {}: seed {}, split SHA-256 `{}...`, model SHA-256 `{}...`",
            report.split,
            report.seed,
            short(&report.split_digest),
            short(&report.model)
        );
    }
    for (title, lines) in [
        ("strict F1 of names in captions", &CAPTIONS[..]),
        (
            "binding F1 of captions, unaided, absent concepts in the prompt",
            &BINDING,
        ),
        ("other questions", &ANSWERS),
        ("parts of captions", &PARTS),
        ("methods of other papers, strict F1", &COMPARED),
    ] {
        text += &table(title, lines, reports);
    }
    text
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn table(title: &str, lines: &[Line], reports: &[Report]) -> String {
    let mut text = String::new();
    for line in lines {
        let found: Vec<Option<&Figure>> = reports.iter().map(|r| find(r, line)).collect();
        let Some(any) = found.iter().copied().flatten().next() else {
            continue;
        };
        text += &format!("| {} |", line.label);
        for figure in &found {
            let shown = figure.map_or(String::new(), |figure| shown(figure.estimate));
            text += &format!(" {shown} |");
        }
        let counts: Vec<String> = found
            .iter()
            .map(|figure| figure.map_or("-".to_owned(), |figure| figure.of.to_string()))
            .collect();
        let aim = line.aim.map_or(String::new(), |aim| format!("{aim:.2}"));
        text += &format!(" {} {} | {aim} |\n", counts.join(" / "), any.unit);
    }
    if text.is_empty() {
        return text;
    }
    let splits: String = reports.iter().map(|r| format!(" {} |", r.split)).collect();
    let rule = "---|".repeat(reports.len() + 3);
    format!("\n| {title} |{splits} mean of | aim |\n|{rule}\n{text}")
}

/// `0.947 [0.925, 0.965]`.
pub fn shown(e: Estimate) -> String {
    format!("{:.3} [{:.3}, {:.3}]", e.value, e.low, e.high)
}

/// Puts the tables into a page, between the lines `<!-- figures:begin -->` and `<!-- figures:end -->`.
///
/// # Errors
/// When the page has no such lines, or cannot be read or written.
pub fn write(page: &Path, reports: &[Report]) -> Result<()> {
    crate::page::put(page, "figures", &tables(reports))
}

/// Draws a report into a folder: `captions.png` and `answers.png`.
///
/// # Errors
/// When the report has no such rows or a file cannot be written.
pub fn draw(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let bars = |lines: &[Line]| -> Vec<Bar> {
        let bar = |line: &Line| {
            let estimate = find(report, line)?.estimate;
            let name = match line.row.strip_prefix("caption/") {
                Some(name) => name.replace('/', " "),
                None if line.figure == "word for word right" => "exact".to_owned(),
                None => line.row.replace('/', " "),
            };
            Some(Bar {
                name,
                estimate,
                aim: line.aim,
            })
        };
        let drawn = |line: &&Line| line.figure != "without a box";
        lines.iter().filter(drawn).filter_map(bar).collect()
    };
    for (file, what, lines) in [
        (
            "captions.png",
            "Names in captions, strict F1",
            &CAPTIONS[..],
        ),
        ("answers.png", "Answers", &ANSWERS),
    ] {
        let bars = bars(lines);
        if !bars.is_empty() {
            let title = format!("{what} ({} split)", report.split);
            plots::bars(&folder.join(file), &title, &bars)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::evaluate::report::RowReport;
    use crate::evaluate::row::Row;
    use crate::metrics::rates::wilson;

    fn report(split: &str, right: usize, of: usize) -> Report {
        let figure = Figure {
            name: "IoU >= 0.5".into(),
            estimate: wilson(right, of),
            of,
            unit: "boxes".into(),
        };
        let row = RowReport {
            row: "locate".into(),
            photos: of,
            questions: of,
            ms_per_question: 1.0,
            figures: vec![figure],
        };
        Report {
            split: split.into(),
            split_digest: "0123456789abcdef".into(),
            seed: 1,
            model: "fedcba".into(),
            rows: vec![row],
        }
    }

    #[test]
    fn tables_say_value_interval_count_and_aim_and_leave_out_what_was_not_asked() {
        let text = tables(&[report("val", 300, 400), report("test", 310, 402)]);
        assert!(text.contains("| other questions | val | test | mean of | aim |"));
        let wanted = "| \"Where is it?\", boxes with IoU >= 0.5 | 0.750 [0.705, 0.790] | 0.771 [0.728, 0.810] | 400 / 402 boxes | 0.85 |";
        assert!(text.contains(wanted), "{text}");
        assert_eq!(text.matches("| aim |").count(), 1, "{text}");
        assert!(text.contains("split SHA-256 `0123456789ab...`"));
    }

    #[test]
    fn a_page_keeps_what_is_around_its_tables() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("README.md");
        std::fs::write(
            &page,
            "before\n<!-- figures:begin -->\nold\n<!-- figures:end -->\nafter\n",
        )
        .unwrap();
        write(&page, &[report("val", 1, 4)]).unwrap();
        let once = std::fs::read_to_string(&page).unwrap();
        assert!(once.starts_with("before\n") && once.ends_with("\nafter\n"));
        assert!(!once.contains("old") && once.contains("boxes"));
        write(&page, &[report("val", 1, 4)]).unwrap();
        assert_eq!(std::fs::read_to_string(&page).unwrap(), once);
        std::fs::write(&page, "nothing").unwrap();
        let error = write(&page, &[report("val", 1, 4)]).unwrap_err();
        assert!(format!("{error:#}").contains("figures:begin"), "{error:#}");
    }

    #[test]
    fn every_line_is_a_row_that_can_be_asked() {
        let keys: Vec<String> = Row::all(true).iter().map(|row| row.key()).collect();
        for line in CAPTIONS
            .iter()
            .chain(&ANSWERS)
            .chain(&PARTS)
            .chain(&BINDING)
            .chain(&COMPARED)
        {
            assert!(keys.iter().any(|key| key == line.row), "{}", line.row);
        }
    }
}
