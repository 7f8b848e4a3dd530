//! LoRA adapters of the engine as JavaScript manages them.

use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::NameLensEngine;
use crate::error::to_js;
use crate::source::source;

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
