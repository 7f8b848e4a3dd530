//! Files and folders that the Markdown documents name in back-ticks are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anstream::println;
use anyhow::{Context, Result, ensure};
use ignore::WalkBuilder;
use ignore::gitignore::Gitignore;

use crate::paths::root;

/// Documents that tell what was: files they name may rightly be gone.
const HISTORIES: [&str; 2] = ["CHANGELOG.md", "tests/benches/RESULTS.md"];

/// Looks up every path that begins with a folder of the checkout.
///
/// # Errors
/// When one is neither there nor made by a build; the message names every one and its document.
pub(crate) fn check() -> Result<()> {
    let faults = faults(&root())?;
    ensure!(
        faults.is_empty(),
        "documents name files that are not there:\n  {}",
        faults.join("\n  ")
    );
    println!("files that documents name ... ok");
    Ok(())
}

/// Paths that lead nowhere, each with its document.
fn faults(root: &Path) -> Result<Vec<String>> {
    let mut documents = Vec::new();
    let mut folders = BTreeSet::new();
    for found in WalkBuilder::new(root).require_git(false).build() {
        let path = found.context("walking the checkout")?.into_path();
        let inside = path.strip_prefix(root).unwrap_or(&path);
        if path.is_dir() && inside.components().count() == 1 {
            folders.insert(inside.to_string_lossy().into_owned());
        }
        if path.extension().is_some_and(|extension| extension == "md") {
            documents.push(inside.to_string_lossy().replace('\\', "/"));
        }
    }
    documents.sort();
    // What a build makes is not there before it.
    let (ignored, problem) = Gitignore::new(root.join(".gitignore"));
    if let Some(problem) = problem {
        return Err(problem).context("reading .gitignore");
    }
    let mut faults = Vec::new();
    for document in documents {
        if HISTORIES.contains(&document.as_str()) {
            continue;
        }
        let file = root.join(&document);
        let text =
            fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let beside = file.parent().unwrap_or(root);
        for path in paths(&text) {
            let (folder, _) = path.split_once('/').unwrap_or_default();
            let is_made = || {
                let made = ignored.matched_path_or_any_parents(path, path.ends_with('/'));
                made.is_ignore()
            };
            let is_there = [root, beside].iter().any(|from| from.join(path).exists());
            if folders.contains(folder) && !is_there && !is_made() {
                faults.push(format!("{document}: `{path}`"));
            }
        }
    }
    Ok(faults)
}

/// What stands in back-ticks and looks like a path of at least two parts, outside of blocks of code.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    let lines = text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    });
    lines
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .filter(|quoted| {
            let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
            let mut parts = quoted.trim_end_matches('/').split('/');
            quoted.contains('/') && parts.all(|part| !part.is_empty() && part.chars().all(is_plain))
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::paths::put;

    #[test]
    fn documents_of_this_project_name_what_is_there() {
        let faults = faults(&root()).unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn a_file_that_is_gone_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| put(dir.path(), path, text);
        write(".gitignore", "dist/\n");
        write("engine/src/lib.rs", "");
        write(
            "page/README.md",
            "`engine/src`, `src/app.ts`, `page/src/gone.ts`",
        );
        write("page/src/app.ts", "");
        write("CHANGELOG.md", "`engine/src/before.rs` is gone");
        write(
            "README.md",
            "`engine/src/lib.rs`, `engine/src/` and `page/dist/index.html`, `application/json`, `engine/NAME/<step>`\n\
             ```\n`engine/src/shown.rs`\n```\nbut `engine/src/gone.rs` and `engine/gone/`\n",
        );
        assert_eq!(
            faults(dir.path()).unwrap(),
            [
                "README.md: `engine/src/gone.rs`",
                "README.md: `engine/gone/`",
                "page/README.md: `page/src/gone.ts`"
            ]
        );
    }
}
