//! LoRA adapters of the engine as JavaScript manages them.

use js_sys::Uint8Array;
use namelens_engine::weights::{ByteSource, SliceSource};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use crate::blob::BlobSource;
use crate::engine::NameLensEngine;
use crate::error::{bad_input, to_js};

#[wasm_bindgen]
impl NameLensEngine {
    /// Names of the adapters, those of the model's folder first.
    pub fn adapters(&self) -> Vec<String> {
        self.engine.adapters().to_vec()
    }

    /// The adapter in use.
    #[wasm_bindgen(js_name = activeAdapter)]
    pub fn active_adapter(&self) -> Option<String> {
        self.engine.active_adapter().map(str::to_owned)
    }

    /// Adds an adapter: the text of its `adapter_config.json`, and its `adapter_model.safetensors`.
    #[wasm_bindgen(js_name = addAdapter)]
    pub fn add_adapter(
        &mut self,
        name: &str,
        config: &str,
        weights: JsValue,
    ) -> Result<(), JsValue> {
        let weights = source(name, weights)?;
        self.engine
            .add_adapter(name, config, weights)
            .map_err(|e| to_js(&e))
    }

    /// Answers with this adapter from now on, or with none.
    #[wasm_bindgen(js_name = useAdapter)]
    pub fn use_adapter(&mut self, name: Option<String>) -> Result<(), JsValue> {
        self.engine
            .use_adapter(name.as_deref())
            .map_err(|e| to_js(&e))
    }

    /// Lets go of an adapter.
    #[wasm_bindgen(js_name = removeAdapter)]
    pub fn remove_adapter(&mut self, name: &str) -> Result<(), JsValue> {
        self.engine.remove_adapter(name).map_err(|e| to_js(&e))
    }
}

/// A file as JavaScript gives it: a `Blob`, which is read by ranges, or bytes. `name` names it in errors.
pub(crate) fn source(name: &str, file: JsValue) -> Result<Box<dyn ByteSource>, JsValue> {
    match file.dyn_into::<Blob>() {
        Ok(blob) => Ok(Box::new(BlobSource::new(name, blob))),
        Err(other) => {
            let bytes = other
                .dyn_into::<Uint8Array>()
                .map_err(|_| bad_input("files", "each must be a Blob or a Uint8Array"))?;
            Ok(Box::new(SliceSource::from(bytes.to_vec())))
        }
    }
}
