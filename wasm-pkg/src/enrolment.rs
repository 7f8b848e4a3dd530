//! What the class tells of a photo before the thing in it is named.

use namelens_engine::host::Still;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::engine::{JsResult, NameLensEngine};
use crate::error::to_js;
use crate::value::{self, to_value};

#[wasm_bindgen]
impl NameLensEngine {
    /// Where the thing in a photo seems to be (`box`, unless it is given), what it looks like, and whether the photo will do:
    /// `{ box, words, warnings }`.
    pub async fn enrolment(&self, photo: Vec<u8>, box_: JsValue) -> JsResult<JsValue> {
        let box_: Option<[f32; 4]> = match box_.is_undefined() || box_.is_null() {
            true => None,
            false => Some(value::from_value("box", &box_)?),
        };
        let enrolment = self.engine.enrolment(&photo, box_, &Still).await;
        to_value(&enrolment.map_err(|e| to_js(&e))?)
    }
}
