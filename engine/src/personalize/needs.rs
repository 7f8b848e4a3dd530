//! The memory a model needs for a conversation, on each kind of device and in a page.

use serde::Serialize;

/// The memory of a WebAssembly program, bytes.
const WASM: u64 = 1 << 32;

/// Memory needed for a conversation of so many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// Tokens.
    pub context: usize,
    /// Keys and values of the conversation, bytes.
    pub cache: u64,
    /// Without a GPU: weights and cache, bytes.
    pub cpu: u64,
    /// On a GPU: weights and cache, bytes.
    pub gpu: u64,
    /// In the largest single buffer (`maxStorageBufferBindingSize`), bytes.
    pub binding: u64,
    /// In a page's program while it loads onto the CPU: files, weights and cache, bytes.
    pub page_cpu: u64,
    /// In a page's program while it loads onto the GPU: files, and one tensor on its way, bytes.
    pub page_gpu: u64,
    /// Whether a page's 4 GiB hold it without a GPU.
    pub fits_page_cpu: bool,
    /// Whether they do with one.
    pub fits_page_gpu: bool,
}

/// What of a model takes memory, bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weight {
    /// All files.
    pub(super) files: u64,
    /// The weights as they are in memory.
    pub(super) weights: u64,
    /// The largest single buffer of them.
    pub(super) largest: u64,
    /// Keys and values of one token.
    pub(super) cache_per_token: u64,
}

impl Needs {
    /// The memory a conversation of `context` tokens needs.
    pub(super) fn of(model: Weight, context: usize) -> Self {
        let cache = model.cache_per_token.saturating_mul(context as u64);
        let all = model.weights.saturating_add(cache);
        let binding = model.largest;
        let page_cpu = model.files.saturating_add(all);
        // The stored bytes and the expanded ones, both in the program before the GPU has them.
        let page_gpu = model.files.saturating_add(binding.saturating_mul(2));
        Self {
            context,
            cache,
            cpu: all,
            gpu: all,
            binding,
            page_cpu,
            page_gpu,
            fits_page_cpu: page_cpu <= WASM,
            fits_page_gpu: page_gpu <= WASM,
        }
    }
}
