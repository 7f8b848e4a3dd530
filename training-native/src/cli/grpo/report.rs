//! What `namelens grpo` says before and after a run.

use anstream::println;
use anyhow::Result;
use namelens::rl::config::GrpoConfig;
use namelens::rl::estimate::Estimate;
use namelens::rl::grpo::{Outcome, RunOptions};
use serde_json::{Map, Value};

/// Prints settings and estimates.
///
/// # Errors
/// When a setting cannot be written as TOML.
pub(super) fn dry_run(config: &GrpoConfig, found: &Estimate, steps: u64) -> Result<()> {
    println!("{}", as_toml(config)?);
    println!(
        "# {} of {} parameters learn",
        found.trained, found.parameters
    );
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("# about {:.0} MiB in all:", mib(found.bytes()));
    for (what, bytes) in &found.memory {
        println!("#   {:>9.1} MiB {what}", mib(*bytes));
    }
    println!(
        "# tried: a prompt of {} tokens, completions of {:.0} tokens on average",
        found.prompt_tokens, found.completion_tokens
    );
    println!(
        "# a generation takes about {:.1} s to draw, the gradients of a step {:.1} s, a step in all {:.1} s",
        found.draw_secs,
        found.learn_secs,
        found.step_secs()
    );
    println!(
        "# {steps} steps take about {:.0} minutes, without evaluation",
        found.step_secs() * steps as f64 / 60.0
    );
    Ok(())
}

/// Prints how a run ended.
pub(super) fn outcome(outcome: &Outcome, options: &RunOptions) {
    let steps = options.steps;
    match &outcome.stopped {
        Some(reason) => println!("stopped after {} of {steps} steps: {reason}", outcome.step),
        None => println!("done: {steps} steps"),
    }
    if let (Some(before), Some((step, after))) = (&outcome.before, &outcome.after) {
        println!(
            "\n{:32} {:>9} {:>9}",
            "held out",
            "before",
            format!("step {step}")
        );
        for (name, value) in after {
            let was = before
                .get(name)
                .map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
            println!("{name:32} {was:>9} {value:>9.4}");
        }
    }
    let run = options.run.display();
    match outcome.best {
        Some((0, score)) => {
            println!("\nbest is the model as it was ({score:.4}); the last is in {run}/last")
        }
        Some((step, score)) => {
            println!("\nbest is step {step} ({score:.4}), in {run}/best; the last is in {run}/last")
        }
        None => println!("\nwhat was learned is in {run}/last"),
    }
}

/// Settings as TOML, which has no null: those that are absent are left out.
fn as_toml(config: &GrpoConfig) -> Result<String> {
    let Value::Object(all) = serde_json::to_value(config)? else {
        return Ok(String::new());
    };
    let given: Map<String, Value> = all
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .collect();
    Ok(toml::to_string(&given)?)
}
