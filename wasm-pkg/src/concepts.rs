//! Concepts between the engine's records and the plain objects the package stores in IndexedDB.

use js_sys::{Array, Float32Array, Object, Reflect, Uint8Array};
use namelens_engine::concepts::{Concept, ConceptTexts, Embedded, Reference};
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
    let none = Embedded {
        encoder: String::new(),
        embeddings: Vec::new(),
    };
    for reference in &concept.references {
        let photo = Object::new();
        Reflect::set(
            &photo,
            &"bytes".into(),
            &Uint8Array::from(&*reference.photo),
        )?;
        if let Some(box_) = reference.box_ {
            Reflect::set(&photo, &"box".into(), &to_value(&box_)?)?;
        }
        // The first encoder's beside the photo, as all versions have it, those of others in a list.
        let mut embedded = reference.embedded.iter();
        set_embedded(&photo, embedded.next().unwrap_or(&none))?;
        let others = Array::new();
        for other in embedded {
            let object = Object::new();
            set_embedded(&object, other)?;
            others.push(&object);
        }
        if others.length() > 0 {
            Reflect::set(&photo, &"others".into(), &others)?;
        }
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
        reference.embedded.extend(embedded_of(&photo)?);
        for other in photo_list(&photo, "others")?.iter() {
            reference.embedded.extend(embedded_of(&other)?);
        }
        references.push(reference);
    }
    Ok(texts.with(references))
}

/// Writes what one encoder made of a photo.
fn set_embedded(object: &Object, embedded: &Embedded) -> Result<(), JsValue> {
    let flat: Vec<f32> = embedded.embeddings.concat();
    Reflect::set(object, &"embedding".into(), &Float32Array::from(&*flat))?;
    let dim = embedded.embeddings.first().map_or(0, Vec::len) as u32;
    Reflect::set(object, &"dim".into(), &dim.into())?;
    Reflect::set(object, &"encoder".into(), &embedded.encoder.as_str().into())?;
    Ok(())
}

/// What one encoder made of a photo; `None` where no encoder is named and nothing is there.
fn embedded_of(object: &JsValue) -> Result<Option<Embedded>, JsValue> {
    let embedding = Reflect::get(object, &"embedding".into())?;
    let values = embedding.dyn_ref::<Float32Array>();
    let values = values.map(Float32Array::to_vec).unwrap_or_default();
    let encoder = Reflect::get(object, &"encoder".into())?
        .as_string()
        .unwrap_or_default();
    if encoder.is_empty() && values.is_empty() {
        return Ok(None);
    }
    // Absent where an earlier version stored its one embedding.
    let dim = Reflect::get(object, &"dim".into())?.as_f64();
    let dim = dim.map_or(values.len(), |dim| dim as usize);
    Ok(Some(Embedded {
        encoder,
        embeddings: values.chunks(dim.max(1)).map(<[f32]>::to_vec).collect(),
    }))
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
