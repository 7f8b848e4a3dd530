//! The engine's plan of a model's files, for whoever fetches them; see [`namelens_engine::personalize::FilePlan`].

use js_sys::Array;
use namelens_engine::personalize::{self, Choice};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::to_js;
use crate::value::{from_value, to_value};

/// Says step by step which files of a repository are a model.
#[wasm_bindgen(js_name = FilePlan)]
#[derive(Debug)]
pub struct JsFilePlan {
    plan: personalize::FilePlan,
}

#[wasm_bindgen(js_class = FilePlan)]
impl JsFilePlan {
    /// A plan over the paths of all files, or over a repository that must be asked for each.
    #[wasm_bindgen(constructor)]
    pub fn new(listing: Option<Vec<String>>, choice: JsValue) -> Result<Self, JsValue> {
        let choice: Choice = from_value("model", &choice)?;
        Ok(Self {
            plan: personalize::FilePlan::new(listing, choice),
        })
    }

    /// `{ step: "find", names }`, `{ step: "read", name }` or `{ step: "take", texts, weights }`.
    #[wasm_bindgen(js_name = next)]
    pub fn next_step(&self) -> Result<JsValue, JsValue> {
        to_value(&self.plan.next().map_err(|e| to_js(&e))?)
    }

    /// Says whether a file is there.
    pub fn told(&mut self, name: &str, there: bool) {
        self.plan.told(name, there);
    }

    /// Hands over a file that was to be read.
    pub fn read(&mut self, name: &str, bytes: &[u8]) -> Result<(), JsValue> {
        self.plan.read(name, bytes).map_err(|e| to_js(&e))
    }
}

/// A model's folder among paths: `[its name, the name in there or null for each path]`.
#[wasm_bindgen(js_name = modelFolder)]
pub fn model_folder(paths: Vec<String>) -> Result<Array, JsValue> {
    let (name, names) = personalize::model_folder(&paths).map_err(|e| to_js(&e))?;
    let names: Array = names
        .into_iter()
        .map(|name| name.map_or(JsValue::NULL, JsValue::from))
        .collect();
    Ok(Array::of2(&name.into(), &names))
}
