//! A reward from a process of the user's: rows go in as JSON lines, one reward comes back a line.
//!
//! In: `{"prompt": .., "completion": .., "completion_ids": .., "images": [..], ...columns}`. Out, in the same order: a number,
//! `null` where the reward does not apply, or `{"reward": number or null}`. `NaN` counts as none. The process is started
//! once and must flush after every line. Where it dies, hangs or answers something else, the run stops with what it last
//! wrote to its error output; it is never waited for longer than the time-out.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::row::Photo;
use super::{Reward, Row};
use crate::rl::metrics::{Figure, Metrics};

/// Lines of the error output that are kept for the message.
const KEPT_LINES: usize = 8;
/// How long the error output may take to arrive after the process has died.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// The reward of a process.
#[derive(Debug)]
pub struct External {
    name: String,
    command: String,
    timeout: Duration,
    process: Process,
}

/// A running process and the threads that talk to it, so that neither side can block the other.
#[derive(Debug)]
struct Process {
    child: Child,
    to: Sender<String>,
    from: Receiver<std::io::Result<String>>,
    errors: Arc<Mutex<VecDeque<String>>>,
}

impl External {
    /// Starts `command` in the system's shell; each batch must be answered within `timeout`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &str, timeout: Duration) -> Result<Self> {
        Ok(Self {
            name: format!("exec:{command}"),
            command: command.into(),
            timeout,
            process: Process::start(command)?,
        })
    }

    /// One line of the answer.
    fn line(&mut self, deadline: Instant, row: usize, rows: usize) -> Result<String> {
        let left = deadline.saturating_duration_since(Instant::now());
        match self.process.from.recv_timeout(left) {
            Ok(line) => line.with_context(|| format!("cannot read from '{}'", self.command)),
            Err(RecvTimeoutError::Timeout) => bail!(
                "the reward process '{}' has not answered row {row} of {rows} within {:.1} s{}",
                self.command,
                self.timeout.as_secs_f64(),
                self.process.last_words()
            ),
            Err(RecvTimeoutError::Disconnected) => bail!(
                "the reward process '{}' ended ({}) before row {row} of {rows}{}",
                self.command,
                self.process.status(),
                self.process.last_words()
            ),
        }
    }
}

impl Reward for External {
    fn name(&self) -> &str {
        &self.name
    }

    fn score(&mut self, rows: &[Row], log: &mut Metrics) -> Result<Vec<Option<f32>>> {
        let deadline = Instant::now() + self.timeout;
        for row in rows {
            let mut line = encode(row)?;
            line.push('\n');
            // A closed pipe shows when the answer is read.
            let _ = self.process.to.send(line);
        }
        let mut rewards = Vec::with_capacity(rows.len());
        for at in 0..rows.len() {
            let line = self.line(deadline, at + 1, rows.len())?;
            let reward = decode(&line).with_context(|| {
                let shown: String = line.chars().take(200).collect();
                format!(
                    "the reward process '{}' answered row {} with '{shown}'",
                    self.command,
                    at + 1
                )
            })?;
            rewards.push(reward);
        }
        let applies = rewards.iter().map(|r| f64::from(u8::from(r.is_some())));
        log.add("applies", Figure::mean(applies));
        Ok(rewards)
    }
}

/// A row as the process reads it.
fn encode(row: &Row) -> Result<String> {
    let mut line = row.columns.clone();
    let images: Result<Vec<String>> = row
        .photos
        .iter()
        .map(|photo| match photo {
            Photo::File(path) => Ok(path.display().to_string()),
            Photo::Bytes(_) => {
                bail!("a reward process is given the paths of photos, but one is in no file")
            }
        })
        .collect();
    line.insert("prompt".into(), json!(row.prompt));
    line.insert("completion".into(), json!(row.completion));
    line.insert("completion_ids".into(), json!(row.ids));
    line.insert("images".into(), json!(images?));
    Ok(serde_json::to_string(&line)?)
}

/// A number, null, or an object with `reward`; NaN, which JSON has not but Python writes, is NaN.
fn decode(line: &str) -> Result<Option<f32>> {
    let line = line.trim();
    let inner = line
        .trim_start_matches(['{', ' '])
        .trim_end_matches(['}', ' ']);
    let bare = inner
        .strip_prefix("\"reward\"")
        .map_or(inner, |rest| rest.trim_start_matches([':', ' ']));
    if bare.eq_ignore_ascii_case("nan") {
        return Ok(Some(f32::NAN));
    }
    let value: Value = serde_json::from_str(line).context("that is no JSON")?;
    let number = match &value {
        Value::Object(fields) => fields.get("reward").context("there is no \"reward\"")?,
        other => other,
    };
    match number {
        Value::Null => Ok(None),
        Value::Number(number) => {
            let number = number.as_f64().map(|n| n as f32).filter(|n| n.is_finite());
            number.map(Some).context("that number is too large")
        }
        _ => bail!("a reward is a number or null"),
    }
}

/// As `winbase.h` has it.
#[cfg(windows)]
const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;

impl Process {
    fn start(command: &str) -> Result<Self> {
        let mut shell = if cfg!(windows) {
            let mut shell = Command::new("cmd");
            shell.args(["/C", command]);
            shell
        } else {
            let mut shell = Command::new("sh");
            // The shell becomes the process, so that ending one ends the other.
            shell.args(["-c", &format!("exec {command}")]);
            shell
        };
        // Ctrl-C at a terminal is for this program, which finishes what it does and needs its rewards for that.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut shell, 0);
        #[cfg(windows)]
        std::os::windows::process::CommandExt::creation_flags(&mut shell, CREATE_NEW_PROCESS_GROUP);
        let mut child = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start the reward process '{command}'"))?;
        let missing = "a pipe of the reward process is missing";
        let mut stdin = child.stdin.take().context(missing)?;
        let stdout = child.stdout.take().context(missing)?;
        let stderr = child.stderr.take().context(missing)?;
        let (to, lines) = channel::<String>();
        std::thread::spawn(move || {
            for line in lines {
                if stdin
                    .write_all(line.as_bytes())
                    .and_then(|()| stdin.flush())
                    .is_err()
                {
                    break;
                }
            }
        });
        let (answers, from) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if answers.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&errors);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr)
                .lines()
                .map_while(std::result::Result::ok)
            {
                let Ok(mut kept) = kept.lock() else { break };
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        });
        Ok(Self {
            child,
            to,
            from,
            errors,
        })
    }

    /// How it ended.
    fn status(&mut self) -> String {
        let asked = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                // Its output is closed, so it is about to end.
                Ok(None) if asked.elapsed() < LAST_WORDS => std::thread::sleep(LAST_WORDS / 20),
                Ok(None) => return "its output is closed".into(),
                Err(error) => return error.to_string(),
            }
        }
    }

    /// What it last wrote to its error output.
    fn last_words(&self) -> String {
        std::thread::sleep(LAST_WORDS);
        let lines = self
            .errors
            .lock()
            .map(|kept| kept.iter().cloned().collect::<Vec<_>>());
        match lines {
            Ok(lines) if !lines.is_empty() => format!("; it said: {}", lines.join(" | ")),
            _ => String::new(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ctrl-C at a terminal goes to a whole group of processes.
    #[cfg(unix)]
    #[test]
    fn a_process_is_of_a_group_of_its_own() {
        const WAIT: Duration = Duration::from_secs(10);
        let process = Process::start("sh -c 'ps -o pgid= -p $$; echo $$; read line'").unwrap();
        let said = || {
            process
                .from
                .recv_timeout(WAIT)
                .unwrap()
                .unwrap()
                .trim()
                .to_owned()
        };
        assert_eq!(said(), said());
        drop(process);
    }

    #[test]
    fn answers_are_numbers_nothing_or_refused() {
        assert_eq!(decode("0.5").unwrap(), Some(0.5));
        assert_eq!(decode(" {\"reward\": -1} ").unwrap(), Some(-1.0));
        assert_eq!(decode("null").unwrap(), None);
        assert_eq!(decode("{\"reward\": null}").unwrap(), None);
        for nan in ["NaN", "nan", "{\"reward\": NaN}"] {
            assert!(decode(nan).unwrap().unwrap().is_nan(), "{nan}");
        }
        for bad in [
            "",
            "good",
            "\"1\"",
            "{\"score\": 1}",
            "[1]",
            "1e99",
            "Infinity",
        ] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }
}
