//! The processes that were started together: those of MPI where this build has it, else a refusal to train twice.

use anyhow::{Result, ensure};
use namelens::ranks::{Alone, Ranks};

/// What launchers tell each process of a job: how many there are.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Does `work` as one of the processes that `mpirun` started, or alone. Where it fails on one rank, all are ended, for they would
/// wait for it.
///
/// # Errors
/// That of the work, or when several were started and this build has no MPI.
pub(super) fn among(work: impl FnOnce(&dyn Ranks) -> Result<()>) -> Result<()> {
    let size = started(&|name| std::env::var(name).ok());
    if size <= 1 {
        return work(&Alone);
    }
    among_several(size, work)
}

#[cfg(feature = "mpi")]
fn among_several(_size: usize, work: impl FnOnce(&dyn Ranks) -> Result<()>) -> Result<()> {
    let ranks = namelens::mpi::Mpi::join()?;
    let done = work(&ranks);
    if let Err(error) = &done {
        anstream::eprintln!("error: rank {}: {error:#}", ranks.rank());
        ranks.abort();
    }
    done
}

#[cfg(not(feature = "mpi"))]
fn among_several(size: usize, work: impl FnOnce(&dyn Ranks) -> Result<()>) -> Result<()> {
    drop(work);
    anyhow::bail!(
        "{size} processes were started, but this build knows no MPI: build it with `--features mpi`"
    )
}

/// Refuses where several processes were started for what one does.
///
/// # Errors
/// When there are several.
pub(super) fn only_one(command: &str) -> Result<()> {
    let size = started(&|name| std::env::var(name).ok());
    ensure!(
        size <= 1,
        "{size} processes were started, but `namelens {command}` runs in one"
    );
    Ok(())
}

/// How many processes the launcher says there are.
fn started(variable: &dyn Fn(&str) -> Option<String>) -> usize {
    let sizes = SIZES.iter().filter_map(|name| variable(name));
    let sizes = sizes.filter_map(|text| text.trim().parse().ok());
    sizes.max().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launchers_say_how_many_there_are() {
        assert_eq!(started(&|_| None), 1);
        let of = |name: &'static str, text: &'static str| {
            started(&move |asked| (asked == name).then(|| text.to_owned()))
        };
        assert_eq!(of("OMPI_COMM_WORLD_SIZE", "2"), 2);
        assert_eq!(of("PMI_SIZE", " 4 "), 4);
        assert_eq!(of("PMI_SIZE", "many"), 1);
    }
}
