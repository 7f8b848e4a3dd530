//! The Playroom's model decodes the same with and without a cache, after any prefix, and on every device.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::pin::Pin;

use burn::tensor::{Device, Tensor};
use namelens_engine::generate::read_back::read;
use namelens_engine::generate::{
    GenerateOptions, Photos, SamplingOptions, SamplingOverrides, Session, generate,
};
use namelens_engine::host::{Host, LocalTime, Still};
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::connector::Visual;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::{Engine, Event, Kind, Outcome, Request};
use namelens_engine::text::Tokenizer;
use namelens_tests::album::{NAME, introduced, introduced_by_name_alone, model, root, vlm};
use namelens_tests::{gpus, uniform};

/// A prompt with one photo of noise between plain tokens.
fn prompt(vlm: &Vlm, config: &VlmConfig, device: &Device) -> (Vec<u32>, Visual) {
    let side = config.vision_config.image_size;
    let pixels = Tensor::<4>::from_data(uniform([1, 3, side, side], 3), device);
    let visual = vlm.encode_images(pixels).unwrap();
    let mut ids: Vec<u32> = (0..9).map(|i| 40 + 13 * i).collect();
    ids.extend(vec![config.image_token_id; config.tokens_per_image()]);
    ids.extend((0..7).map(|i| 300 + 29 * i));
    (ids, visual)
}

fn tokenizer() -> Tokenizer {
    let json = std::fs::read(model().join("tokenizer.json")).unwrap();
    Tokenizer::from_json(&json).unwrap()
}

/// An answer of a token, whatever it is.
fn one_token(sampling: SamplingOptions) -> GenerateOptions {
    GenerateOptions {
        sampling,
        max_tokens: 1,
        stop: Vec::new(),
        ends: Vec::new(),
        top_logprobs: None,
    }
}

fn photos(visual: &Visual) -> Photos<'_> {
    Photos { visual, grids: &[] }
}

/// Logits of the last token without any cache.
fn uncached(vlm: &Vlm, ids: &[u32], visual: &Visual) -> Vec<f32> {
    let reading = vlm.read(&[ids.to_vec()], Some(visual)).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    let last = hidden.narrow(1, tokens - 1, 1).reshape([1, width]);
    pollster::block_on(read(vlm.decoder.logits(last))).unwrap()
}

fn argmax(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.unwrap().0 as u32
}

/// Two orders of summation of some hundred f32 terms of size 1 to 10, layer upon layer.
const TOLERANCE: f32 = 2e-3;

fn assert_near(what: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= TOLERANCE,
            "{what}: logit {i}: {g} is not {w}"
        );
    }
}

#[test]
fn cached_decoding_equals_uncached() {
    let device = Device::flex();
    let (vlm, config) = vlm(&device);
    let (mut ids, visual) = prompt(&vlm, &config, &device);
    let mut session = Session::new(&vlm, 256, config.image_token_id);
    let mut logits =
        pollster::block_on(session.prefill(&ids, Some(photos(&visual)), &Still, &mut |_, _| ()))
            .unwrap();
    for step in 0..12 {
        assert_near(
            &format!("step {step}"),
            &logits,
            &uncached(&vlm, &ids, &visual),
        );
        let next = argmax(&logits);
        ids.push(next);
        logits = pollster::block_on(session.step(next, &Still)).unwrap();
    }
}

#[test]
fn a_second_prompt_reads_only_what_differs() {
    let device = Device::flex();
    let (vlm, config) = vlm(&device);
    let (ids, visual) = prompt(&vlm, &config, &device);
    let mut session = Session::new(&vlm, 256, config.image_token_id);
    let cut = |at: usize, tail: &[u32]| [&ids[..at], tail].concat();
    let is_place = |id: &&u32| **id == config.image_token_id;
    let half = ids.iter().position(|id| is_place(&id)).unwrap() + visual.len() / 2;
    let (end, most) = (ids.len(), ids.len() - 3);
    // Endings that share all, most, and little of the prompt before, and how much of it; one cuts the photo in half.
    let prompts = [
        (ids.clone(), 0),
        (cut(most, &[77, 78, 79, 80]), most),
        // The last token is read again: what is asked for is what comes after it.
        (cut(most, &[77, 78]), most + 1),
        (ids.clone(), most),
        (ids.clone(), end - 1),
        (cut(half, &[77, 78]), half),
        (ids.clone(), half),
    ];
    for (i, (prompt, known)) in prompts.iter().enumerate() {
        assert_eq!(session.known(prompt), *known, "prompt {i}");
        let count = |ids: &[u32]| ids.iter().filter(is_place).count();
        // Where no photo is given its places cannot be read, and those that are known are not.
        let given = (count(&prompt[*known..]) > 0).then(|| photos(&visual));
        let mut quiet = |_, _| ();
        let read = session.prefill(prompt, given, &Still, &mut quiet);
        let logits = pollster::block_on(read).unwrap();
        let seen = visual.narrow(0, count(prompt));
        let want = uncached(&vlm, prompt, &seen);
        assert_near(&format!("prompt {i}"), &logits, &want);
        assert_eq!(session.ids(), prompt);
    }
    // So it would be noticed if they were read.
    let mut other = Session::new(&vlm, 256, config.image_token_id);
    let mut quiet = |_, _| ();
    let read = other.prefill(&ids, None, &Still, &mut quiet);
    pollster::block_on(read).unwrap_err();
}

#[test]
fn a_prompt_that_does_not_fit_is_refused() {
    let device = Device::flex();
    let (vlm, config) = vlm(&device);
    let mut session = Session::new(&vlm, 8, config.image_token_id);
    let error =
        pollster::block_on(session.prefill(&[50; 9], None, &Still, &mut |_, _| ())).unwrap_err();
    assert_eq!(error.code(), "context-full");
}

#[test]
fn a_prompt_without_tokens_is_refused() {
    let device = Device::flex();
    let (vlm, config) = vlm(&device);
    let mut session = Session::new(&vlm, 8, config.image_token_id);
    for _ in 0..2 {
        let error = pollster::block_on(session.prefill(&[], None, &Still, &mut |_, _| ()));
        let error = error.unwrap_err();
        assert_eq!(error.code(), "option");
        assert!(error.to_string().contains("no tokens"), "{error}");
        // Nor after a prompt that was read.
        pollster::block_on(session.prefill(&[50, 51], None, &Still, &mut |_, _| ())).unwrap();
    }
}

/// A tokenizer of another model may make them.
#[test]
fn tokens_that_the_model_does_not_have_are_refused() {
    for device in gpus().into_iter().chain([Device::flex()]) {
        let (vlm, config) = vlm(&device);
        let mut session = Session::new(&vlm, 8, config.image_token_id);
        let beyond = config.text_config.vocab_size as u32;
        let ids = [50, beyond];
        let mut quiet = |_, _| ();
        let read = session.prefill(&ids, None, &Still, &mut quiet);
        let error = pollster::block_on(read).unwrap_err();
        assert_eq!(error.code(), "tokenizer", "{device:?}");
        assert!(error.to_string().contains(&beyond.to_string()), "{error}");
    }
}

#[test]
fn logits_that_are_no_numbers_are_no_answer() {
    let device = Device::flex();
    let (vlm, config) = vlm(&device);
    let tokenizer = tokenizer();
    let mut session = Session::new(&vlm, 40, config.image_token_id);
    pollster::block_on(session.prefill(&[50, 51], None, &Still, &mut |_, _| ())).unwrap();
    for temperature in [0.0, 1.0] {
        let sampling = SamplingOptions {
            temperature,
            ..SamplingOptions::default()
        };
        let options = one_token(sampling);
        let logits = vec![f32::NAN; config.text_config.vocab_size];
        let mut unheard = |_: &str| ();
        let answer = generate(
            &mut session,
            logits,
            &options,
            None,
            &tokenizer,
            &Still,
            &mut unheard,
        );
        let error = pollster::block_on(answer).unwrap_err();
        assert!(error.to_string().contains("no numbers"), "{error}");
    }
}

/// As `RepetitionPenaltyLogitsProcessor` of transformers does with the `input_ids` of a whole chat.
#[test]
fn the_repetition_penalty_counts_the_prompt() {
    let device = Device::flex();
    let (vlm, config) = vlm(&device);
    let tokenizer = tokenizer();
    let penalty = 1.6;
    let likeliest = |logits: &[f32]| {
        let order = |a: &usize, b: &usize| logits[*a].total_cmp(&logits[*b]).then(b.cmp(a));
        (0..logits.len()).max_by(order).unwrap()
    };
    let mut differ = 0;
    for round in 0..12u32 {
        let mut prompt: Vec<u32> = (0..60).map(|i| 40 + (i * 7 + round * 61) % 400).collect();
        let read = |prompt: &[u32]| {
            let mut session = Session::new(&vlm, 96, config.image_token_id);
            let mut quiet = |_, _| ();
            let reading = session.prefill(prompt, None, &Still, &mut quiet);
            let logits = pollster::block_on(reading).unwrap();
            (session, logits)
        };
        // What the model would say stands in the prompt as well, so that it is what the penalty is about.
        prompt[0] = likeliest(&read(&prompt).1) as u32;
        let (mut session, logits) = read(&prompt);
        let mut expected = logits.clone();
        for (id, logit) in expected.iter_mut().enumerate() {
            if prompt.contains(&(id as u32)) {
                *logit *= if *logit < 0.0 { penalty } else { 1.0 / penalty };
            }
        }
        differ += usize::from(likeliest(&expected) != likeliest(&logits));
        let sampling = SamplingOptions {
            repetition_penalty: penalty,
            ..SamplingOptions::default()
        };
        let options = one_token(sampling);
        let answer = pollster::block_on(generate(
            &mut session,
            logits,
            &options,
            None,
            &tokenizer,
            &Still,
            &mut |_| (),
        ));
        assert_eq!(answer.unwrap().tokens, [likeliest(&expected) as u32]);
    }
    assert!(differ > 0, "no prompt here tells the difference");
}

fn caption((mut engine, scene): (Engine, Vec<u8>)) -> Outcome {
    pollster::block_on(engine.run(&Request::new(Kind::Caption), &scene, &Still, &mut |_| ()))
        .unwrap()
}

/// A host whose random numbers count up.
struct Dice(Cell<u64>);

impl Host for Dice {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        false
    }

    fn random(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    fn local_time(&self) -> Option<LocalTime> {
        None
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn drawn_answers_differ_and_their_seed_brings_them_back() {
    let (mut engine, scene) = introduced(&Device::flex());
    let dice = Dice(Cell::new(40));
    let mut caption = |sampling: Option<SamplingOverrides>| {
        let request = Request {
            sampling,
            max_tokens: Some(12),
            ..Request::new(Kind::Caption)
        };
        pollster::block_on(engine.run(&request, &scene, &dice, &mut |_| ())).unwrap()
    };
    let hot = |seed: Option<u64>| {
        Some(SamplingOverrides {
            temperature: Some(3.0),
            top_k: Some(0),
            seed,
            ..SamplingOverrides::default()
        })
    };
    let (first, second) = (caption(hot(None)), caption(hot(None)));
    assert_ne!(first.raw, second.raw, "no seed given: another answer");
    assert_ne!(first.seed, second.seed);
    let again = caption(hot(first.seed));
    assert_eq!((&again.raw, again.seed), (&first.raw, first.seed));
    let greedy = caption(None);
    assert_eq!(greedy.seed, None);
    assert_eq!(caption(None).raw, greedy.raw);
}

/// Cancels when it is asked for the `patience`th time.
struct Impatient {
    asked: Cell<usize>,
    patience: usize,
}

impl Host for Impatient {
    fn now_ms(&self) -> f64 {
        0.0
    }

    fn cancelled(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.asked.get() > self.patience
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

/// At any moment: while the photo is searched or encoded, in the middle of prefill, between words.
#[test]
fn a_run_ends_wherever_it_is_cancelled_and_leaves_nothing_behind() {
    let (mut engine, scene) = introduced(&Device::flex());
    let mut run = |patience: usize| {
        let host = Impatient {
            asked: Cell::new(0),
            patience,
        };
        let mut last = "none".to_owned();
        let mut on_event = |event: Event| {
            last = match event {
                Event::Stage { stage, done, total } => {
                    let where_ = if done == total { "done" } else { "under way" };
                    format!("{stage:?} {where_}")
                }
                Event::Retrieved { .. } => "Retrieved".to_owned(),
                Event::Text { .. } => "Text".to_owned(),
            };
        };
        let request = Request::new(Kind::Caption);
        // Of a photo that was asked about before little is left to do.
        engine.forget_photo();
        let outcome = pollster::block_on(engine.run(&request, &scene, &host, &mut on_event));
        (outcome, host.asked.get(), last)
    };
    // The first run also encodes the reference, whose tokens are kept.
    let (first, longest, _) = run(usize::MAX);
    let (whole, asked, _) = run(usize::MAX);
    assert!(first.is_ok() && asked < longest);
    let whole = whole.unwrap();
    assert!(asked > 20, "asked {asked} times only");
    let mut moments = BTreeSet::new();
    // All of what comes before the first words, and of the words every seventh layer.
    for patience in (0..asked).filter(|&p| p < 40 || p % 7 == 0) {
        let (outcome, asked, last) = run(patience);
        assert_eq!(outcome.unwrap_err().code(), "cancelled");
        assert_eq!(asked, patience + 1, "it went on after {last}");
        moments.insert(last);
    }
    for moment in [
        "Retrieve under way",
        "Vision under way",
        "Prefill under way",
        "Text",
    ] {
        assert!(moments.contains(moment), "{moment} is not in {moments:?}");
    }
    assert_eq!(run(usize::MAX).0.unwrap().raw, whole.raw);
}

/// The caption every backend must write: here on CPU and Vulkan, in the browser story on CPU and WebGPU.
///
/// After a new model: `NAMELENS_BLESS=1 cargo test -p namelens-tests --test decode` writes it anew.
#[test]
fn every_backend_writes_the_caption_of_the_fixture() {
    let path = root().join("tests/fixtures/caption.json");
    let cpu = caption(introduced(&Device::flex()));
    // Apps that tell less of the thing may be told something else.
    let by_name_alone = caption(introduced_by_name_alone(&Device::flex()));
    assert!(cpu.raw.contains(&format!("<{NAME}>")), "{}", cpu.raw);
    assert!(cpu.mentions[0].box_.is_some());
    if std::env::var_os("NAMELENS_BLESS").is_some() {
        let alone = &by_name_alone.text;
        let fixture = serde_json::json!({ "name": NAME, "text": cpu.text, "byNameAlone": alone });
        let text = serde_json::to_string_pretty(&fixture).unwrap() + "\n";
        std::fs::write(&path, text).unwrap();
    }
    let fixture: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(fixture["name"], NAME);
    assert_eq!(fixture["text"], cpu.text.as_str());
    assert_eq!(fixture["byNameAlone"], by_name_alone.text.as_str());
    for device in gpus() {
        let gpu = caption(introduced(&device));
        assert_eq!(cpu.raw, gpu.raw, "{device:?}");
        // A region is a mean weighted by similarities, which differ in their last bits.
        let edges = cpu.mentions[0].box_.iter().zip(&gpu.mentions[0].box_);
        for (a, b) in edges.flat_map(|(a, b)| a.iter().zip(b)) {
            assert!((a - b).abs() < 1e-4, "{device:?}: {a} {b}");
        }
        assert!(gpu.mentions[0].box_.is_some());
    }
}
