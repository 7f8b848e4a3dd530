//! Running other programs: one line a step with its time; a failure names the command and what to do.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anstream::{print, println};
use anyhow::{Context, Result, anyhow, bail};

/// Does one short step and prints it as one line: what, how it ended, how long it took.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    print!("{name} ... ");
    flush();
    let start = Instant::now();
    let done = work();
    let word = if done.is_ok() { "ok" } else { "FAILED" };
    println!("{word}, {:.1} s", start.elapsed().as_secs_f64());
    done
}

/// Does one long step whose programs print for themselves; its own line comes at the end.
pub(crate) fn stage<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("{name}:");
    flush();
    let start = Instant::now();
    let done = work();
    let word = if done.is_ok() { "ok" } else { "FAILED" };
    println!("{name} ... {word}, {:.1} s", start.elapsed().as_secs_f64());
    done
}

/// Runs a program that prints for itself.
///
/// # Errors
/// When it cannot be started or fails; `advice` says what to do then.
pub(crate) fn loud(command: &mut Command, advice: &str) -> Result<()> {
    let status = command
        .status()
        .with_context(|| not_started(command, advice))?;
    if !status.success() {
        bail!("{}", failed(command, status, advice));
    }
    Ok(())
}

/// Runs a program silently and returns what it wrote to standard output, trimmed.
///
/// # Errors
/// When it cannot be started or fails; the message then carries its output and `advice`.
pub(crate) fn quiet(command: &mut Command, advice: &str) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| not_started(command, advice))?;
    let stdout = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(anyhow!(
        "{}\n{stdout}\n{}",
        failed(command, output.status, advice),
        stderr.trim()
    ))
}

/// Runs a program, passing its output on line by line and showing each line to `see` as well.
///
/// # Errors
/// When it cannot be started. A failing exit status is the caller's to judge.
pub(crate) fn watch(
    command: &mut Command,
    advice: &str,
    mut see: impl FnMut(&str),
) -> Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| not_started(command, advice))?;
    for line in merged_lines(&mut child) {
        println!("{line}");
        see(&line);
    }
    child
        .wait()
        .with_context(|| format!("`{}` was lost", shown(command)))
}

/// Both output streams of a child as one stream of lines, each stream in its own order.
fn merged_lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let streams: [Option<Box<dyn Read + Send>>; 2] = [
        child
            .stdout
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child
            .stderr
            .take()
            .map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    for stream in streams.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line)
                    .trim_end_matches('\r')
                    .to_owned();
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// The command as one could type it.
pub(crate) fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn not_started(command: &Command, advice: &str) -> String {
    format!("`{}` could not be started; {advice}", shown(command))
}

fn failed(command: &Command, status: ExitStatus, advice: &str) -> String {
    let place = command
        .get_current_dir()
        .map_or(String::new(), |dir| format!(" in {}", dir.display()));
    format!("`{}`{place} failed ({status}); {advice}", shown(command))
}

fn flush() {
    // A closed terminal is no reason to stop building.
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_command_and_the_advice() {
        let error = quiet(Command::new("cargo").arg("no-such-verb"), "do this next").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("`cargo no-such-verb` failed"), "{text}");
        assert!(text.contains("do this next"), "{text}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = loud(&mut Command::new("no-such-program-here"), "install it").unwrap_err();
        assert!(
            format!("{error:#}")
                .contains("`no-such-program-here` could not be started; install it")
        );
    }

    #[test]
    fn watching_sees_every_line() {
        let mut seen = Vec::new();
        let status = watch(Command::new("cargo").arg("--version"), "", |line| {
            seen.push(line.to_owned())
        })
        .unwrap();
        assert!(status.success());
        assert!(seen[0].starts_with("cargo "), "{seen:?}");
    }
}
