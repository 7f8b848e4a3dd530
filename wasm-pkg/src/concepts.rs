//! Concepts between the engine's records and the plain objects the package stores in IndexedDB.

use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array};
use namelens_engine::concepts::{Concept, Reference};
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::bad_input;

/// The fields of a new or changed concept that are plain values.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Texts {
    pub(crate) name: Option<String>,
    pub(crate) aliases: Option<Vec<String>>,
    pub(crate) category: Option<String>,
    pub(crate) info: Option<String>,
}

/// The texts and times of a stored concept.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    id: String,
    #[serde(default = "first_version")]
    version: u32,
    name: String,
    #[serde(default)]
    aliases: Vec<String>,
    #[serde(default)]
    category: String,
    #[serde(default)]
    info: String,
    #[serde(default)]
    created_ms: f64,
    #[serde(default)]
    updated_ms: f64,
}

fn first_version() -> u32 {
    1
}

/// What a list of concepts shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary<'a> {
    id: &'a str,
    name: &'a str,
    aliases: &'a [String],
    category: &'a str,
    info: &'a str,
    photos: usize,
    created_ms: f64,
    updated_ms: f64,
}

impl<'a> From<&'a Concept> for Summary<'a> {
    fn from(concept: &'a Concept) -> Self {
        Self {
            id: &concept.id,
            name: &concept.name,
            aliases: &concept.aliases,
            category: &concept.category,
            info: &concept.info,
            photos: concept.references.len(),
            created_ms: concept.created_ms as f64,
            updated_ms: concept.updated_ms as f64,
        }
    }
}

/// The stored form of a concept.
pub(crate) fn to_stored(concept: &Concept) -> Result<JsValue, JsValue> {
    let header = Header {
        id: concept.id.clone(),
        version: first_version(),
        name: concept.name.clone(),
        aliases: concept.aliases.clone(),
        category: concept.category.clone(),
        info: concept.info.clone(),
        created_ms: concept.created_ms as f64,
        updated_ms: concept.updated_ms as f64,
    };
    let object = serde_wasm_bindgen::to_value(&header).map_err(|e| bad_input("concept", e))?;
    let photos = Array::new();
    for reference in &concept.references {
        let flat: Vec<f32> = reference.embeddings.concat();
        let photo = Object::new();
        Reflect::set(
            &photo,
            &"bytes".into(),
            &Uint8Array::from(&*reference.photo),
        )?;
        Reflect::set(&photo, &"embedding".into(), &Float32Array::from(&*flat))?;
        Reflect::set(
            &photo,
            &"encoder".into(),
            &reference.encoder.as_str().into(),
        )?;
        photos.push(&photo);
    }
    Reflect::set(&object, &"photos".into(), &photos)?;
    Ok(object)
}

/// The record of a stored concept.
pub(crate) fn from_stored(value: &JsValue) -> Result<Concept, JsValue> {
    let header: Header = serde_wasm_bindgen::from_value(value.clone())
        .map_err(|e| bad_input("stored concept", e))?;
    let mut references = Vec::new();
    for photo in photo_list(value, "photos")?.iter() {
        let bytes = Reflect::get(&photo, &"bytes".into())?;
        let mut reference = Reference::new(to_bytes(&bytes)?);
        let embedding = Reflect::get(&photo, &"embedding".into())?;
        if let Some(values) = embedding
            .dyn_ref::<Float32Array>()
            .filter(|v| v.length() > 0)
        {
            reference.embeddings = vec![values.to_vec()];
            reference.encoder = Reflect::get(&photo, &"encoder".into())?
                .as_string()
                .unwrap_or_default();
        }
        references.push(reference);
    }
    Ok(Concept {
        id: header.id,
        name: header.name,
        aliases: header.aliases,
        category: header.category,
        info: header.info,
        references,
        created_ms: header.created_ms as u64,
        updated_ms: header.updated_ms as u64,
    })
}

/// The photos under `key`, as references no encoder has seen.
pub(crate) fn references(value: &JsValue, key: &str) -> Result<Vec<Reference>, JsValue> {
    photo_list(value, key)?
        .iter()
        .map(|photo| Ok(Reference::new(to_bytes(&photo)?)))
        .collect()
}

fn photo_list(value: &JsValue, key: &str) -> Result<Array, JsValue> {
    let list = Reflect::get(value, &key.into())?;
    Ok(list.dyn_into::<Array>().unwrap_or_default())
}

fn to_bytes(value: &JsValue) -> Result<Vec<u8>, JsValue> {
    value
        .dyn_ref::<Uint8Array>()
        .map(Uint8Array::to_vec)
        .ok_or_else(|| bad_input("photos", "each must be a Uint8Array"))
}
