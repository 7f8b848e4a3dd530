//! What the class does with concepts; every change is whole or not at all.

use std::sync::Arc;

use js_sys::{Array, Map, Math, Uint8Array};
use namelens_engine::Error;
use namelens_engine::concepts::{
    ConceptFile, ConceptPatch, GivenPhoto, Library, NewConcept, bundle,
};
use namelens_engine::host::Still;
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::concepts::{Texts, from_stored, references, summary, to_stored};
use crate::engine::{JsResult, NameLensEngine, from_value};
use crate::error::to_js;
use crate::value::to_value;

#[wasm_bindgen]
impl NameLensEngine {
    /// Adds a concept; its photos must be readable.
    #[wasm_bindgen(js_name = addConcept)]
    pub async fn add_concept(&mut self, input: JsValue, now_ms: f64) -> JsResult<JsValue> {
        let texts: Texts = from_value(&input)?;
        let new = NewConcept {
            // A thing may be renamed and its name given to another one: an id that is like no name stays unmistakable.
            id: Some(fresh_id()),
            name: texts.name.unwrap_or_default(),
            aliases: texts.aliases.unwrap_or_default(),
            category: texts.category.unwrap_or_default(),
            info: texts.info.unwrap_or_default(),
            references: references(&input, "photos")?,
        };
        let add = |library: &mut Library| library.add(new, now_ms as u64);
        let id = self.engine.edit_library(&Still, add).await;
        self.stored(&id.map_err(|e| to_js(&e))?)
    }

    /// Changes the texts of a concept and adds photos to it.
    #[wasm_bindgen(js_name = updateConcept)]
    pub async fn update_concept(
        &mut self,
        id: String,
        patch: JsValue,
        now_ms: f64,
    ) -> JsResult<JsValue> {
        let texts: Texts = from_value(&patch)?;
        let added = references(&patch, "addPhotos")?;
        let change = ConceptPatch {
            name: texts.name,
            aliases: texts.aliases,
            category: texts.category,
            info: texts.info,
        };
        let now = now_ms as u64;
        let edit = |library: &mut Library| {
            library.edit(&id, change, now)?;
            let mut added = added.into_iter();
            added.try_for_each(|photo| library.add_reference(&id, photo, now))
        };
        let edited = self.engine.edit_library(&Still, edit).await;
        edited.map_err(|e| to_js(&e))?;
        self.stored(&id)
    }

    /// Removes a concept.
    #[wasm_bindgen(js_name = removeConcept)]
    pub fn remove_concept(&mut self, id: &str) -> JsResult<()> {
        let removed = self.engine.library.delete(id);
        removed.map(drop).map_err(|e| to_js(&e))
    }

    /// All concepts, without their photos.
    #[wasm_bindgen(js_name = listConcepts)]
    pub fn list_concepts(&self) -> JsResult<Array> {
        self.engine.library.list().map(summary).collect()
    }

    /// Puts stored concepts back; those that cannot be are reported, not fatal.
    pub async fn restore(&mut self, stored: Array) -> JsResult<JsValue> {
        let mut problems = Vec::new();
        let mut concepts = Vec::new();
        for value in stored.iter() {
            match from_stored(&value) {
                Ok(concept) => concepts.push(concept),
                Err(_) => problems.push(json!({
                    "code": "concept",
                    "message": "a stored concept has an unknown form; remove it or import it again",
                })),
            }
        }
        let restored = self.engine.restore(concepts, &Still).await;
        problems.extend(restored.problems.iter().map(problem));
        to_value(&json!({ "restored": restored.count, "problems": problems }))
    }

    /// Names of the given files that a file of concepts needs; `path` is its own among them, if it has one.
    #[wasm_bindgen(js_name = photosOfBundle)]
    pub fn photos_of_bundle(
        &self,
        bytes: &[u8],
        path: Option<String>,
        given: Vec<String>,
    ) -> JsResult<Vec<String>> {
        let file = ConceptFile::parse(bytes).map_err(|e| to_js(&e))?;
        let names: Vec<&str> = given.iter().map(String::as_str).collect();
        let needed = file.needs(&names, path.as_deref());
        Ok(needed.into_iter().map(|at| given[at].clone()).collect())
    }

    /// Imports our bundle or a RAP/RePIC `database.json` with its photos by name. Of a database what cannot be used is
    /// reported, and the rest imported.
    #[wasm_bindgen(js_name = importBundle)]
    pub async fn import_bundle(
        &mut self,
        bytes: &[u8],
        path: Option<String>,
        photos: Map,
        now_ms: f64,
    ) -> JsResult<JsValue> {
        let file = ConceptFile::parse(bytes).map_err(|e| to_js(&e))?;
        let given = given_photos(&photos);
        let import = self
            .engine
            .import_file(file, &given, path.as_deref(), now_ms as u64, &Still);
        let imported = import.await.map_err(|e| to_js(&e))?;
        let renamed: Vec<_> = imported
            .renamed
            .iter()
            .map(|(from, to)| json!({ "from": from, "to": to }))
            .collect();
        let problems: Vec<_> = imported.problems.iter().map(problem).collect();
        let result = to_value(&json!({ "renamed": renamed, "problems": problems }))?;
        let concepts: JsResult<Array> = imported.added.iter().map(|id| self.stored(id)).collect();
        let concepts = JsValue::from(concepts?);
        js_sys::Reflect::set(&result, &"concepts".into(), &concepts)?;
        Ok(result)
    }

    /// The concepts (or those with these ids) as a bundle.
    #[wasm_bindgen(js_name = exportBundle)]
    pub fn export_bundle(&self, ids: Option<Vec<String>>) -> JsResult<Vec<u8>> {
        let Some(ids) = ids else {
            return bundle::export(&self.engine.library).map_err(|e| to_js(&e));
        };
        let mut part = Library::default();
        for id in ids {
            let concept = self.engine.library.get(&id).cloned();
            let concept = concept.ok_or_else(|| missing(&id))?;
            part.restore(concept).map_err(|e| to_js(&e))?;
        }
        bundle::export(&part).map_err(|e| to_js(&e))
    }
}

impl NameLensEngine {
    fn stored(&self, id: &str) -> JsResult<JsValue> {
        to_stored(self.engine.library.get(id).ok_or_else(|| missing(id))?)
    }
}

/// 52 random bits, which only have to differ from those of the few other things of a library.
fn fresh_id() -> String {
    let bits = (Math::random() * (1u64 << 52) as f64) as u64;
    format!("{bits:013x}")
}

fn missing(id: &str) -> JsValue {
    to_js(&Error::Concept {
        concept: id.into(),
        problem: "there is no such concept".into(),
    })
}

fn problem(error: &Error) -> serde_json::Value {
    json!({ "code": error.code(), "message": error.to_string() })
}

fn given_photos(photos: &Map) -> Vec<GivenPhoto> {
    let mut out = Vec::new();
    photos.for_each(&mut |bytes, path| {
        if let (Some(path), Some(bytes)) = (path.as_string(), bytes.dyn_ref::<Uint8Array>()) {
            out.push((path, Arc::from(bytes.to_vec())));
        }
    });
    out
}
