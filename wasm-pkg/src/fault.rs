//! What the module notes of its own end: a trap tells JavaScript nothing but "unreachable".
//!
//! Both notes are plain numbers and bytes in static memory, so they can be read after a trap, when nothing else may be called.
#![allow(
    unsafe_code,
    reason = "an allocator is an unsafe trait; every call is handed to the system's with its own arguments"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasm_bindgen::prelude::wasm_bindgen;

/// Bytes of the last allocation that was refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);
/// What the last panic said.
static PANIC: Mutex<String> = Mutex::new(String::new());

/// The system's allocator, watched: Rust ends the program where an allocation is refused, without a word that reaches JavaScript.
struct Watched;

fn noted(pointer: *mut u8, bytes: usize) -> *mut u8 {
    if pointer.is_null() {
        REFUSED.store(bytes, Ordering::Relaxed);
    }
    pointer
}

// SAFETY: the system's allocator does all the work, and what it returns is returned.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        #[cfg(feature = "threads")]
        let _turn = crate::shared::turn();
        // SAFETY: the caller keeps the contract.
        noted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        #[cfg(feature = "threads")]
        let _turn = crate::shared::turn();
        // SAFETY: the caller keeps the contract.
        noted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        #[cfg(feature = "threads")]
        let _turn = crate::shared::turn();
        // SAFETY: the caller keeps the contract.
        noted(unsafe { System.realloc(pointer, layout, size) }, size)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        #[cfg(feature = "threads")]
        let _turn = crate::shared::turn();
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Notes panics from now on, and prints them to the console with their stack.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            // The first one: what follows in other threads only says that there was one.
            if let Ok(mut note) = PANIC.try_lock()
                && note.is_empty()
            {
                *note = panic.to_string();
            }
            console_error_panic_hook::hook(panic);
        }));
    });
}

/// Whether anything was noted.
#[cfg(feature = "threads")]
pub(crate) fn is_noted() -> bool {
    let panicked = PANIC.try_lock().is_ok_and(|note| !note.is_empty());
    panicked || REFUSED.load(Ordering::Relaxed) > 0
}

/// Bytes of the last allocation that was refused; 0 when none was.
#[wasm_bindgen(js_name = refusedBytes)]
pub fn refused_bytes() -> f64 {
    REFUSED.load(Ordering::Relaxed) as f64
}

/// What the last panic said, with its place.
#[wasm_bindgen(js_name = panicMessage)]
pub fn panic_message() -> Option<String> {
    let note = PANIC.try_lock().ok()?;
    (!note.is_empty()).then(|| note.clone())
}

/// Bytes of the module's memory.
#[wasm_bindgen(js_name = heldBytes)]
pub fn held_bytes() -> f64 {
    let pages = core::arch::wasm32::memory_size(0);
    pages as f64 * 65_536.0
}

/// Forgets both notes: an allocation that was refused may have been none that mattered.
#[wasm_bindgen(js_name = forgetFaults)]
pub fn forget_faults() {
    REFUSED.store(0, Ordering::Relaxed);
    if let Ok(mut note) = PANIC.try_lock() {
        note.clear();
    }
}
