//! Where the encoders of a retriever lie in a model's folder, and which files each of them has.

use super::file_choice::missing;
use crate::image::ImageProcessor;
use crate::{Error, Result};

/// Where the first encoder lies; further ones have folders in there.
pub(super) const RETRIEVER: &str = "retriever/";
/// Its description; the model has a retriever where this is.
pub(super) const FIRST: &str = "retriever/config.json";
/// Description of an encoder, in its folder.
pub(super) const CONFIG: &str = "config.json";
/// What its similarities mean, as somebody measured it.
pub(super) const MEASURED: &str = "retrieval.json";
/// Its parameters, in one form or the other.
const WEIGHTS: [&str; 2] = ["model.safetensors", "model.gguf"];
/// What its classifier calls things, if it has one.
pub(super) const WORDS: &str = "words.txt";

/// The folders of the encoders of a model with files of these names, each with a slash behind it: `retriever/`, then those in it by
/// their names.
pub(super) fn folders<'n>(names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let mut found: Vec<String> = names
        .filter_map(|name| {
            let folder = name.strip_suffix(CONFIG)?;
            let inside = folder.strip_prefix(RETRIEVER)?;
            let own = inside.strip_suffix('/');
            let is_one = inside.is_empty() || own.is_some_and(|own| !own.contains('/'));
            is_one.then(|| folder.to_owned())
        })
        .collect();
    found.sort_unstable();
    // Without the first there is no retriever.
    match found.first().is_some_and(|first| first == RETRIEVER) {
        true => found,
        false => Vec::new(),
    }
}

/// Names of all files that an encoder in this folder may have.
pub(super) fn all(folder: &str) -> impl Iterator<Item = String> {
    let needed = [CONFIG, MEASURED].into_iter().chain(WEIGHTS);
    needed
        .map(move |name| format!("{folder}{name}"))
        .chain(options(folder))
}

/// Names of those it need not have.
fn options(folder: &str) -> impl Iterator<Item = String> {
    let names = ImageProcessor::FILES.into_iter().chain([WORDS]);
    names.map(move |name| format!("{folder}{name}"))
}

/// The files of the encoder in this folder, of which `has` says whether they are there: small ones, and the one of its weights.
///
/// # Errors
/// [`Error::Missing`] for one that it needs.
pub(super) fn taken(folder: &str, has: impl Fn(&str) -> bool) -> Result<(Vec<String>, String)> {
    let [config, measured] = [CONFIG, MEASURED].map(|name| format!("{folder}{name}"));
    let left_out = match folder.is_empty() {
        true => String::new(),
        false => format!("; without {config} the encoder is left out"),
    };
    if !has(&measured) {
        let dual =
            "that of an encoder of images and texts has its thresholds, `window` and `whole`";
        let why = format!("{}; {dual}{left_out}", measure());
        return Err(missing(&measured, &why));
    }
    let weights = weights(folder, &has);
    if !has(&weights) {
        let why = format!("what searches photos for known things needs it{left_out}");
        return Err(missing(&weights, &why));
    }
    let mut texts = vec![config, measured];
    texts.extend(options(folder).filter(|name| has(name)));
    Ok((texts, weights))
}

/// The name of its weights; the usual one where there are none.
pub(super) fn weights(folder: &str, has: impl Fn(&str) -> bool) -> String {
    let [usual, gguf] = WEIGHTS.map(|name| format!("{folder}{name}"));
    match !has(&usual) && has(&gguf) {
        true => gguf,
        false => usual,
    }
}

/// Why a photo encoder needs [`MEASURED`], and what makes it.
fn measure() -> String {
    format!(
        "how sure a similarity of this encoder makes is not known, and is not guessed; `namelens eval photos --model FOLDER --set \
         PHOTOS --calibrate FOLDER/{MEASURED}` measures it on photos of your things, FOLDER being the one with this encoder's {CONFIG}"
    )
}

/// The error of an encoder in this folder whose confidences nobody has measured.
pub(super) fn uncalibrated(folder: &str) -> Error {
    Error::Config {
        file: format!("{folder}{MEASURED}"),
        key: "(whole file)".into(),
        problem: format!("is missing: {}", measure()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoders_lie_in_the_retriever_and_one_folder_deeper() {
        let found = |names: &[&str]| folders(names.iter().copied());
        let two = [
            "retriever/b/config.json",
            "retriever/config.json",
            "retriever/a/config.json",
            "retriever/a/onnx/config.json",
            "retriever/a/model.safetensors",
            "config.json",
            "retriever/xconfig.json",
        ];
        assert_eq!(found(&two), ["retriever/", "retriever/a/", "retriever/b/"]);
        assert_eq!(found(&["retriever/a/config.json"]), [""; 0]);
    }
}
