//! Bringing many concepts into a library at once: everything is checked first, then all or nothing.

use super::library::{Library, free_number};
use super::record::{Concept, MAX_NAME, shown};
use super::spelling;
use crate::{Error, Result};

/// What to do with an imported concept whose name the library already knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnCollision {
    /// Refuse the whole import.
    #[default]
    Error,
    /// Import it under a new name: `Mochi (2)`.
    Rename,
    /// Put it in the place of the one in the library, which keeps its id.
    Replace,
}

/// What an import did, so that a page can tell the person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Ids of new concepts, in the order of the file.
    pub added: Vec<String>,
    /// Ids of concepts that were replaced.
    pub replaced: Vec<String>,
    /// Names that were changed: in the file, in the library.
    pub renamed: Vec<(String, String)>,
    /// Aliases left out because another concept has them: concept id, alias.
    pub dropped_aliases: Vec<(String, String)>,
}

impl Library {
    /// Imports `concepts`; ids that are taken or empty are given anew.
    ///
    /// # Errors
    /// [`Error::Bundle`] with the position of the concept that cannot be imported; the library is
    /// then unchanged.
    pub fn import(
        &mut self,
        concepts: Vec<Concept>,
        on_collision: OnCollision,
    ) -> Result<ImportReport> {
        // A copy shares the photos, so this costs texts and embeddings only.
        let mut next = self.clone();
        let mut report = ImportReport::default();
        for (at, concept) in concepts.into_iter().enumerate() {
            next.import_one(concept, on_collision, &mut report)
                .map_err(|error| match error {
                    Error::Concept { concept, problem } => Error::Bundle {
                        place: format!("concepts[{at}]"),
                        problem: format!("`{concept}`: {problem}"),
                    },
                    other => other,
                })?;
        }
        *self = next;
        Ok(report)
    }

    fn import_one(
        &mut self,
        mut concept: Concept,
        mode: OnCollision,
        report: &mut ImportReport,
    ) -> Result<()> {
        concept.normalise()?;
        let owner = self
            .find_by_name_or_alias(&concept.name)
            .map(|c| c.id.clone());
        match (mode, owner) {
            (OnCollision::Error, _) | (_, None) => {}
            (OnCollision::Rename, Some(_)) => {
                let name = self.free_name(&concept.name);
                report
                    .renamed
                    .push((std::mem::replace(&mut concept.name, name.clone()), name));
            }
            (OnCollision::Replace, Some(id)) => {
                if report.added.contains(&id) || report.replaced.contains(&id) {
                    let problem =
                        "the file holds this name twice; import with renaming instead".to_owned();
                    return Err(Error::Concept {
                        concept: shown(&concept.name, &id),
                        problem,
                    });
                }
                return self.replace(id, concept, report);
            }
        }
        if concept.id.is_empty() || self.get(&concept.id).is_some() {
            concept.id = self.free_id(&concept.name);
        }
        if mode != OnCollision::Error {
            self.drop_taken_aliases(&mut concept, report);
        }
        report.added.push(concept.id.clone());
        self.restore(concept)
    }

    /// Puts `concept` in the place of `id`, which keeps its id and position.
    fn replace(
        &mut self,
        id: String,
        mut concept: Concept,
        report: &mut ImportReport,
    ) -> Result<()> {
        concept.id.clone_from(&id);
        self.drop_taken_aliases(&mut concept, report);
        self.swap(concept)?;
        report.replaced.push(id);
        Ok(())
    }

    fn drop_taken_aliases(&self, concept: &mut Concept, report: &mut ImportReport) {
        let id = concept.id.clone();
        concept.aliases.retain(|alias| {
            let taken = self
                .find_by_name_or_alias(alias)
                .is_some_and(|owner| owner.id != id);
            if taken {
                report.dropped_aliases.push((id.clone(), alias.clone()));
            }
            !taken
        });
    }

    /// `name (2)`, `name (3)` ... cut so that it stays within the limit.
    fn free_name(&self, name: &str) -> String {
        let numbered = |n: u64| {
            let suffix = format!(" ({n})");
            let room = MAX_NAME.saturating_sub(suffix.chars().count());
            let stem: String = spelling::bare(name).chars().take(room).collect();
            format!("{}{suffix}", stem.trim_end())
        };
        numbered(free_number(|n| {
            self.find_by_name_or_alias(&numbered(n)).is_some()
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::concepts::record::NewConcept;

    fn library() -> Library {
        let mut library = Library::new("e");
        for (name, alias) in [("Mochi", "Mo"), ("Bobo", "Bo")] {
            library
                .add(
                    NewConcept {
                        name: name.into(),
                        aliases: vec![alias.into()],
                        ..NewConcept::default()
                    },
                    1,
                )
                .unwrap();
        }
        library
    }

    fn incoming(name: &str, aliases: &[&str]) -> Concept {
        Concept {
            id: String::new(),
            name: name.into(),
            aliases: aliases.iter().map(|a| (*a).to_owned()).collect(),
            category: "cat".into(),
            info: String::new(),
            references: vec![],
            created_ms: 7,
            updated_ms: 8,
        }
    }

    #[test]
    fn a_collision_refuses_everything_by_default() {
        let mut library = library();
        let before = library.clone();
        let error = library
            .import(
                vec![incoming("New", &[]), incoming("mochi", &[])],
                OnCollision::Error,
            )
            .unwrap_err();
        assert_eq!(error.code(), "bundle");
        assert!(error.to_string().contains("concepts[1]"), "{error}");
        assert_eq!(library, before);
    }

    #[test]
    fn renaming_keeps_both_and_says_so() {
        let mut library = library();
        let report = library
            .import(
                vec![incoming("MOCHI", &["bo", "Mimi"]), incoming("mochi", &[])],
                OnCollision::Rename,
            )
            .unwrap();
        assert_eq!(report.added, ["mochi-2", "mochi-3"]);
        assert_eq!(
            report.renamed[1],
            ("mochi".to_owned(), "mochi (3)".to_owned())
        );
        assert_eq!(
            report.dropped_aliases,
            [("mochi-2".to_owned(), "bo".to_owned())]
        );
        assert_eq!(
            library.find_by_name_or_alias("mimi").unwrap().name,
            "MOCHI (2)"
        );
        assert_eq!(library.get("mochi").unwrap().name, "Mochi");
    }

    #[test]
    fn ten_thousand_equal_names_are_no_trouble() {
        let mut library = library();
        let concepts = vec![incoming("Mochi", &["Mo"]); 10_000];
        let report = library.import(concepts, OnCollision::Rename).unwrap();
        assert_eq!(report.renamed.last().unwrap().1, "Mochi (10001)");
        assert_eq!(library.list().next_back().unwrap().id, "mochi-10001");
    }

    #[test]
    fn replacing_keeps_the_id_and_the_place() {
        let mut library = library();
        let report = library
            .import(vec![incoming("mo", &["Bo", "Mimi"])], OnCollision::Replace)
            .unwrap();
        assert_eq!(
            (report.added.len(), report.replaced.as_slice()),
            (0, &["mochi".to_owned()][..])
        );
        assert_eq!(
            library.list().map(|c| c.name.as_str()).collect::<Vec<_>>(),
            ["mo", "Bobo"]
        );
        assert_eq!(library.get("mochi").unwrap().aliases, ["Mimi"]);
        let twice = vec![incoming("Zed", &[]), incoming("zed", &[])];
        assert!(
            library
                .import(twice, OnCollision::Replace)
                .unwrap_err()
                .to_string()
                .contains("twice")
        );
        assert!(library.find_by_name_or_alias("zed").is_none());
    }
}
