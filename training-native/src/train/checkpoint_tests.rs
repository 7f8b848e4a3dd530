//! Checkpoints after a crash at every point of the write.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const OPTIONS: &str = "options";

/// Writes a checkpoint of three files and a folder, as the real ones are; the machine stops at the `stop`-th moment between two
/// operations. Returns whether it came to the end.
fn write(run: &Path, step: u64, stop: usize) -> bool {
    let mut moments = 0;
    let fill = |folder: &Path| -> Result<()> {
        fs::create_dir(folder.join(OPTIMIZER))?;
        fs::write(
            folder.join(OPTIMIZER).join("state"),
            format!("state {step}"),
        )?;
        fs::write(folder.join("model.safetensors"), format!("weights {step}"))?;
        let progress = Progress {
            step,
            seed: 1,
            options: OPTIONS.into(),
            state: serde_json::Value::Null,
        };
        let text = serde_json::to_vec_pretty(&progress)?;
        Ok(fs::write(folder.join(PROGRESS), text)?)
    };
    let mut crash = || {
        moments += 1;
        if moments > stop {
            bail!("the machine stops");
        }
        Ok(())
    };
    let done = commit(run, step, fill, &mut crash);
    assert!(done.is_ok() || done.unwrap_err().to_string() == "the machine stops");
    moments <= stop
}

/// Nothing has changed.
fn same(options: &str) -> Vec<String> {
    assert_eq!(options, OPTIONS);
    Vec::new()
}

/// The step of the newest checkpoint, whose files must all be its own.
fn whole(run: &Path) -> Option<u64> {
    let folder = resume_point(run).unwrap()?;
    let progress = progress(run, 1, &same).unwrap().unwrap();
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(
        read("model.safetensors"),
        format!("weights {}", progress.step)
    );
    assert_eq!(read("optimizer/state"), format!("state {}", progress.step));
    Some(progress.step)
}

#[test]
fn a_crash_at_any_moment_leaves_the_old_checkpoint_or_the_new_one() {
    let mut moments = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path();
        fs::write(run.join(LINES), "{}\n").unwrap();
        assert!(write(run, 250, usize::MAX));
        let done = write(run, 500, moments);
        let after = whole(run).unwrap();
        assert!(after == 250 || after == 500, "moment {moments}: {after}");
        // A second crash at every moment of the next write, over what the first left behind.
        for second in 0.. {
            let done = write(run, 750, second);
            let after = whole(run).unwrap();
            assert!(after >= 250, "moments {moments}, {second}: {after}");
            if done {
                assert_eq!(after, 750);
                break;
            }
        }
        // Nothing but the newest is left.
        let left: Vec<String> = entries(run)
            .unwrap()
            .iter()
            .map(|path| named(path).into_owned())
            .collect();
        assert_eq!(left, [LINES, "step-00000750"]);
        if done {
            break;
        }
        moments += 1;
    }
    // Create, fill, sync, rename, sync, retire, four deletions of files and two of folders.
    assert!(moments >= 10, "{moments}");
}

#[test]
fn a_crash_in_the_first_write_is_no_reason_to_begin_again_without_a_word() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path();
    assert_eq!(resume_point(run).unwrap(), None, "nothing was trained");
    fs::write(run.join(LINES), "{\"step\":20}\n").unwrap();
    assert!(!write(run, 250, 2));
    let error = resume_point(run).unwrap_err().to_string();
    assert!(error.contains("--start-over"), "{error}");
    assert!(progress(run, 1, &same).is_err());
    start_over(run).unwrap();
    assert_eq!(resume_point(run).unwrap(), None);
    let aside = fs::read_to_string(run.join("before-1").join(LINES)).unwrap();
    assert_eq!(aside, "{\"step\":20}\n", "nothing is lost");
    // A second time, and with nothing to put aside.
    start_over(run).unwrap();
    assert!(!run.join("before-2").exists());
    assert!(write(run, 250, usize::MAX));
    start_over(run).unwrap();
    assert!(run.join("before-2/step-00000250").is_dir());
    assert_eq!(latest(run).unwrap(), None);
}

#[test]
fn what_the_former_way_of_writing_left_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path();
    assert!(write(run, 250, usize::MAX));
    // The crash between the renames: only `checkpoint.old` was left.
    fs::rename(run.join("step-00000250"), run.join("checkpoint.old")).unwrap();
    fs::create_dir(run.join("checkpoint.new")).unwrap();
    fs::write(run.join(LINES), "{}\n").unwrap();
    assert_eq!(whole(run), Some(250));
    assert!(write(run, 500, usize::MAX));
    assert_eq!(whole(run), Some(500));
    assert!(!run.join("checkpoint.old").exists() && !run.join("checkpoint.new").exists());
}

#[test]
fn other_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert!(write(folder.path(), 250, usize::MAX));
    let other = |_: &str| vec!["lr 0.1, not 0.2".to_owned()];
    let seed = progress(folder.path(), 2, &same).unwrap_err().to_string();
    assert!(seed.contains("seed 1, not 2;"), "{seed}");
    let rate = progress(folder.path(), 1, &other).unwrap_err().to_string();
    assert!(rate.contains("lr 0.1, not 0.2;"), "{rate}");
    assert!(rate.contains("--start-over"), "{rate}");
}
