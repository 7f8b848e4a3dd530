//! `cargo xtask mutants`: plants known bugs, one at a time, in a copy of the sources, and shows that the named test sees each.

mod scratch;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anstream::{print, println};
use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::paths::root;
use crate::run::{stage, step};
use scratch::{Scratch, write};

const LIST: &str = "tests/mutants.toml";
const REPORT: &str = "tests/mutants.md";
/// How `caught_by` calls the unit tests of a crate, and where its sources are.
const CRATES: [(&str, &str); 2] = [
    ("namelens-engine", "engine/src"),
    ("namelens-ops", "engine/ops/src"),
];

/// Options of `cargo xtask mutants`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Plant this bug only
    #[arg(long, value_name = "ID")]
    only: Option<String>,
    /// Print the bugs and do nothing
    #[arg(long, conflicts_with = "write")]
    list: bool,
    /// Write what a whole run found into tests/mutants.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    bug: Vec<Bug>,
}

/// A mistake somebody could make.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bug {
    id: String,
    /// The part of the engine it is in.
    family: String,
    /// Relative to the root.
    file: String,
    /// Stands once in the file.
    find: String,
    replace: String,
    /// Binary and test.
    caught_by: String,
    why: String,
}

/// What became of a planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Caught,
    Survived,
    NotCompiled,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Caught => "caught",
            Self::Survived => "SURVIVED",
            Self::NotCompiled => "DID NOT COMPILE",
        }
    }
}

/// Plants the bugs and prints what became of each.
///
/// # Errors
/// When the list does not fit the sources, a named test fails without a bug, or a bug survives or does not compile.
pub(crate) fn mutants(options: &Options) -> Result<()> {
    let mut bugs = read(&root())?;
    check(&root(), &bugs)?;
    if let Some(only) = &options.only {
        bugs.retain(|bug| bug.id == *only);
        if bugs.is_empty() {
            bail!("no bug is called `{only}`; `cargo xtask mutants --list` names all");
        }
    }
    if options.list {
        for bug in &bugs {
            println!("{:42} {}", bug.id, bug.why);
        }
        return Ok(());
    }
    let scratch = Scratch::of(&root())?;
    stage("the named tests without a bug", || sound(&scratch, &bugs))?;
    let mut fates = Vec::with_capacity(bugs.len());
    for bug in &bugs {
        let fate = step(&bug.id, || plant(&scratch, bug))?;
        if fate != Fate::Caught {
            println!("  {}: {}", fate.word(), bug.why);
        }
        fates.push(fate);
    }
    let report = report(&bugs, &fates);
    print!("\n{report}");
    let alive = fates.iter().filter(|fate| **fate != Fate::Caught).count();
    if alive > 0 {
        bail!(
            "{alive} of {} bugs were not caught by the test that should; add or sharpen that test",
            bugs.len()
        );
    }
    if options.write {
        fs::write(root().join(REPORT), report).with_context(|| format!("writing {REPORT}"))?;
    }
    Ok(())
}

/// The list under `root`.
fn read(root: &Path) -> Result<Vec<Bug>> {
    let text = fs::read_to_string(root.join(LIST)).with_context(|| format!("reading {LIST}"))?;
    let list: List = toml::from_str(&text).with_context(|| format!("reading {LIST}"))?;
    Ok(list.bug)
}

/// Refuses a list that does not fit the sources: text that does not stand once, tests that are not there.
fn check(root: &Path, bugs: &[Bug]) -> Result<()> {
    let mut ids = BTreeSet::new();
    let mut problems = Vec::new();
    for bug in bugs {
        if !ids.insert(&bug.id) {
            problems.push(format!("two bugs are called `{}`", bug.id));
        }
        let text = fs::read_to_string(root.join(&bug.file)).unwrap_or_default();
        let times = text.matches(&bug.find).count();
        if times != 1 || bug.find == bug.replace {
            problems.push(format!(
                "`{}`: its text stands {times} times in {}, not once, or is not changed",
                bug.id, bug.file
            ));
        }
        if !has_test(root, &bug.caught_by) {
            problems.push(format!(
                "`{}`: there is no test `{}`",
                bug.id, bug.caught_by
            ));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "{LIST} does not fit the sources:\n  {}",
        problems.join("\n  ")
    )
}

/// Whether the file that a test's path leads to has a function of its name.
fn has_test(root: &Path, caught_by: &str) -> bool {
    let Some((binary, path)) = caught_by.split_once("::") else {
        return false;
    };
    let parts: Vec<&str> = path.split("::").collect();
    let Some((name, modules)) = parts.split_last() else {
        return false;
    };
    // The last module is a file of its own, or the `mod tests` of the file before it, in it or beside it.
    let unit = CRATES.iter().find(|(name, _)| *name == binary);
    let files = match (unit, modules.split_last()) {
        (Some((_, src)), Some((_, outer))) => vec![
            format!("{src}/{}.rs", modules.join("/")),
            format!("{src}/{}.rs", outer.join("/")),
            format!("{src}/{}_tests.rs", outer.join("/")),
        ],
        (Some(_), None) => Vec::new(),
        (None, _) => vec![format!("tests/{binary}.rs")],
    };
    let function = format!("fn {name}(");
    files
        .iter()
        .any(|file| fs::read_to_string(root.join(file)).is_ok_and(|text| text.contains(&function)))
}

/// Binary and name of the test that should catch a bug.
fn place(bug: &Bug) -> (&str, &str) {
    bug.caught_by
        .split_once("::")
        .unwrap_or((&bug.caught_by, ""))
}

/// Shows that every named test passes while there is no bug.
fn sound(scratch: &Scratch, bugs: &[Bug]) -> Result<()> {
    let mut tests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (binary, name) in bugs.iter().map(place) {
        tests.entry(binary).or_default().insert(name);
    }
    for (binary, names) in tests {
        let (text, _) = scratch.test(binary, &names)?;
        let failed = names.iter().find(|name| verdict(&text, name) != Some(true));
        if let Some(name) = failed {
            bail!("{text}\n`{binary}::{name}` does not pass without a bug; make it pass first");
        }
    }
    Ok(())
}

/// Plants one bug, runs its test, and takes the bug out again.
fn plant(scratch: &Scratch, bug: &Bug) -> Result<Fate> {
    let file = scratch.source.join(&bug.file);
    let sound = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
    write(&file, sound.replacen(&bug.find, &bug.replace, 1).as_bytes())?;
    let (binary, name) = place(bug);
    let ran = scratch.test(binary, &BTreeSet::from([name]));
    write(&file, sound.as_bytes())?;
    let (text, passed) = ran?;
    let Some(fate) = fate(&text, passed, name) else {
        bail!(
            "{text}\n`{}` did not come to its test; nothing is known of it",
            bug.id
        );
    };
    if fate == Fate::NotCompiled {
        println!("\n{text}");
    }
    Ok(fate)
}

/// What became of a bug, by the output of its test and whether that ended well; `None` where the test was not begun.
fn fate(text: &str, passed: bool, name: &str) -> Option<Fate> {
    if text.contains("error: could not compile") {
        return Some(Fate::NotCompiled);
    }
    match verdict(text, name) {
        Some(true) => Some(Fate::Survived),
        Some(false) => Some(Fate::Caught),
        // There is no such test.
        None if passed => Some(Fate::Survived),
        // The process died in the middle of the test; of other binaries libtest says that it runs none.
        None if text.lines().any(|line| line == "running 1 test") => Some(Fate::Caught),
        None => None,
    }
}

/// Whether a test passed, by its own line in the output of libtest; `None` when it has none.
fn verdict(text: &str, name: &str) -> Option<bool> {
    let line = text.lines().find_map(|line| {
        line.strip_prefix("test ")?
            .strip_prefix(name)?
            .strip_prefix(" ... ")
    })?;
    match line {
        "ok" => Some(true),
        "FAILED" => Some(false),
        _ => None,
    }
}

/// All bugs as a table.
fn report(bugs: &[Bug], fates: &[Fate]) -> String {
    let caught = fates.iter().filter(|fate| **fate == Fate::Caught).count();
    let mut text = format!(
        "# Planted bugs\n\nWhat `cargo xtask mutants --write` found when it last ran: of the {} bugs that `{LIST}` had then, {caught} \
         bugs were caught.\n\
         \n| bug | in | why it is easily made | caught by | |\n|---|---|---|---|---|\n",
        bugs.len()
    );
    for (bug, fate) in bugs.iter().zip(fates) {
        let (binary, name) = place(bug);
        let why = bug.why.replace('|', "\\|");
        let _ = writeln!(
            text,
            "| {} | {} | {why} | `{binary}` `{name}` | {} |",
            bug.id,
            bug.family,
            fate.word()
        );
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_list_fits_the_sources() {
        let bugs = read(&root()).unwrap();
        assert!(bugs.len() >= 40, "{}", bugs.len());
        check(&root(), &bugs).unwrap();
    }

    /// Rows of the report that are not as `list` has their bugs: bug and test.
    fn stale<'a>(report: &'a str, list: &[Bug]) -> Vec<&'a str> {
        let known: BTreeSet<(&str, String)> = list
            .iter()
            .map(|bug| {
                let (binary, name) = place(bug);
                (bug.id.as_str(), format!("`{binary}` `{name}`"))
            })
            .collect();
        rows(report)
            .filter(|row| {
                let cells: Vec<&str> = row.split(" | ").collect();
                let id = cells[0].trim_start_matches("| ");
                // What the bug is about may hold a bar of its own.
                let test = cells.len().checked_sub(2).map(|at| cells[at].to_owned());
                test.is_none_or(|test| !known.contains(&(id, test)))
            })
            .collect()
    }

    fn rows(report: &str) -> impl Iterator<Item = &str> {
        let (_, rows) = report.split_once("|---|---|---|---|---|\n").unwrap();
        rows.lines()
    }

    #[test]
    fn the_report_names_bugs_and_tests_of_the_list() {
        let bugs = read(&root()).unwrap();
        let written = fs::read_to_string(root().join(REPORT)).unwrap();
        assert_eq!(stale(&written, &bugs), Vec::<&str>::new());
        // It says of how many bugs it tells.
        let caught = rows(&written)
            .filter(|row| row.ends_with("| caught |"))
            .count();
        assert_eq!(caught, rows(&written).count());
        assert!(written.contains(&format!("{caught} bugs")), "{caught}");
        // Of a bug under another name, and of one with another test, it would be noticed.
        let new = report(&bugs, &vec![Fate::Caught; bugs.len()]);
        assert_eq!(stale(&new, &bugs), Vec::<&str>::new());
        for change in [
            |bug: &mut Bug| bug.id.push('x'),
            |bug: &mut Bug| bug.caught_by.push('x'),
        ] {
            let mut other = read(&root()).unwrap();
            change(&mut other[1]);
            assert_eq!(stale(&new, &other).len(), 1);
        }
    }

    fn bug(change: impl FnOnce(&mut Bug)) -> Vec<Bug> {
        let mut bug = read(&root()).unwrap().swap_remove(0);
        change(&mut bug);
        vec![bug]
    }

    #[test]
    fn bugs_that_do_not_fit_are_named() {
        let problem = |change: fn(&mut Bug)| check(&root(), &bug(change)).unwrap_err().to_string();
        assert!(problem(|bug| bug.find = "no such text".into()).contains("stands 0 times"));
        assert!(problem(|bug| bug.find = "fn ".into()).contains("not once"));
        assert!(problem(|bug| bug.replace = bug.find.clone()).contains("not changed"));
        for test in [
            "goldens::no_such_test",
            "namelens-engine::image::tests::no_such_test",
            "namelens-engine::no_such_test",
            "logits",
        ] {
            let bugs = bug(|bug| bug.caught_by = test.into());
            let problem = check(&root(), &bugs).unwrap_err().to_string();
            assert!(problem.contains("there is no test"), "{problem}");
        }
        let mut twice = bug(|_| ());
        twice.extend(bug(|_| ()));
        let problem = check(&root(), &twice).unwrap_err().to_string();
        assert!(problem.contains("two bugs"), "{problem}");
    }

    #[test]
    fn a_bug_is_caught_only_where_its_test_was_begun() {
        let begun = "running 1 test\n";
        let none = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed\n\n";
        let of = |text: &str, passed| fate(text, passed, "a::b");
        assert_eq!(
            of(&format!("{begun}test a::b ... FAILED\n"), false),
            Some(Fate::Caught)
        );
        assert_eq!(
            of(&format!("{begun}test a::b ... ok\n"), true),
            Some(Fate::Survived)
        );
        // It took the process with it.
        assert_eq!(
            of(&format!("{none}{begun}error: test failed\n"), false),
            Some(Fate::Caught)
        );
        assert_eq!(of(none, true), Some(Fate::Survived));
        assert_eq!(
            of("error: could not compile `x`\n", false),
            Some(Fate::NotCompiled)
        );
        // cargo itself failed, or the binary did before it came to a test.
        for text in ["error: failed to get `burn` as a dependency\n", none, ""] {
            assert_eq!(of(text, false), None, "{text}");
        }
    }

    #[test]
    fn verdicts_are_read_from_the_tests_own_line() {
        let text = "running 2 tests\ntest a::b ... ok\ntest a::bc ... FAILED\n";
        assert_eq!(verdict(text, "a::b"), Some(true));
        assert_eq!(verdict(text, "a::bc"), Some(false));
        assert_eq!(verdict(text, "b"), None);
    }
}
