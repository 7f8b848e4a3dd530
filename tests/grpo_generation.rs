//! What a generation is and what a step makes of it, against oracles by hand: groups drawn again, uncertain tokens, other distributions.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::module::Module;
use burn::tensor::Device;
use namelens::ranks::Alone;
use namelens::rewards::{Reward, Row};
use namelens::rl::buffer::{Generation, by_row, scores};
use namelens::rl::config::{GrpoConfig, ImportanceSamplingMode, LossType};
use namelens::rl::metrics::Metrics;
use namelens::rl::policy::Policy;
use namelens::rl::rollout::generate;
use namelens::rl::step::{StepKey, gradients};
use namelens::train::gradients::global_norm;
use namelens_engine::host::Still;
use namelens_tests::rl::{Rule, config, letters, policy, prompts};
use playroom::Split;

/// Log-probabilities by two ways: f32 in another order of summation.
const NOISE: f32 = 1e-5;

/// One generation with these rewards, and how far it came in the prompts.
fn drawn(
    policy: &Policy,
    config: &GrpoConfig,
    mut rewards: Vec<Box<dyn Reward>>,
) -> (Generation, u64) {
    let mut cursor = 0;
    let prompts = prompts(Split::Train);
    let found = generate(
        policy,
        &prompts,
        &mut rewards,
        config,
        7,
        &mut cursor,
        &Still,
    );
    (found.unwrap(), cursor)
}

fn rule(name: &'static str, of: impl FnMut(&Row) -> f32 + Send + 'static) -> Vec<Box<dyn Reward>> {
    vec![Box::new(Rule(name, of))]
}

/// Log-probabilities and entropies of all completions as training sees them.
fn seen(policy: &Policy, found: &Generation, config: &GrpoConfig) -> [Vec<Vec<f32>>; 2] {
    let plain = policy.vlm.valid();
    let all = scores(&plain, &found.prompts, &found.rows, config.temperature).unwrap();
    [all.logps, all.entropies].map(|values| by_row(values, &found.rows).unwrap())
}

fn stepped(
    policy: &Policy,
    found: &mut Generation,
    parts: std::ops::Range<usize>,
    fresh: bool,
    config: &GrpoConfig,
) -> (f64, Metrics) {
    let key = StepKey {
        dropout: 1,
        fresh,
        entropy_coef: 0.0,
        shards: 1,
    };
    let training = Device::flex().autodiff();
    let (found, figures) =
        gradients(&policy.vlm, found, parts, key, config, &Alone, &training).unwrap();
    (global_norm(&policy.vlm, &found), figures)
}

/// So hot that no group says one thing only.
fn hot() -> GrpoConfig {
    GrpoConfig {
        temperature: 2.0,
        ..config()
    }
}

/// One step of eight rows over all tokens, without dropout.
fn plain() -> GrpoConfig {
    GrpoConfig {
        loss_type: LossType::Dapo,
        lora_dropout: 0.0,
        ..hot()
    }
}

fn near(got: f64, want: f64, what: &str) {
    // Sums of about a hundred terms in f32.
    assert!(
        (got - want).abs() <= 1e-5 * want.abs().max(0.1),
        "{what}: {got}, not {want}"
    );
}

#[test]
fn groups_without_variance_are_drawn_again_and_every_row_keeps_its_prompt() {
    let config = GrpoConfig {
        dynamic_sampling_max_tries: 3,
        ..hot()
    };
    let policy = policy(&config);
    let mut row = 0;
    let first_is_dead = move |said: &Row| {
        row += 1;
        if row <= 4 { 0.5 } else { letters(said) }
    };
    let (found, cursor) = drawn(&policy, &config, rule("rule", first_is_dead));
    assert_eq!((found.rows.len(), found.prompts.len(), cursor), (8, 2, 3));
    assert_eq!(
        found.metrics.get("dynamic_sampling/redrawn_groups"),
        Some(1.0)
    );
    assert_eq!(found.metrics.get("dynamic_sampling/tries"), Some(1.0));
    assert_eq!(found.metrics.get("frac_reward_zero_std"), Some(0.0));
    // The second prompt stays and the third comes behind it.
    for (at, prepared) in found.prompts.iter().enumerate() {
        let want = prompts(Split::Train).get(at as u64 + 1).unwrap();
        assert_eq!(prepared.prompt.photos, want.photos);
    }
    // Under the prompt that each row names, training finds what the rollout did.
    let [logps, _] = seen(&policy, &found, &config);
    assert_eq!(found.rows.len(), logps.len());
    for (row, logps) in found.rows.iter().zip(&logps) {
        assert_eq!(row.tempered.len(), logps.len());
        for (a, b) in row.tempered.iter().zip(logps) {
            assert!((a - b).abs() <= NOISE, "{a}, not {b}");
        }
    }
    for group in found.rows.chunks(4) {
        assert!(group.iter().any(|row| row.advantage.abs() > 0.1));
        assert!(group.iter().all(|row| row.prompt == group[0].prompt));
    }
    // With nothing but dead groups it ends, and says so.
    let (found, cursor) = drawn(&policy, &config, rule("rule", |_| 1.0));
    assert_eq!((found.rows.len(), cursor), (8, 8));
    assert_eq!(
        found.metrics.get("dynamic_sampling/redrawn_groups"),
        Some(6.0)
    );
    assert_eq!(found.metrics.get("dynamic_sampling/tries"), Some(3.0));
    assert_eq!(found.metrics.get("frac_reward_zero_std"), Some(1.0));
}

#[test]
fn the_outcome_decides_what_is_drawn_again_not_a_shaped_reward() {
    let config = GrpoConfig {
        dynamic_sampling_max_tries: 3,
        dynamic_sampling_reward: Some("outcome".into()),
        reward_funcs: vec!["shaped".into(), "outcome".into()],
        ..hot()
    };
    let policy = policy(&config);
    let mut row = 0;
    let outcome = move |_: &Row| {
        row += 1;
        // The first group fails as one.
        if row <= 4 { 0.0 } else { (row % 2) as f32 }
    };
    let mut rewards = rule("shaped", letters);
    rewards.extend(rule("outcome", outcome));
    let (found, cursor) = drawn(&policy, &config, rewards);
    assert_eq!(cursor, 3);
    assert_eq!(
        found.metrics.get("dynamic_sampling/redrawn_groups"),
        Some(1.0)
    );
}

#[test]
fn only_the_most_uncertain_tokens_of_the_step_count() {
    let config = GrpoConfig {
        top_entropy_quantile: 0.3,
        ..plain()
    };
    let policy = policy(&config);
    let (mut found, _) = drawn(&policy, &config, rule("rule", letters));
    let [_, entropies] = seen(&policy, &found, &config);
    // By hand: the share of all tokens of the step with the highest entropies.
    let mut sorted: Vec<f32> = entropies.iter().flatten().copied().collect();
    sorted.sort_by(f32::total_cmp);
    let place = 0.7 * (sorted.len() - 1) as f32;
    let (below, above) = (sorted[place as usize], sorted[place as usize + 1]);
    let threshold = below + (above - below) * place.fract();
    let mut sum = 0.0;
    let mut chosen = 0;
    for (row, entropies) in found.rows.iter().zip(&entropies) {
        let count = entropies.iter().filter(|h| **h >= threshold).count();
        chosen += count;
        sum -= f64::from(row.advantage) * count as f64;
    }
    let share = chosen as f64 / sorted.len() as f64;
    assert!((0.25..0.35).contains(&share), "{share}");
    let (norm, figures) = stepped(&policy, &mut found, 0..2, true, &config);
    // The ratio of a first pass is 1.
    near(
        figures.get("policy_loss").unwrap(),
        sum / sorted.len() as f64,
        "policy loss",
    );
    let all = GrpoConfig {
        top_entropy_quantile: 1.0,
        ..config.clone()
    };
    let (whole, _) = stepped(&policy, &mut found, 0..2, true, &all);
    assert!(
        (norm / whole - 1.0).abs() > 0.01,
        "all tokens counted: {norm} {whole}"
    );
    // One threshold for the step, however it is cut.
    let cut = GrpoConfig {
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 4,
        ..config
    };
    let (again, _) = stepped(&policy, &mut found, 0..4, true, &cut);
    assert!((again / norm - 1.0).abs() < 1e-4, "{again}, not {norm}");
}

/// Rollouts of two tokens out of a thousand are likelier than under the whole distribution; the loss knows by how much.
#[test]
fn rollouts_of_another_distribution_are_weighted_back() {
    let config = GrpoConfig {
        // The likelier of two words would else be drawn throughout, and no group had any variance.
        temperature: 4.0,
        top_k: 2,
        importance_sampling_correction: true,
        importance_sampling_mode: ImportanceSamplingMode::TokenTruncate,
        importance_sampling_clip_max: Some(3.0),
        ..plain()
    };
    let policy = policy(&config);
    let (mut found, _) = drawn(&policy, &config, rule("rule", letters));
    let [logps, _] = seen(&policy, &found, &config);
    let (mut sum, mut ratios, mut tokens) = (0.0, 0.0, 0.0);
    for (row, logps) in found.rows.iter().zip(&logps) {
        for (sampled, logp) in row.sampled.iter().zip(logps) {
            let ratio = f64::from(logp - sampled).exp();
            assert!(
                ratio <= 1.0 + 1e-4,
                "two tokens are no more than all: {ratio}"
            );
            sum -= f64::from(row.advantage) * ratio;
            ratios += ratio;
            tokens += 1.0;
        }
    }
    assert!(
        ratios / tokens < 0.999,
        "nothing was cut off: {}",
        ratios / tokens
    );
    // A rollout over quantised weights does not know what training says of its tokens: only what it drew them from counts.
    for row in &mut found.rows {
        row.tempered.iter_mut().for_each(|value| *value -= 0.5);
    }
    let (norm, figures) = stepped(&policy, &mut found, 0..2, true, &config);
    near(
        figures.get("policy_loss").unwrap(),
        sum / tokens,
        "policy loss",
    );
    let mean = figures.get("sampling/importance_sampling_ratio/mean");
    near(mean.unwrap(), ratios / tokens, "mean ratio");
    let off = GrpoConfig {
        importance_sampling_correction: false,
        ..config
    };
    let (other, figures) = stepped(&policy, &mut found, 0..2, true, &off);
    assert!(
        figures
            .get("sampling/importance_sampling_ratio/mean")
            .is_none()
    );
    assert!(
        (norm / other - 1.0).abs() > 1e-3,
        "nothing was corrected: {norm} {other}"
    );
}

/// Rows that are first seen after an update have their old log-probabilities from before it, too.
#[test]
fn later_steps_of_a_generation_know_what_training_said_before_the_first() {
    let config = GrpoConfig {
        gradient_accumulation_steps: 1,
        steps_per_generation: Some(2),
        importance_sampling_correction: true,
        importance_sampling_mode: ImportanceSamplingMode::TokenTruncate,
        ..plain()
    };
    let policy = policy(&config);
    let (mut found, _) = drawn(&policy, &config, rule("rule", letters));
    for row in &mut found.rows {
        // As a rollout over quantised weights might differ, the same way in both.
        row.tempered.iter_mut().for_each(|value| *value -= 0.25);
        row.sampled.clone_from(&row.tempered);
    }
    stepped(&policy, &mut found, 0..1, true, &config);
    // Nothing was updated, so the ratio to the old is 1; the one to the rollout is e^.25 for every token.
    let (_, figures) = stepped(&policy, &mut found, 1..2, false, &config);
    assert_eq!(figures.get("clip_ratio/region_mean"), Some(0.0));
    let mean = figures.get("sampling/importance_sampling_ratio/mean");
    near(mean.unwrap(), 0.25f64.exp(), "mean ratio");
}
