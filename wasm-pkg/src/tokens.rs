//! Counting the tokens of a request, for whoever wants to know before it runs.

use namelens_engine::personalize::Request;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::NameLensEngine;
use crate::error::to_js;
use crate::host::{CancelFlag, Worker};
use crate::value::{from_value, to_value};

#[wasm_bindgen]
impl NameLensEngine {
    /// `{ prompt, visual, limit }` of a request about a photo, or of a question about none, in tokens.
    #[wasm_bindgen(js_name = countTokens)]
    pub async fn count_tokens(
        &self,
        request: JsValue,
        photo: Option<Vec<u8>>,
        cancel: &CancelFlag,
    ) -> Result<JsValue, JsValue> {
        let request: Request = from_value("request", &request)?;
        let host = Worker::new(cancel);
        let count = self
            .engine
            .count_tokens(&request, photo.as_deref(), &host)
            .await
            .map_err(|e| to_js(&e))?;
        to_value(&count)
    }
}
