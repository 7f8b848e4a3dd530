//! The photos in files and folders: each once, in order, whatever links lead to it; what cannot be read is named, not fatal.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use namelens_engine::image::HEAD;
use walkdir::{DirEntry, WalkDir};

use super::file_kind::{self, FileKind};

/// A photo that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhotoFile {
    /// As it is shown: below the folder that was named.
    pub path: PathBuf,
    /// Where it really is.
    pub real: PathBuf,
    /// Its path inside the folder that was named, or its name.
    pub inside: PathBuf,
}

/// Why a file was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A picture of a kind that is not read.
    Unsupported(&'static str),
    /// It is broken, or it or its folder cannot be read.
    Unreadable(String),
}

/// A file or folder that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Which one.
    pub path: PathBuf,
    /// Why.
    pub trouble: Trouble,
}

/// What there is.
#[derive(Debug, Default)]
pub struct Walk {
    /// The photos: files and folders in the order they were named, what is inside a folder by name.
    pub photos: Vec<PhotoFile>,
    /// What was passed over.
    pub passed: Vec<Passed>,
    files: HashSet<PathBuf>,
    folders: HashSet<PathBuf>,
}

impl Walk {
    /// Walks `roots`; folders in `without` are left out, and so is what has a name that begins with a dot.
    ///
    /// # Errors
    /// When one of `roots` is not there.
    pub fn of(roots: &[PathBuf], without: &[PathBuf]) -> Result<Self> {
        let mut walk = Self::default();
        for folder in without {
            walk.folders.extend(folder.canonicalize());
        }
        for root in roots {
            match root.metadata() {
                Err(error) => bail!("cannot read {}: {error}", root.display()),
                Ok(found) if found.is_dir() => walk.folder(root),
                Ok(found) if found.is_file() => walk.file(root, root, true),
                Ok(_) => walk.pass(root, "it is neither a file nor a folder"),
            }
        }
        Ok(walk)
    }

    fn folder(&mut self, root: &Path) {
        let mut entries = WalkDir::new(root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter();
        while let Some(entry) = entries.next() {
            match entry {
                Err(error) => self.stuck(root, &error),
                Ok(entry) if is_hidden(&entry) => {
                    if entry.file_type().is_dir() {
                        entries.skip_current_dir();
                    }
                }
                Ok(entry) if entry.file_type().is_dir() => {
                    // Links may lead to one folder by ever so many ways.
                    let is_new = match entry.path().canonicalize() {
                        Ok(real) => self.folders.insert(real),
                        Err(_) => true,
                    };
                    if !is_new {
                        entries.skip_current_dir();
                    }
                }
                Ok(entry) if entry.file_type().is_file() => self.file(entry.path(), root, false),
                // A pipe or a device: opening it could wait for ever.
                Ok(_) => {}
            }
        }
    }

    /// Takes a file in; one that was `named` is a photo unless it is known to be another kind of picture.
    fn file(&mut self, path: &Path, root: &Path, named: bool) {
        let (kind, real) = match (head(path), path.canonicalize()) {
            (Ok(head), Ok(real)) => (file_kind::of(&head, path), real),
            (Err(error), _) | (_, Err(error)) => return self.pass(path, &error.to_string()),
        };
        if matches!(kind, FileKind::Other) && !named {
            return;
        }
        if !self.files.insert(real.clone()) {
            return;
        }
        if let FileKind::Unsupported(kind) = kind {
            self.passed.push(Passed {
                path: path.to_owned(),
                trouble: Trouble::Unsupported(kind),
            });
            return;
        }
        let inside = path.strip_prefix(root).ok();
        let inside = inside.filter(|inside| !inside.as_os_str().is_empty());
        self.photos.push(PhotoFile {
            path: path.to_owned(),
            real,
            inside: match (inside, path.file_name()) {
                (Some(inside), _) => inside.to_owned(),
                (None, Some(name)) => PathBuf::from(name),
                (None, None) => path.to_owned(),
            },
        });
    }

    /// Notes what a walk could not enter.
    fn stuck(&mut self, root: &Path, error: &walkdir::Error) {
        let path = error.path().unwrap_or(root).to_owned();
        match (error.loop_ancestor(), error.io_error()) {
            (Some(above), _) => {
                let above = above.display();
                self.pass(&path, &format!("it links back to {above}, which it is in"));
            }
            (None, Some(error)) => self.pass(&path, &error.to_string()),
            (None, None) => self.pass(&path, &error.to_string()),
        }
    }

    fn pass(&mut self, path: &Path, problem: &str) {
        self.passed.push(Passed {
            path: path.to_owned(),
            trouble: Trouble::Unreadable(problem.to_owned()),
        });
    }
}

/// Whether it is one of the files and folders that programs keep to themselves: thumbnails, versions, what a Mac writes
/// beside each file.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn head(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    File::open(path)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0";

    fn put(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn inside(walk: &Walk) -> Vec<String> {
        let shown = |photo: &PhotoFile| photo.inside.to_string_lossy().replace('\\', "/");
        walk.photos.iter().map(shown).collect()
    }

    #[test]
    fn photos_come_in_order_each_once() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in [
            "b.jpg",
            "a/2.jpg",
            "a/10.JPG",
            ".thumbs/1.jpg",
            "._b.jpg",
            "c/no-ending",
        ] {
            put(root, name, JPEG);
        }
        put(root, "notes.txt", b"notes");
        put(root, "IMG.HEIC", b"\0\0\0\x18ftypheic");
        let roots = [root.join("b.jpg"), root.to_owned(), root.join("a")];
        let walk = Walk::of(&roots, &[]).unwrap();
        assert_eq!(
            inside(&walk),
            ["b.jpg", "a/10.JPG", "a/2.jpg", "c/no-ending"]
        );
        let heic = Trouble::Unsupported("HEIC");
        assert_eq!((walk.passed.len(), &walk.passed[0].trouble), (1, &heic));
        let without = Walk::of(&roots[1..2], &[root.join("a")]).unwrap();
        assert_eq!(inside(&without), ["b.jpg", "c/no-ending"]);
        // What is named is a photo, so that somebody says what is wrong with it.
        let named = Walk::of(&[root.join("notes.txt")], &[]).unwrap();
        assert_eq!(inside(&named), ["notes.txt"]);
        assert!(Walk::of(&[root.join("nowhere")], &[]).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        put(root, "a/1.jpg", JPEG);
        put(root, "b/2.jpg", JPEG);
        symlink(root.join("b"), root.join("a/to-b")).unwrap();
        symlink(root.join("a"), root.join("b/to-a")).unwrap();
        symlink(root, root.join("a/up")).unwrap();
        symlink(root.join("a/1.jpg"), root.join("again.jpg")).unwrap();
        symlink(root.join("gone"), root.join("dangling.jpg")).unwrap();
        // Each level doubles the ways: two to the thirtieth in all.
        for level in 0..30 {
            let deep = root.join(format!("deep/{level}"));
            std::fs::create_dir_all(&deep).unwrap();
            for name in ["x", "y"] {
                let next = root.join(format!("deep/{}", level + 1));
                symlink(next, deep.join(name)).unwrap();
            }
        }
        put(root, "deep/30/3.jpg", JPEG);
        let walk = Walk::of(&[root.to_owned()], &[]).unwrap();
        let mut names: Vec<String> = inside(&walk);
        names
            .iter_mut()
            .for_each(|name| *name = name.rsplit('/').next().unwrap().into());
        assert_eq!(names, ["1.jpg", "2.jpg", "3.jpg"]);
        let text = format!("{:?}", walk.passed);
        assert!(text.contains("links back to"), "{text}");
        assert!(text.contains("dangling.jpg"), "{text}");
        let circles = walk.passed.len();
        assert!(circles < 10, "{text}");
    }
}
