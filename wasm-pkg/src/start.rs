//! What happens once, when the module is instantiated.
#![allow(
    unsafe_code,
    reason = "the linker's own function has no declaration to import; it takes and returns nothing"
)]

use std::sync::atomic::{AtomicBool, Ordering};

use wasm_bindgen::prelude::wasm_bindgen;

unsafe extern "C" {
    /// Runs what must happen before `main`: the linker makes it from the constructors of all crates.
    fn __wasm_call_ctors();
}

/// Runs the constructors. Where nothing calls them, the linker takes the module for a program of many small runs and has every
/// exported function call all of them: with the thousands of types that the GPU compiler registers that took a tenth of the time of
/// recognising something.
#[wasm_bindgen(start)]
fn start() {
    // In a helper's instance it is called again, over a memory in which all of that has happened.
    static STARTED: AtomicBool = AtomicBool::new(false);
    if !STARTED.swap(true, Ordering::Relaxed) {
        // SAFETY: it is called once, before anything else of this module.
        unsafe { __wasm_call_ctors() };
    }
}
