//! Work shared out among threads: those that the host lends, as in a browser, where Rust has none; natively rayon's; else the caller.
//!
//! Every piece of work writes what is its own and is done alike on any thread, so that results do not depend on how many there are.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Threads that a host lends to the loops of the CPU backend.
pub trait Pool: Sync {
    /// How many work at once, the caller's among them.
    fn threads(&self) -> usize;

    /// Calls `work` once with each of `0..pieces`, in any order and on any thread, and returns when all calls have returned.
    ///
    /// Called within a piece of work it may do everything itself. A piece that panics must not be passed over: results are written
    /// into memory that holds nothing yet, so it is checked that all pieces were done.
    fn run(&self, pieces: usize, work: &(dyn Fn(usize) + Sync));
}

static LENT: OnceLock<&'static dyn Pool> = OnceLock::new();

/// Has all work shared out among the threads of `pool` from now on; whether it is the first that is lent, for others are not taken.
pub fn lend(pool: &'static dyn Pool) -> bool {
    LENT.set(pool).is_ok()
}

/// How many threads work at once.
pub fn count() -> usize {
    match LENT.get() {
        Some(pool) => pool.threads(),
        #[cfg(feature = "rayon")]
        None => rayon::current_num_threads(),
        #[cfg(not(feature = "rayon"))]
        None => 1,
    }
}

/// Whether threads wait for work without sleep, so that to hand one a piece takes less than a microsecond. Rayon's need ten.
pub(crate) fn are_awake() -> bool {
    LENT.get().is_some_and(|pool| pool.threads() > 1)
}

/// Whether so many numbers are worth more threads than one, each of which should have `share` of them.
pub(crate) fn is_worth(numbers: usize, share: usize) -> bool {
    numbers > share && count() > 1
}

/// A piece of work, with what only who takes it writes: where a host lends threads that Rust does not know, as in a browser, sums of
/// several would lose some.
struct Piece<W> {
    work: Mutex<Option<W>>,
    done: AtomicBool,
}

impl<W> Piece<W> {
    fn new(work: W) -> Self {
        Self {
            work: Mutex::new(Some(work)),
            done: AtomicBool::new(false),
        }
    }

    fn take(&self) -> Option<W> {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work.take()
    }
}

/// Does `act` with each piece of work.
///
/// # Panics
/// When the lent pool did not do all pieces: what they were to write is not there.
pub(crate) fn each<W: Send>(work: Vec<W>, act: impl Fn(W) + Sync) {
    if let Some(pool) = LENT.get() {
        let pieces: Vec<Piece<W>> = work.into_iter().map(Piece::new).collect();
        pool.run(pieces.len(), &|at| {
            if let Some(work) = pieces[at].take() {
                act(work);
                pieces[at].done.store(true, Ordering::Release);
            }
        });
        let done = pieces
            .iter()
            .filter(|piece| piece.done.load(Ordering::Acquire));
        assert_eq!(done.count(), pieces.len(), "pieces that the pool did");
        return;
    }
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        work.into_par_iter().for_each(&act);
    }
    #[cfg(not(feature = "rayon"))]
    work.into_iter().for_each(act);
}

/// Rows for each thread, so that all have about as many and none fewer than `least`.
pub(crate) fn share_of(rows: usize, least: usize) -> usize {
    let most = count().min(rows / least.max(1)).max(1);
    let fits = |shares: &usize| {
        let before = rows.div_ceil(*shares) * (shares - 1);
        rows.checked_sub(before).is_some_and(|last| last >= least)
    };
    let shares = (1..=most).rev().find(fits).unwrap_or(1);
    rows.div_ceil(shares).max(1)
}
