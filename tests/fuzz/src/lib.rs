//! What every fuzz target shares: a bound on memory, and ways to cut one input into several.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator with a note of what is held and the most that ever was.
struct Counted;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn grown(bytes: usize) {
    let held = HELD.fetch_add(bytes, Relaxed) + bytes;
    MOST.fetch_max(held, Relaxed);
}

// SAFETY: every call goes to the system's allocator unchanged; the counters do not touch memory it hands out.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // For a moment both may be held.
        grown(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

/// Runs `work` and holds it to `limit` bytes of memory at a time beyond what was held before.
///
/// # Panics
/// When it took more; that is a finding.
pub fn within(limit: usize, work: impl FnOnce()) {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    work();
    let most = MOST.load(Relaxed).saturating_sub(before);
    assert!(
        most <= limit,
        "{most} bytes were held at once, {limit} are allowed"
    );
}

/// An input as a text and what follows its first zero byte, which no text file has. `None` when it is not UTF-8.
pub fn text_and_rest(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|&byte| byte == 0);
    let (text, rest) = data.split_at(end.unwrap_or(data.len()));
    Some((
        std::str::from_utf8(text).ok()?,
        rest.get(1..).unwrap_or_default(),
    ))
}
