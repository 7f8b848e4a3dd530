//! `--concept NAME=PHOTO[@BOX][:INFO]`: which part is the name, which the photo's path, where in it the thing is, and what is
//! said about it.

use std::path::Path;

use anyhow::{Context, Result, bail};
use namelens_engine::concepts::spelling::key;
use namelens_engine::concepts::{NewConcept, Reference};

/// What one `--concept` says.
#[derive(Debug, PartialEq)]
struct Spoken<'a> {
    name: &'a str,
    photo: &'a str,
    box_: Option<[f32; 4]>,
    info: &'a str,
}

/// The things of all options; errors call each by `label` and its text. Options of one name give one thing several photos.
///
/// # Errors
/// When an option has no photo that is there, or two say different things about one thing.
pub(super) fn read_all(label: &str, options: &[String]) -> Result<Vec<NewConcept>> {
    let mut concepts: Vec<NewConcept> = Vec::new();
    for option in options {
        let spoken = parse(label, option)?;
        let photo = std::fs::read(spoken.photo)
            .with_context(|| format!("{label}{option}: cannot read {}", spoken.photo))?;
        let reference = Reference::new(photo).with_box(spoken.box_);
        if let Err(problem) = reference.validate() {
            bail!("{label}{option}: {problem}");
        }
        let known = concepts
            .iter_mut()
            .find(|known| key(&known.name) == key(spoken.name));
        match known {
            Some(known) => {
                known.references.push(reference);
                if known.info.is_empty() {
                    known.info = spoken.info.to_owned();
                } else if !spoken.info.is_empty() && spoken.info != known.info {
                    bail!(
                        "{label}{option}: {} is already described as `{}`; say it once",
                        known.name,
                        known.info
                    );
                }
            }
            None => concepts.push(NewConcept {
                name: spoken.name.to_owned(),
                info: spoken.info.to_owned(),
                references: vec![reference],
                ..Default::default()
            }),
        }
    }
    Ok(concepts)
}

/// Splits an option so that its photo is the longest part that is a file: names, paths and what is said may all
/// hold `=` and `:`.
fn parse<'a>(label: &str, option: &'a str) -> Result<Spoken<'a>> {
    let names: Vec<(&str, &str)> = option
        .match_indices('=')
        .map(|(at, _)| (&option[..at], &option[at + 1..]))
        .collect();
    let Some(&(_, first)) = names.first() else {
        bail!("{label}{option} is not NAME=PHOTO, such as Mochi=mochi.png");
    };
    for &(name, rest) in &names {
        let ends = rest.match_indices(':').map(|(at, _)| at);
        for end in std::iter::once(rest.len()).chain(ends.rev()) {
            let (photo, box_) = with_box(&rest[..end]);
            if is_file(photo) {
                return Ok(Spoken {
                    name,
                    photo,
                    box_,
                    info: rest[end..].strip_prefix(':').unwrap_or(""),
                });
            }
        }
    }
    match first.split_once(':') {
        Some((photo, _)) if !photo.is_empty() => {
            bail!("{label}{option}: there is no photo `{first}`, and no `{photo}`")
        }
        _ => bail!("{label}{option}: there is no photo `{first}`"),
    }
}

/// A path and the box behind it, unless all of it is a path.
fn with_box(text: &str) -> (&str, Option<[f32; 4]>) {
    let split = || {
        let (path, numbers) = text.rsplit_once('@')?;
        let edges: Vec<f32> = numbers
            .split(',')
            .map(|n| n.trim().parse().ok())
            .collect::<Option<_>>()?;
        Some((path, <[f32; 4]>::try_from(edges).ok()?))
    };
    match split() {
        Some((path, box_)) if !is_file(text) => (path, Some(box_)),
        _ => (text, None),
    }
}

/// Whether a photo can be read there: a file, or a pipe.
fn is_file(path: &str) -> bool {
    Path::new(path)
        .metadata()
        .is_ok_and(|found| !found.is_dir())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A folder with files of these names.
    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "photo").unwrap();
        }
        folder
    }

    #[test]
    fn the_photo_is_the_longest_part_that_is_a_file() {
        let folder = folder(&[
            "mochi.png",
            "Screenshot 10:20.png",
            "C:\\x.png",
            "a=b.png",
            "猫=1:2/小白.png",
            "plain",
            "plain:odd",
        ]);
        let here = folder.path().display();
        for (name, photo, info) in [
            ("Mochi", "mochi.png", ""),
            ("Mochi", "mochi.png", "likes jam"),
            ("Mochi", "mochi.png", "at 10:20, by C:\\ and a=b"),
            ("A", "Screenshot 10:20.png", ""),
            ("A", "Screenshot 10:20.png", "of a call"),
            ("A", "C:\\x.png", ""),
            ("A", "C:\\x.png", "on a disk"),
            ("A", "a=b.png", ""),
            ("E=mc2", "mochi.png", ""),
            ("E=mc2", "a=b.png", "x=y"),
            ("小白 = Bai", "猫=1:2/小白.png", "白い: はい"),
            ("P", "plain:odd", ""),
            ("P", "plain:odd", "thing"),
            ("P", "plain", "even"),
        ] {
            let colon = if info.is_empty() { "" } else { ":" };
            let option = format!("{name}={here}/{photo}{colon}{info}");
            let photo = format!("{here}/{photo}");
            let wanted = Spoken {
                name,
                photo: &photo,
                box_: None,
                info,
            };
            assert_eq!(parse("", &option).unwrap(), wanted, "{option}");
        }
    }

    #[test]
    fn a_box_stands_behind_its_photo() {
        let folder = folder(&["mochi.png", "at@0.1,0.2,0.3,0.4"]);
        let here = folder.path().display();
        for (rest, file, box_, info) in [
            (
                "mochi.png@0.1,0.2,0.8,0.9",
                "mochi.png",
                Some([0.1, 0.2, 0.8, 0.9]),
                "",
            ),
            (
                "mochi.png@0.1, 0.2, 0.8, 0.9:a cat",
                "mochi.png",
                Some([0.1, 0.2, 0.8, 0.9]),
                "a cat",
            ),
            ("at@0.1,0.2,0.3,0.4", "at@0.1,0.2,0.3,0.4", None, ""),
            (
                "at@0.1,0.2,0.3,0.4@0,0,1,1",
                "at@0.1,0.2,0.3,0.4",
                Some([0.0, 0.0, 1.0, 1.0]),
                "",
            ),
        ] {
            let option = format!("Mochi={here}/{rest}");
            let found = parse("", &option).unwrap();
            assert_eq!((found.box_, found.info), (box_, info), "{option}");
            assert_eq!(found.photo, format!("{here}/{file}"));
        }
        let outside = format!("Mochi={here}/mochi.png@0.1,0.2,1.8,0.9");
        let error = read_all("", &[outside]).unwrap_err().to_string();
        assert!(error.contains("leaves the photo"), "{error}");
        let short = format!("Mochi={here}/mochi.png@0.1,0.2");
        assert!(
            parse("", &short)
                .unwrap_err()
                .to_string()
                .contains("there is no photo")
        );
    }

    #[test]
    fn what_is_no_photo_is_named_whole() {
        for (option, wanted) in [
            ("Mochi", "is not NAME=PHOTO"),
            ("C:\\x.png", "is not NAME=PHOTO"),
            ("A=C:\\nowhere\\x.png", "no photo `C:\\nowhere\\x.png`"),
            ("A=nowhere 10:20.png", "no photo `nowhere 10:20.png`"),
            ("A=", "no photo ``"),
            ("A=/", "no photo `/`"),
        ] {
            let error = parse("", option).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn options_of_one_name_are_photos_of_one_thing() {
        let folder = folder(&["a.png", "b.png"]);
        let here = folder.path().display();
        let options = |texts: &[&str]| -> Vec<String> {
            texts
                .iter()
                .map(|text| text.replace("HERE", &here.to_string()))
                .collect()
        };
        let found = read_all(
            "",
            &options(&[
                "Mochi=HERE/a.png",
                "Bo=HERE/a.png",
                "mochi=HERE/b.png:a cat",
            ]),
        );
        let found: Vec<(String, String, usize)> = found
            .unwrap()
            .into_iter()
            .map(|c| (c.name, c.info, c.references.len()))
            .collect();
        let wanted = [("Mochi", "a cat", 2), ("Bo", "", 1)];
        assert_eq!(found, wanted.map(|(n, i, c)| (n.into(), i.into(), c)));
        let torn = options(&["A=HERE/a.png:a cat", "A=HERE/b.png:a dog"]);
        let error = read_all("", &torn).unwrap_err();
        assert!(error.to_string().contains("`a cat`"), "{error}");
    }
}
