//! The bench of kernels as a WebAssembly module without imports: who loads it has the clock.
#![allow(unsafe_code, reason = "exports by name")]

use std::cell::RefCell;

mod bench_body;

use bench_body::Bench;

const KINDS: [&str; 11] = [
    "a4", "a8", "model", "layers", "rowwise", "round", "copy", "fma", "read", "nearest", "a6",
];

thread_local! {
    static BENCH: RefCell<Option<Bench>> = const { RefCell::new(None) };
}

/// Prepares work of a kind by its number in the list of kinds; 1 when there is such a kind.
#[unsafe(no_mangle)]
pub extern "C" fn prepare(kind: usize, rows: usize, cols: usize, tokens: usize) -> i32 {
    BENCH.set(None);
    let bench = KINDS
        .get(kind)
        .and_then(|kind| Bench::new(kind, rows, cols, tokens));
    let is_there = bench.is_some();
    BENCH.set(bench);
    i32::from(is_there)
}

/// Runs parts of the prepared work, one after the other.
#[unsafe(no_mangle)]
pub extern "C" fn run(times: usize) -> f32 {
    BENCH.with_borrow_mut(|bench| bench.as_mut().map_or(f32::NAN, |bench| bench.run(times)))
}

/// Runs that make the whole of the prepared work.
#[unsafe(no_mangle)]
pub extern "C" fn parts() -> usize {
    BENCH.with_borrow(|bench| bench.as_ref().map_or(0, |bench| bench.parts))
}

/// The largest error, as a share of the one that is published.
#[unsafe(no_mangle)]
pub extern "C" fn worst() -> f64 {
    bench_body::worst_error()
}

/// Bytes of the whole.
#[unsafe(no_mangle)]
pub extern "C" fn bytes() -> f64 {
    BENCH.with_borrow(|bench| bench.as_ref().map_or(f64::NAN, |bench| bench.bytes))
}

/// Operations of the whole.
#[unsafe(no_mangle)]
pub extern "C" fn flops() -> f64 {
    BENCH.with_borrow(|bench| bench.as_ref().map_or(f64::NAN, |bench| bench.flops))
}
