//! Completions drawn side by side are those drawn alone, and as likely as the model says without a cache.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, activation};
use namelens_engine::generate::{Completion, RolloutOptions, RolloutPrompt, rollout};
use namelens_engine::host::Still;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::positions::Grid;
use namelens_engine::model::vlm::Vlm;
use namelens_tests::floats;
use namelens_tests::prompts::{Asked, families, playroom, scenes};

/// Largest distance of log-probabilities: sums in another order.
const NOISE: f32 = 1e-5;
/// The largest among hundreds of them: 1.03e-5 was seen, where a bug moves 1e-3.
const WORST: f32 = 2e-5;
/// Their root mean square.
const TYPICAL: f64 = 3e-6;

fn options(config: &VlmConfig) -> RolloutOptions {
    RolloutOptions {
        temperature: 0.9,
        top_k: 0,
        top_p: 1.0,
        min_p: 0.0,
        max_tokens: 14,
        // So many that rows end at many lengths.
        ends: (0..config.text_config.vocab_size as u32)
            .filter(|id| id % 9 == 2)
            .collect(),
        banned: Vec::new(),
        context: config.text_config.context(),
        image_token: config.image_token_id,
        rows: 64,
        seed: 5,
        step: 3,
    }
}

fn draw<'a>(
    vlm: &Vlm,
    asked: &[(&'a Asked, u64)],
    samples: usize,
    options: &RolloutOptions,
) -> Vec<Vec<Completion>> {
    let prompt = |(asked, first_sample): (&'a Asked, u64)| RolloutPrompt {
        ids: &asked.ids,
        photos: asked.photos(),
        first_sample,
    };
    let prompts: Vec<_> = asked.iter().copied().map(prompt).collect();
    pollster::block_on(rollout(vlm, &prompts, samples, options, &Still)).unwrap()
}

fn assert_same(got: &Completion, want: &Completion, what: &str) {
    assert_eq!(got.tokens, want.tokens, "{what}");
    assert_eq!(got.ended, want.ended, "{what}");
    let pairs = [
        (&got.sampled, &want.sampled),
        (&got.tempered, &want.tempered),
    ];
    for (got, want) in pairs {
        assert_eq!(got.len(), want.len(), "{what}");
    }
    for (got, want) in pairs.into_iter().flat_map(|(a, b)| a.iter().zip(b)) {
        assert!((got - want).abs() <= NOISE, "{what}: {got}, not {want}");
    }
}

/// Batch size, neighbours, their order and who has left: nothing of it changes a completion.
fn alone_and_together(name: &str, vlm: &Vlm, config: &VlmConfig, asked: &[Asked]) {
    let options = options(config);
    let samples = 4;
    let numbered: Vec<(&Asked, u64)> = asked.iter().zip((0..).step_by(samples)).collect();
    let together = draw(vlm, &numbered, samples, &options);
    let mut lengths: Vec<usize> = Vec::new();
    for ((asked, first), completions) in numbered.iter().zip(&together) {
        for (sample, want) in completions.iter().enumerate() {
            lengths.push(want.tokens.len());
            let alone = draw(vlm, &[(asked, first + sample as u64)], 1, &options);
            assert_same(
                &alone[0][0],
                want,
                &format!("{name}, prompt {first}, sample {sample} alone"),
            );
        }
    }
    let few = RolloutOptions {
        rows: 5,
        ..options.clone()
    };
    let backwards: Vec<_> = numbered.iter().rev().copied().collect();
    let mut other = draw(vlm, &backwards, samples, &few);
    other.reverse();
    for (got, want) in other.iter().flatten().zip(together.iter().flatten()) {
        assert_same(got, want, &format!("{name}, backwards"));
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert!(
        lengths.len() > 2,
        "{name}: all rows leave together: {lengths:?}"
    );
    let step = RolloutOptions { step: 4, ..options };
    assert_ne!(
        draw(vlm, &numbered, samples, &step),
        together,
        "{name}: the step counts"
    );
}

#[test]
fn completions_of_the_embedded_model_are_the_same_alone_and_together() {
    let (vlm, config, _) = playroom(&Device::flex());
    alone_and_together("playroom", &vlm, &config, &scenes(&vlm, &config));
}

#[test]
fn completions_of_every_family_are_the_same_alone_and_together() {
    for (name, vlm, config, asked) in families() {
        alone_and_together(&name, &vlm, &config, &asked);
    }
}

/// Logits `[tokens, vocab]` behind every token of prompt and completion, without a cache.
fn uncached(vlm: &Vlm, asked: &Asked, tokens: &[u32], temperature: f32) -> Vec<Vec<f32>> {
    let ids = [&asked.ids, tokens].concat();
    let (spots, _) = vlm.positions(&ids, &asked.grids as &[Grid]).unwrap();
    let reading = vlm.read_at(&ids, asked.visual.as_ref(), &spots).unwrap();
    let hidden = vlm.forward(reading, None);
    let [_, count, width] = hidden.dims();
    let logits = vlm.decoder.logits(hidden.reshape([count, width])) / temperature;
    let vocabulary = logits.dims()[1];
    let values = floats(activation::log_softmax(logits, 1));
    let behind = values.chunks(vocabulary).skip(asked.ids.len() - 1);
    behind.map(<[f32]>::to_vec).collect()
}

#[test]
fn tokens_are_as_likely_as_the_model_says_without_a_cache() {
    let (vlm, config, _) = playroom(&Device::flex());
    let mut models = vec![("playroom".to_owned(), scenes(&vlm, &config), vlm, config)];
    models.extend(
        families()
            .into_iter()
            .map(|(name, vlm, config, asked)| (name, asked, vlm, config)),
    );
    for (name, asked, vlm, config) in models {
        let options = RolloutOptions {
            top_k: 20,
            ..options(&config)
        };
        let mut off = Vec::new();
        for asked in &asked {
            for completion in &draw(&vlm, &[(asked, 7)], 3, &options)[0] {
                let rows = uncached(&vlm, asked, &completion.tokens, options.temperature);
                for (at, token) in completion.tokens.iter().enumerate() {
                    let row = &rows[at];
                    let (want, got) = (row[*token as usize], completion.tempered[at]);
                    off.push(f64::from(want - got));
                    assert!(
                        (want - got).abs() <= WORST,
                        "{name}: token {at}: {got}, not {want}"
                    );
                    // What top-k and the ban leave has this much probability in all.
                    let mut others = row.clone();
                    others[config.image_token_id as usize] = f32::NEG_INFINITY;
                    others.sort_by(|a, b| b.total_cmp(a));
                    let left: f64 = others[..20].iter().map(|l| f64::from(*l).exp()).sum();
                    let want = want - left.ln() as f32;
                    let got = completion.sampled[at];
                    assert!(
                        (want - got).abs() <= WORST,
                        "{name}: token {at}, cut: {got}, not {want}"
                    );
                }
                let ended = options.ends.contains(completion.tokens.last().unwrap());
                assert_eq!(ended, completion.ended);
                let inside = &completion.tokens[..completion.tokens.len() - 1];
                assert!(!inside.iter().any(|token| options.ends.contains(token)));
                assert!(completion.ended || completion.tokens.len() == options.max_tokens);
            }
        }
        let squares: f64 = off.iter().map(|off| off * off).sum();
        let typical = (squares / off.len() as f64).sqrt();
        assert!(typical <= TYPICAL, "{name}: {typical:e}");
    }
}

#[test]
fn banned_tokens_are_never_drawn() {
    let (vlm, config, _) = playroom(&Device::flex());
    let asked = &scenes(&vlm, &config)[0];
    let free = RolloutOptions {
        ends: Vec::new(),
        ..options(&config)
    };
    let drawn = |options: &RolloutOptions| -> Vec<u32> {
        let completions = draw(&vlm, &[(asked, 0)], 8, options).remove(0);
        completions
            .into_iter()
            .flat_map(|completion| completion.tokens)
            .collect()
    };
    // Unsorted, and one twice.
    let mut banned = drawn(&free);
    banned.push(banned[0]);
    let kept = drawn(&RolloutOptions {
        banned: banned.clone(),
        ..free
    });
    assert!(kept.iter().all(|token| !banned.contains(token)));
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let (vlm, config, _) = playroom(&Device::flex());
    let asked = &scenes(&vlm, &config)[1];
    let good = options(&config);
    let code = |options: RolloutOptions, ids: &[u32]| {
        let prompt = RolloutPrompt {
            ids,
            photos: None,
            first_sample: 0,
        };
        let drawn = pollster::block_on(rollout(&vlm, &[prompt], 2, &options, &Still));
        drawn.map(|_| ()).unwrap_err().code()
    };
    let with = |change: &dyn Fn(&mut RolloutOptions)| {
        let mut options = good.clone();
        change(&mut options);
        code(options, &asked.ids)
    };
    for temperature in [0.0, -1.0, f32::NAN, 1000.0] {
        assert_eq!(with(&|options| options.temperature = temperature), "option");
    }
    assert_eq!(with(&|options| options.top_p = 1.5), "option");
    assert_eq!(with(&|options| options.max_tokens = 0), "option");
    assert_eq!(with(&|options| options.max_tokens = 1024), "context-full");
    assert_eq!(code(good.clone(), &[]), "option");
    assert_eq!(code(good.clone(), &[config.image_token_id; 3]), "template");
    let nobody = pollster::block_on(rollout(&vlm, &[], 2, &good, &Still)).unwrap();
    assert!(nobody.is_empty());
    assert_eq!(draw(&vlm, &[(asked, 0)], 0, &good), [Vec::new()]);
}
