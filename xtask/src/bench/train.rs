//! `cargo xtask bench train`: steps of GRPO on the embedded model, ours and TRL's in turns, on the same prompts and settings.
//!
//! Wall time tells what a user waits; processor time tells the same on a machine that others use too. First steps of a process
//! are left out: both load and warm up then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anstream::println;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::report;
use crate::fixtures;
use crate::paths::{program, root, target_dir};
use crate::run::{loud, quiet, step};

/// Options of `cargo xtask bench train`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A Python with the packages of tests/fixtures/generate/requirements.txt
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// A built `namelens`; built with --release where it is not given
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// Processes of each, in turns
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Steps of each process, the first of which is left out
    #[arg(long, default_value_t = 6)]
    steps: usize,
    /// Threads of each
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Where both compute: `cpu` or `cuda`, for which --binary must have been built with it
    #[arg(long, default_value = "cpu", value_parser = ["cpu", "cuda"])]
    device: String,
}

/// Completions of a step: two prompts of eight.
const ROWS: usize = 16;

/// Settings under TRL's names, for both.
fn settings() -> Value {
    json!({
        "per_device_train_batch_size": ROWS,
        "gradient_accumulation_steps": 1,
        "num_generations": 8,
        "max_completion_length": 32,
        "temperature": 1.0,
        "beta": 0.04,
        "loss_type": "grpo",
        "learning_rate": 1e-5,
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.05,
        "lora_target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    })
}

/// What a process took.
#[derive(Debug, Default)]
struct Taken {
    /// Seconds of each step but the first.
    wall: Vec<f64>,
    /// Processor seconds of such a step, from the difference to a process of one step.
    cpu: Vec<f64>,
    /// Tokens of a completion on average.
    length: Vec<f64>,
}

/// Measures both and prints the ratio.
///
/// # Errors
/// When Python, its packages or the binary are missing, or a run fails.
pub(super) fn run(options: &Options) -> Result<Vec<Value>> {
    ensure!(
        options.steps >= 2,
        "--steps must be at least 2: the first is left out"
    );
    let python = fixtures::python(options.python.as_deref())?;
    let binary = match &options.binary {
        Some(binary) => program(binary)?,
        None => built()?,
    };
    let room = target_dir().join("bench-train");
    let rows = rows(&room)?;
    let mut versions = Value::Null;
    let (mut ours, mut theirs) = (Taken::default(), Taken::default());
    for round in 1..=options.rounds {
        step(&format!("namelens, round {round}"), || {
            ours.add(options.steps, |steps| {
                run_ours(&binary, &room, &rows, steps, options)
            })
        })?;
        step(&format!("TRL, round {round}"), || {
            theirs.add(options.steps, |steps| {
                let said = run_theirs(&python, &rows, steps, options)?;
                versions = said["versions"].clone();
                Ok((floats(&said["step_secs"]), floats(&said["mean_length"])))
            })
        })?;
    }
    told(&ours, &theirs, &versions, options)
}

/// `namelens` as users have it.
fn built() -> Result<PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo
        .current_dir(root())
        .args(["build", "--release", "-p", "namelens"]);
    loud(&mut cargo, "the messages above say what is wrong")?;
    let name = format!("namelens{}", std::env::consts::EXE_SUFFIX);
    Ok(target_dir().join("release").join(name))
}

/// Six prompts of two photos each: a thing with its name, and a scene to describe.
fn rows(room: &Path) -> Result<PathBuf> {
    let album = root().join("web-demo/public/album");
    fs::create_dir_all(room.join("photos"))?;
    let mut lines = String::new();
    for at in 0..6 {
        let files = [
            ["thing-0-0.png", "thing-1-0.png"][at % 2].to_owned(),
            format!("scene-{at}.png"),
        ];
        for file in &files {
            fs::copy(album.join(file), room.join("photos").join(file))
                .with_context(|| format!("copying {file}"))?;
        }
        let row = json!({
            "image": files.map(|file| format!("photos/{file}")),
            "problem": "<image>This is <Mochi>. <image>Describe the photo.",
            "solution": "<Mochi>",
            "accu_reward_method": "yes_no_name",
        });
        lines += &format!("{row}\n");
    }
    let path = room.join("rows.jsonl");
    fs::write(&path, lines)?;
    Ok(path)
}

impl Taken {
    /// One process of `steps` steps, and one of a single step, whose processor time is start and first step.
    fn add(
        &mut self,
        steps: usize,
        mut run: impl FnMut(usize) -> Result<(Vec<f64>, Vec<f64>)>,
    ) -> Result<()> {
        let before = cpu_of_children();
        run(1)?;
        let between = cpu_of_children();
        let (wall, length) = run(steps)?;
        let after = cpu_of_children();
        ensure!(
            wall.len() == steps,
            "{} of {steps} steps were done",
            wall.len()
        );
        self.wall.extend(&wall[1..]);
        self.length.extend(&length[1..]);
        if let (Some(before), Some(between), Some(after)) = (before, between, after) {
            let all = (after - between) - (between - before);
            self.cpu.push(all / (steps - 1) as f64);
        }
        Ok(())
    }
}

fn run_ours(
    binary: &Path,
    room: &Path,
    rows: &Path,
    steps: usize,
    options: &Options,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let run = room.join("run");
    if run.exists() {
        fs::remove_dir_all(&run)?;
    }
    let mut command = Command::new(binary);
    command.args(["grpo", "--preset", "trl", "--device", &options.device]);
    command.arg("--reward");
    // A reward that costs nothing; the peer's is a rule of one line.
    command
        .arg("repic-strict")
        .arg("--model")
        .arg(root().join("models/playroom"));
    command
        .arg("--data")
        .arg(rows)
        .arg("--eval-data")
        .arg(rows)
        .arg("--run")
        .arg(&run);
    command.args([
        "--eval-prompts",
        "0",
        "--completions-every",
        "0",
        "--save-every",
        "1000",
    ]);
    command.arg("--steps").arg(steps.to_string());
    command.arg("--shards").arg(options.threads.to_string());
    command.args(["--set", "use_peft=true"]);
    if let Value::Object(all) = settings() {
        for (name, value) in all {
            command.arg("--set").arg(format!("{name}={value}"));
        }
    }
    command.env("RAYON_NUM_THREADS", options.threads.to_string());
    quiet(&mut command, "is it a binary of this checkout?")?;
    let log = fs::read_to_string(run.join("log.jsonl"))?;
    let lines = log.lines().map(serde_json::from_str::<Value>);
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    let column = |name: &str| {
        lines
            .iter()
            .filter_map(|line| line[name].as_f64())
            .collect()
    };
    Ok((column("step_time"), column("completions/mean_length")))
}

fn run_theirs(python: &Path, rows: &Path, steps: usize, options: &Options) -> Result<Value> {
    let threads = options.threads.to_string();
    let mut command = Command::new(python);
    command.current_dir(root()).args([
        "-B",
        "tests/benches/train_trl.py",
        "--model",
        "models/playroom",
    ]);
    command
        .arg("--rows")
        .arg(rows)
        .args(["--steps", &steps.to_string(), "--threads", &threads]);
    command.arg("--settings").arg(settings().to_string());
    command.args(["--device", &options.device]);
    command.env("OMP_NUM_THREADS", &threads);
    let said = quiet(
        &mut command,
        "the packages are those of tests/fixtures/generate/requirements.txt",
    )?;
    let last = said.lines().last().unwrap_or_default();
    serde_json::from_str(last).context("the peer did not say what it took")
}

fn floats(values: &Value) -> Vec<f64> {
    let values = values.as_array().map_or(&[][..], Vec::as_slice);
    values.iter().filter_map(Value::as_f64).collect()
}

/// Processor seconds of all children that ended; known on Linux only.
fn cpu_of_children() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may hold blanks, and ends with a bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(13)?.parse::<f64>().ok()? + fields.get(14)?.parse::<f64>().ok()?;
    // Linux counts in hundredths on every platform that it tells user space of.
    Some(ticks / 100.0)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (
        sorted.get(sorted.len() / 2),
        sorted.get(sorted.len().wrapping_sub(1) / 2),
    ) {
        (Some(high), Some(low)) => f64::midpoint(*high, *low),
        _ => f64::NAN,
    }
}

/// Prints the table and writes `train.json`.
fn told(ours: &Taken, theirs: &Taken, versions: &Value, options: &Options) -> Result<Vec<Value>> {
    let machine = report::machine();
    println!(
        "\n{:22} {:>12} {:>12} {:>8}",
        "a step of GRPO", "namelens", "TRL", "ratio"
    );
    let mut figures = json!({
        "settings": settings(), "device": options.device, "threads": options.threads, "steps": options.steps, "rounds": options.rounds,
        "versions": versions,
    });
    type Column = fn(&Taken) -> &[f64];
    let columns: [(&str, Column); 3] = [
        ("wall seconds", |taken| &taken.wall),
        ("processor seconds", |taken| &taken.cpu),
        ("tokens a completion", |taken| &taken.length),
    ];
    for (name, of) in columns {
        let (own, other) = (median(of(ours)), median(of(theirs)));
        println!("{name:22} {own:12.3} {other:12.3} {:8.2}", other / own);
        figures[name] = json!({
            "namelens": of(ours), "trl": of(theirs), "median": [own, other], "ratio": other / own,
        });
    }
    Ok(vec![machine, figures])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_few_and_many() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_child_that_works_is_counted() {
        let Some(before) = cpu_of_children() else {
            return;
        };
        // A loop of some hundredths of a second.
        let mut shell = Command::new("sh");
        shell.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        if shell.status().is_ok_and(|status| status.success()) {
            assert!(cpu_of_children().is_some_and(|after| after > before));
        }
    }
}
