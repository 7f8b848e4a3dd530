//! The library inside the whole engine: changes that happen whole or not at all, files of others, ten thousand things.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use burn::tensor::Device;
use namelens::export::open_bundle;
use namelens_engine::Error;
use namelens_engine::concepts::regions::Candidate;
use namelens_engine::concepts::retrieval::{self, Mode, Options, Scored};
use namelens_engine::concepts::{
    Concept, ConceptFile, ConceptPatch, GivenPhoto, Library, NewConcept, Reference, Retrieved,
    bundle,
};
use namelens_engine::host::{Host, LocalTime, Still};
use namelens_engine::image::decode;
use namelens_engine::personalize::{Engine, Event, Kind, Request};
use namelens_tests::{fast_devices, uniform};

fn root() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("..")
}

fn engine(device: &Device) -> Engine {
    let files = open_bundle(&root().join("models/playroom")).unwrap();
    pollster::block_on(Engine::load(files, device, &Still, &mut |_, _| ())).unwrap()
}

/// The photos of the page's album that show one thing (`reference`) or a scene.
fn album(role: &str) -> Vec<Vec<u8>> {
    let folder = root().join("web-demo/public/album");
    let list = std::fs::read(folder.join("album.json")).unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_slice(&list).unwrap();
    list.iter()
        .filter(|photo| photo["role"] == role)
        .map(|photo| std::fs::read(folder.join(photo["file"].as_str().unwrap())).unwrap())
        .collect()
}

fn named(name: &str, photos: &[&[u8]]) -> NewConcept {
    NewConcept {
        name: name.into(),
        references: photos.iter().map(|photo| Reference::new(*photo)).collect(),
        ..NewConcept::default()
    }
}

/// Lets `patience` questions whether to stop pass, then stops.
struct Impatient {
    patience: Cell<usize>,
}

impl Host for Impatient {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        let left = self.patience.get();
        self.patience.set(left.saturating_sub(1));
        left == 0
    }

    fn random(&self) -> u64 {
        0
    }

    fn local_time(&self) -> Option<LocalTime> {
        None
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn every_change_that_fails_leaves_the_library_as_it_was() {
    let things = album("reference");
    let mut engine = engine(&Device::flex());
    let add = |library: &mut Library| library.add(named("Mochi", &[&things[0]]), 1);
    let id = pollster::block_on(engine.edit_library(&Still, add)).unwrap();
    let before = engine.library.clone();
    assert_eq!(before.index().len(), 1);

    let add = |photo: Vec<u8>| move |library: &mut Library| library.add(named("Bo", &[&photo]), 2);
    let update = |photo: Vec<u8>| {
        let id = id.clone();
        move |library: &mut Library| {
            let patch = ConceptPatch {
                name: Some("Miso".into()),
                ..ConceptPatch::default()
            };
            library.edit(&id, patch, 3)?;
            library.add_reference(&id, Reference::new(photo), 3)
        }
    };
    let theirs = r#"{"concept_dict": {"<bo>": {"name": "Bo", "image": "bo.png"}}}"#;
    let given: Vec<GivenPhoto> = vec![("bo.png".into(), Arc::from(things[1].as_slice()))];
    let import = |host: &dyn Host, engine: &mut Engine| {
        let file = ConceptFile::parse(theirs.as_bytes()).unwrap();
        pollster::block_on(engine.import_file(file, &given, None, 4, host)).map(drop)
    };

    // The embedding is stopped at any moment.
    for patience in [0, 1, 2, 3] {
        let host = || Impatient {
            patience: Cell::new(patience),
        };
        let photo = || things[1].clone();
        let added = pollster::block_on(engine.edit_library(&host(), add(photo())));
        assert_eq!(added.unwrap_err(), Error::Cancelled);
        assert_eq!(engine.library, before, "add");
        let updated = pollster::block_on(engine.edit_library(&host(), update(photo())));
        assert_eq!(updated.unwrap_err(), Error::Cancelled);
        assert_eq!(engine.library, before, "update");
        assert_eq!(import(&host(), &mut engine).unwrap_err(), Error::Cancelled);
        assert_eq!(engine.library, before, "import");
    }
    // A photo that is none.
    for bad in [b"no photo".to_vec(), Vec::new(), things[1][..60].to_vec()] {
        let added = pollster::block_on(engine.edit_library(&Still, add(bad.clone())));
        assert_eq!(added.unwrap_err().code(), "image");
        let updated = pollster::block_on(engine.edit_library(&Still, update(bad)));
        assert_eq!(updated.unwrap_err().code(), "image");
        assert_eq!(engine.library, before);
    }
    // And then they succeed.
    pollster::block_on(engine.edit_library(&Still, update(things[1].clone()))).unwrap();
    import(&Still, &mut engine).unwrap();
    let names: Vec<&str> = engine.library.list().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["Miso", "Bo"]);
    assert_eq!(engine.library.index().len(), 3);
}

#[test]
fn a_thing_that_cannot_be_embedded_does_not_stand_in_the_way_of_others() {
    let things = album("reference");
    let mut engine = engine(&Device::flex());
    engine
        .library
        .add(named("Broken", &[b"no photo"]), 0)
        .unwrap();
    let add = |library: &mut Library| library.add(named("Mochi", &[&things[0]]), 1);
    pollster::block_on(engine.edit_library(&Still, add)).unwrap();
    assert_eq!(engine.library.index().len(), 1);
}

fn stored(id: &str, photo: &[u8]) -> Concept {
    let mut library = Library::new("");
    library.add(named(id, &[photo]), 5).unwrap();
    library.list().next().unwrap().clone()
}

#[test]
fn what_is_restored_is_whole_and_the_rest_is_told() {
    let things = album("reference");
    let mut engine = engine(&Device::flex());
    let all = || {
        vec![
            stored("ada", &things[0]),
            stored("bad", b"no photo"),
            stored("ada", &things[1]),
            stored("bob", &things[1]),
        ]
    };
    let restored = pollster::block_on(engine.restore(all(), &Still));
    let ids: Vec<&str> = engine.library.list().map(|c| c.id.as_str()).collect();
    assert_eq!((restored.count, ids.as_slice()), (2, &["ada", "bob"][..]));
    let told: Vec<String> = restored.problems.iter().map(Error::to_string).collect();
    assert!(told[0].contains("concept `bad`: is left out"), "{told:?}");
    assert!(told[1].contains("`ada` is taken"), "{told:?}");
    assert_eq!((told.len(), engine.library.index().len()), (2, 2));

    // Where it is the device that fails, the names are kept.
    let mut engine = self::engine(&Device::flex());
    let host = Impatient {
        patience: Cell::new(0),
    };
    let restored = pollster::block_on(engine.restore(all(), &host));
    assert_eq!((restored.count, engine.library.len()), (3, 3));
    assert_eq!(restored.problems[0], Error::Cancelled);
}

#[test]
fn a_database_is_imported_but_for_what_is_wrong_in_it() {
    let things = album("reference");
    let mut engine = engine(&Device::flex());
    let text = r#"{"concept_dict": {
        "<ada>": {"name": "<b>", "image": "./train/a/0.png"},
        "<bob>": {"name": "Bob", "image": "./train/b/0.png"},
        "<cy>": {"name": "Cy", "image": "./train/c/0.png"},
        "<di>": {"name": "Di", "image": "./train/d/0.png"}}, "path_to_concept": {"hinton.jpg": "<C"}}"#;
    let given = |names: &[(&str, &[u8])]| -> Vec<GivenPhoto> {
        let photo = |(name, bytes): &(&str, &[u8])| ((*name).to_owned(), Arc::from(*bytes));
        names.iter().map(photo).collect()
    };
    let photos = given(&[
        ("x/train/b/0.png", &things[1]),
        ("x/train/a/0.png", &things[0]),
        ("x/train/d/0.png", b"no photo"),
    ]);
    let file = || ConceptFile::parse(text.as_bytes()).unwrap();
    let path = Some("x/database.json");
    let imported =
        pollster::block_on(engine.import_file(file(), &photos, path, 0, &Still)).unwrap();
    assert_eq!(imported.added, ["b", "bob"]);
    let photo = |id: &str| engine.library.get(id).unwrap().references[0].photo.to_vec();
    assert!(photo("b") == things[0] && photo("bob") == things[1]);
    let told: Vec<String> = imported.problems.iter().map(Error::to_string).collect();
    for (line, problem) in ["hinton.jpg", "train/c/0.png", "concept `Di`: a photo of it"]
        .iter()
        .zip(&told)
    {
        assert!(problem.contains(line), "{line} in {told:?}");
    }
    assert_eq!(told.len(), 3, "{told:?}");
    // Once more: both under another name.
    let again = pollster::block_on(engine.import_file(file(), &photos, path, 0, &Still)).unwrap();
    let renamed: Vec<&str> = again.renamed.iter().map(|(_, to)| to.as_str()).collect();
    assert_eq!(renamed, ["b (2)", "Bob (2)"]);
    // Of our own bundle all or nothing.
    let mut ours = Library::new("");
    for (name, photo) in [("Eve", things[0].as_slice()), ("Fay", b"no photo")] {
        ours.add(named(name, &[photo]), 0).unwrap();
    }
    let before = engine.library.clone();
    let file = ConceptFile::parse(&bundle::export(&ours).unwrap()).unwrap();
    let error = pollster::block_on(engine.import_file(file, &[], None, 0, &Still));
    assert_eq!(error.unwrap_err().code(), "image");
    assert_eq!(engine.library, before);
}

#[test]
fn a_name_in_brackets_is_read_as_it_was_typed() {
    let mut engine = engine(&Device::flex());
    for name in ["<b>", "a<b 🐈"] {
        engine.library = Library::new(engine.library.index().encoder());
        let add = |library: &mut Library| library.add(named(name, &[&album("reference")[0]]), 0);
        pollster::block_on(engine.edit_library(&Still, add)).unwrap();
        let mut streamed = String::new();
        let mut on_event = |event: Event| match event {
            Event::Text { delta, text, .. } => {
                streamed += &delta;
                assert_eq!(streamed, text);
            }
            Event::Retrieved { concepts } => assert_eq!(concepts[0].name, name),
            Event::Stage { .. } => {}
        };
        let request = Request::new(Kind::Caption);
        let scene = &album("scene")[0];
        let outcome =
            pollster::block_on(engine.run(&request, scene, &Still, &mut on_event)).unwrap();
        assert!(
            outcome.text.contains(name),
            "{} of {}",
            outcome.text,
            outcome.raw
        );
        assert!(!outcome.text.contains('‹'), "{}", outcome.text);
        assert_eq!(streamed.trim_end(), outcome.text);
        let units: Vec<u16> = outcome.text.encode_utf16().collect();
        let mention = &outcome.mentions[0];
        assert_eq!(
            String::from_utf16_lossy(&units[mention.start..mention.end]),
            name
        );
        assert_eq!(mention.name, name);
    }
}

/// Unit vectors in all directions, or around `near`.
fn directions(count: usize, width: usize, near: Option<&[f32]>, seed: u64) -> Vec<Vec<f32>> {
    let noise = uniform([count, width], seed);
    let noise = noise.as_slice::<f32>().unwrap().chunks_exact(width);
    noise
        .map(|noise| {
            let at = |i: usize| near.map_or(0.0, |near| 20.0 * near[i]) + noise[i];
            let length = (0..width).map(|i| at(i) * at(i)).sum::<f32>().sqrt();
            (0..width).map(|i| at(i) / length).collect()
        })
        .collect()
}

/// What plain loops over every concept and every region find.
fn by_loops(engine: &Engine, photo: &[u8], question: &str, mode: Mode) -> Vec<Retrieved> {
    let retriever = engine.retriever().unwrap();
    let scan = pollster::block_on(retriever.scan(&decode(photo).unwrap(), &Still)).unwrap();
    let dot = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let width = scan.whole.len();
    let scored: Vec<Scored<'_>> = engine
        .library
        .list()
        .map(|concept| {
            let own = || {
                concept
                    .references
                    .iter()
                    .flat_map(|r| r.embeddings_of(retriever.digest()).unwrap_or_default())
            };
            let best = |region: &[f32]| own().map(|e| dot(e, region)).fold(f32::MIN, f32::max);
            let regions = scan.windows.iter().zip(scan.embeddings.chunks_exact(width));
            Scored {
                concept,
                windows: regions
                    .map(|(&box_, region)| Candidate {
                        box_,
                        score: best(region),
                    })
                    .collect(),
                whole: Some(best(&scan.whole)),
            }
        })
        .collect();
    let thresholds = retriever.thresholds().unwrap();
    let options = Options {
        mode,
        ..Options::auto(thresholds.window, thresholds.whole)
    };
    retrieval::retrieve(question, &scored, &options).unwrap()
}

#[test]
fn ten_thousand_things_are_searched_alike_on_every_device() {
    let (things, scenes) = (album("reference"), album("scene"));
    for device in fast_devices() {
        let mut engine = engine(&device);
        let add = |library: &mut Library| {
            library.add(named("Mochi", &[&things[0], &things[1]]), 0)?;
            library.add(named("Otto", &[&things[2]]), 0)
        };
        pollster::block_on(engine.edit_library(&Still, add)).unwrap();
        let (digest, width) = (
            engine.library.index().encoder().to_owned(),
            engine.library.index().dim(),
        );
        let otto = engine.library.index().rows_of("otto").start * width;
        let otto = engine.library.index().vectors()[otto..][..width].to_vec();
        // Strangers in all directions; then so many look-alikes of Otto that the device cannot choose among them.
        for (round, near) in [None, Some(otto.as_slice())].into_iter().enumerate() {
            let count = if near.is_some() { 700 } else { 10_000 };
            for (i, embedding) in directions(count, width, near, 7).into_iter().enumerate() {
                let mut new = named(&format!("Stranger {round} {i}"), &[]);
                let photo = Reference::new(Arc::from([i as u8]) as Arc<[u8]>);
                new.references
                    .push(photo.with_embeddings(&digest, vec![embedding]));
                engine.library.add(new, 0).unwrap();
            }
            let retriever = engine.retriever().unwrap();
            let ids = Mode::Explicit(vec!["stranger-0-77".into(), "mochi".into()]);
            let requests = [
                ("", Mode::Auto),
                ("Is Stranger 0 9999 near Otto?", Mode::Auto),
                ("", ids),
            ];
            for ((question, mode), scene) in requests.into_iter().zip(&scenes) {
                {
                    let photo = decode(scene).unwrap();
                    let scan = pollster::block_on(retriever.scan(&photo, &Still)).unwrap();
                    let found =
                        retriever.retrieve(Some(&scan), question, &engine.library, mode.clone());
                    let found = pollster::block_on(found).unwrap();
                    let want = by_loops(&engine, scene, question, mode.clone());
                    let key = |r: &Retrieved| (r.id.clone(), r.reason, r.box_.is_some());
                    assert_eq!(
                        found.iter().map(key).collect::<Vec<_>>(),
                        want.iter().map(key).collect::<Vec<_>>(),
                        "{device:?} {question}"
                    );
                    for (found, want) in found.iter().zip(&want) {
                        assert!(
                            (found.score - want.score).abs() < 1e-4,
                            "{found:?} {want:?}"
                        );
                        let edges = found.box_.iter().zip(&want.box_);
                        for (a, b) in edges.flat_map(|(a, b)| a.iter().zip(b)) {
                            assert!((a - b).abs() < 1e-2, "{found:?} {want:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn crops_are_distinct_regions_with_their_nearest_things() {
    let things = album("reference");
    let scene = decode(&album("scene")[1]).unwrap();
    let mut all = Vec::new();
    for device in fast_devices() {
        let mut engine = engine(&device);
        let add = |library: &mut Library| {
            let names = ["Ada", "Bob", "Cy"].into_iter().zip(&things);
            names
                .into_iter()
                .try_for_each(|(name, photo)| library.add(named(name, &[photo]), 0).map(drop))
        };
        pollster::block_on(engine.edit_library(&Still, add)).unwrap();
        let retriever = engine.retriever().unwrap();
        let scan = pollster::block_on(retriever.scan(&scene, &Still)).unwrap();
        let crops = pollster::block_on(retriever.crops(&scan, &engine.library, 2)).unwrap();
        assert!(!crops.is_empty() && crops.len() < scan.windows.len());
        for crop in &crops {
            assert_eq!(crop.len(), 2);
            assert!(crop[0].1 <= crop[1].1 && crop[0].0 != crop[1].0, "{crop:?}");
        }
        // The best of all regions is one of them.
        let best = crops.iter().map(|crop| crop[0].1).fold(f32::MAX, f32::min);
        let dim = scan.whole.len();
        let vectors = engine.library.index().vectors();
        let nearest = scan.embeddings.chunks_exact(dim).flat_map(|region| {
            vectors
                .chunks_exact(dim)
                .map(|row| 2.0 - 2.0 * region.iter().zip(row).map(|(a, b)| a * b).sum::<f32>())
        });
        assert!((nearest.fold(f32::MAX, f32::min) - best).abs() < 1e-4);
        all.push(crops);
    }
    let rows = |crops: &[Vec<(usize, f32)>]| {
        crops
            .iter()
            .flatten()
            .map(|(row, _)| *row)
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(&all[0]), rows(&all[1]));
}
