//! Where among many paths a model's folder is: what somebody drops may have folders around it and beside it.

use super::file_choice::option;
use crate::Result;

/// How deep below a model's folder its files lie, and in which folders.
const BELOW: [(&str, usize); 3] = [("retriever", 2), ("retriever", 3), ("adapters", 3)];

/// A model's folder among `paths`: its own name (empty at the top), and for each path its name in there, `None` where it is none of
/// the model's.
///
/// The folder is the one nearest to the top that has a `config.json` or weights in itself, else the one that all files share. Either
/// slash separates folders.
///
/// # Errors
/// [`crate::Error::Option`] when two folders are equally near.
pub fn model_folder(paths: &[String]) -> Result<(String, Vec<Option<String>>)> {
    let split: Vec<Vec<&str>> = paths
        .iter()
        .map(|path| {
            let parts = path.split(['/', '\\']);
            parts
                .filter(|part| !part.is_empty() && *part != ".")
                .collect()
        })
        .collect();
    let mut folders: Vec<&[&str]> = split
        .iter()
        .filter_map(|parts| {
            let (file, folder) = parts.split_last()?;
            let part = |&(name, depth): &(&str, usize)| {
                let at = (folder.len() + 1).checked_sub(depth);
                at.and_then(|at| folder.get(at)) == Some(&name)
            };
            (marks(file) && !BELOW.iter().any(part)).then_some(folder)
        })
        .collect();
    folders.sort_unstable_by_key(|folder| (folder.len(), folder.join("/")));
    folders.dedup();
    if let [one, other, ..] = &*folders
        && one.len() == other.len()
    {
        let (one, other) = (one.join("/"), other.join("/"));
        let problem = format!(
            "the folder holds several models ({one} and {other}); choose one of their folders"
        );
        return Err(option("model", problem));
    }
    let root = folders.first().copied().unwrap_or_else(|| top(&split));
    let names = split
        .iter()
        .map(|parts| {
            let inside = parts.strip_prefix(root)?;
            let takes = match inside {
                [_] => true,
                [folder, .., _] => BELOW.contains(&(*folder, inside.len())),
                [] => false,
            };
            takes.then(|| inside.join("/"))
        })
        .collect();
    Ok((root.last().copied().unwrap_or_default().to_owned(), names))
}

/// The folder that all files share, where none says that it is a model's: there is nothing but a retriever, or no model.
fn top<'p>(split: &'p [Vec<&'p str>]) -> &'p [&'p str] {
    let folder = |parts: &'p Vec<&'p str>| &parts[..parts.len().saturating_sub(1)];
    let mut folders = split.iter().map(folder);
    let first = folders.next().unwrap_or_default();
    let shared = folders.fold(first, |shared, folder| {
        let equal = shared
            .iter()
            .zip(folder)
            .take_while(|(one, other)| one == other);
        &shared[..equal.count()]
    });
    // Encoders beside the first are in its folder; a folder that somebody called so may be anything.
    let further = |parts: &Vec<&str>| matches!(parts.get(shared.len()..), Some([own, "config.json"]) if *own != "retriever");
    match shared {
        [above @ .., "retriever"] if split.iter().any(further) => above,
        _ => shared,
    }
}

/// Whether a file says that its folder is a model's.
fn marks(file: &str) -> bool {
    let weights = ["model.safetensors", "model.safetensors.index.json"];
    file == "config.json" || weights.contains(&file) || file.ends_with(".gguf")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn found(paths: &[&str]) -> (String, Vec<String>) {
        let paths: Vec<String> = paths.iter().map(|&path| path.to_owned()).collect();
        let (name, names) = model_folder(&paths).unwrap();
        (name, names.into_iter().flatten().collect())
    }

    #[test]
    fn names_count_from_the_folder_nearest_to_the_top() {
        let of = |name: &str, names: &[&str]| {
            (
                name.to_owned(),
                names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>(),
            )
        };
        let paths = [
            "m/config.json",
            "m/a.safetensors",
            "m/retriever/config.json",
            "m/goldens/x.json",
        ];
        let names = ["config.json", "a.safetensors", "retriever/config.json"];
        assert_eq!(found(&paths), of("m", &names));
        let second = "retriever/dino/config.json";
        assert_eq!(
            found(&["m/config.json", "m/retriever/dino/config.json", "m/x/y/z"]),
            of("m", &["config.json", second])
        );
        assert_eq!(
            found(&["/all/m/config.json", "/all/m/x", "/all/readme"]),
            of("m", &["config.json", "x"])
        );
        assert_eq!(found(&["config.json", "x"]), of("", &["config.json", "x"]));
        assert_eq!(
            found(&["a\\config.json", "a\\x"]),
            of("a", &["config.json", "x"])
        );
        assert_eq!(
            found(&["photos/a.jpg", "photos/sub/b.jpg"]),
            of("photos", &["a.jpg"])
        );
        assert_eq!(found(&["a.jpg"]), of("", &["a.jpg"]));
        assert_eq!(found(&[]), of("", &[]));
    }

    #[test]
    fn a_retriever_alone_is_a_model_in_whatever_order_its_files_come() {
        let mut names = [
            "retriever/model.gguf",
            "retriever/config.json",
            "retriever/dino/config.json",
            "model.json",
        ];
        for _ in 0..names.len() {
            names.rotate_left(1);
            let (name, mut inside) = found(&names);
            inside.sort_unstable();
            let mut all = names.map(str::to_owned);
            all.sort_unstable();
            assert_eq!((name.as_str(), inside), ("", all.to_vec()));
            let below = names.map(|name| format!("in/photos/{name}"));
            let below: Vec<&str> = below.iter().map(String::as_str).collect();
            assert_eq!(
                (found(&below).0.as_str(), found(&below).1.len()),
                ("photos", 4)
            );
        }
    }

    #[test]
    fn gguf_files_alone_are_a_model_and_adapters_are_none_of_their_own() {
        let paths = [
            "in/m/Smol-Q8_0.gguf",
            "in/m/mmproj-Smol-f16.gguf",
            "in/README.md",
        ];
        assert_eq!(found(&paths).0, "m");
        let adapter = [
            "adapters/a/adapter_config.json",
            "adapters/a/config.json",
            "adapters/a/deep/x",
            "config.json",
        ];
        assert_eq!(
            found(&adapter).1,
            [
                "adapters/a/adapter_config.json",
                "adapters/a/config.json",
                "config.json"
            ]
        );
        let two = ["all/a/x.gguf".to_owned(), "all/b/config.json".to_owned()];
        let error = model_folder(&two).unwrap_err();
        assert_eq!(error.code(), "option");
        assert!(error.to_string().contains("all/a and all/b"), "{error}");
    }
}
