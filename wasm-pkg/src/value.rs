//! Plain JavaScript values to and from the engine's types.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::error::bad_input;

/// The value of the option `what`.
pub(crate) fn from_value<T: DeserializeOwned>(what: &str, value: &JsValue) -> Result<T, JsValue> {
    serde_wasm_bindgen::from_value(value.clone()).map_err(|e| bad_input(what, e))
}

/// Plain objects and nulls, as `JSON.parse` would make them.
pub(crate) fn to_value<T: Serialize>(value: &T) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|e| bad_input("result", e))
}
