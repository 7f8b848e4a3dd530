//! Two ranks that share a step are one that does all of it: gradients, advantages over the batch, thresholds, figures, files.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::AtomicBool;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use namelens::ranks::{Alone, Ranks, by_leader, share};
use namelens::rewards::{Reward, Row};
use namelens::rl::config::{GrpoConfig, LossType, ScaleRewards};
use namelens::rl::grpo::Trainer;
use namelens::rl::metrics::{Figure, Metrics};
use namelens::rl::rollout::{Draw, generate_among};
use namelens::rl::step::{StepKey, gradients};
use namelens_engine::host::Still;
use namelens_tests::rl::{
    Rule, ThreadRank, column, config, letters, logged, options, policy, prompts, thread_ranks,
};
use playroom::Split;

/// Everything that needs more than a rank's own rows: advantages over the batch, a threshold of entropy, groups drawn again, means
/// over tokens.
fn shared() -> GrpoConfig {
    GrpoConfig {
        loss_type: LossType::Dapo,
        scale_rewards: ScaleRewards::Batch,
        top_entropy_quantile: 0.6,
        dynamic_sampling_max_tries: 4,
        // Dropout goes by the number of the micro-batch, and groups drawn again come to lie in others.
        lora_dropout: 0.0,
        beta: 0.04,
        // Samples of a group differ, or there is nothing to learn and all gradients are zero.
        temperature: 2.0,
        ..config()
    }
}

/// A rule that gives whole groups the same: those whose prompt is even in length.
fn rewards() -> Vec<Box<dyn Reward>> {
    let rule = |row: &Row| {
        let photo = format!("{:?}", row.photos.last().unwrap()).len();
        if photo.is_multiple_of(2) {
            1.0
        } else {
            letters(row)
        }
    };
    vec![Box::new(Rule("rule", rule))]
}

struct Collected(GradientsParams, Vec<f32>);

impl ModuleVisitor for Collected {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.0.remove::<D>(param.id) {
            self.1
                .extend(gradient.into_data().try_to_vec::<f32>().unwrap());
        }
    }
}

/// What a step of a rank gives: gradients, figures, its completions, where the next prompt is.
type Step = (Vec<f32>, Metrics, Vec<Vec<u32>>, u64);

fn step(config: &GrpoConfig, ranks: &dyn Ranks) -> Step {
    let policy = policy(config);
    let draw = Draw {
        number: 2,
        ranks,
        host: &Still,
    };
    let mut cursor = 5;
    let prompts = prompts(Split::Train);
    let rewards = &mut rewards();
    let mut found = generate_among(&policy, &prompts, rewards, config, draw, &mut cursor).unwrap();
    let key = StepKey {
        dropout: 9,
        fresh: true,
        entropy_coef: 0.0,
        shards: 1,
    };
    let parts = 0..config.gradient_accumulation_steps;
    let training = Device::flex().autodiff();
    let (all, figures) = gradients(
        &policy.vlm,
        &mut found,
        parts,
        key,
        config,
        ranks,
        &training,
    )
    .unwrap();
    let mut collected = Collected(all, Vec::new());
    policy.vlm.visit(&mut collected);
    let mut metrics = found.metrics;
    metrics.merge(figures);
    let tokens = found.rows.into_iter().map(|row| row.tokens).collect();
    (collected.1, metrics, tokens, cursor)
}

fn each<T: Send>(size: usize, work: impl Fn(&ThreadRank) -> T + Sync) -> Vec<T> {
    let ranks = thread_ranks(size);
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = ranks
            .iter()
            .map(|rank| scope.spawn(move || work(rank)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

#[test]
fn two_ranks_make_the_step_that_one_makes() {
    let figures = same_step(&shared());
    assert!(
        figures.get("dynamic_sampling/redrawn_groups").unwrap() > 0.0,
        "the test is too easy"
    );
    same_step(&GrpoConfig {
        dynamic_sampling_max_tries: 0,
        lora_dropout: 0.2,
        ..shared()
    });
}

fn same_step(config: &GrpoConfig) -> Metrics {
    let whole = GrpoConfig {
        gradient_accumulation_steps: 4,
        ..config.clone()
    };
    let (gradient, figures, tokens, cursor) = step(&whole, &Alone);
    assert!(figures.get("reward_std").unwrap() > 0.0);
    let halves = each(2, |rank| step(config, rank));
    let norm = gradient
        .iter()
        .map(|g| f64::from(*g).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!(norm > 0.0, "the test is too easy");
    for (own, seen, _, at) in &halves {
        assert_eq!(own.len(), gradient.len());
        let squares = own
            .iter()
            .zip(&gradient)
            .map(|(a, b)| f64::from(a - b).powi(2));
        let apart = squares.sum::<f64>().sqrt() / norm;
        println!("gradients differ by {apart:.1e}");
        // Two sums of f32 in place of one.
        assert!(apart < 1e-5, "{apart:.1e}");
        assert_eq!(*at, cursor);
        for (name, value) in figures.values() {
            let other = seen.get(name).unwrap_or_else(|| panic!("no {name}"));
            let bar = 1e-5 * value.abs().max(1e-2);
            assert!((other - value).abs() <= bar, "{name}: {other}, not {value}");
        }
    }
    assert_eq!(
        halves[0].0, halves[1].0,
        "ranks must move to the same weights to the bit"
    );
    let mut both: Vec<_> = halves.into_iter().flat_map(|half| half.2).collect();
    let mut tokens = tokens;
    both.sort();
    tokens.sort();
    assert_eq!(both, tokens, "the same completions, whoever draws them");
    figures
}

#[test]
fn a_run_of_two_ranks_ends_as_one_and_the_first_writes() {
    let calm = AtomicBool::new(false);
    let train = |run: &std::path::Path, config: &GrpoConfig, ranks: &dyn Ranks| {
        let mut rewards = rewards();
        let mut options = options(run, 2);
        (options.eval_prompts, options.completions_every) = (2, 1);
        let trainer = Trainer {
            policy: policy(config),
            prompts: &prompts(Split::Train),
            held_out: &prompts(Split::Val),
            rewards: &mut rewards,
            config,
            options: &options,
            device: Device::flex(),
        };
        trainer.run_among(ranks, &calm).unwrap()
    };
    let whole = GrpoConfig {
        gradient_accumulation_steps: 4,
        ..shared()
    };
    let alone = tempfile::tempdir().unwrap();
    let one = train(alone.path(), &whole, &Alone);
    let together = tempfile::tempdir().unwrap();
    let two = each(2, |rank| train(together.path(), &shared(), rank));
    assert_eq!(two[0], two[1]);
    assert_eq!((one.step, one.before), (2, two[0].before.clone()));
    let (one, two) = (logged(alone.path()), logged(together.path()));
    assert_eq!(one.len(), two.len());
    for name in [
        "reward",
        "grad_norm",
        "loss",
        "entropy",
        "num_tokens",
        "epoch",
    ] {
        let (one, two) = (column(&one, name), column(&two, name));
        assert!(one.len() == 2 && two.len() == 2, "{name}");
        // The second step begins where the first one's noise left it.
        for (at, bar) in [(0, 1e-5), (1, 1e-2)] {
            let apart = (one[at] - two[at]).abs();
            assert!(
                apart <= bar * one[at].abs().max(1e-2),
                "{name}: {one:?} {two:?}"
            );
        }
    }
}

#[test]
fn what_ranks_say_arrives_and_a_failure_is_everybodys() {
    let heard = each(3, |rank| {
        let mut own = Metrics::default();
        own.add("min", Figure::Min(f64::INFINITY));
        own.add("mean", Figure::mean([0.1 + rank.rank() as f64]));
        let mut values = [rank.rank() as f32, 0.5];
        rank.sum(&mut values).unwrap();
        (share(rank, &own).unwrap(), values)
    });
    for (all, values) in &heard {
        assert_eq!(all, &heard[0].0);
        assert_eq!(*values, [3.0, 1.5]);
        let merged = Metrics::merged(all.clone());
        assert_eq!(merged.get("mean"), Figure::mean([0.1, 1.1, 2.1]).value());
    }
    // Nothing, and what is nothing itself, arrive as what they are.
    let nothing = each(2, |rank| {
        by_leader(rank, || Ok(())).unwrap();
        by_leader(rank, || Ok(None::<u8>)).unwrap()
    });
    assert_eq!(nothing, [None, None]);
    let failed = each(2, |rank| {
        let work = || -> anyhow::Result<u8> { anyhow::bail!("the disk is full") };
        by_leader(rank, work).unwrap_err().to_string()
    });
    assert!(
        failed.iter().all(|said| said.contains("the disk is full")),
        "{failed:?}"
    );
}
