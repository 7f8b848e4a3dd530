//! Prompts from JSON lines as RePIC, VLM-R1, EasyR1 and TRL have them: a question, photos in files, columns for rewards.
//!
//! A row has a question (`problem`, `prompt`, `question`: a text or chat messages) or `conversations` whose first turn it is
//! and whose second is the `solution` where there is no such column; and photos (`image`, `images`), whose paths begin at the
//! file's folder. Photos stand where the question says `<image>`, or all in front where it does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use namelens_engine::concepts::spelling::{bare, key};
use namelens_engine::text::{Message, Part};
use serde_json::{Map, Value};

use super::prompt::Prompt;
use crate::digests::digest_of;
use crate::rewards::columns;
use crate::rewards::row::{PHOTOS, PROMPTS, Photo};

/// Where a photo stands in a question.
const MARK: &str = "<image>";

/// The rows of a file.
#[derive(Debug)]
pub struct FilePrompts {
    rows: Vec<Prompt>,
    /// Where their photos' paths begin.
    folder: PathBuf,
}

impl FilePrompts {
    /// Reads a file; every photo must be there.
    ///
    /// # Errors
    /// Names the row, and the photo that is missing.
    pub fn open(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut rows = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str(line)
                .map_err(anyhow::Error::from)
                .and_then(|value| prompt(value, folder));
            rows.push(row.with_context(|| format!("{} row {}", file.display(), at + 1))?);
        }
        ensure!(!rows.is_empty(), "{} has no rows", file.display());
        let folder = folder.to_owned();
        Ok(Self { rows, folder })
    }

    /// Rows to learn from, and about a tenth of all to be held out, where no file says which; none of fewer than ten.
    ///
    /// Rows that introduce the same names are on one side: those of the column `concepts`, else of the solution of a caption with names;
    /// of rows without names those with the same first photo. Which side that is depends on these names and on how many rows each have,
    /// not on the order of rows.
    ///
    /// # Errors
    /// When all rows are of the same names or the same photo.
    pub fn hold_out(self) -> Result<(Self, Self)> {
        let Self { rows, folder } = self;
        let wanted = rows.len() / 10;
        // By digest of what they have in common: an order that has nothing to do with names.
        let mut groups: BTreeMap<String, usize> = BTreeMap::new();
        let own: Vec<String> = rows.iter().map(|row| kin(row, &folder)).collect();
        for digest in &own {
            *groups.entry(digest.clone()).or_default() += 1;
        }
        let mut held: BTreeSet<&String> = BTreeSet::new();
        let mut count = 0;
        for (digest, size) in &groups {
            if count + size <= wanted {
                held.insert(digest);
                count += size;
            }
        }
        if held.is_empty() && wanted > 0 {
            ensure!(
                groups.len() > 1,
                "all rows are of the same names or the same photo, so none can be held out; name held-out ones with --eval-data"
            );
            // The first of the smallest.
            held.extend(groups.iter().min_by_key(|(_, size)| **size).map(|(d, _)| d));
        }
        let (mut kept, mut out) = (Vec::new(), Vec::new());
        for (row, digest) in rows.into_iter().zip(&own) {
            match held.contains(digest) {
                true => out.push(row),
                false => kept.push(row),
            }
        }
        let side = |rows| Self {
            rows,
            folder: folder.clone(),
        };
        Ok((side(kept), side(out)))
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The question of the first row that shows no photo.
    pub fn without_photo(&self) -> Option<String> {
        let row = self.rows.iter().find(|row| row.photos.is_empty());
        row.map(Prompt::question)
    }

    /// Row number `index`.
    ///
    /// # Errors
    /// When there is no such row.
    pub fn get(&self, index: u64) -> Result<Prompt> {
        let row = self.rows.get(index as usize);
        row.cloned()
            .with_context(|| format!("there is no row {index}"))
    }
}

/// Digest of what a row has in common with those that must lie on its side of a split.
fn kin(prompt: &Prompt, folder: &Path) -> String {
    let row = prompt.row("", &[]);
    let concepts = columns::concepts(&row).unwrap_or_default();
    let mut names: Vec<String> = concepts.into_iter().map(|concept| concept.name).collect();
    let captioned = columns::method(&row).is_ok_and(|method| {
        // Other solutions are no names: yes, a box, a letter.
        method.is_some_and(|method| columns::NAMED.contains(&method))
    });
    if names.is_empty() && captioned {
        names = columns::texts(&row, "solution").unwrap_or_default();
    }
    let mut names: Vec<String> = names.iter().map(|name| key(bare(name))).collect();
    names.sort();
    if names.is_empty() {
        names.push(match prompt.photos.first() {
            // From the file's folder, as the row has it: wherever that lies.
            Some(Photo::File(path)) => {
                let path = path.strip_prefix(folder).unwrap_or(path);
                path.to_string_lossy().into_owned()
            }
            _ => prompt.question(),
        });
    }
    digest_of(&names)
}

fn prompt(value: Value, folder: &Path) -> Result<Prompt> {
    let Value::Object(mut columns) = value else {
        bail!("a row is an object");
    };
    let mut photos = Vec::new();
    for name in PHOTOS {
        let Some(value) = columns.remove(name) else {
            continue;
        };
        let paths: Vec<PathBuf> = match value {
            Value::String(path) => vec![path.into()],
            Value::Null => Vec::new(),
            list => serde_json::from_value(list)
                .with_context(|| format!("\"{name}\" is no path or list of paths"))?,
        };
        for path in paths {
            let path = folder.join(path);
            ensure!(path.is_file(), "its photo {} is missing", path.display());
            photos.push(Photo::File(path));
        }
    }
    let messages = place(question(&mut columns)?, photos.len())?;
    Ok(Prompt {
        messages,
        photos,
        columns,
    })
}

/// The chat of a row, photos as marks in its texts.
fn question(columns: &mut Map<String, Value>) -> Result<Vec<Message>> {
    if let Some(value) = PROMPTS.iter().find_map(|name| columns.remove(*name)) {
        return match &value {
            Value::String(text) => Ok(vec![turn("user", vec![Part::Text(text.clone())])]),
            Value::Array(turns) => turns.iter().map(message).collect(),
            _ => bail!("the question is neither a text nor messages"),
        };
    }
    let turns = columns.remove("conversations");
    let text = |at: usize| -> Option<String> {
        Some(turns.as_ref()?.get(at)?.get("value")?.as_str()?.to_owned())
    };
    let asked = text(0)
        .context("there is no \"problem\", \"prompt\", \"question\" or \"conversations\"")?;
    if let (false, Some(answer)) = (columns.contains_key("solution"), text(1)) {
        columns.insert("solution".into(), answer.into());
    }
    Ok(vec![turn("user", vec![Part::Text(asked)])])
}

fn turn(role: &str, content: Vec<Part>) -> Message {
    Message {
        role: role.to_owned(),
        content,
    }
}

/// A chat message `{"role", "content"}`, its content a text or parts.
fn message(value: &Value) -> Result<Message> {
    let role = value["role"]
        .as_str()
        .context("a message has no \"role\"")?;
    let content = match &value["content"] {
        Value::String(text) => vec![Part::Text(text.clone())],
        Value::Array(parts) => parts
            .iter()
            .map(
                |part| match (part["type"].as_str(), part["text"].as_str()) {
                    (Some("image" | "image_url"), _) => Ok(Part::Image),
                    (_, Some(text)) => Ok(Part::Text(text.to_owned())),
                    _ => bail!("a part of a message is neither text nor image"),
                },
            )
            .collect::<Result<_>>()?,
        _ => bail!("a message has no \"content\""),
    };
    Ok(turn(role, content))
}

/// Puts photos where the marks are, or in front of the last turn where nothing says where they belong.
fn place(mut messages: Vec<Message>, photos: usize) -> Result<Vec<Message>> {
    for message in &mut messages {
        let parts = std::mem::take(&mut message.content);
        for part in parts {
            match part {
                Part::Image => message.content.push(Part::Image),
                Part::Text(text) => {
                    for (at, piece) in text.split(MARK).enumerate() {
                        if at > 0 {
                            message.content.push(Part::Image);
                        }
                        if !piece.trim().is_empty() {
                            message.content.push(Part::Text(piece.to_owned()));
                        }
                    }
                }
            }
        }
    }
    let is_image = |part: &&Part| matches!(part, Part::Image);
    let places = messages
        .iter()
        .flat_map(|m| &m.content)
        .filter(is_image)
        .count();
    if places == 0 {
        let last = messages.last_mut().context("there are no messages")?;
        last.content
            .splice(0..0, std::iter::repeat_n(Part::Image, photos));
    } else {
        ensure!(
            places == photos,
            "the question has {places} places for {photos} photos"
        );
    }
    Ok(messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(lines: &str) -> Result<FilePrompts> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("photos")).unwrap();
        for name in ["a.png", "b.png"] {
            std::fs::write(folder.path().join("photos").join(name), "x").unwrap();
        }
        let file = folder.path().join("rows.jsonl");
        std::fs::write(&file, lines).unwrap();
        FilePrompts::open(&file)
    }

    #[test]
    fn rows_of_other_trainers_are_read() {
        let rows = opened(concat!(
            r#"{"image": ["photos/a.png", "photos/b.png"], "conversations": [{"from": "human", "value": "<image>This is <Bo>. <image>Caption it."}, {"from": "gpt", "value": "<Bo>"}], "accu_reward_method": "yes_no_name"}"#,
            "\n\n",
            r#"{"images": "photos/a.png", "problem": "Who is it?", "solution": "<Bo>"}"#,
            "\n",
            r#"{"prompt": [{"role": "system", "content": "Be short."}, {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Who?"}]}], "images": ["photos/b.png"]}"#,
        ))
        .unwrap();
        assert_eq!(rows.len(), 3);
        let first = rows.get(0).unwrap();
        let text = |text: &str| Part::Text(text.into());
        assert_eq!(
            first.messages[0].content,
            [
                Part::Image,
                text("This is <Bo>. "),
                Part::Image,
                text("Caption it.")
            ]
        );
        assert_eq!(
            (first.columns["solution"].as_str(), first.photos.len()),
            (Some("<Bo>"), 2)
        );
        assert_eq!(
            rows.get(1).unwrap().messages[0].content,
            [Part::Image, text("Who is it?")]
        );
        let third = rows.get(2).unwrap();
        assert_eq!(
            (third.messages.len(), third.question().as_str()),
            (2, "Who?")
        );
    }

    fn held_of(lines: &[String]) -> Result<[Vec<Value>; 2]> {
        let (kept, held) = opened(&lines.join("\n"))?.hold_out()?;
        Ok([kept, held].map(|side| {
            side.rows
                .iter()
                .map(|row| row.columns["n"].clone())
                .collect()
        }))
    }

    #[test]
    fn rows_of_the_same_names_are_held_out_together_whatever_their_order_and_task() {
        // Three tasks in turns, and ten things in turns: every tenth row would be of one of them.
        let row = |n: usize| {
            let thing = n % 10;
            let (method, solution) = match (n / 10) % 3 {
                0 => ("yes_no", "Yes".to_owned()),
                1 => ("iou", "[1, 2, 3, 4]".to_owned()),
                _ => ("yes_no_name", format!("<T{thing}>")),
            };
            let concepts = [format!("<T{thing}>"), format!("<Other{thing}>")];
            serde_json::json!({"problem": "?", "n": n, "accu_reward_method": method, "solution": solution, "concepts": concepts}).to_string()
        };
        let lines: Vec<String> = (0..60).map(row).collect();
        let [kept, held] = held_of(&lines).unwrap();
        assert_eq!((kept.len(), held.len()), (54, 6));
        let thing = held[0].as_u64().unwrap() % 10;
        assert!(held.iter().all(|n| n.as_u64().unwrap() % 10 == thing));
        let turned: Vec<String> = lines.iter().rev().cloned().collect();
        let [_, mut again] = held_of(&turned).unwrap();
        again.reverse();
        assert_eq!(held, again);
    }

    #[test]
    fn rows_without_names_are_held_out_by_their_photo() {
        let row = |n: usize| {
            let photo = ["photos/a.png", "photos/b.png"][usize::from(n.is_multiple_of(3))];
            format!(r#"{{"problem": "?", "n": {n}, "image": "{photo}", "solution": "A"}}"#)
        };
        let lines: Vec<String> = (0..30).map(row).collect();
        let [kept, held] = held_of(&lines).unwrap();
        // Neither photo has as few as a tenth of the rows: it is the one with fewer.
        assert_eq!((kept.len(), held.len()), (20, 10));
        assert!(held.iter().all(|n| n.as_u64().unwrap() % 3 == 0));
        let one: Vec<String> = (0..30).step_by(3).map(row).collect();
        let said = held_of(&one).unwrap_err().to_string();
        assert!(said.contains("--eval-data"), "{said}");
        let [kept, held] = held_of(&lines[..9]).unwrap();
        assert_eq!((kept.len(), held.len()), (9, 0));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_row() {
        let said = |lines: &str| format!("{:#}", opened(lines).unwrap_err());
        let missing = said("\n{\"problem\": \"?\", \"image\": \"photos/c.png\"}");
        assert!(
            missing.contains("row 2") && missing.contains("photos/c.png"),
            "{missing}"
        );
        assert!(said("{\"image\": \"photos/a.png\"}").contains("no \"problem\""));
        assert!(
            said("{\"problem\": \"<image><image>\", \"image\": \"photos/a.png\"}")
                .contains("2 places for 1")
        );
        assert!(said("{\"problem\": 3}").contains("neither"));
        assert!(said("3").contains("object"));
        assert!(said("").contains("no rows"));
    }
}
