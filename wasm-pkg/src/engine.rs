//! `NameLensEngine`: the class the package's worker drives.

use burn::tensor::Device;
use js_sys::{Function, Map};
use namelens_engine::personalize::{Captioner, Engine, Event, Request};
use serde::Serialize;
use serde_json::json;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::{bad_input, to_js};
use crate::fault;
use crate::files::open_files;
use crate::host::{CancelFlag, Keeping, Worker};
use crate::value::{self, to_value};

pub(crate) type JsResult<T> = Result<T, JsValue>;

/// A model with its concepts.
#[wasm_bindgen]
pub struct NameLensEngine {
    pub(crate) engine: Engine,
    name: String,
    knows: String,
    device: String,
    bytes: u64,
    keeping: Option<Keeping>,
}

impl std::fmt::Debug for NameLensEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NameLensEngine")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[wasm_bindgen]
impl NameLensEngine {
    /// Loads a model, given as its files by name, onto `webgpu` or `cpu`. A file is a `Blob`, which is read by
    /// ranges as its tensors are needed, or a `Uint8Array`. `precision` is `stored`, `q8_0`, `q4_1` or `q4_0`.
    pub async fn create(
        device: String,
        files: Map,
        on_progress: Function,
        cancel: &CancelFlag,
        precision: JsValue,
    ) -> JsResult<NameLensEngine> {
        fault::watch();
        let precision = value::from_value("precision", &precision)?;
        let host = Worker::new(cancel);
        // First of all: when it fails, the page tries another device with the same files.
        let burn_device = open(&device).await?;
        let (model, card, bytes) = open_files(&files)?;
        // The copies in the page are not needed any more.
        files.clear();
        let mut progress = |done: usize, total: usize| {
            report(
                &on_progress,
                &json!({ "stage": "model", "done": done, "total": total }),
            );
        };
        let engine = Engine::load_as(model, precision, &burn_device, &host, &mut progress)
            .await
            .map_err(|e| to_js(&e))?;
        let text = |key: &str, otherwise: &str| {
            card.get(key)
                .and_then(|v| v.as_str())
                .unwrap_or(otherwise)
                .to_owned()
        };
        Ok(NameLensEngine {
            engine,
            name: text("name", "unnamed model"),
            knows: text("knows", ""),
            device,
            bytes,
            keeping: None,
        })
    }

    /// Keeps what is computed of reference photos: `get(name)` promises a `Uint8Array` or nothing, `put(name, bytes)` takes one. A
    /// name begins with the first 32 hexadecimal digits of its photo's SHA-256.
    #[wasm_bindgen(js_name = keepIn)]
    pub fn keep_in(&mut self, get: Function, put: Function) {
        self.keeping = Some(Keeping { get, put });
    }

    /// What was loaded.
    #[wasm_bindgen(js_name = modelInfo)]
    pub fn model_info(&self) -> JsResult<JsValue> {
        let captioner = self.engine.captioner();
        to_value(&json!({
            "name": self.name,
            "captions": captioner.is_some(),
            "seesPhotos": captioner.is_none_or(Captioner::sees_photos),
            "family": captioner.map_or("", Captioner::family),
            "parameters": captioner.map_or(0, Captioner::parameters),
            "bytes": self.bytes,
            "contextLength": captioner.map_or(0, Captioner::context_length),
            "imageSide": captioner.and_then(Captioner::image_side),
            "generation": captioner.map_or_else(Vec::new, Captioner::generation_report),
            "device": self.device,
            "knows": self.knows,
        }))
    }

    /// Answers a request about a photo, or a question about none; `on_event` hears of progress and of the growing answer.
    pub async fn run(
        &mut self,
        request: JsValue,
        photo: Option<Vec<u8>>,
        on_event: Function,
        cancel: &CancelFlag,
    ) -> JsResult<JsValue> {
        let request: Request = from_value(&request)?;
        let host = Worker::new(cancel).keeping(self.keeping.clone());
        let mut hear = |event: Event| report(&on_event, &event);
        let engine = &mut self.engine;
        let outcome = match photo {
            Some(photo) => engine.run(&request, &photo, &host, &mut hear).await,
            None => engine.reply(&request, &host, &mut hear).await,
        };
        let outcome = outcome.map_err(|e| to_js(&e))?;
        to_value(&outcome)
    }

    /// Bytes of the module's memory.
    #[wasm_bindgen(js_name = memoryBytes)]
    pub fn memory_bytes(&self) -> f64 {
        fault::held_bytes()
    }
}

async fn open(device: &str) -> JsResult<Device> {
    match device {
        #[cfg(feature = "cpu")]
        "cpu" => Ok(Device::flex()),
        #[cfg(not(feature = "cpu"))]
        "cpu" => Err(bad_input(
            "device",
            "this module is for WebGPU alone; load the one for processors",
        )),
        #[cfg(feature = "webgpu")]
        "webgpu" => crate::webgpu::open().await,
        #[cfg(not(feature = "webgpu"))]
        "webgpu" => Err(to_js(&namelens_engine::Error::NoAdapter {
            problem:
                "this module was built without WebGPU; load the one with it, or use device `cpu`"
                    .into(),
        })),
        other => Err(bad_input(
            "device",
            format!("`{other}` is neither `webgpu` nor `cpu`"),
        )),
    }
}

pub(crate) fn from_value<T: serde::de::DeserializeOwned>(value: &JsValue) -> JsResult<T> {
    value::from_value("request", value)
}

fn report<T: Serialize>(listener: &Function, value: &T) {
    if let Ok(value) = to_value(value) {
        // A listener that throws must not end the run.
        let _ = listener.call1(&JsValue::NULL, &value);
    }
}
