//! Ranks that MPI started (`mpirun -n 2 namelens grpo ...`): sums and messages through the host, over whatever MPI has between them.

use anyhow::{Context, Result, bail, ensure};
use mpi::collective::{CommunicatorCollectives, Root, SystemOperation};
use mpi::datatype::PartitionMut;
use mpi::environment::Universe;
use mpi::topology::{Communicator, SimpleCommunicator};

use crate::ranks::Ranks;

/// Values that are summed in one call: counts of MPI are 32 bits wide.
const AT_ONCE: usize = 1 << 24;

/// The processes of an MPI job. MPI ends when this is dropped.
pub struct Mpi {
    world: SimpleCommunicator,
    _universe: Universe,
}

impl std::fmt::Debug for Mpi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mpi({} of {})", self.world.rank(), self.world.size())
    }
}

impl Mpi {
    /// Joins the job; without `mpirun` it is a job of one process.
    ///
    /// # Errors
    /// When MPI is running in this process already.
    pub fn join() -> Result<Self> {
        let universe = mpi::initialize().context("MPI was started in this process before")?;
        Ok(Self {
            world: universe.world(),
            _universe: universe,
        })
    }

    /// Ends all processes of the job: after an error the others would wait for this one for ever.
    pub fn abort(&self) -> ! {
        self.world.abort(1)
    }
}

impl Ranks for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    // To one rank and back, not `all_reduce_into`: MPI does not promise that every rank adds up in the same order.
    fn sum(&self, values: &mut [f32]) -> Result<()> {
        let leader = self.world.process_at_rank(0);
        let mut sums = Vec::new();
        for part in values.chunks_mut(AT_ONCE) {
            if self.rank() == 0 {
                sums.clear();
                sums.resize(part.len(), 0.0);
                leader.reduce_into_root(part, &mut sums[..], SystemOperation::sum());
                part.copy_from_slice(&sums);
            } else {
                leader.reduce_into(part, SystemOperation::sum());
            }
            leader.broadcast_into(part);
        }
        Ok(())
    }

    fn gather(&self, own: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        let count = i32::try_from(own.len()).context("a message of 2 GB and more")?;
        let mut counts = vec![0i32; self.size()];
        self.world.all_gather_into(&count, &mut counts[..]);
        let mut starts = Vec::with_capacity(counts.len());
        let mut total = 0i32;
        for count in &counts {
            starts.push(total);
            match total.checked_add(*count) {
                Some(sum) => total = sum,
                None => bail!("messages of all ranks are 2 GB and more"),
            }
        }
        ensure!(counts[self.rank()] == count, "MPI mixed up its ranks");
        let mut all = vec![0u8; total as usize];
        let mut parts = PartitionMut::new(&mut all[..], counts.clone(), &starts[..]);
        self.world.all_gather_varcount_into(&own[..], &mut parts);
        let of = |(start, count): (&i32, &i32)| all[*start as usize..][..*count as usize].to_vec();
        Ok(starts.iter().zip(&counts).map(of).collect())
    }
}
