//! Threads of a browser: workers with this very module over the same memory, which take pieces of the engine's work.
//!
//! The standard library of this target knows no threads, so these are none of Rust's: a helper runs nothing but pieces of work, and what
//! orders memory between it and the caller is JavaScript's `Atomics` (`npm/src/threads.ts`), which wait, count and lock. Whoever takes a
//! piece has read the count that the caller wrote after all the rest; the caller goes on when it has read that all are done.
#![allow(
    unsafe_code,
    reason = "a reference crosses to other threads, and is gone from there before the call that lends it returns"
)]

use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use namelens_engine::threads::{self, Pool};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{fault, shared};

#[wasm_bindgen]
extern "C" {
    /// Offers so many pieces.
    #[wasm_bindgen(js_namespace = namelensThreads)]
    fn publish(pieces: u32);

    /// Takes a piece: how many were left with it, 0 where none was.
    #[wasm_bindgen(js_namespace = namelensThreads)]
    fn take() -> u32;

    /// Waits until helpers have done so many pieces; whether all went well.
    #[wasm_bindgen(js_namespace = namelensThreads)]
    fn join(pieces: u32) -> bool;
}

/// Numbers of 32 bits that JavaScript counts with, far enough apart that no two share a cache line.
const WORDS: usize = 96;

#[repr(align(64))]
struct Words(UnsafeCell<[i32; WORDS]>);

// SAFETY: only JavaScript's `Atomics` read and write it.
unsafe impl Sync for Words {}

static COUNTERS: Words = Words(UnsafeCell::new([0; WORDS]));

/// What is to be done with a piece's number.
type Work<'a> = &'a (dyn Fn(usize) + Sync);

struct Job(UnsafeCell<Option<Work<'static>>>);

// SAFETY: written by the caller while no piece is on offer, read by whoever has taken one.
unsafe impl Sync for Job {}

static JOB: Job = Job(UnsafeCell::new(None));
/// Pieces of the job.
static PIECES: AtomicUsize = AtomicUsize::new(0);

struct Workers {
    threads: usize,
}

impl Pool for Workers {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, pieces: usize, work: Work<'_>) {
        let count = u32::try_from(pieces).unwrap_or(u32::MAX);
        let is_one = pieces < 2 || count as usize != pieces;
        if is_one || shared::is_on() {
            return (0..pieces).for_each(work);
        }
        // SAFETY: nobody has a piece, so nobody reads it; and nobody calls it after `join` below, before which this does not return.
        unsafe { *JOB.0.get() = Some(std::mem::transmute::<Work<'_>, Work<'static>>(work)) };
        PIECES.store(pieces, Ordering::Relaxed);
        shared::set(true);
        publish(count);
        let mut own = 0;
        loop {
            let left = take() as usize;
            if left == 0 {
                break;
            }
            work(pieces - left);
            own += 1;
        }
        let went_well = join(count - own);
        shared::set(false);
        if !went_well && fault::is_noted() {
            // The helper noted why; a panic here would speak over it.
            core::arch::wasm32::unreachable();
        }
        assert!(
            went_well,
            "a thread of the engine ended in the middle of its work"
        );
    }
}

/// The address of the numbers that JavaScript counts with.
#[wasm_bindgen(js_name = threadCounters)]
pub fn counters() -> usize {
    COUNTERS.0.get() as usize
}

/// Has work shared out among so many threads from now on, the caller's among them.
#[wasm_bindgen(js_name = lendThreads)]
pub fn lend(threads: usize) {
    static WORKERS: OnceLock<Workers> = OnceLock::new();
    threads::lend(WORKERS.get_or_init(|| Workers { threads }));
}

/// Does the piece that was taken when so many were left: all that a helper ever calls.
#[wasm_bindgen(js_name = doPiece)]
pub fn piece(left: usize) {
    // SAFETY: a piece was taken, so the caller waits, and wrote it before it offered any.
    let work = unsafe { *JOB.0.get() };
    if let Some(work) = work {
        work(PIECES.load(Ordering::Relaxed) - left);
    }
}
