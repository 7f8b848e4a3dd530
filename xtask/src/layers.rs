//! Which way dependencies run: the rules between rooms and crates, and no circles between files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anstream::println;
use anyhow::{Context, Result, ensure};

use crate::module_paths::{Module, modules};
use crate::paths::root;

/// The rooms of a crate, lowest first: a file may use its own room and those before it. Rooms of one line do not use each other.
struct Rooms {
    /// The folder of the crate.
    folder: &'static str,
    lines: &'static [&'static [&'static str]],
    /// Whether rooms that are in no line lie above all of these, and may use each other.
    has_others: bool,
}

const OPS: Rooms = Rooms {
    folder: "engine/ops/src",
    lines: &[&["blocks", "random", "threads"], &["kernels"]],
    has_others: true,
};

const ENGINE: Rooms = Rooms {
    folder: "engine/src",
    lines: &[
        &["error", "class_defaults", "foreign"],
        &["host", "weights"],
        &["text", "concepts"],
        &["image"],
        &["model"],
        &["generate"],
        &["personalize"],
    ],
    has_others: false,
};

/// Crates whose files must be free of circles, and the folder of each.
const CRATES: [&str; 5] = [
    "engine/src",
    "engine/ops/src",
    "training-native/src",
    "wasm-pkg/src",
    "xtask/src",
];

/// What only one place may name: (text, the only folder that may have it, why).
const ONLY: [(&str, &str, &str); 4] = [
    ("js_sys::", "wasm-pkg/", "one crate knows JavaScript"),
    ("web_sys::", "wasm-pkg/", "one crate knows JavaScript"),
    ("wasm_bindgen::", "wasm-pkg/", "one crate knows JavaScript"),
    (
        "kernels::launch::",
        "engine/ops/src/kernels",
        "one file knows the launch API, and kernels alone call it",
    ),
];

/// What the engine must do without: it has no files, network, clock or threads of its own.
const NOT_IN_ENGINE: [&str; 5] = [
    "std::fs",
    "std::net",
    "std::time",
    "std::thread",
    "std::env",
];

/// Checks the direction of dependencies.
///
/// # Errors
/// When a file uses what it must not; the message names every one.
pub(crate) fn check() -> Result<()> {
    let faults = faults(&root())?;
    ensure!(
        faults.is_empty(),
        "dependencies run the wrong way:\n  {}",
        faults.join("\n  ")
    );
    println!("directions of dependencies ... ok");
    Ok(())
}

/// Every use that runs the wrong way.
fn faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for folder in CRATES {
        let modules = modules(&root.join(folder))
            .with_context(|| format!("reading the modules of {folder}"))?;
        ensure!(!modules.is_empty(), "{folder} has no modules");
        for rooms in [&OPS, &ENGINE] {
            if rooms.folder == folder {
                faults.extend(upward(rooms, &modules));
                faults.extend(outward(folder, &modules));
            }
        }
        faults.extend(
            circles(&modules).into_iter().map(|circle| {
                format!("{folder}: these files use each other in a circle: {circle}")
            }),
        );
        for (text, owner, why) in ONLY {
            // This file itself has those texts.
            if folder == "xtask/src" {
                continue;
            }
            for module in &modules {
                let inside = format!("{folder}/{}", module.path.join("/"));
                if module.text.contains(text) && !inside.starts_with(owner) {
                    faults.push(format!("{inside} has `{text}`, but {why}"));
                }
            }
        }
    }
    Ok(faults)
}

/// Uses of a room by one below it or beside it.
fn upward(rooms: &Rooms, modules: &[Module]) -> Vec<String> {
    let Rooms {
        folder,
        lines,
        has_others,
    } = *rooms;
    let others = has_others.then_some(lines.len());
    let height = |room: &str| {
        let line = lines.iter().position(|line| line.contains(&room));
        line.or(others)
    };
    let mut faults = BTreeSet::new();
    for module in modules {
        let Some(room) = module.path.first() else {
            continue;
        };
        let Some(own) = height(room) else {
            faults.insert(format!(
                "{folder}/{room} is in no line of its crate's rooms"
            ));
            continue;
        };
        for used in &module.uses {
            let Some(other) = used.first().filter(|other| *other != room) else {
                continue;
            };
            let both_others = others == Some(own) && height(other) == others;
            if !both_others && height(other).is_none_or(|other| other >= own) {
                faults.insert(format!(
                    "{folder}/{} uses `{}`, but `{room}` is below or beside `{other}`",
                    module.path.join("/"),
                    used.join("::")
                ));
            }
        }
    }
    faults.into_iter().collect()
}

/// Uses of what the engine must do without.
fn outward(folder: &str, modules: &[Module]) -> Vec<String> {
    let mut faults = Vec::new();
    for module in modules {
        for banned in NOT_IN_ENGINE {
            if module.text.contains(banned) {
                faults.push(format!(
                    "{folder}/{} uses {banned}: the host has that, not the engine",
                    module.path.join("/")
                ));
            }
        }
    }
    faults
}

/// Groups of files that use each other in a circle. A file may name the files below it (its own folder) without that being a
/// use: it puts them together.
fn circles(modules: &[Module]) -> Vec<String> {
    let edges: BTreeMap<&[String], BTreeSet<&[String]>> = modules
        .iter()
        .map(|module| {
            let path = module.path.as_slice();
            let used = module
                .uses
                .iter()
                .map(Vec::as_slice)
                .filter(|used| *used != path && !used.starts_with(path))
                .collect();
            (path, used)
        })
        .collect();
    let reaches = |from: &[String]| {
        let mut seen: BTreeSet<&[String]> = BTreeSet::new();
        let mut open: Vec<&[String]> = edges.get(from).into_iter().flatten().copied().collect();
        while let Some(next) = open.pop() {
            if seen.insert(next) {
                open.extend(edges.get(next).into_iter().flatten());
            }
        }
        seen
    };
    let reach: BTreeMap<&[String], BTreeSet<&[String]>> =
        edges.keys().map(|&path| (path, reaches(path))).collect();
    let mut told: BTreeSet<&[String]> = BTreeSet::new();
    let mut circles = Vec::new();
    for (&path, far) in &reach {
        if !far.contains(path) || told.contains(path) {
            continue;
        }
        let circle: Vec<&[String]> = far
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(path)))
            .collect();
        told.extend(&circle);
        let names: Vec<String> = circle.iter().map(|path| path.join("/")).collect();
        circles.push(names.join(", "));
    }
    circles
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::paths::put;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            put(dir.path(), path, text);
        }
        dir
    }

    #[test]
    fn dependencies_of_this_project_run_one_way() {
        let faults = faults(&root()).unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }

    #[test]
    fn a_room_that_uses_one_above_it_is_found() {
        let dir = tree(&[
            ("weights.rs", "use crate::error::Error;\n"),
            ("error.rs", ""),
            ("text/chat.rs", "fn f() { crate::image::decode(b\"\") }\n"),
            (
                "image.rs",
                "// use crate::personalize::Engine;\nfn decode(_: &[u8]) {}\n",
            ),
            ("cellar.rs", ""),
        ]);
        let faults = upward(&ENGINE, &modules(dir.path()).unwrap());
        assert_eq!(faults.len(), 2, "{faults:#?}");
        assert!(faults[0].contains("cellar is in no line"), "{faults:#?}");
        assert!(faults[1].contains("text/chat uses `image"), "{faults:#?}");
    }

    #[test]
    fn what_follows_the_tests_of_a_file_is_looked_at() {
        let dir = tree(&[
            (
                "weights/quant.rs",
                "#[cfg(test)]\nmod tests;\nuse crate::personalize::X;\n",
            ),
            ("weights.rs", "mod quant;\n"),
            ("personalize.rs", "pub struct X;\n"),
        ]);
        let faults = upward(&ENGINE, &modules(dir.path()).unwrap());
        assert_eq!(faults.len(), 1, "{faults:#?}");
        assert!(
            faults[0].contains("weights/quant uses `personalize"),
            "{faults:#?}"
        );
    }

    #[test]
    fn rooms_above_all_lines_use_each_other_and_are_not_used() {
        let dir = tree(&[
            ("kernels/quant.rs", "use crate::attention::Size;\n"),
            ("attention.rs", "use crate::{blocks::BLOCK, softmax};\n"),
            ("softmax.rs", "use crate::kernels::quant;\n"),
            ("blocks.rs", "use crate::threads;\n"),
            ("threads.rs", ""),
        ]);
        let faults = upward(&OPS, &modules(dir.path()).unwrap());
        assert_eq!(faults.len(), 2, "{faults:#?}");
        assert!(faults[0].contains("blocks uses `threads"), "{faults:#?}");
        assert!(
            faults[1].contains("kernels/quant uses `attention"),
            "{faults:#?}"
        );
    }

    #[test]
    fn circles_are_found_through_re_exports_and_not_in_tests() {
        let dir = tree(&[
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\n"),
            ("a.rs", "mod inner;\npub use inner::A;\nuse crate::b::B;\n"),
            ("a/inner.rs", "use super::super::b::B;\npub struct A;\n"),
            ("b.rs", "use crate::a::A;\npub struct B;\n"),
            (
                "c.rs",
                "use crate::b::B;\n#[cfg(test)]\nmod tests {\n    use crate::d::D;\n}\n",
            ),
            ("d.rs", "use crate::c::C;\n"),
        ]);
        assert_eq!(circles(&modules(dir.path()).unwrap()), ["a/inner, b"]);
    }

    #[test]
    fn the_engine_reads_no_files_of_its_own() {
        let dir = tree(&[("weights.rs", "fn f() { std::fs::read(\"x\").ok(); }\n")]);
        assert_eq!(outward("src", &modules(dir.path()).unwrap()).len(), 1);
    }
}
