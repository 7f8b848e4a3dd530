//! What was found, told to people, to programs and to spreadsheets.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use namelens_engine::concepts::Library;
use serde::Serialize;

use super::file_kind;
use super::search::{Found, Seen};
use super::walk::{Passed, PhotoFile, Trouble};

/// Most files that are named where many have the same trouble.
const NAMED: usize = 3;

/// Everything that a search tells.
#[derive(Debug, Serialize)]
pub struct Report {
    /// File of the library.
    pub library: String,
    /// Least confidence of what counts as found.
    pub least: f32,
    /// Photos in the order they were named, those without a thing included.
    pub photos: Vec<PhotoReport>,
    /// What was passed over.
    pub passed: Vec<PassedReport>,
    /// How many photos each thing of the library was found in.
    pub things: BTreeMap<String, usize>,
}

impl Report {
    /// What was seen of `photos`, looking for the things of a library, which is in a file; broken ones join those that were
    /// passed over.
    pub fn of(
        (file, library): (&Path, &Library),
        least: f32,
        photos: &[PhotoFile],
        seen: Vec<Option<Seen>>,
        passed: &mut Vec<Passed>,
    ) -> Self {
        let mut reports = Vec::with_capacity(seen.len());
        let things = library.list().map(|thing| (thing.name.clone(), 0));
        let mut things: BTreeMap<String, usize> = things.collect();
        for seen in seen.into_iter().flatten() {
            let path = &photos[seen.photo].path;
            match seen.found {
                Ok(found) => {
                    for found in &found {
                        *things.entry(found.name.clone()).or_default() += 1;
                    }
                    let path = path.display().to_string();
                    reports.push(PhotoReport { path, found });
                }
                Err(problem) => passed.push(Passed {
                    path: path.clone(),
                    trouble: Trouble::Unreadable(problem),
                }),
            }
        }
        Self {
            library: file.display().to_string(),
            least,
            photos: reports,
            passed: passed.iter().map(PassedReport::from).collect(),
            things,
        }
    }
}

/// What is in one photo.
#[derive(Debug, Serialize)]
pub struct PhotoReport {
    /// Its path.
    pub path: String,
    /// What was found.
    pub found: Vec<Found>,
}

/// A file that was passed over.
#[derive(Debug, Serialize)]
pub struct PassedReport {
    /// Its path.
    pub path: String,
    /// `unsupported` or `unreadable`.
    pub kind: &'static str,
    /// What is wrong and what to do.
    pub problem: String,
}

impl From<&Passed> for PassedReport {
    fn from(passed: &Passed) -> Self {
        let (kind, problem) = match &passed.trouble {
            Trouble::Unsupported(kind) => (
                "unsupported",
                format!("{kind} is not read; {}", file_kind::hint(kind)),
            ),
            Trouble::Unreadable(problem) => ("unreadable", problem.clone()),
        };
        Self {
            path: passed.path.display().to_string(),
            kind,
            problem,
        }
    }
}

/// One line about a photo: `path  Mochi 97 % [0.12 0.20 0.48 0.83], Bo 81 % [...]`.
pub fn line(path: &Path, found: &[Found]) -> String {
    let found: Vec<String> = found.iter().map(one).collect();
    format!("{}  {}", path.display(), found.join(", "))
}

fn one(found: &Found) -> String {
    let mut text = found.name.clone();
    if let Some(confidence) = found.confidence {
        // Nothing is wholly sure.
        let percent = (confidence * 100.0).round().min(99.0);
        let _ = write!(text, " {percent} %");
    }
    for [left, top, right, bottom] in found.box_.iter().chain(&found.more_boxes) {
        let _ = write!(text, " [{left:.2} {top:.2} {right:.2} {bottom:.2}]");
    }
    text
}

/// A line a place of a thing: path, name, confidence and box.
pub fn csv(photos: &[PhotoReport]) -> String {
    let mut out = String::from("path,name,confidence,left,top,right,bottom\n");
    for photo in photos {
        for found in &photo.found {
            let number = |number: f32| format!("{number:.4}");
            let confidence = found.confidence.map(number).unwrap_or_default();
            let path = field(&photo.path);
            let name = field(&found.name);
            let boxes = found.box_.iter().chain(&found.more_boxes);
            let mut boxes: Vec<String> = boxes.map(|box_| box_.map(number).join(",")).collect();
            if boxes.is_empty() {
                boxes.push(",,,".into());
            }
            for box_ in boxes {
                let _ = writeln!(out, "{path},{name},{confidence},{box_}");
            }
        }
    }
    out
}

/// A text as a field: in quotes where it has to be.
fn field(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) || text.trim() != text {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Lines about what was passed over: pictures of one kind together, each broken file by itself.
pub fn troubles(passed: &[Passed]) -> Vec<String> {
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut lines = Vec::new();
    for passed in passed {
        let path = passed.path.display().to_string();
        match &passed.trouble {
            Trouble::Unsupported(kind) => kinds.entry(kind).or_default().push(path),
            Trouble::Unreadable(problem) => lines.push(format!("{path}: {problem}")),
        }
    }
    for (kind, paths) in kinds {
        let mut named = paths[..paths.len().min(NAMED)].join(", ");
        if paths.len() > NAMED {
            let _ = write!(named, " and {} more", paths.len() - NAMED);
        }
        let hint = file_kind::hint(kind);
        let files = if paths.len() == 1 {
            "file is"
        } else {
            "files are"
        };
        lines.push(format!(
            "{} {kind} {files} not read: {named}; {hint}",
            paths.len()
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str) -> Found {
        Found {
            name: name.into(),
            id: "id".into(),
            confidence: Some(0.973),
            score: 0.8,
            box_: Some([0.123, 0.2, 0.484, 0.83]),
            more_boxes: Vec::new(),
        }
    }

    #[test]
    fn people_read_one_line_a_photo() {
        let text = line(Path::new("a/b.jpg"), &[found("Mochi"), found("Bo")]);
        assert_eq!(
            text,
            "a/b.jpg  Mochi 97 % [0.12 0.20 0.48 0.83], Bo 97 % [0.12 0.20 0.48 0.83]"
        );
    }

    #[test]
    fn every_place_of_a_thing_is_told() {
        let mut two = found("Mug");
        two.more_boxes = vec![[0.5, 0.2, 0.9, 0.8]];
        let text = line(Path::new("a.jpg"), std::slice::from_ref(&two));
        assert!(text.ends_with("Mug 97 % [0.12 0.20 0.48 0.83] [0.50 0.20 0.90 0.80]"));
        let photo = PhotoReport {
            path: "a.jpg".into(),
            found: vec![two],
        };
        let text = csv(&[photo]);
        let last = "a.jpg,Mug,0.9730,0.5000,0.2000,0.9000,0.8000";
        assert_eq!((text.lines().count(), text.lines().last()), (3, Some(last)));
    }

    #[test]
    fn fields_are_quoted_where_they_have_to_be() {
        let photo = PhotoReport {
            path: "a, b/\"c\".jpg".into(),
            found: vec![found("Mochi")],
        };
        let text = csv(&[photo]);
        let wanted = "\"a, b/\"\"c\"\".jpg\",Mochi,0.9730,0.1230,0.2000,0.4840,0.8300";
        assert_eq!(text.lines().nth(1), Some(wanted));
    }

    #[test]
    fn many_files_of_one_kind_are_one_line() {
        let passed = |path: &str, trouble| Passed {
            path: path.into(),
            trouble,
        };
        let heic = |path| passed(path, Trouble::Unsupported("HEIC"));
        let broken = passed("z.jpg", Trouble::Unreadable("cut off".into()));
        let lines = troubles(&[heic("1.heic"), broken, heic("2"), heic("3"), heic("4")]);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0], "z.jpg: cut off");
        assert!(
            lines[1].starts_with("4 HEIC files are not read: 1.heic, 2, 3 and 1 more; convert")
        );
    }
}
