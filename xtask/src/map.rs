//! `cargo xtask map`: the README's file map, made of the promise in each file's first line.

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
    /// Write the map into README.md instead of comparing
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

/// Compares the README with the files, or writes it.
///
/// # Errors
/// When a file says no promise, the README lacks its markers, or (comparing) the map is out of date.
pub(crate) fn map(options: &Options) -> Result<()> {
    let entries = entries(&root())?;
    for entry in entries.iter().filter(|entry| entry.lines > LONG_FILE_LINES) {
        println!("long file: {} has {} lines", entry.path, entry.lines);
    }
    let readme = root().join("README.md");
    let old =
        fs::read_to_string(&readme).with_context(|| format!("reading {}", readme.display()))?;
    let new = with_map(&old, &table(&entries))?;
    if old == new {
        println!("file map ... ok, {} files", entries.len());
    } else if options.write {
        fs::write(&readme, new).with_context(|| format!("writing {}", readme.display()))?;
        println!("file map ... written, {} files", entries.len());
    } else {
        bail!("README.md's file map is out of date; run `cargo xtask map --write`");
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

/// One table for each top-level folder.
fn table(entries: &[Entry]) -> String {
    let mut folders: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in entries {
        let folder = entry.path.split_once('/').map_or("", |(folder, _)| folder);
        folders.entry(folder).or_default().push(entry);
    }
    let mut text = String::new();
    for (folder, entries) in folders {
        let _ = writeln!(text, "\n| {folder}/ | promise |\n|---|---|");
        for Entry { path, promise, .. } in entries {
            let name = path
                .strip_prefix(folder)
                .unwrap_or(path)
                .trim_start_matches('/');
            let _ = writeln!(
                text,
                "| [{name}]({path}) | {} |",
                promise.replace('|', "\\|")
            );
        }
    }
    text
}

/// The README with `map` between its markers.
fn with_map(readme: &str, map: &str) -> Result<String> {
    let parts = readme
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!(
            "README.md has no place for the file map; add the lines `{BEGIN}` and `{END}` where it belongs"
        );
    };
    Ok(format!("{before}{BEGIN}\n{map}\n{END}{after}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_map_is_made_of_first_lines_and_ignores_what_git_ignores() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(".gitignore", "dist/\n");
        write("engine/src/b.rs", "//! Does b | c.\nfn b() {}\n");
        write("engine/src/a.rs", "//! Does a.\n");
        write("shaders/x.wgsl", "// Adds.\n");
        write("dist/made.ts", "no promise\n");
        write("notes.md", "no promise\n");
        let text = table(&entries(dir.path()).unwrap());
        assert_eq!(
            text,
            "\n| engine/ | promise |\n|---|---|\n\
             | [src/a.rs](engine/src/a.rs) | Does a. |\n| [src/b.rs](engine/src/b.rs) | Does b \\| c. |\n\
             \n| shaders/ | promise |\n|---|---|\n| [x.wgsl](shaders/x.wgsl) | Adds. |\n"
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
