//! The files of a model as the page hands them over: blobs that are read by ranges, or bytes.

use js_sys::{Array, Map};
use namelens_engine::personalize::ModelFiles;
use serde_json::json;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::to_js;
use crate::source::source;

/// Largest `model.json` that is read.
const MAX_CARD: u64 = 1 << 20;

/// The files of a model as the engine reads them, the model's card, and how many bytes all of them have.
pub(crate) fn open_files(files: &Map) -> Result<(ModelFiles, serde_json::Value, u64), JsValue> {
    let mut model = ModelFiles::default();
    let mut card = json!({});
    let mut bytes = 0;
    for entry in files.entries() {
        let entry: Array = entry?.unchecked_into();
        let name = entry.get(0).as_string().unwrap_or_default();
        let source = source(&name, entry.get(1))?;
        bytes += source.len();
        if name == "model.json" && source.len() <= MAX_CARD {
            let mut text = vec![0; source.len() as usize];
            source.read_at(0, &mut text).map_err(|e| to_js(&e))?;
            card = serde_json::from_slice(&text).unwrap_or_default();
        }
        model.insert(name, source);
    }
    Ok((model, card, bytes))
}
