//! A file as JavaScript gives it, as a source of bytes.

use js_sys::Uint8Array;
use namelens_engine::weights::{ByteSource, SliceSource};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Blob;

use crate::blob::BlobSource;
use crate::error::bad_input;

/// A file as JavaScript gives it: a `Blob`, which is read by ranges, or bytes. `name` names it in errors.
pub(crate) fn source(name: &str, file: JsValue) -> Result<Box<dyn ByteSource>, JsValue> {
    match file.dyn_into::<Blob>() {
        Ok(blob) => Ok(Box::new(BlobSource::new(name, blob))),
        Err(other) => {
            let bytes = other
                .dyn_into::<Uint8Array>()
                .map_err(|_| bad_input("files", "each must be a Blob or a Uint8Array"))?;
            Ok(Box::new(SliceSource::from(bytes.to_vec())))
        }
    }
}
