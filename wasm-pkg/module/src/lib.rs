//! The WebAssembly module: all of [`namelens_wasm`], which is compiled for size.
//!
//! The crate that is linked decides how the whole is optimised at the end, and at a level for size no loop is vectorised then, of
//! whichever crate it is. So this one is compiled for speed, and holds nothing.

// For its exports, which wasm-bindgen finds.
use namelens_wasm as _;
