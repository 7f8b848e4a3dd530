//! SHA-256 of a file that comes in pieces; the browser's own only takes a whole file in memory.

use sha2::{Digest, Sha256};
use wasm_bindgen::prelude::wasm_bindgen;

/// A digest under way.
#[wasm_bindgen(js_name = Sha256)]
#[derive(Debug, Clone, Default)]
pub struct StreamDigest {
    state: Sha256,
}

#[wasm_bindgen(js_class = Sha256)]
impl StreamDigest {
    /// The digest of nothing yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
    }

    /// The digest as 64 hexadecimal digits; the object is used up.
    pub fn finish(self) -> String {
        let digest = self.state.finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
