//! Columns of a row that several rewards read: names that are there, concepts that were given.

use anyhow::{Context, Result, bail};
use namelens_engine::concepts::spelling::{bare, key};
use namelens_engine::personalize::mentions::KnownName;
use serde::Deserialize;
use serde_json::Value;

use super::Row;

/// A concept that the prompt introduced.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Concept {
    /// Its name, with or without `<>`.
    pub name: String,
    /// Other spellings of it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What the prompt says of it.
    #[serde(default)]
    pub info: String,
    /// Phrases of `info` that are not to be seen in this photo.
    #[serde(default)]
    pub hidden: Vec<String>,
}

/// Values of `accu_reward_method` that ask for a caption with the names of what is in the photo.
pub const NAMED: [&str; 2] = ["yes_no_name", "yes_no_name_multi"];

/// What a row says it is to be rewarded by, RePIC's column `accu_reward_method`; `None` where it does not say.
///
/// # Errors
/// When it is no word.
pub fn method(row: &Row) -> Result<Option<&str>> {
    match row.columns.get("accu_reward_method") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(method)) => Ok(Some(method)),
        Some(other) => bail!("column 'accu_reward_method' is {other}, not a word"),
    }
}

/// Whether a row asks for names: it says so, or it does not say what it asks for and the column `truth` is not null.
///
/// # Errors
/// As [`method`].
pub fn asks_names(row: &Row, truth: &str) -> Result<bool> {
    Ok(match method(row)? {
        Some(method) => NAMED.contains(&method),
        None => !is_null(row, truth),
    })
}

/// Whether a row says that it has nothing in a column, as rows of data sets with several tasks do. One in which the column is
/// missing may be a slip.
pub fn is_null(row: &Row, column: &str) -> bool {
    row.columns.get(column).is_some_and(Value::is_null)
}

/// The texts of a column: one, or a list.
///
/// # Errors
/// When the column is missing or of another kind.
pub fn texts(row: &Row, column: &str) -> Result<Vec<String>> {
    match row.columns.get(column) {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(_)) => optional_texts(row, column).map(Option::unwrap_or_default),
        Some(other) => bail!("column '{column}' is {other}, not a text or a list of texts"),
        None => bail!("there is no column '{column}'"),
    }
}

/// As [`texts`], but the column may be missing.
///
/// # Errors
/// When it is of another kind.
pub fn optional_texts(row: &Row, column: &str) -> Result<Option<Vec<String>>> {
    let Some(value) = row.columns.get(column).filter(|v| !v.is_null()) else {
        return Ok(None);
    };
    if let Value::String(text) = value {
        return Ok(Some(vec![text.clone()]));
    }
    let list = serde_json::from_value(value.clone());
    list.map(Some)
        .with_context(|| format!("column '{column}' is not a text or a list of texts"))
}

/// The column `concepts`: names, or objects with `name`, `aliases`, `info` and `hidden`.
///
/// # Errors
/// When it is missing or of another kind.
pub fn concepts(row: &Row) -> Result<Vec<Concept>> {
    let list = row
        .columns
        .get("concepts")
        .and_then(Value::as_array)
        .context("there is no column 'concepts' with all concepts that the prompt introduced")?;
    let read = |value: &Value| match value {
        Value::String(name) => Ok(Concept {
            name: name.clone(),
            aliases: Vec::new(),
            info: String::new(),
            hidden: Vec::new(),
        }),
        other => serde_json::from_value(other.clone())
            .context("a concept is a name, or an object with \"name\""),
    };
    list.iter().map(read).collect()
}

/// Concepts as the reader of mentions knows them; the id of each is its bare name.
pub fn known(concepts: &[Concept]) -> Vec<KnownName> {
    let of = |concept: &Concept| {
        let name = bare(&concept.name).to_owned();
        let aliases = concept.aliases.iter().map(|a| bare(a).to_owned());
        KnownName {
            id: name.clone(),
            spellings: std::iter::once(name).chain(aliases).collect(),
        }
    };
    concepts.iter().map(of).collect()
}

/// The one of `known` that `name` is a spelling of.
pub fn called<'a>(known: &'a [KnownName], name: &str) -> Option<&'a KnownName> {
    let name = key(name);
    known
        .iter()
        .find(|known| known.spellings.iter().any(|spelling| key(spelling) == name))
}
