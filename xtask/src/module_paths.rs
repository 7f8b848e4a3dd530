//! The modules of a crate and what each uses, read from its text: `use` lines and paths that begin with `crate` or `super`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ignore::WalkBuilder;

/// A source file of a crate, without its tests and comments.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its path from the crate's root; empty for `lib.rs` and `main.rs`.
    pub(crate) path: Vec<String>,
    /// The modules it uses, by path; where a name is re-exported, the module that has it.
    pub(crate) uses: BTreeSet<Vec<String>>,
    /// Its code.
    pub(crate) text: String,
}

/// A path as it is written, and whether it is re-exported.
struct Written {
    path: Vec<String>,
    public: bool,
}

/// The modules below `src`, without those that are only tests.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn modules(src: &Path) -> Result<Vec<Module>> {
    let mut texts = BTreeMap::new();
    for found in WalkBuilder::new(src).require_git(false).build() {
        let path = found.context("walking the crate")?.into_path();
        let inside = path.strip_prefix(src).unwrap_or(&path).with_extension("");
        let mut module: Vec<String> = inside
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        let is_test = |name: &String| name == "tests" || name.ends_with("_tests");
        if path.extension().is_none_or(|extension| extension != "rs") || module.iter().any(is_test)
        {
            continue;
        }
        if module == ["lib"] || module == ["main"] {
            module.clear();
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        texts.insert(module, code(&text));
    }
    let written: BTreeMap<&Vec<String>, Vec<Written>> = texts
        .iter()
        .map(|(module, text)| (module, paths(module, text, &texts)))
        .collect();
    Ok(texts
        .iter()
        .map(|(module, text)| {
            let uses = written[module]
                .iter()
                .map(|used| owner(&used.path, &written))
                .filter(|used| used != module)
                .collect();
            Module {
                path: module.clone(),
                uses,
                text: text.clone(),
            }
        })
        .collect())
}

/// The text without comments, and without the items that only tests have.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut in_test = false;
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        in_test |= line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
        if !in_test {
            code.push_str(line);
            code.push('\n');
        }
        // Text that is formatted begins a line with what ends an item, and with nothing inside it.
        let is_end =
            line.trim_end().ends_with([';', '}']) && !line.starts_with(char::is_whitespace);
        in_test &= !is_end;
    }
    code
}

/// Every path of `text` that leads to a module of the crate, from the crate's root.
fn paths(module: &[String], text: &str, all: &BTreeMap<Vec<String>, String>) -> Vec<Written> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = next_use(rest) {
        let statement = &rest[at..];
        let end = statement.find(';').unwrap_or(statement.len());
        let line = rest[..at].rsplit('\n').next().unwrap_or_default();
        let body = statement[..end].trim_start_matches("use ");
        for path in leaves(body) {
            found.extend(absolute(module, &path, all).map(|path| Written {
                path,
                public: line.trim_start().starts_with("pub"),
            }));
        }
        rest = &statement[end..];
    }
    for (at, _) in text.match_indices("::") {
        let before = text[..at]
            .rsplit(|c: char| !(c.is_alphanumeric() || c == '_'))
            .next();
        if !matches!(before, Some("crate" | "super")) {
            continue;
        }
        let start = at - before.map_or(0, str::len);
        if text[..start].ends_with("::") {
            continue;
        }
        let written: String = text[start..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':'))
            .collect();
        let path: Vec<String> = written
            .split("::")
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        found.extend(absolute(module, &path, all).map(|path| Written {
            path,
            public: false,
        }));
    }
    found
}

/// Where the next `use` statement begins.
fn next_use(text: &str) -> Option<usize> {
    text.match_indices("use ").map(|(at, _)| at).find(|&at| {
        let line = text[..at].rsplit('\n').next().unwrap_or_default().trim();
        line.is_empty() || line.starts_with("pub")
    })
}

/// The paths of a `use` tree: `a::{b, c::D}` is `a::b` and `a::c::D`.
fn leaves(tree: &str) -> Vec<Vec<String>> {
    let tree = tree.trim();
    let Some((prefix, inner)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        return vec![
            path.split("::")
                .map(|part| part.trim().to_owned())
                .collect(),
        ];
    };
    let prefix: Vec<String> = prefix
        .split("::")
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => (),
        }
    }
    parts.push(&inner[start..]);
    parts
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .flat_map(leaves)
        .map(|leaf| {
            let leaf = leaf.into_iter().filter(|part| part != "self");
            prefix.iter().cloned().chain(leaf).collect()
        })
        .collect()
}

/// The path from the crate's root, if it is one of the crate.
fn absolute(
    module: &[String],
    path: &[String],
    all: &BTreeMap<Vec<String>, String>,
) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|part| *part == "super").count();
    match path.first()?.as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => {
            let up = module.len().checked_sub(supers)?;
            Some([&module[..up], &path[supers..]].concat())
        }
        first => {
            let child = [module, &[first.to_owned()]].concat();
            all.contains_key(&child).then(|| [module, path].concat())
        }
    }
}

/// The module that has what `path` names: the longest part of it that is a module, followed through re-exports.
fn owner(path: &[String], written: &BTreeMap<&Vec<String>, Vec<Written>>) -> Vec<String> {
    let mut path = path.to_vec();
    // A chain of re-exports is short; a circle of them would not compile.
    for _ in 0..8 {
        let Some(depth) = (0..=path.len())
            .rev()
            .find(|&depth| written.contains_key(&path[..depth].to_vec()))
        else {
            return Vec::new();
        };
        let module = path[..depth].to_vec();
        let Some(name) = path.get(depth) else {
            return module;
        };
        let exported = written[&module]
            .iter()
            .find(|used| used.public && used.path.last() == Some(name) && used.path != path);
        match exported {
            Some(used) => path = [used.path.as_slice(), &path[depth + 1..]].concat(),
            None => return module,
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_items_of_tests_are_left_out() {
        let text = "use crate::a::A;
#[cfg(test)]
mod tests; // beside it
use crate::b::B;
#[cfg(all(test, unix))]
#[allow(
    clippy::unwrap_used,
    reason = \"tests\"
)]
mod unix_tests {
    use crate::c::C;

    fn of(c: C) {
        drop(c);
    }
}
#[cfg(test)]
use crate::{
    d::D,
    e::E,
};

fn f() {
    crate::g::g();
}
";
        let left = code(text);
        for kept in ["a::A", "b::B", "g::g"] {
            assert!(left.contains(kept), "{kept}: {left}");
        }
        for gone in ["tests", "c::C", "drop", "d::D", "e::E", "allow"] {
            assert!(!left.contains(gone), "{gone}: {left}");
        }
    }
}
