//! The library against a simple model: any sequence of changes, and the index against a rebuild.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::concepts::{Embedded, Reference};

fn named(name: &str) -> NewConcept {
    NewConcept {
        name: name.into(),
        ..NewConcept::default()
    }
}

fn seen(encoder: &str, angle: f32) -> Reference {
    Reference::new([1u8]).with_embeddings(encoder, vec![vec![angle.cos(), angle.sin()]])
}

fn made(encoder: &str, embeddings: Vec<Vec<f32>>) -> Vec<Embedded> {
    vec![Embedded {
        encoder: encoder.into(),
        embeddings,
    }]
}

#[test]
fn ids_are_slugs_with_a_counter_or_given() {
    let mut library = Library::new("e");
    assert_eq!(library.add(named("Mr. Otto"), 1).unwrap(), "mr-otto");
    assert_eq!(library.add(named("Mr Otto"), 1).unwrap(), "mr-otto-2");
    let given = NewConcept {
        id: Some("0f3a".into()),
        ..named("Bobo")
    };
    assert_eq!(library.add(given.clone(), 1).unwrap(), "0f3a");
    let error = library
        .add(
            NewConcept {
                name: "Other".into(),
                ..given
            },
            1,
        )
        .unwrap_err();
    assert!(error.to_string().contains("`0f3a` is taken"), "{error}");
    assert!(
        library
            .add(
                NewConcept {
                    id: Some(" x".into()),
                    ..named("Spacey")
                },
                1
            )
            .is_err()
    );
    assert_eq!(
        library.list().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["Mr. Otto", "Mr Otto", "Bobo"]
    );
}

#[test]
fn taken_names_are_refused_whatever_their_case_or_brackets() {
    let mut library = Library::new("e");
    let anya = NewConcept {
        aliases: vec!["<anya>".into(), "Starlight".into()],
        ..named("Anya")
    };
    let id = library.add(anya, 1).unwrap();
    for taken in ["anya", "<ANYA>", " starlight "] {
        let before = library.clone();
        let error = library.add(named(taken), 2).unwrap_err();
        assert!(
            error.to_string().contains("name or alias of `Anya`"),
            "{error}"
        );
        assert_eq!(library, before, "a refused change leaves nothing behind");
        assert_eq!(library.find_by_name_or_alias(taken).unwrap().id, id);
    }
    library.rename(&id, "ANYA", 3).unwrap();
    assert_eq!(
        library.get(&id).map(|c| (c.created_ms, c.updated_ms)),
        Some((1, 3))
    );
    library.rename(&id, "Yor", 4).unwrap();
    library
        .edit(
            &id,
            ConceptPatch {
                aliases: Some(vec![]),
                ..ConceptPatch::default()
            },
            5,
        )
        .unwrap();
    library.add(named("Starlight"), 6).unwrap();
    assert!(library.find_by_name_or_alias("anya").is_none());
}

#[test]
fn errors_say_what_is_missing() {
    let mut library = Library::new("e");
    assert!(
        library
            .delete("ghost")
            .unwrap_err()
            .to_string()
            .contains("no such concept")
    );
    assert!(library.rename("ghost", "x", 1).is_err());
    let id = library.add(named("Mochi"), 1).unwrap();
    assert!(
        library
            .remove_reference(&id, 0, 1)
            .unwrap_err()
            .to_string()
            .contains("no photo 0")
    );
    library
        .add_reference(&id, Reference::new([9u8]), 2)
        .unwrap();
    assert_eq!(library.unseen_references(), [(id.clone(), 0)]);
    assert!(
        library
            .set_embeddings(&id, 0, made("e", vec![vec![2.0, 0.0]]))
            .is_err()
    );
    library
        .set_embeddings(&id, 0, made("e", vec![vec![1.0, 0.0]]))
        .unwrap();
    assert!(library.unseen_references().is_empty());
    let other = library.add(named("Bobo"), 3).unwrap();
    let error = library.add_reference(
        &other,
        Reference::new([1u8]).with_embeddings("e", vec![vec![1.0]]),
        4,
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("others of its encoder have 2")
    );
}

#[test]
fn a_change_of_encoder_rebuilds_the_index() {
    let mut library = Library::new("old");
    let id = library
        .add(
            NewConcept {
                references: vec![seen("old", 0.1), seen("new", 0.2)],
                ..named("Mochi")
            },
            1,
        )
        .unwrap();
    assert_eq!(
        library.index().vectors().as_slice(),
        [0.1f32.cos(), 0.1f32.sin()]
    );
    library.use_encoder("new");
    assert_eq!(
        library
            .index()
            .rows()
            .iter()
            .map(|r| r.reference)
            .collect::<Vec<_>>(),
        [1]
    );
    assert_eq!(library.unseen_references(), [(id, 0)]);
}

#[test]
fn each_of_several_encoders_has_an_index_of_its_own() {
    let both = || {
        vec![
            FlatIndex::new("photos").of_first(Some(1)),
            FlatIndex::new("faces"),
        ]
    };
    let mut library = Library::of_indexes(both());
    let photo = |angle: f32| {
        let rows = vec![vec![angle.cos(), angle.sin()], vec![0.0, 1.0]];
        Reference::new([1u8]).with_embeddings("photos", rows)
    };
    let faces = vec![vec![0.0, 0.6, 0.8], vec![1.0, 0.0, 0.0]];
    let whole = photo(0.1).with_embeddings("faces", faces.clone());
    let new = NewConcept {
        references: vec![whole, photo(0.2)],
        ..named("Mochi")
    };
    let id = library.add(new, 1).unwrap();
    let sizes = |library: &Library, encoder: &str| {
        let index = library.index_of(encoder).unwrap();
        (index.len(), index.dim())
    };
    assert_eq!(sizes(&library, "photos"), (2, 2));
    assert_eq!(sizes(&library, "faces"), (2, 3));
    assert_eq!(library.index().encoder(), "photos");
    assert!(library.index_of("other").is_none());
    // The second photo has not been looked at for faces.
    assert_eq!(library.unseen_references(), [(id.clone(), 1)]);
    let none = [
        made("photos", vec![vec![1.0, 0.0]]),
        made("faces", Vec::new()),
    ];
    library.set_embeddings(&id, 1, none.concat()).unwrap();
    assert!(library.unseen_references().is_empty());
    assert_eq!(sizes(&library, "faces"), (2, 3));
    // Each has a width of its own, and keeps it.
    let narrow = photo(0.3).with_embeddings("faces", vec![vec![1.0, 0.0]]);
    let error = library.add_reference(&id, narrow, 2).unwrap_err();
    assert!(error.to_string().contains("others of its encoder have 3"));
    library.delete(&id).unwrap();
    assert_eq!(library, {
        let mut empty = Library::of_indexes(both());
        empty.revision = library.revision;
        empty
    });
}

#[derive(Debug, Clone)]
enum Op {
    Add(u8, Vec<u8>, Vec<u16>),
    Rename(u8, u8),
    Aliases(u8, Vec<u8>),
    AddPhoto(u8, u16, bool),
    DropPhoto(u8, u8),
    Embed(u8, u8, u16),
    Delete(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let names = || proptest::collection::vec(0u8..12, 0..3);
    prop_oneof![
        3 => (0u8..12, names(), proptest::collection::vec(any::<u16>(), 0..3)).prop_map(|(n, a, e)| Op::Add(n, a, e)),
        1 => (0u8..8, 0u8..12).prop_map(|(c, n)| Op::Rename(c, n)),
        1 => (0u8..8, names()).prop_map(|(c, a)| Op::Aliases(c, a)),
        2 => (0u8..8, any::<u16>(), any::<bool>()).prop_map(|(c, e, s)| Op::AddPhoto(c, e, s)),
        1 => (0u8..8, 0u8..3).prop_map(|(c, p)| Op::DropPhoto(c, p)),
        1 => (0u8..8, 0u8..3, any::<u16>()).prop_map(|(c, p, e)| Op::Embed(c, p, e)),
        1 => (0u8..8).prop_map(Op::Delete),
    ]
}

/// The model: a plain list of records, searched from end to end.
#[derive(Default)]
struct Model(Vec<Concept>);

fn name(n: u8) -> String {
    // Case varies with the number: 0 and 6 are one name to the library.
    let text = format!("Name {}", n % 6);
    if n < 6 { text } else { text.to_uppercase() }
}

fn aliases(numbers: &[u8]) -> Vec<String> {
    numbers.iter().map(|n| format!("<{}>", name(*n))).collect()
}

impl Model {
    fn taken(&self, id: &str, names: &[String]) -> bool {
        let norm = |n: &str| n.trim_matches(['<', '>']).to_lowercase();
        self.0
            .iter()
            .filter(|c| c.id != id)
            .any(|c| c.names().any(|a| names.iter().any(|b| norm(a) == norm(b))))
    }

    fn id(&self, n: u8) -> String {
        self.0
            .get(n as usize)
            .map_or_else(|| "ghost".to_owned(), |c| c.id.clone())
    }

    /// Runs `change` on a copy; keeps it if the names stay free.
    fn change(&mut self, id: &str, now: u64, change: impl FnOnce(&mut Concept) -> bool) -> bool {
        let Some(at) = self.0.iter().position(|c| c.id == id) else {
            return false;
        };
        let mut copy = self.0[at].clone();
        let done = change(&mut copy);
        let mut unique: Vec<String> = Vec::new();
        for alias in copy.aliases.drain(..) {
            if !unique.contains(&alias) {
                unique.push(alias);
            }
        }
        copy.aliases = unique;
        let names: Vec<String> = copy.names().map(str::to_owned).collect();
        if !done || self.taken(id, &names) {
            return false;
        }
        copy.updated_ms = now;
        self.0[at] = copy;
        true
    }
}

fn apply(library: &mut Library, model: &mut Model, op: Op, now: u64) -> (bool, bool) {
    let photo = |e: u16, same: bool| seen(if same { "e" } else { "other" }, f32::from(e) * 1e-3);
    match op {
        Op::Add(n, a, e) => {
            // Few ids, so that those of deleted concepts are given again.
            let id = format!("id{}", n % 4);
            let new = NewConcept {
                id: Some(id.clone()),
                aliases: aliases(&a),
                references: e.iter().map(|e| photo(*e, e % 3 > 0)).collect(),
                ..named(&name(n))
            };
            let mut names = aliases(&a);
            names.push(name(n));
            let free = !model.taken("", &names) && model.0.iter().all(|c| c.id != id);
            if free {
                let (name, aliases, references) = (
                    new.name.clone(),
                    new.aliases.clone(),
                    new.references.clone(),
                );
                model.0.push(Concept {
                    id: id.clone(),
                    name,
                    aliases,
                    references,
                    category: String::new(),
                    info: String::new(),
                    created_ms: now,
                    updated_ms: now,
                });
                model.change(&id, now, |_| true);
            }
            (library.add(new, now).is_ok(), free)
        }
        Op::Rename(c, n) => {
            let id = model.id(c);
            (
                library.rename(&id, name(n), now).is_ok(),
                model.change(&id, now, |c| {
                    c.name = name(n);
                    true
                }),
            )
        }
        Op::Aliases(c, a) => {
            let id = model.id(c);
            let patch = ConceptPatch {
                aliases: Some(aliases(&a)),
                ..ConceptPatch::default()
            };
            (
                library.edit(&id, patch, now).is_ok(),
                model.change(&id, now, |c| {
                    c.aliases = aliases(&a);
                    true
                }),
            )
        }
        Op::AddPhoto(c, e, same) => {
            let id = model.id(c);
            let done = library.add_reference(&id, photo(e, same), now).is_ok();
            (
                done,
                model.change(&id, now, |c| {
                    c.references.push(photo(e, same));
                    true
                }),
            )
        }
        Op::DropPhoto(c, p) => {
            let (id, p) = (model.id(c), p as usize);
            let done = library.remove_reference(&id, p, now).is_ok();
            (
                done,
                model.change(&id, now, |c| {
                    p < c.references.len() && {
                        c.references.remove(p);
                        true
                    }
                }),
            )
        }
        Op::Embed(c, p, e) => {
            let (id, p, new) = (model.id(c), p as usize, photo(e, true));
            let done = library.set_embeddings(&id, p, new.embedded.clone()).is_ok();
            let then = model.0.get(c as usize).map_or(0, |c| c.updated_ms);
            let set = |c: &mut Concept| {
                c.references
                    .get_mut(p)
                    .map(|r| {
                        r.embedded = new.embedded.clone();
                    })
                    .is_some()
            };
            (done, model.change(&id, then, set))
        }
        Op::Delete(c) => {
            let id = model.id(c);
            let before = model.0.len();
            model.0.retain(|c| c.id != id);
            (library.delete(&id).is_ok(), model.0.len() < before)
        }
    }
}

proptest! {
    #[test]
    fn any_sequence_of_changes_agrees_with_the_model(ops in proptest::collection::vec(op(), 0..40)) {
        let (mut library, mut model) = (Library::new("e"), Model::default());
        for (now, op) in ops.into_iter().enumerate() {
            let before = library.revision();
            let (did, should) = apply(&mut library, &mut model, op.clone(), now as u64);
            prop_assert_eq!(did, should, "{:?}", op);
            prop_assert_eq!(library.revision(), before + u64::from(did));
            prop_assert_eq!(library.list().cloned().collect::<Vec<_>>(), model.0.clone());
            prop_assert_eq!(library.index(), &FlatIndex::build("e", None, library.list()));
            for concept in &model.0 {
                for name in concept.names() {
                    prop_assert_eq!(library.find_by_name_or_alias(name).map(|c| &c.id), Some(&concept.id));
                }
            }
            for n in 0..6 {
                let owned = model.taken("", &[name(n)]);
                prop_assert_eq!(library.find_by_name_or_alias(&name(n)).is_some(), owned);
            }
        }
    }
}

#[test]
fn an_encoder_that_tells_its_width_takes_no_other_even_first() {
    let mut library = Library::of_indexes(vec![FlatIndex::new("e").of_width(Some(3))]);
    let narrow = NewConcept {
        references: vec![seen("e", 0.5)],
        ..named("Bo")
    };
    let error = library.add(narrow.clone(), 1).unwrap_err().to_string();
    assert!(error.contains("2 numbers"), "{error}");
    assert!(library.list().next().is_none());
    // What another encoder made is no matter of this one.
    let other = NewConcept {
        references: vec![seen("f", 0.5)],
        ..named("Bo")
    };
    library.add(other, 1).unwrap();
}
