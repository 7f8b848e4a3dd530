//! Concepts between the engine's records and the plain objects the package stores in IndexedDB.

use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array};
use namelens_engine::concepts::{Concept, ConceptTexts, Reference};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::bad_input;
use crate::value::to_value;

/// The fields of a new or changed concept that are plain values.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Texts {
    pub(crate) name: Option<String>,
    pub(crate) aliases: Option<Vec<String>>,
    pub(crate) category: Option<String>,
    pub(crate) info: Option<String>,
}

/// Of what form a stored concept is.
const VERSION: u32 = 1;

/// What a list of concepts shows.
pub(crate) fn summary(concept: &Concept) -> Result<JsValue, JsValue> {
    let object = texts(concept)?;
    let photos = concept.references.len() as u32;
    Reflect::set(&object, &"photos".into(), &photos.into())?;
    Ok(object)
}

fn texts(concept: &Concept) -> Result<JsValue, JsValue> {
    to_value(&ConceptTexts::from(concept))
}

/// The stored form of a concept.
pub(crate) fn to_stored(concept: &Concept) -> Result<JsValue, JsValue> {
    let object = texts(concept)?;
    Reflect::set(&object, &"version".into(), &VERSION.into())?;
    let photos = Array::new();
    for reference in &concept.references {
        let flat: Vec<f32> = reference.embeddings.concat();
        let photo = Object::new();
        Reflect::set(
            &photo,
            &"bytes".into(),
            &Uint8Array::from(&*reference.photo),
        )?;
        if let Some(box_) = reference.box_ {
            Reflect::set(&photo, &"box".into(), &to_value(&box_)?)?;
        }
        Reflect::set(&photo, &"embedding".into(), &Float32Array::from(&*flat))?;
        let dim = reference.embeddings.first().map_or(0, Vec::len) as u32;
        Reflect::set(&photo, &"dim".into(), &dim.into())?;
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
    let texts: ConceptTexts = serde_wasm_bindgen::from_value(value.clone())
        .map_err(|e| bad_input("stored concept", e))?;
    let mut references = Vec::new();
    for photo in photo_list(value, "photos")?.iter() {
        let bytes = Reflect::get(&photo, &"bytes".into())?;
        let mut reference = Reference::new(to_bytes(&bytes)?).with_box(box_of(&photo)?);
        let embedding = Reflect::get(&photo, &"embedding".into())?;
        if let Some(values) = embedding
            .dyn_ref::<Float32Array>()
            .filter(|v| v.length() > 0)
        {
            // Absent where an earlier version stored its one embedding.
            let dim = Reflect::get(&photo, &"dim".into())?.as_f64();
            let dim = dim.map_or(values.length() as usize, |dim| dim as usize);
            let values = values.to_vec();
            reference.embeddings = values.chunks(dim.max(1)).map(<[f32]>::to_vec).collect();
            reference.encoder = Reflect::get(&photo, &"encoder".into())?
                .as_string()
                .unwrap_or_default();
        }
        references.push(reference);
    }
    Ok(texts.with(references))
}

/// The photos under `key`, each `{ bytes, box? }`, as references no encoder has seen.
pub(crate) fn references(value: &JsValue, key: &str) -> Result<Vec<Reference>, JsValue> {
    photo_list(value, key)?
        .iter()
        .map(|photo| {
            let bytes = to_bytes(&Reflect::get(&photo, &"bytes".into())?)?;
            Ok(Reference::new(bytes).with_box(box_of(&photo)?))
        })
        .collect()
}

/// Where in its photo a thing is, if somebody said.
fn box_of(photo: &JsValue) -> Result<Option<[f32; 4]>, JsValue> {
    let box_ = Reflect::get(photo, &"box".into())?;
    if box_.is_undefined() || box_.is_null() {
        return Ok(None);
    }
    serde_wasm_bindgen::from_value(box_).map(Some).map_err(|_| {
        let wanted = "must be four numbers: left, top, right and bottom, from 0 to 1";
        bad_input("box", wanted)
    })
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
