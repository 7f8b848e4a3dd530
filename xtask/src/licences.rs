//! Texts of licences: which of a package's files say it, and a standard text where a package brings none.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths::root;

/// Licences that somebody looked at: they ask for no more than notice (MPL: also for the source of that package, which its
/// line in the notices gives). In the order in which one is taken where a package lets us choose.
const KNOWN: [&str; 15] = [
    "MIT",
    "Apache-2.0",
    "Zlib",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "0BSD",
    "BSL-1.0",
    "Unicode-3.0",
    "Unlicense",
    "CC0-1.0",
    "Apache-2.0 WITH LLVM-exception",
    "OFL-1.1",
    "MPL-2.0",
    "BlueOak-1.0.0",
];
/// How files begin that hold a licence.
const LICENCES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "UNLICENSE", "COPYRIGHT"];
/// The Mozilla licence asks for a pointer to its text, not for a copy.
const MPL: &str = "Mozilla Public License, version 2.0: https://mozilla.org/MPL/2.0/\n\n\
    The source of the packages under it is at the addresses given with them, and at the registry they come from.\n";

/// Texts with numbers, each once.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    texts: Vec<String>,
}

impl Texts {
    /// The number of a text, new or met before; how it is broken into lines makes no difference.
    pub(crate) fn number(&mut self, text: String) -> usize {
        let same = |a: &str, b: &str| a.split_whitespace().eq(b.split_whitespace());
        let index = self.texts.iter().position(|known| same(known, &text));
        1 + index.unwrap_or_else(|| {
            self.texts.push(text);
            self.texts.len() - 1
        })
    }
}

impl fmt::Display for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, text) in self.texts.iter().enumerate() {
            let title = format!("Text {}", index + 1);
            write!(f, "\n{title}\n{}\n\n{text}", "-".repeat(title.len()))?;
        }
        Ok(())
    }
}

/// The texts that must go with a package in `folder` under the SPDX expression `licence`.
///
/// # Errors
/// When a licence of it is not among those that were looked at, or no text is found.
pub(crate) fn texts_of(folder: &Path, licence: &str) -> Result<Vec<String>> {
    let files = files_in(folder)?;
    let chosen = choose(licence)?;
    let is_notice = |path: &Path| upper(path).starts_with("NOTICE");
    let of_licence: Vec<&PathBuf> = files.iter().filter(|path| !is_notice(path)).collect();
    let word = chosen.map(|chosen| chosen.split('-').next().unwrap_or(chosen).to_uppercase());
    let named: Vec<&PathBuf> = of_licence
        .iter()
        .copied()
        .filter(|path| {
            word.as_ref()
                .is_some_and(|word| upper(path).contains(word.as_str()))
        })
        .collect();
    // Files that carry no licence in their name hold whatever applies.
    let taken = if named.is_empty() { of_licence } else { named };
    let mut texts = taken
        .into_iter()
        .map(|path| read(path))
        .collect::<Result<Vec<_>>>()?;
    if texts.is_empty() {
        texts.push(standard(chosen, licence)?);
    }
    for notice in files.iter().filter(|path| is_notice(path)) {
        texts.push(read(notice)?);
    }
    Ok(texts)
}

/// Whether the package brings the text of its licence.
///
/// # Errors
/// When its folder cannot be read.
pub(crate) fn has_own_text(folder: &Path) -> Result<bool> {
    Ok(files_in(folder)?
        .iter()
        .any(|path| !upper(path).starts_with("NOTICE")))
}

/// The one licence that is taken of a choice; none where several hold at once.
fn choose(licence: &str) -> Result<Option<&'static str>> {
    let alternatives: Vec<&str> = licence
        .split(" OR ")
        .flat_map(|part| part.split('/'))
        .map(str::trim)
        .collect();
    let together = licence.contains(" AND ");
    let known = |one: &str| KNOWN.contains(&one);
    if together {
        let parts = licence
            .split([' ', '(', ')'])
            .filter(|word| !["", "AND", "OR", "WITH", "LLVM-exception"].contains(word));
        for part in parts {
            if !known(part) {
                bail!("nobody looked at the licence {part} (of `{licence}`)");
            }
        }
        return Ok(None);
    }
    let chosen = KNOWN.iter().find(|known| alternatives.contains(*known));
    match chosen {
        Some(chosen) => Ok(Some(chosen)),
        None => bail!(
            "nobody looked at the licence `{licence}`: see what it asks for, then add it to KNOWN in xtask/src/licences.rs"
        ),
    }
}

/// The text of a licence for a package that brings none.
fn standard(chosen: Option<&str>, licence: &str) -> Result<String> {
    match chosen {
        Some("MIT") => {
            let ours = read(&root().join("LICENSE-MIT"))?;
            Ok(ours.replace(
                "Copyright (c) The NameLens authors",
                "Copyright (c) the authors of the packages",
            ))
        }
        Some("Apache-2.0") => read(&root().join("LICENSE-APACHE")),
        Some("MPL-2.0") => Ok(MPL.to_owned()),
        _ => bail!(
            "it brings no text of its licence `{licence}`; find it and add it in xtask/src/licences.rs"
        ),
    }
}

/// The files at the top of a package that hold licences and notices, in order of name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry
            .with_context(|| format!("reading {}", folder.display()))?
            .path();
        let name = upper(&path);
        let wanted = LICENCES
            .iter()
            .chain(&["NOTICE"])
            .any(|begin| name.starts_with(begin));
        let is_code = name.ends_with(".RS") || name.ends_with(".JS");
        if wanted && !is_code && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn upper(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().to_uppercase())
        .unwrap_or_default()
}

/// A text with plain line ends, nothing behind its lines, and one line end at its end.
fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim_end)
        .collect();
    Ok(format!("{}\n", lines.join("\n").trim_matches('\n')))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn of_a_choice_one_is_taken() {
        for licence in [
            "MIT OR Apache-2.0",
            "Apache-2.0/MIT",
            "Apache-2.0 / MIT",
            "Zlib OR MIT",
        ] {
            assert_eq!(choose(licence).unwrap(), Some("MIT"), "{licence}");
        }
        assert_eq!(
            choose("Apache-2.0 WITH LLVM-exception").unwrap(),
            Some("Apache-2.0 WITH LLVM-exception")
        );
        assert_eq!(choose("(MIT OR Apache-2.0) AND Unicode-3.0").unwrap(), None);
        assert!(choose("GPL-3.0-only").is_err());
        assert!(choose("MIT AND GPL-3.0-only").is_err());
        assert_eq!(choose("GPL-3.0-only OR MIT").unwrap(), Some("MIT"));
    }

    #[test]
    fn the_file_of_the_chosen_licence_goes_along_with_every_notice() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("LICENSE-MIT", "mit"),
            ("LICENSE-APACHE", "apache"),
            ("NOTICE", "by Ada"),
            ("license.rs", "code"),
            ("README", "no"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let texts = |licence| texts_of(folder.path(), licence).unwrap();
        assert_eq!(texts("MIT OR Apache-2.0"), ["mit\n", "by Ada\n"]);
        assert_eq!(texts("Apache-2.0"), ["apache\n", "by Ada\n"]);
        assert_eq!(texts("MIT AND Unicode-3.0").len(), 3);
    }

    #[test]
    fn texts_that_differ_in_line_breaks_are_one() {
        let mut texts = Texts::default();
        assert_eq!(texts.number("a b\nc\n".into()), 1);
        assert_eq!(texts.number("d\n".into()), 2);
        assert_eq!(texts.number("a\nb c\n".into()), 1);
        assert_eq!(
            texts.to_string(),
            "\nText 1\n------\n\na b\nc\n\nText 2\n------\n\nd\n"
        );
    }
}
