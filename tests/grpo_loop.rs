//! The loop of reinforcement learning on the embedded model: rewards are followed, runs resume exactly, how a step is cut is no matter.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use namelens::bundle;
use namelens::merge::merge;
use namelens::rewards::Row;
use namelens::rewards::row::Photo;
use namelens::rl::a2c_config::{A2cConfig, preset};
use namelens::rl::config::{GrpoConfig, LossType};
use namelens::rl::course::{Outcome, RunOptions};
use namelens::rl::dataset::{Prompts, Source};
use namelens::rl::playroom_prompts::{PlayroomOptions, PlayroomPrompts};
use namelens::rl::policy::Policy;
use namelens::rl::similarity::Similarity;
use namelens::rl::vlrm::A2cTrainer;
use namelens::train::checkpoint;
use namelens::train::run_lock::RunLock;
use namelens_tests::album::{model, photo};
use namelens_tests::rl::{column, config, letters, logged, options, train, weights};
use playroom::Task;

#[test]
fn an_interrupted_run_ends_as_if_it_had_not_been() {
    // Three passes over a generation of two steps, so that checkpoints lie between many updates.
    let config = GrpoConfig {
        steps_per_generation: Some(4),
        num_iterations: 2,
        beta: 0.04,
        ..config()
    };
    let calm = AtomicBool::new(false);
    let whole = tempfile::tempdir().unwrap();
    let evaluated = |run: &Path| RunOptions {
        eval_prompts: 2,
        eval_every: 4,
        ..options(run, 8)
    };
    let all = train(&evaluated(whole.path()), &config, &calm, letters).unwrap();
    let parts = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (flag, mut seen) = (Arc::clone(&stop), 0);
    let first = train(&evaluated(parts.path()), &config, &stop, move |row| {
        seen += 1;
        // The first two rows are those of the evaluation.
        flag.store(seen > 2, Ordering::Relaxed);
        letters(row)
    });
    assert_eq!(first.unwrap().step, 4, "it stops after the generation");
    let half = weights(parts.path());
    let rest = train(&evaluated(parts.path()), &config, &calm, letters).unwrap();
    assert_ne!(half, weights(parts.path()), "the second half did nothing");
    assert_eq!(weights(whole.path()), weights(parts.path()));
    assert_eq!(logged(whole.path()), logged(parts.path()));
    // Two generations of four prompts, of 32.
    assert_eq!(column(&logged(whole.path()), "epoch").last(), Some(&0.25));
    assert_eq!(
        (all.before, all.after, all.best),
        (rest.before, rest.after, rest.best)
    );
    let other = GrpoConfig {
        beta: 0.05,
        ..config
    };
    let error = train(&evaluated(parts.path()), &other, &calm, letters).unwrap_err();
    assert!(
        error.to_string().contains("beta 0.04, not 0.05;"),
        "{error}"
    );
}

#[test]
fn rewards_are_followed_and_turned_round_they_are_fled() {
    let calm = AtomicBool::new(false);
    let config = GrpoConfig {
        learning_rate: 1e-2,
        lora_dropout: 0.0,
        ..config()
    };
    let ends = |rule: fn(&Row) -> f32| -> [f64; 2] {
        let run = tempfile::tempdir().unwrap();
        train(&options(run.path(), 16), &config, &calm, rule).unwrap();
        let rewards = column(&logged(run.path()), "reward");
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        [mean(&rewards[..4]), mean(&rewards[12..])]
    };
    let up = ends(letters);
    let down = ends(|row| -letters(row)).map(|reward| -reward);
    println!("share of the letter: rewarded {up:?}, punished {down:?}");
    // The first steps begin at the same share; a few hundredths is what the mean of 32 rows scatters.
    assert!(up[1] > up[0] + 0.05, "{up:?}");
    assert!(down[1] < down[0] - 0.02, "{down:?}");
}

/// So hot that the completions of a group differ: of the first words of a caption the model is sure.
fn hot() -> GrpoConfig {
    GrpoConfig {
        temperature: 2.0,
        ..config()
    }
}

#[test]
fn the_first_pass_compares_the_policy_with_itself() {
    let run = tempfile::tempdir().unwrap();
    let config = GrpoConfig {
        num_iterations: 2,
        beta: 0.1,
        lora_dropout: 0.0,
        // Any change at all is clipped.
        epsilon: 1e-7,
        ..hot()
    };
    let calm = AtomicBool::new(false);
    train(&options(run.path(), 4), &config, &calm, letters).unwrap();
    let log = logged(run.path());
    let clipped = column(&log, "clip_ratio/region_mean");
    assert_eq!((clipped[0], clipped[2]), (0.0, 0.0), "{clipped:?}");
    assert!(clipped[1] > 0.0, "{clipped:?}");
    // A new adapter changes nothing, so the policy still is the reference; f32 in another order of summation. The next generation is of a
    // policy that has learned.
    let kl = column(&log, "kl");
    assert!(kl[0].abs() < 1e-8 && kl[2] > 1e-7, "{kl:?}");
}

#[test]
fn how_a_step_is_cut_and_who_computes_it_changes_nothing() {
    let calm = AtomicBool::new(false);
    let first = |shards: usize, size: usize| {
        let run = tempfile::tempdir().unwrap();
        let config = GrpoConfig {
            per_device_train_batch_size: size,
            gradient_accumulation_steps: 8 / size,
            lora_dropout: 0.0,
            loss_type: LossType::Dapo,
            ..config()
        };
        let options = RunOptions {
            shards,
            ..options(run.path(), 2)
        };
        train(&options, &config, &calm, letters).unwrap();
        (
            column(&logged(run.path()), "grad_norm"),
            weights(run.path()),
        )
    };
    let (norms, one) = first(1, 4);
    assert_eq!(first(2, 4).1, one, "threads");
    // Whole groups, and halves of one: f32 in another order of summation.
    for size in [8, 2] {
        let (cut, _) = first(1, size);
        assert!(
            (cut[0] / norms[0] - 1.0).abs() < 1e-4,
            "{size}: {cut:?} {norms:?}"
        );
    }
}

#[test]
fn rewards_that_are_no_numbers_are_counted_and_the_adapter_is_peft() {
    let run = tempfile::tempdir().unwrap();
    let calm = AtomicBool::new(false);
    let options = RunOptions {
        completions_every: 1,
        ..options(run.path(), 1)
    };
    let mut row = 0;
    let rule = move |said: &Row| {
        row += 1;
        if row == 2 { f32::NAN } else { letters(said) }
    };
    train(&options, &config(), &calm, rule).unwrap();
    let log = logged(run.path());
    assert_eq!(log[0]["rewards/rule/nan"], 1.0);
    assert_eq!(log[0]["rewards/rule/missing"], 1.0);
    let page = run.path().join("completions/step-00000001.html");
    assert!(
        std::fs::read_to_string(page)
            .unwrap()
            .contains("data:image/png")
    );
    let merged = run.path().join("merged");
    merge(&model(), &run.path().join("last"), &merged, &mut |_, _| ()).unwrap();
    bundle::open_weights(&merged).unwrap();
    assert_ne!(
        std::fs::read(merged.join("model.safetensors")).unwrap(),
        std::fs::read(model().join("model.safetensors")).unwrap()
    );
}

#[test]
fn all_weights_can_learn_and_become_a_model_folder() {
    let run = tempfile::tempdir().unwrap();
    let calm = AtomicBool::new(false);
    let config = GrpoConfig {
        use_peft: false,
        freeze_vision: false,
        beta: 0.1,
        learning_rate: 1e-5,
        ..hot()
    };
    train(&options(run.path(), 2), &config, &calm, letters).unwrap();
    let kl = column(&logged(run.path()), "kl");
    assert!(
        kl[0].abs() < 1e-8 && kl[1] > kl[0],
        "the frozen copy is the model as it was: {kl:?}"
    );
    let again = Policy::open(&run.path().join("last"), &config, &Device::flex()).unwrap();
    let before = Policy::open(&model(), &config, &Device::flex()).unwrap();
    let values = |policy: &Policy| -> Vec<Vec<f32>> {
        let all = policy.kit.all.collect(&policy.vlm);
        all.into_iter().map(|param| param.values).collect()
    };
    let moved = values(&again)
        .iter()
        .zip(&values(&before))
        .filter(|(a, b)| a != b)
        .count();
    assert!(moved > 100, "{moved} parameters");
}

/// Captions of VLRM in `run`, until the end or until `stop` is raised.
fn captions(run: &Path, stop: &AtomicBool) -> Outcome {
    let config = A2cConfig {
        batch_size: 4,
        max_completion_length: 8,
        value_head_hidden: 16,
        value_lora_r: 2,
        learning_rate: 1e-3,
        ..preset("vlrm").unwrap()
    };
    let options = RunOptions {
        save_every: 1,
        ..options(run, 6)
    };
    let world = PlayroomOptions {
        tasks: vec![Task::PlainCaption],
        absent: Some(0),
        ..PlayroomOptions::default()
    };
    let source = Source::Playroom(PlayroomPrompts::new(world));
    let prompts = Prompts::new(source, Some(1)).unwrap();
    let trainer = A2cTrainer::new(&prompts, &prompts, &config, &options, Device::flex());
    trainer.unwrap().run(stop).unwrap()
}

/// A caption may end before its first word; the run goes on.
#[test]
fn a_caption_without_words_is_compared_like_any_other() {
    let policy = Policy::open(&model(), &config(), &Device::flex()).unwrap();
    let judge = Similarity::open(&model(), &policy.kit, &Device::flex()).unwrap();
    let photo = Photo::Bytes(photo("scene-0.png").into());
    let texts = ["A brown rabbit.", ""];
    let like = judge.compare(&policy.kit, &[&photo], &texts).unwrap();
    let [words, none] = [like.logits[0][0], like.logits[0][1]];
    assert!(words.is_finite() && none.is_finite(), "{like:?}");
    assert_ne!(words, none);
}

#[test]
fn a_run_of_vlrm_ends_as_if_it_had_not_been_interrupted() {
    let calm = AtomicBool::new(false);
    let whole = tempfile::tempdir().unwrap();
    assert_eq!(captions(whole.path(), &calm).step, 6);
    let parts = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let first = std::thread::scope(|scope| {
        let run = scope.spawn(|| captions(parts.path(), &stop));
        while !run.is_finished() && !parts.path().join("step-00000001").exists() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        stop.store(true, Ordering::Relaxed);
        run.join().unwrap()
    });
    assert!((1..6).contains(&first.step), "{first:?}");
    captions(parts.path(), &calm);
    assert_eq!(weights(whole.path()), weights(parts.path()));
    let log = logged(whole.path());
    assert_eq!(log, logged(parts.path()));
    assert_eq!(column(&log, "value_loss").len(), 6);
    assert!(column(&log, "grad_norm").iter().all(|norm| *norm > 0.0));
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let run = tempfile::tempdir().unwrap();
    let held = RunLock::take(run.path()).unwrap();
    let calm = AtomicBool::new(false);
    let error = train(&options(run.path(), 1), &config(), &calm, letters).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(
        checkpoint::start_over(run.path()).is_ok(),
        "there is nothing to put aside"
    );
    std::fs::write(run.path().join("log.jsonl"), "{}\n").unwrap();
    assert!(checkpoint::start_over(run.path()).is_err());
    assert!(run.path().join("log.jsonl").exists());
    drop(held);
    checkpoint::start_over(run.path()).unwrap();
    train(&options(run.path(), 1), &config(), &calm, letters).unwrap();
}
