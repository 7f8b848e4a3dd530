//! The sampler against transformers' processors (fixtures by `tests/fixtures/generate/sampling.py`), and seeds.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn sampler(change: impl FnOnce(&mut SamplingOptions)) -> Sampler {
    let mut options = SamplingOptions {
        temperature: 1.0,
        seed: Some(3),
        ..Default::default()
    };
    change(&mut options);
    Sampler::new(options, 0).unwrap()
}

fn seen(sampler: &mut Sampler, logits: &[f32], draws: usize) -> Vec<usize> {
    let mut counts = vec![0; logits.len()];
    for _ in 0..draws {
        counts[sampler.choose(logits, &[], Allowed::ANY).token as usize] += 1;
    }
    counts
}

#[test]
fn greedy_takes_the_lowest_of_equals_and_never_nan() {
    let mut s = sampler(|o| o.temperature = 0.0);
    assert_eq!(
        s.choose(&[0.0, 2.0, f32::NAN, 2.0], &[], Allowed::ANY)
            .token,
        1
    );
    assert_eq!(s.choose(&[f32::NAN; 3], &[], Allowed::Only(&[2])).token, 2);
    assert_eq!(
        s.choose(&[5.0, 1.0, 2.0], &[], Allowed::Only(&[1, 2]))
            .token,
        2
    );
}

#[test]
fn frequencies_follow_the_softmax() {
    let counts = seen(&mut sampler(|_| ()), &[0.0, 1.0, 2.0], 20_000);
    // softmax(0, 1, 2) = .090, .245, .665; the standard error of a share is below .0034.
    for (count, p) in counts.iter().zip([0.090, 0.245, 0.665]) {
        assert!((*count as f64 / 20_000.0 - p).abs() < 0.014, "{counts:?}");
    }
}

#[test]
fn each_filter_keeps_what_it_should() {
    let logits = [3.0, 2.0, 1.0, 0.0];
    let kept = |change: fn(&mut SamplingOptions)| {
        let counts = seen(&mut sampler(change), &logits, 4000);
        counts.iter().filter(|c| **c > 0).count()
    };
    assert_eq!(kept(|_| ()), 4);
    assert_eq!(kept(|o| o.top_k = 2), 2);
    // The two likeliest have .644 + .237 = .881.
    assert_eq!(kept(|o| o.top_p = 0.85), 2);
    assert_eq!(kept(|o| o.top_p = 0.0), 1);
    // exp(-1) = .37, exp(-2) = .14.
    assert_eq!(kept(|o| o.min_p = 0.2), 2);
}

#[test]
fn repetition_is_discouraged_on_both_sides_of_zero() {
    let mut s = sampler(|o| {
        o.temperature = 0.0;
        o.repetition_penalty = 2.0;
    });
    assert_eq!(s.choose(&[1.0, 0.8], &[0], Allowed::ANY).token, 1);
    assert_eq!(s.choose(&[-0.5, -0.8], &[0], Allowed::ANY).token, 1);
}

#[test]
fn seeds_repeat_and_ranges_are_checked() {
    let draw = |seed| {
        let mut s = sampler(|o| o.seed = Some(seed));
        (0..32)
            .map(|_| s.choose(&[0.0; 16], &[], Allowed::ANY).token)
            .collect::<Vec<_>>()
    };
    assert_eq!(draw(5), draw(5));
    assert_ne!(draw(5), draw(6));
    let bad = SamplingOptions {
        top_p: 1.5,
        ..Default::default()
    };
    assert!(matches!(Sampler::new(bad, 0), Err(Error::Option { option, .. }) if option == "topP"));
}

/// What can be drawn with `options`, and how likely each is, in percent.
fn kept(logits: &[f32], change: impl FnOnce(&mut SamplingOptions)) -> Vec<(u32, u32)> {
    let candidates = (0u32..).zip(logits.iter().copied()).collect();
    let weights = sampler(change).weighted(candidates);
    let total: f64 = weights.iter().map(|(_, w)| w).sum();
    weights
        .iter()
        .map(|(id, w)| (*id, (w / total * 100.0).round() as u32))
        .collect()
}

#[test]
fn filters_come_in_the_order_of_transformers() {
    // Probabilities .4, .3, .2, .1.
    let logits = [0.4f32.ln(), 0.3f32.ln(), 0.2f32.ln(), 0.1f32.ln()];
    // Top-p takes .4 + .3 of all; of what min-p leaves (the first two) it would take the first only.
    let both = kept(&logits, |o| (o.top_p, o.min_p) = (0.55, 0.6));
    assert_eq!(both, [(0, 57), (1, 43)]);
    // Top-p counts what top-k leaves: .4 / .7 is less than .6, so both stay.
    let both = kept(&logits, |o| (o.top_k, o.top_p) = (2, 0.6));
    assert_eq!(both, [(0, 57), (1, 43)]);
    // The temperature comes first: at 1/2 the probabilities are .53, .30, .13, .03.
    let cold = kept(&logits, |o| (o.temperature, o.top_p) = (0.5, 0.5));
    assert_eq!(cold, [(0, 100)]);
    // Equals at the edge of top-k stay together.
    let ties = kept(&[2.0, 1.0, 1.0, 0.0], |o| o.top_k = 2);
    assert_eq!(
        ties.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [0, 1, 2]
    );
}

#[test]
fn the_penalty_counts_the_prompt_and_every_token_once() {
    let mut s = sampler(|o| {
        o.temperature = 0.0;
        o.repetition_penalty = 1.5;
    });
    // 2 / 1.5 = 1.33: a token of the prompt gives way to one that is new, however often a photo's place is in it.
    assert_eq!(s.choose(&[2.0, 1.4, 1.3], &[0], Allowed::ANY).token, 1);
    assert_eq!(s.choose(&[2.0, 1.3, 1.2], &[0; 500], Allowed::ANY).token, 0);
    // -1 * 1.5 is less than -1.4.
    assert_eq!(s.choose(&[-1.0, -1.4], &[0, 0], Allowed::ANY).token, 1);
    let mut s = sampler(|o| {
        o.temperature = 0.0;
        o.repetition_penalty = 0.5;
    });
    assert_eq!(
        s.choose(&[1.0, 1.9], &[0], Allowed::ANY).token,
        0,
        "below 1 repeats"
    );
}

#[test]
fn a_seed_is_drawn_and_told() {
    let draw = |seed: Option<u64>, fresh: u64| {
        let options = SamplingOptions {
            temperature: 1.0,
            seed,
            ..SamplingOptions::default()
        };
        let mut s = Sampler::new(options, fresh).unwrap();
        let tokens: Vec<u32> = (0..16)
            .map(|_| s.choose(&[0.0; 16], &[], Allowed::ANY).token)
            .collect();
        (s.seed(), tokens)
    };
    let (first, second) = (draw(None, 7), draw(None, 8));
    assert_ne!(first.1, second.1, "no seed given: every answer is another");
    assert_eq!((first.0, second.0), (Some(7), Some(8)));
    assert_eq!(
        draw(first.0, 99),
        first,
        "the seed told gives the same answer"
    );
    let greedy = Sampler::new(SamplingOptions::default(), 7).unwrap();
    assert_eq!(greedy.seed(), None, "nothing is drawn");
}

#[test]
fn each_option_given_counts_and_each_left_out_is_the_checkpoints() {
    let file = |text: &str| SamplingOptions::from(&GenerationSettings::from_json(text).unwrap());
    let given = |text: &str| serde_json::from_str::<SamplingOverrides>(text).unwrap();
    let silent = file("{}");
    assert_eq!(silent, SamplingOptions::default());
    assert_eq!(given("{}").over(&silent), silent);
    let drawing = file(r#"{"do_sample": true, "top_p": 0.9, "repetition_penalty": 1.1}"#);
    assert_eq!(
        (drawing.temperature, drawing.top_k, drawing.top_p),
        (1.0, 50, 0.9)
    );
    let kept = file(r#"{"do_sample": false, "temperature": 0.5, "top_k": 20}"#);
    assert_eq!(kept.temperature, 0.0, "greedy, whatever the rest says");
    let warm = given(r#"{"temperature": 0.7}"#).over(&kept);
    assert_eq!((warm.temperature, warm.top_k, warm.top_p), (0.7, 20, 1.0));
    let cold = given(r#"{"temperature": 0}"#).over(&drawing);
    assert_eq!((cold.temperature, cold.repetition_penalty), (0.0, 1.1));
    let seeded = given(r#"{"seed": 5}"#).over(&drawing);
    assert_eq!(
        seeded,
        SamplingOptions {
            seed: Some(5),
            ..drawing
        }
    );
    assert_eq!(
        given(r#"{"seed": 5, "topK": 0}"#).over(&silent).temperature,
        0.0
    );
}

const GOLDEN: &str = include_str!("../../../tests/fixtures/text/sampling.json");

#[test]
fn penalty_and_filters_leave_what_transformers_leaves() {
    let cases: Vec<serde_json::Value> = serde_json::from_str(GOLDEN).unwrap();
    assert_eq!(cases.len(), 24);
    for case in cases {
        let given: SamplingOverrides = serde_json::from_value(case["options"].clone()).unwrap();
        let options = given.over(&SamplingOptions::default());
        let logits: Vec<f32> = serde_json::from_value(case["logits"].clone()).unwrap();
        let prompt: Vec<u32> = serde_json::from_value(case["prompt"].clone()).unwrap();
        let expected: Vec<f64> = serde_json::from_value(case["probabilities"].clone()).unwrap();
        let sampler = Sampler::new(options.clone(), 0).unwrap();
        let mut candidates = (0u32..).zip(logits.iter().copied()).collect::<Vec<_>>();
        sampler.penalise(&mut candidates, &prompt);
        let weights = sampler.weighted(candidates);
        let total: f64 = weights.iter().map(|(_, w)| w).sum();
        let mut found = vec![0.0; logits.len()];
        for (id, weight) in weights {
            found[id as usize] = weight / total;
        }
        for (id, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!((found - expected).abs() < 5e-6, "{id}: {found} {case}");
        }
        let greedy = SamplingOptions {
            temperature: 0.0,
            ..options
        };
        let choice = Sampler::new(greedy, 0)
            .unwrap()
            .choose(&logits, &prompt, Allowed::ANY);
        assert_eq!(u64::from(choice.token), case["greedy"].as_u64().unwrap());
    }
}

/// The logits of a large vocabulary: many are equal, some are no numbers.
fn many(seed: u64, count: usize) -> Vec<f32> {
    let mut stream = Stream::new(seed);
    let logit = |at: usize| match at % 97 {
        5 => f32::NAN,
        6 => f32::INFINITY,
        7 => f32::NEG_INFINITY,
        _ => (stream.uniform() * 200.0).round() as f32 / 8.0,
    };
    (0..count).map(logit).collect()
}

#[test]
fn those_in_front_are_drawn_as_if_all_had_been_looked_at() {
    // The shortest has too few for a bound, the last block of the others is no whole one.
    for (seed, count) in [(1, 300), (2, 20_011), (3, 20_011), (4, 49_152)] {
        let logits = many(seed, count);
        let mut order: Vec<u32> = (0u32..).take(count).collect();
        order.retain(|&id| logits[id as usize].is_finite());
        order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
        let mut likeliest = order[..40].to_vec();
        likeliest.sort_unstable();
        for banned in [vec![], likeliest] {
            let all: Vec<(u32, f32)> = order
                .iter()
                .filter(|id| !banned.contains(id))
                .map(|&id| (id, logits[id as usize]))
                .collect();
            for (top_k, top_p, min_p) in [
                (1, 1.0, 0.0),
                (50, 1.0, 0.0),
                (20, 0.7, 0.0),
                (70, 1.0, 0.3),
            ] {
                let options = |options: &mut SamplingOptions| {
                    (options.top_k, options.top_p, options.min_p) = (top_k, top_p, min_p);
                };
                let (mut one, mut other) = (sampler(options), sampler(options));
                let mut told = sampler(options);
                let front = front(&all, &logits);
                for _ in 0..20 {
                    let among = told.choose_among(&front).unwrap();
                    let found = one.choose(&logits, &[], Allowed::Except(&banned));
                    let (token, share) = other.draw(all.clone()).unwrap();
                    let what = format!("{count} logits, {} banned, top {top_k}", banned.len());
                    assert_eq!(found.token, token, "{what}");
                    assert_eq!(found.log_probability, share.ln() as f32, "{what}");
                    // Of the same model, summed in another order.
                    let far = (among.probability / found.probability - 1.0).abs();
                    assert!(far < 1e-5, "{what}: {far}");
                    let probability = found.probability;
                    assert_eq!(
                        Choice {
                            probability,
                            ..among
                        },
                        found,
                        "{what}"
                    );
                }
            }
        }
    }
}

/// The 200 likeliest of `all`, which are in that order, as a device tells them of `logits`.
fn front(all: &[(u32, f32)], logits: &[f32]) -> Foremost {
    let finite = || logits.iter().copied().filter(|logit| logit.is_finite());
    let largest = finite().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = finite().map(|l| f64::from(l - largest).exp()).sum();
    let mut tokens = all[..all.len().min(200)].to_vec();
    tokens.sort_unstable_by_key(|(id, _)| *id);
    Foremost {
        tokens,
        largest,
        sum: sum as f32,
    }
}

#[test]
fn the_only_one_that_can_be_drawn_is_one_of_all_that_are_equally_likely() {
    let logits = [1.0, 3.0, 0.5, 3.0, 2.0];
    let mut one = sampler(|options| options.top_k = 1);
    assert_eq!(one.candidates(), Some(2), "one would leave out the other");
    let drawn = (0..40).map(|_| one.choose(&logits, &[], Allowed::ANY).token);
    let drawn: std::collections::BTreeSet<u32> = drawn.collect();
    assert_eq!(drawn, [1, 3].into());
}

#[test]
fn as_many_as_nobody_has_are_all() {
    let logits = many(5, 20_011);
    let choice =
        |top_k| sampler(|options| options.top_k = top_k).choose(&logits, &[], Allowed::ANY);
    let all = choice(logits.len());
    assert!(logits[all.token as usize].is_finite());
    // Four times the last is more than fits.
    for top_k in [logits.len() + 1, usize::MAX, usize::MAX / 4 + 2] {
        assert_eq!(choice(top_k), all, "top {top_k}");
    }
}

#[test]
fn where_all_that_have_a_number_are_banned_the_first_that_is_allowed_is_taken() {
    let banned = [0, 5, 900];
    let mut logits = vec![f32::NAN; 20_000];
    banned.iter().for_each(|&id| logits[id as usize] = 1.0);
    let mut sampler = sampler(|options| options.top_k = 3);
    let found = sampler.choose(&logits, &[], Allowed::Except(&banned));
    assert_eq!((found.token, found.probability), (1, 0.0));
}
