//! Engine errors as JavaScript errors with a stable `code`.

use namelens_engine::Error;
use wasm_bindgen::JsValue;

/// An `Error` object with `code` and the engine's message.
pub(crate) fn to_js(error: &Error) -> JsValue {
    coded(error.code(), &error.to_string())
}

/// An `Error` object with `code`.
pub(crate) fn coded(code: &str, message: &str) -> JsValue {
    let object = js_sys::Error::new(message);
    // Setting a property of a fresh Error object cannot fail.
    let _ = js_sys::Reflect::set(&object, &"code".into(), &code.into());
    object.into()
}

/// A value of the page that does not have the agreed form.
pub(crate) fn bad_input(what: &str, error: impl std::fmt::Display) -> JsValue {
    coded("option", &format!("option `{what}`: {error}"))
}
