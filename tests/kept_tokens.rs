//! What the captioner makes of a reference photo is kept by its host, and taken back by the next engine of the same model.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use burn::tensor::Device;
use namelens::export::open_bundle;
use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::host::{Host, LocalTime, Still};
use namelens_engine::personalize::{Engine, Kind, Outcome, Precision, Request, Retrieval};
use namelens_tests::album::{model, photo};

/// A host that keeps everything, and counts.
#[derive(Default)]
struct Keeper {
    files: RefCell<BTreeMap<String, Vec<u8>>>,
    /// How often it had what it was asked for.
    found: Cell<usize>,
    /// How often it was given something.
    taken: Cell<usize>,
}

impl Host for Keeper {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        false
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

    fn kept<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + 'a>> {
        let file: Option<Vec<u8>> = self.files.borrow().get(key).cloned();
        self.found
            .set(self.found.get() + usize::from(file.is_some()));
        Box::pin(std::future::ready(file))
    }

    fn keep(&self, key: &str, bytes: Vec<u8>) {
        self.taken.set(self.taken.get() + 1);
        self.files.borrow_mut().insert(key.to_owned(), bytes);
    }
}

impl Keeper {
    /// What it found and took since it was last asked.
    fn counts(&self) -> (usize, usize) {
        (self.found.take(), self.taken.take())
    }
}

/// A new engine that knows one thing, asked for a caption.
fn caption(host: &Keeper, precision: Precision, reference: &str) -> Outcome {
    let (device, files) = (Device::flex(), open_bundle(&model()).unwrap());
    let mut progress = |_, _| ();
    let loaded = Engine::load_as(files, precision, &device, &Still, &mut progress);
    let mut engine = pollster::block_on(loaded).unwrap();
    let new = NewConcept {
        name: "Zuzu Lint".into(),
        references: vec![Reference::new(photo(reference))],
        ..NewConcept::default()
    };
    pollster::block_on(engine.edit_library(&Still, |library| library.add(new, 1))).unwrap();
    let request = Request {
        retrieval: Retrieval::All,
        ..Request::new(Kind::Caption)
    };
    let scene = photo("scene-0.png");
    pollster::block_on(engine.run(&request, &scene, host, &mut |_| ())).unwrap()
}

#[test]
fn the_next_engine_takes_back_what_one_made_and_says_the_same() {
    let host = Keeper::default();
    let first = caption(&host, Precision::Stored, "thing-0-0.png");
    assert_eq!(host.counts(), (0, 1));
    let again = caption(&host, Precision::Stored, "thing-0-0.png");
    assert_eq!(host.counts(), (1, 0));
    assert_eq!(
        (&first.raw, first.confidence),
        (&again.raw, again.confidence)
    );
    assert!(first.text.contains("Zuzu Lint"), "{}", first.text);

    // Weights in another precision make other tokens, and another photo has its own.
    caption(&host, Precision::Q8_0, "thing-0-0.png");
    assert_eq!(host.counts(), (0, 1));
    caption(&host, Precision::Stored, "thing-1-0.png");
    let names: Vec<String> = host.files.borrow().keys().cloned().collect();
    let halves: Vec<(&str, &str)> = names.iter().filter_map(|n| n.split_once('-')).collect();
    let of_photo = |half: &str| halves.iter().filter(|(photo, _)| *photo == half).count();
    let counts: Vec<usize> = halves.iter().map(|(photo, _)| of_photo(photo)).collect();
    assert!(halves.len() >= 2 && counts.contains(&2), "{names:?}");
    assert!(halves.iter().all(|(a, b)| a.len() == 32 && b.len() == 32));
}

#[test]
fn what_was_damaged_is_made_anew() {
    let host = Keeper::default();
    let first = caption(&host, Precision::Stored, "thing-0-0.png");
    host.counts();
    for file in host.files.borrow_mut().values_mut() {
        let middle = file.len() / 2;
        file[middle] ^= 64;
    }
    let again = caption(&host, Precision::Stored, "thing-0-0.png");
    assert_eq!(host.counts(), (1, 1));
    assert_eq!(first.raw, again.raw);
}
