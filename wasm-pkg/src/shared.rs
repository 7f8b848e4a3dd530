//! Whether other threads work over this memory just now, and whose turn the allocator is then: the system's is made for one thread.

use std::sync::atomic::{AtomicBool, Ordering};

use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen]
extern "C" {
    /// Waits for the one lock, and takes it.
    #[wasm_bindgen(js_namespace = namelensThreads)]
    fn lock();

    /// Gives it back.
    #[wasm_bindgen(js_namespace = namelensThreads)]
    fn unlock();
}

/// Whether pieces of work are on offer. Only the caller writes it, while no helper is in a piece.
static SHARED: AtomicBool = AtomicBool::new(false);

/// Whether they do.
pub(crate) fn is_on() -> bool {
    SHARED.load(Ordering::Relaxed)
}

/// Says that they begin, or that they have ended.
pub(crate) fn set(on: bool) {
    SHARED.store(on, Ordering::Relaxed);
}

/// The allocator's turn: the system's is made for one thread.
pub(crate) struct Turn(bool);

/// Waits for it where other threads work.
pub(crate) fn turn() -> Turn {
    let shared = is_on();
    if shared {
        lock();
    }
    Turn(shared)
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.0 {
            unlock();
        }
    }
}
