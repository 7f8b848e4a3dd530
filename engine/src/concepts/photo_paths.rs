//! Which of the files a person gave a path in a concept file means: the right one, or none and why.
//!
//! Such a path was written on another machine, so only its end can be compared: a file is the one meant when one of the
//! two paths is the whole end of the other, whatever slashes, `./` and case they are written with. The longest end wins.
//! What several files could be, or what could be the photo of several things, is refused: no photo is better than a
//! wrong one.

use std::collections::HashMap;

use super::file_path::{Exactness, Path};

/// A path that a concept file names, and for which of its things.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// As it stands in the file.
    pub path: &'a str,
    /// Number of the thing; a thing may have many photos.
    pub thing: usize,
}

/// The given file for each of `wanted`, as a position in `given`, or what is wrong with it.
///
/// `given` are the names or relative paths of the files; `file` is the path of the concept file among them, where it is
/// known: paths in it start from its folder, or (in RAP's databases) from the folder above, whatever that is called now.
pub fn find(
    wanted: &[Wanted<'_>],
    given: &[&str],
    file: Option<&str>,
) -> Vec<Result<usize, String>> {
    let files = Files::new(given, file);
    let paths: Vec<Path> = wanted.iter().map(|w| Path::new(w.path)).collect();
    let candidates: Vec<Vec<Candidate>> = wanted
        .iter()
        .zip(&paths)
        .map(|(w, path)| files.candidates(w.path, path))
        .collect();
    // All that could have each file.
    let mut rivals: HashMap<usize, Vec<(usize, Candidate)>> = HashMap::new();
    for (at, list) in candidates.iter().enumerate() {
        for candidate in list {
            let entry = rivals.entry(candidate.file).or_default();
            entry.push((at, *candidate));
        }
    }
    let choose = |at: usize| {
        let best = only_best(&candidates[at]).map_err(|several| match several.as_slice() {
            [] => files.missing(wanted[at].path, &paths[at]),
            several => files.ambiguous(wanted[at].path, several),
        })?;
        let rivals = rivals.get(&best.file).map_or(&[][..], Vec::as_slice);
        let lost = rivals.iter().any(|(other, rival)| {
            wanted[*other].thing != wanted[at].thing
                && paths[*other] != paths[at]
                && (rival.rank >= best.rank || !best.whole)
        });
        match lost {
            false => Ok(best.file),
            true => Err(format!(
                "`{}` could be the photo of several things; give the files together with their folders",
                given[best.file]
            )),
        }
    };
    (0..wanted.len()).map(choose).collect()
}

/// Whether two paths of one file name the same photo: `./x` and `x`.
pub fn same(a: &str, b: &str) -> bool {
    Path::new(a) == Path::new(b)
}

/// A path as it is written here: equal for paths that are the [`same`].
pub fn normal(path: &str) -> String {
    let names: Vec<String> = Path::new(path).0.into_iter().map(|name| name.raw).collect();
    names.join("/")
}

/// How good a candidate is; compared in the order of the fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The two texts are equal.
    literal: bool,
    /// It lies exactly where the path says.
    placed: bool,
    /// Names that agree.
    depth: usize,
    exactness: Exactness,
}

/// A file that a path could mean.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    file: usize,
    rank: Rank,
    /// Whether all of the wanted path agrees, not only as much as the given one has.
    whole: bool,
}

/// The best candidate, or all that are equally good; none at all is an empty list.
fn only_best(candidates: &[Candidate]) -> Result<Candidate, Vec<usize>> {
    let Some(best) = candidates.iter().map(|c| c.rank).max() else {
        return Err(Vec::new());
    };
    let mut equal = candidates.iter().filter(|c| c.rank == best);
    match (equal.next(), equal.next()) {
        (Some(only), None) => Ok(*only),
        _ => Err(candidates
            .iter()
            .filter(|c| c.rank == best)
            .map(|c| c.file)
            .collect()),
    }
}

/// The given files.
struct Files<'a> {
    given: &'a [&'a str],
    paths: Vec<Path>,
    /// By the last name of their paths, folded.
    by_name: HashMap<String, Vec<usize>>,
    /// Those in a folder, by the last two names: databases have many files of one name.
    by_end: HashMap<[String; 2], Vec<usize>>,
    /// Those that are a bare name or lie beside the concept file, by name.
    near: HashMap<String, Vec<usize>>,
    /// The folder of the concept file, if its place is known.
    folder: Option<Path>,
}

impl<'a> Files<'a> {
    fn new(given: &'a [&'a str], file: Option<&str>) -> Self {
        let folder = file.map(Path::new).and_then(|mut path| {
            path.0.pop();
            (!path.0.is_empty()).then_some(path)
        });
        let mut files = Self {
            given,
            paths: given.iter().map(|path| Path::new(path)).collect(),
            by_name: HashMap::new(),
            by_end: HashMap::new(),
            near: HashMap::new(),
            folder,
        };
        let beside = files.folder.as_ref().map_or(0, |folder| folder.0.len()) + 1;
        for (at, path) in files.paths.iter().enumerate() {
            let Some(name) = path.0.last() else { continue };
            let name = name.folded.clone();
            if path.0.len() == 1 || path.0.len() == beside {
                files.near.entry(name.clone()).or_default().push(at);
            } else if let Some(end) = path.end() {
                files.by_end.entry(end).or_default().push(at);
            }
            files.by_name.entry(name).or_default().push(at);
        }
        files
    }

    /// The files that a path may mean: those that agree with it in two names, or have no more than one to compare.
    fn likely(&self, path: &Path) -> impl Iterator<Item = &usize> {
        let Some(end) = path.end() else {
            return self.of_name(path).iter().chain(&[]);
        };
        let near = self.near.get(&end[1]).map_or(&[][..], Vec::as_slice);
        let deep = self.by_end.get(&end).map_or(&[][..], Vec::as_slice);
        near.iter().chain(deep)
    }

    fn of_name(&self, path: &Path) -> &[usize] {
        let name = path.0.last().map(|name| name.folded.as_str());
        let found = name.and_then(|name| self.by_name.get(name));
        found.map_or(&[], Vec::as_slice)
    }

    fn candidates(&self, text: &str, path: &Path) -> Vec<Candidate> {
        let places = self.places(text);
        let candidate = |&file: &usize| {
            let given = &self.paths[file];
            let (depth, exactness) = path.common_end(given);
            let at_place =
                |place: &Path| place.common_end(given).0 == given.0.len().max(place.0.len());
            let placed = places.iter().any(at_place);
            let whole = depth == path.0.len();
            let inside = depth == given.0.len() || self.below_folder(path, given, depth);
            (placed || whole || inside).then_some(Candidate {
                file,
                rank: Rank {
                    literal: text == self.given[file],
                    placed,
                    depth,
                    exactness,
                },
                whole: whole || placed,
            })
        };
        self.likely(path).filter_map(candidate).collect()
    }

    /// Where the file of a path lies if it lies exactly where the concept file says.
    fn places(&self, text: &str) -> Vec<Path> {
        let mut places = vec![Path::new(text)];
        if let Some(folder) = &self.folder {
            let spelled: Vec<&str> = folder.0.iter().map(|name| name.raw.as_str()).collect();
            for base in [&spelled[..], &spelled[..spelled.len() - 1]] {
                places.push(Path::new(&format!("{}/{text}", base.join("/"))));
            }
        }
        places
    }

    /// Whether a given path, counted from the concept file's folder, is the end of the wanted one: the folder has another
    /// name than where the file was written. A bare name says too little, unless it is all but the folder (RAP).
    fn below_folder(&self, path: &Path, given: &Path, depth: usize) -> bool {
        let Some(folder) = &self.folder else {
            return false;
        };
        let below = given.0.len().saturating_sub(folder.0.len());
        let inside = given.0.len() > folder.0.len() && given.0[..folder.0.len()] == folder.0[..];
        inside && depth >= below && (below >= 2 || path.0.len() == 2)
    }

    fn missing(&self, text: &str, path: &Path) -> String {
        let others = self.listed(self.of_name(path));
        match others.is_empty() {
            true => format!("the photo `{text}` was not given; add it"),
            false => format!(
                "the photo `{text}` was not given; {others} has its name but lies in another folder"
            ),
        }
    }

    fn ambiguous(&self, text: &str, several: &[usize]) -> String {
        let several = self.listed(several);
        format!(
            "the photo `{text}` could be any of {several}; give the files together with their folders"
        )
    }

    /// A few of the files, by name.
    fn listed(&self, files: &[usize]) -> String {
        const MOST: usize = 4;
        let named = files
            .iter()
            .take(MOST)
            .map(|&at| format!("`{}`", self.given[at]));
        let mut out: Vec<String> = named.collect();
        if files.len() > MOST {
            out.push(format!("{} more", files.len() - MOST));
        }
        out.join(", ")
    }
}

#[cfg(test)]
#[path = "photo_paths_tests.rs"]
mod tests;
