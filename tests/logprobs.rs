//! Log-probabilities of an answer's tokens are those of a forward pass without a cache, and asking for them changes no answer.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::Device;
use namelens_engine::Error;
use namelens_engine::generate::read_back::read;
use namelens_engine::generate::{
    GenerateOptions, Generated, SamplingOptions, SamplingOverrides, Session, generate,
};
use namelens_engine::host::Still;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::{Kind, Outcome, Request};
use namelens_engine::text::Tokenizer;
use namelens_tests::album::{introduced, model};
use namelens_tests::prompts::{Asked, playroom, scenes};

/// Sums of some hundred f32 terms in two orders, with the cache and without; found: 3e-6.
const NOISE: f64 = 2e-5;

/// `log softmax` in f64.
fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let top = f64::from(logits.iter().copied().fold(f32::MIN, f32::max));
    let sum: f64 = logits.iter().map(|&x| (f64::from(x) - top).exp()).sum();
    let all = logits.iter().map(|&x| f64::from(x) - top - sum.ln());
    all.collect()
}

/// Log-probabilities after all of `ids`, without a cache.
fn uncached(vlm: &Vlm, ids: &[u32], asked: &Asked) -> Vec<f64> {
    let reading = vlm.read(&[ids.to_vec()], asked.visual.as_ref()).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, tokens, width] = hidden.dims();
    let last = hidden.narrow(1, tokens - 1, 1).reshape([1, width]);
    log_softmax(&pollster::block_on(read(vlm.decoder.logits(last))).unwrap())
}

#[test]
fn each_token_has_the_log_probability_of_a_pass_without_a_cache() {
    let (vlm, config, _) = playroom(&Device::flex());
    let tokenizer = std::fs::read(model().join("tokenizer.json")).unwrap();
    let tokenizer = Tokenizer::from_json(&tokenizer).unwrap();
    let run = |asked: &Asked, top_logprobs: Option<usize>, temperature: f32| -> Generated {
        let options = GenerateOptions {
            sampling: SamplingOptions {
                temperature,
                seed: Some(3),
                ..SamplingOptions::default()
            },
            max_tokens: 6,
            stop: Vec::new(),
            ends: Vec::new(),
            top_logprobs,
        };
        let limit = config.text_config.context();
        let mut session = Session::new(&vlm, limit, config.image_token_id);
        pollster::block_on(async {
            let (unseen, unheard) = (&mut |_, _| (), &mut |_: &str| ());
            let read = session.prefill(&asked.ids, asked.photos(), &Still, unseen);
            let logits = read.await.unwrap();
            let answer = generate(
                &mut session,
                logits,
                &options,
                None,
                &tokenizer,
                &Still,
                unheard,
            );
            answer.await.unwrap()
        })
    };
    for asked in scenes(&vlm, &config) {
        for temperature in [0.0, 2.0] {
            let plain = run(&asked, None, temperature);
            let told = run(&asked, Some(5), temperature);
            assert_eq!(told.tokens, plain.tokens);
            assert!(plain.logprobs.is_none());
            let logprobs = told.logprobs.unwrap();
            assert_eq!(logprobs.len(), told.tokens.len());
            let mut ids = asked.ids.clone();
            for (at, told_of) in logprobs.iter().enumerate() {
                let want = uncached(&vlm, &ids, &asked);
                let near = |id: u32, logprob: f64| (want[id as usize] - logprob).abs() < NOISE;
                assert_eq!(told_of.token.id, told.tokens[at]);
                assert!(near(told_of.token.id, told_of.token.logprob), "{told_of:?}");
                let top = &told_of.top_logprobs;
                assert_eq!(top.len(), 5);
                assert!(top.iter().all(|one| near(one.id, one.logprob)), "{top:?}");
                let least = top.last().unwrap().logprob;
                let above = want.iter().filter(|&&other| other > least + NOISE);
                assert!(above.count() <= 4, "a likelier one was left out of {top:?}");
                assert_eq!(top[0].token, tokenizer.decode(&[top[0].id], false).unwrap());
                ids.push(told_of.token.id);
            }
        }
    }
}

#[test]
fn they_come_with_a_caption_only_where_they_are_asked_for() {
    let (mut engine, scene) = introduced(&Device::flex());
    let mut run = |top_logprobs: Option<usize>| -> Result<Outcome, Error> {
        let request = Request {
            top_logprobs,
            sampling: Some(SamplingOverrides::default()),
            ..Request::new(Kind::Caption)
        };
        // What was read before would be summed in another order.
        engine.forget_photo();
        pollster::block_on(engine.run(&request, &scene, &Still, &mut |_| ()))
    };
    let (plain, told) = (run(None).unwrap(), run(Some(3)).unwrap());
    assert_eq!((&told.raw, told.confidence), (&plain.raw, plain.confidence));
    let json = serde_json::to_value(&plain).unwrap();
    assert!(json.get("logprobs").is_none());

    let logprobs = told.logprobs.as_ref().unwrap();
    assert_eq!(logprobs.len(), told.tokens.generated);
    // Confidence is the geometric mean of the same probabilities, in f32.
    let sum: f64 = logprobs.iter().map(|one| one.token.logprob).sum();
    let mean = (sum / logprobs.len() as f64).exp();
    assert!((mean - f64::from(told.confidence)).abs() < 1e-4);
    let json = serde_json::to_value(&told).unwrap();
    let first = &json["logprobs"][0];
    assert!(first["id"].is_u64() && first["token"].is_string() && first["logprob"].is_f64());
    assert_eq!(first["topLogprobs"].as_array().unwrap().len(), 3);
    // None of the likeliest, but what was written: that is asked for, too.
    let none = run(Some(0)).unwrap().logprobs.unwrap();
    assert!(none.iter().all(|one| one.top_logprobs.is_empty()) && !none.is_empty());

    let refused = run(Some(21)).unwrap_err().to_string();
    assert!(
        refused.contains("topLogprobs") && refused.contains("20"),
        "{refused}"
    );
}
