//! Runs side by side, each a process of one thread: what is due is begun, what is finished is not, until nothing is due.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::plan::Plan;
use super::record;
use super::schedule::{Run, due};

/// How often finished processes are looked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Begins due runs, `jobs` at a time, until none is left or `stop` is raised. `command` makes the process of a run; what a process
/// prints goes into `log.txt` of the run's folder below `runs`.
///
/// # Errors
/// When a process cannot be begun, and at the end when runs failed: the others are finished first.
pub fn run(
    plan: &Plan,
    arms: &[String],
    (runs, results): (&Path, &Path),
    jobs: usize,
    stop: &AtomicBool,
    mut command: impl FnMut(&Run) -> Command,
    mut told: impl FnMut(&str),
) -> Result<()> {
    let mut running: BTreeMap<String, Child> = BTreeMap::new();
    let mut failed: Vec<String> = Vec::new();
    let mut broken = None;
    loop {
        let mut over = Vec::new();
        for (key, child) in &mut running {
            if let Some(status) = child.try_wait()? {
                over.push(key.clone());
                told(&format!("{key}: {status}"));
                if !status.success() {
                    failed.push(key.clone());
                }
            }
        }
        for key in over {
            running.remove(&key);
        }
        if stop.load(Ordering::Relaxed) {
            // Ctrl-C reaches the processes too: they end with a checkpoint.
            if running.is_empty() {
                return Ok(());
            }
        } else if let Some(error) = broken.take_if(|_| running.is_empty()) {
            return Err(error);
        } else if broken.is_none() {
            let mut go_on = || -> Result<bool> {
                let waiting = due(plan, &record::read(results)?, arms)?;
                let waiting: Vec<Run> = waiting
                    .into_iter()
                    .filter(|run| !running.contains_key(&run.key()) && !failed.contains(&run.key()))
                    .collect();
                let over = waiting.is_empty() && running.is_empty();
                for run in waiting.into_iter().take(jobs.saturating_sub(running.len())) {
                    told(&format!("{}: begins", run.key()));
                    running.insert(run.key(), begin(command(&run), &runs.join(run.key()))?);
                }
                Ok(!over)
            };
            match go_on() {
                Ok(true) => (),
                Ok(false) => break,
                // Those that were begun are not left to themselves.
                Err(error) => broken = Some(error),
            }
        }
        std::thread::sleep(PATIENCE);
    }
    if !failed.is_empty() {
        bail!(
            "{} runs failed: {}; log.txt in the folder of each says why, and the same command tries again",
            failed.len(),
            failed.join(", ")
        );
    }
    Ok(())
}

fn begin(mut command: Command, folder: &Path) -> Result<Child> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let log = folder.join("log.txt");
    let log = File::options()
        .create(true)
        .append(true)
        .open(&log)
        .with_context(|| format!("cannot write {}", log.display()))?;
    let errors = log.try_clone()?;
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(errors)
        .spawn()
        .context("cannot begin a run")
}

/// Keeps a folder for one process; the file must live as long.
///
/// # Errors
/// When another process has it, or it cannot be written.
pub fn claim(folder: &Path) -> Result<File> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let path = folder.join("claim");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another process works in {}", folder.display());
    }
    Ok(file)
}

#[cfg(test)]
#[cfg(unix)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::plan::PLAN;
    use super::super::record::tests::record;
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn all_that_is_due_is_run_once_and_what_fails_is_named() {
        let plan = Plan::parse(PLAN).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (runs, results) = (folder.path().join("runs"), folder.path().join("results"));
        let only = ["sft-gold".to_owned()];
        let stop = AtomicBool::new(false);
        let mut begun = Vec::new();
        // The process writes its results as a run does; that of seed 3 fails.
        let folders = (runs.as_path(), results.as_path());
        let ended = run(
            &plan,
            &only,
            folders,
            2,
            &stop,
            |run| {
                begun.push((run.seed, run.key()));
                if run.seed == 3 {
                    return shell("echo no luck; exit 3");
                }
                let found = record(&run.arm, run.learning_rate, run.seed, &[[1, 0, 0]]);
                found.write(&folder.path().join("made")).unwrap();
                let file = format!("{}.json", run.key());
                shell(&format!(
                    "mkdir -p {0} && mv {1}/{file} {0}/{file}",
                    results.display(),
                    folder.path().join("made").display()
                ))
            },
            |_| (),
        );
        let said = ended.unwrap_err().to_string();
        assert!(
            said.contains("1 runs failed") && said.contains("seed3"),
            "{said}"
        );
        let rates = plan.arm("sft-gold").unwrap().learning_rates.len();
        assert_eq!(begun.len(), rates + plan.seeds as usize - 1);
        let failed = &begun.iter().find(|(seed, _)| *seed == 3).unwrap().1;
        let log = std::fs::read_to_string(runs.join(failed).join("log.txt")).unwrap();
        assert!(log.contains("no luck"));
        assert_eq!(record::read(&results).unwrap().len(), begun.len() - 1);
    }

    #[test]
    fn a_folder_has_one_process() {
        let folder = tempfile::tempdir().unwrap();
        let first = claim(folder.path()).unwrap();
        assert!(claim(folder.path()).is_err());
        drop(first);
        claim(folder.path()).unwrap();
    }
}
