//! Answers of a GPU, which keeps the launches of a token and tells the tokens in front only: those that all logits would have given.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use namelens_engine::generate::{
    GenerateOptions, Generated, NameConstraint, Sampler, SamplingOptions, Session, generate,
};
use namelens_engine::host::{Host, LocalTime, Still};
use namelens_engine::text::Tokenizer;
use namelens_tests::album::{model, vlm};
use namelens_tests::golden::vlms;
use namelens_tests::gpus;

/// Tokens of an answer.
const TOKENS: usize = 16;

/// So many tokens and how likely each was, each drawn of all logits that were read back, and read the long way.
fn drawn_of_all(
    (mut session, mut logits): (Session<'_>, Vec<f32>),
    mut sampler: Sampler,
    mut allowed: NameConstraint,
) -> (Vec<u32>, Vec<f32>) {
    let drawn = (0..TOKENS).map(|_| {
        let choice = sampler.choose(&logits, session.ids(), allowed.allowed());
        allowed.advance(choice.token);
        logits = pollster::block_on(session.step(choice.token, &Still)).unwrap();
        (choice.token, choice.probability)
    });
    drawn.unzip()
}

/// So many tokens as the engine writes them.
async fn written(
    session: &mut Session<'_>,
    logits: Vec<f32>,
    sampling: SamplingOptions,
    names: Option<NameConstraint>,
    tokenizer: &Tokenizer,
    host: &dyn Host,
) -> Generated {
    let options = GenerateOptions {
        sampling,
        max_tokens: TOKENS,
        stop: Vec::new(),
        ends: Vec::new(),
        top_logprobs: None,
    };
    let mut unheard = |_: &str| ();
    let answer = generate(
        session,
        logits,
        &options,
        names,
        tokenizer,
        host,
        &mut unheard,
    );
    answer.await.unwrap()
}

/// Where a GPU keeps the launches of a token and tells the foremost tokens alone, the same are drawn as of all logits.
#[test]
fn a_gpu_draws_the_tokens_that_all_its_logits_would_have_given() {
    let json = std::fs::read(model().join("tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::from_json(&json).unwrap();
    for device in gpus() {
        let (vlm, config) = vlm(&device);
        let read = |prompt: &[u32]| {
            let mut session = Session::new(&vlm, 600, config.image_token_id);
            let mut quiet = |_, _| ();
            let reading = session.prefill(prompt, None, &Still, &mut quiet);
            let logits = pollster::block_on(reading).unwrap();
            (session, logits)
        };
        // The last is asked where the memory of the cache ends, so that launches that were kept are no longer the right ones.
        for (seed, top_k, read_before, names) in [
            (1, 50, 20, vec![]),
            (2, 50, 20, vec!["Momo", "Zoe"]),
            (3, 1, 20, vec!["Momo"]),
            (4, 400, 249, vec![]),
        ] {
            let sampling = SamplingOptions {
                temperature: 3.0,
                top_k,
                seed: Some(seed),
                ..SamplingOptions::default()
            };
            let token = |i: u32| 40 + (i * 17 + seed as u32) % 400;
            let prompt: Vec<u32> = (0..read_before).map(token).collect();
            let names = NameConstraint::new(names, &tokenizer, &[]);
            let sampler = Sampler::new(sampling.clone(), 0).unwrap();
            let (tokens, probabilities) = drawn_of_all(read(&prompt), sampler, names.clone());
            let (mut session, logits) = read(&prompt);
            let names = Some(names);
            let answer = written(&mut session, logits, sampling, names, &tokenizer, &Still);
            let answer = pollster::block_on(answer);
            assert_eq!(answer.tokens, tokens, "{device:?}, seed {seed}");
            // The model's own share, summed by the host and by the device.
            assert_eq!(answer.probabilities.len(), probabilities.len());
            for (told, of_all) in answer.probabilities.iter().zip(&probabilities) {
                assert!((told / of_all - 1.0).abs() < 1e-4, "{told} {of_all}");
            }
        }
    }
}

/// What an adapter adds is recorded with the rest, and is not when it is off.
#[test]
fn an_adapter_says_with_kept_launches_what_it_says_without() {
    let mut seen = 0;
    for checkpoint in vlms() {
        if checkpoint.text("adapters/logits.json").is_none() {
            continue;
        }
        seen += 1;
        let tokenizer = checkpoint.text("tokenizer.json").unwrap();
        let tokenizer = Tokenizer::from_json(tokenizer.as_bytes()).unwrap();
        for device in gpus() {
            let (mut vlm, config) = checkpoint.vlm(&device);
            vlm.add_adapter("wide", checkpoint.adapter("wide")).unwrap();
            let mut prompt = checkpoint.cases()[0].rows().0.remove(0);
            prompt.retain(|&id| id != config.image_token_id);
            let said = [None, Some("wide")].map(|name| {
                vlm.set_adapter(name).unwrap();
                let read = || {
                    let mut session = Session::new(&vlm, 600, config.image_token_id);
                    let mut quiet = |_, _| ();
                    let reading = session.prefill(&prompt, None, &Still, &mut quiet);
                    let logits = pollster::block_on(reading).unwrap();
                    (session, logits)
                };
                let greedy = Sampler::new(SamplingOptions::default(), 0).unwrap();
                let none = NameConstraint::new([], &tokenizer, &[]);
                let (tokens, probabilities) = drawn_of_all(read(), greedy, none);
                let greedy = SamplingOptions::default();
                let (mut session, logits) = read();
                let answer = written(&mut session, logits, greedy, None, &tokenizer, &Still);
                let answer = pollster::block_on(answer);
                let what = format!("{}, adapter {name:?}, {device:?}", checkpoint.name);
                assert_eq!(answer.tokens, tokens, "{what}");
                assert_eq!(answer.probabilities.len(), probabilities.len());
                for (told, of_all) in answer.probabilities.iter().zip(&probabilities) {
                    assert!(
                        (told / of_all - 1.0).abs() < 1e-4,
                        "{what}: {told} {of_all}"
                    );
                }
                probabilities
            });
            assert_ne!(said[0], said[1], "{}", checkpoint.name);
        }
    }
    assert_eq!(seen, 2);
}

/// Lets others run once before each token.
struct Polite;

impl Host for Polite {
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
        let mut waited = false;
        Box::pin(std::future::poll_fn(move |_| {
            match std::mem::replace(&mut waited, true) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }))
    }
}

/// What a device keeps for one answer is not touched by another that is written at the same time, nor by what is read meanwhile.
#[test]
fn answers_that_take_turns_on_a_gpu_are_those_of_each_alone() {
    for device in gpus() {
        let (vlm, config) = vlm(&device);
        let json = std::fs::read(model().join("tokenizer.json")).unwrap();
        let tokenizer = Tokenizer::from_json(&json).unwrap();
        let answer = async |first: u32, more: u32| {
            let mut said = Vec::new();
            let mut session = Session::new(&vlm, 200, config.image_token_id);
            for round in 0..2 {
                let prompt: Vec<u32> = (0..20 + 30 * round)
                    .map(|i| 40 + (i * more + first) % 400)
                    .collect();
                let mut quiet = |_, _| ();
                let reading = session.prefill(&prompt, None, &Polite, &mut quiet);
                let logits = reading.await.unwrap();
                let greedy = SamplingOptions::default();
                let answer = written(&mut session, logits, greedy, None, &tokenizer, &Polite);
                said.push(answer.await.tokens);
            }
            said
        };
        let alone =
            [(3, 17), (90, 31)].map(|(first, more)| spin(&mut [Box::pin(answer(first, more))]));
        let together = spin(&mut [Box::pin(answer(3, 17)), Box::pin(answer(90, 31))]);
        assert_ne!(alone[0], alone[1]);
        assert_eq!(together, alone.concat(), "{device:?}");
    }
}

/// What the futures give, each of which is asked in turn.
fn spin<F: Future>(futures: &mut [Pin<Box<F>>]) -> Vec<F::Output> {
    let mut context = Context::from_waker(Waker::noop());
    let mut given: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    while given.iter().any(Option::is_none) {
        for (future, given) in futures.iter_mut().zip(&mut given) {
            if given.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(&mut context)
            {
                *given = Some(output);
            }
        }
    }
    given.into_iter().flatten().collect()
}
