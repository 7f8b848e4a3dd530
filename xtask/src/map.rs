//! `cargo xtask map`: the file map in the README of each top-level folder, made of the promise in each file's first line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anstream::println;
use anyhow::{Context, Result, bail};
use ignore::WalkBuilder;

use crate::paths::root;

const BEGIN: &str = "<!-- map:begin -->";
const END: &str = "<!-- map:end -->";
/// A file longer than this is worth a second look; it is listed, not refused.
const LONG_FILE_LINES: usize = 400;

/// Options of `cargo xtask map`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write the maps into the READMEs instead of comparing
    #[arg(long)]
    pub(crate) write: bool,
}

/// A source file and what it promises.
#[derive(Debug)]
struct Entry {
    /// Relative to the root, with forward slashes.
    path: String,
    promise: String,
    lines: usize,
}

/// Compares the READMEs of the top-level folders with their files, or writes them.
///
/// # Errors
/// When a file says no promise, a README is missing or lacks its markers, or (comparing) a map is out of date.
pub(crate) fn map(options: &Options) -> Result<()> {
    let entries = entries(&root())?;
    for entry in entries.iter().filter(|entry| entry.lines > LONG_FILE_LINES) {
        println!("long file: {} has {} lines", entry.path, entry.lines);
    }
    let mut stale = Vec::new();
    for (folder, files) in folders(&entries) {
        let readme = root().join(folder).join("README.md");
        let old = fs::read_to_string(&readme).with_context(|| {
            format!("{folder}/ needs a README.md with a place for its file map")
        })?;
        let new = with_map(&old, &table(&files))
            .with_context(|| format!("{folder}/README.md has no place for the file map"))?;
        if old == new {
            continue;
        }
        if options.write {
            fs::write(&readme, new).with_context(|| format!("writing {}", readme.display()))?;
        }
        stale.push(format!("{folder}/README.md"));
    }
    match (stale.is_empty(), options.write) {
        (true, _) => println!("file maps ... ok, {} files", entries.len()),
        (false, true) => println!("file maps ... written: {}", stale.join(", ")),
        (false, false) => bail!(
            "file maps are out of date: {}; run `cargo xtask map --write`",
            stale.join(", ")
        ),
    }
    Ok(())
}

/// Every source file that git would keep, in order of path.
fn entries(root: &Path) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut silent = Vec::new();
    // Ignore files count even in a copy without git; hidden folders hold no source of ours.
    for found in WalkBuilder::new(root).require_git(false).build() {
        let path = found.context("walking the checkout")?.into_path();
        let Some(extension @ ("rs" | "wgsl" | "ts")) =
            path.extension().and_then(|extension| extension.to_str())
        else {
            continue;
        };
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let inside = path.strip_prefix(root).unwrap_or(&path);
        let path = inside.to_string_lossy().replace('\\', "/");
        match promise(&text, extension) {
            Some(promise) => entries.push(Entry {
                path,
                promise,
                lines: text.lines().count(),
            }),
            None => silent.push(path),
        }
    }
    if !silent.is_empty() {
        bail!(
            "no first line that says what the file promises (`//!` in Rust, `//` in WGSL and TypeScript): {}",
            silent.join(", ")
        );
    }
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

/// The promise in the first line of a file: a `//!` in Rust, a `//` elsewhere.
fn promise(text: &str, extension: &str) -> Option<String> {
    let marker = if extension == "rs" { "//!" } else { "//" };
    let said = text.lines().next()?.strip_prefix(marker)?.trim();
    (!said.is_empty() && !said.starts_with('/')).then(|| said.to_owned())
}

/// The files by top-level folder, each named from there.
fn folders(entries: &[Entry]) -> BTreeMap<&str, Vec<(&str, &Entry)>> {
    let mut folders: BTreeMap<&str, Vec<(&str, &Entry)>> = BTreeMap::new();
    for entry in entries {
        if let Some((folder, name)) = entry.path.split_once('/') {
            folders.entry(folder).or_default().push((name, entry));
        }
    }
    folders
}

/// One table of the files of a folder.
fn table(files: &[(&str, &Entry)]) -> String {
    let mut text = "\n| file | promise |\n|---|---|\n".to_owned();
    for (name, Entry { promise, .. }) in files {
        let _ = writeln!(
            text,
            "| [{name}]({name}) | {} |",
            promise.replace('|', "\\|")
        );
    }
    text
}

/// A README with `map` between its markers.
fn with_map(readme: &str, map: &str) -> Result<String> {
    let parts = readme
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!("add the lines `{BEGIN}` and `{END}` where it belongs");
    };
    Ok(format!("{before}{BEGIN}\n{map}\n{END}{after}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::paths::put;

    #[test]
    fn the_map_is_made_of_first_lines_and_ignores_what_git_ignores() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| put(dir.path(), path, text);
        write(".gitignore", "dist/\n");
        write("engine/src/b.rs", "//! Does b | c.\nfn b() {}\n");
        write("engine/src/a.rs", "//! Does a.\n");
        write("shaders/x.wgsl", "// Adds.\n");
        write("dist/made.ts", "no promise\n");
        write("notes.md", "no promise\n");
        let found = entries(dir.path()).unwrap();
        let folders = folders(&found);
        assert_eq!(folders.keys().collect::<Vec<_>>(), [&"engine", &"shaders"]);
        assert_eq!(
            table(&folders["engine"]),
            "\n| file | promise |\n|---|---|\n\
             | [src/a.rs](src/a.rs) | Does a. |\n| [src/b.rs](src/b.rs) | Does b \\| c. |\n"
        );

        write(
            "engine/src/silent.rs",
            "/// Not a promise of the file.\nfn s() {}\n",
        );
        let error = entries(dir.path()).unwrap_err();
        assert!(
            format!("{error:#}").contains("engine/src/silent.rs"),
            "{error:#}"
        );
    }

    #[test]
    fn writing_twice_changes_nothing() {
        let once = with_map("# N\n<!-- map:begin --><!-- map:end -->\nend\n", "| a |\n").unwrap();
        assert_eq!(with_map(&once, "| a |\n").unwrap(), once);
        assert!(once.starts_with("# N\n") && once.ends_with("\nend\n"));
        assert!(with_map("# N\n", "").is_err());
    }
}
