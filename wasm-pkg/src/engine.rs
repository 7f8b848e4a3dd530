//! `NameLensEngine`: the class the package's worker drives.

use std::cell::RefCell;
use std::collections::HashMap;

use burn::tensor::Device;
use burn::tensor::wgpu::WgpuBackend;
use js_sys::{Array, Function, Map, Uint8Array};
use namelens_engine::Error;
use namelens_engine::concepts::{ConceptPatch, Library, NewConcept, OnCollision, bundle, rap};
use namelens_engine::host::Still;
use namelens_engine::image::decode;
use namelens_engine::personalize::{Engine, Event, Request};
use serde::Serialize;
use serde_json::json;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::concepts::{Summary, Texts, from_stored, references, to_stored};
use crate::error::{bad_input, to_js};
use crate::fault;
use crate::files::open_files;
use crate::host::{CancelFlag, Worker};
use crate::value::{self, to_value};

type JsResult<T> = Result<T, JsValue>;

/// A model with its concepts.
#[wasm_bindgen]
pub struct NameLensEngine {
    pub(crate) engine: Engine,
    name: String,
    knows: String,
    device: String,
    bytes: u64,
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
    /// ranges as its tensors are needed, or a `Uint8Array`. `precision` is `stored` or `q8_0`.
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
        })
    }

    /// What was loaded.
    #[wasm_bindgen(js_name = modelInfo)]
    pub fn model_info(&self) -> JsResult<JsValue> {
        to_value(&json!({
            "name": self.name,
            "family": self.engine.family(),
            "parameters": self.engine.parameters(),
            "bytes": self.bytes,
            "contextLength": self.engine.context_length(),
            "imageSide": self.engine.image_side(),
            "generation": self.engine.generation_report(),
            "device": self.device,
            "knows": self.knows,
        }))
    }

    /// Adds a concept; its photos must be readable.
    #[wasm_bindgen(js_name = addConcept)]
    pub async fn add_concept(&mut self, input: JsValue, now_ms: f64) -> JsResult<JsValue> {
        let texts: Texts = from_value(&input)?;
        let references = references(&input, "photos")?;
        for reference in &references {
            decode(&reference.photo).map_err(|e| to_js(&e))?;
        }
        let new = NewConcept {
            id: None,
            name: texts.name.unwrap_or_default(),
            aliases: texts.aliases.unwrap_or_default(),
            category: texts.category.unwrap_or_default(),
            info: texts.info.unwrap_or_default(),
            references,
        };
        let id = self
            .engine
            .library
            .add(new, now_ms as u64)
            .map_err(|e| to_js(&e))?;
        self.embed_or_undo(&[id.clone()]).await?;
        self.stored(&id)
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
        for reference in &added {
            decode(&reference.photo).map_err(|e| to_js(&e))?;
        }
        let change = ConceptPatch {
            name: texts.name,
            aliases: texts.aliases,
            category: texts.category,
            info: texts.info,
        };
        let now = now_ms as u64;
        // Edited on a copy (which shares the photos), so that a refused photo changes nothing.
        let mut next = self.engine.library.clone();
        next.edit(&id, change, now).map_err(|e| to_js(&e))?;
        for reference in added {
            next.add_reference(&id, reference, now)
                .map_err(|e| to_js(&e))?;
        }
        self.engine.library = next;
        self.engine
            .embed_references(&Still)
            .await
            .map_err(|e| to_js(&e))?;
        self.stored(&id)
    }

    /// Removes a concept.
    #[wasm_bindgen(js_name = removeConcept)]
    pub fn remove_concept(&mut self, id: &str) -> JsResult<()> {
        self.engine
            .library
            .delete(id)
            .map(|_| ())
            .map_err(|e| to_js(&e))
    }

    /// All concepts, without their photos.
    #[wasm_bindgen(js_name = listConcepts)]
    pub fn list_concepts(&self) -> JsResult<JsValue> {
        let list: Vec<Summary<'_>> = self.engine.library.list().map(Summary::from).collect();
        to_value(&list)
    }

    /// Puts stored concepts back; those that cannot be are reported, not fatal.
    pub async fn restore(&mut self, stored: Array) -> JsResult<JsValue> {
        let mut restored = 0;
        let mut problems = Vec::new();
        for value in stored.iter() {
            match from_stored(&value) {
                Ok(concept) => match self.engine.library.restore(concept) {
                    Ok(()) => restored += 1,
                    Err(error) => problems.push(problem(&error)),
                },
                Err(_) => problems.push(json!({
                    "code": "concept",
                    "message": "a stored concept has an unknown form; remove it or import it again",
                })),
            }
        }
        if let Err(error) = self.engine.embed_references(&Still).await {
            problems.push(problem(&error));
        }
        to_value(&json!({ "restored": restored, "problems": problems }))
    }

    /// Imports our bundle or a RAP/RePIC `database.json`; all of it or nothing.
    #[wasm_bindgen(js_name = importBundle)]
    pub async fn import_bundle(
        &mut self,
        bytes: &[u8],
        photos: Map,
        now_ms: f64,
    ) -> JsResult<Array> {
        let concepts = if is_database(bytes) {
            let photos: HashMap<String, Vec<u8>> = photo_map(&photos);
            let find = |path: &str| {
                let tail = |p: &str| p.rsplit('/').next().unwrap_or(p).to_owned();
                let by_name = || {
                    photos
                        .iter()
                        .find(|(known, _)| tail(known) == tail(path))
                        .map(|(_, b)| b)
                };
                photos.get(path).or_else(by_name).cloned()
            };
            rap::read(bytes, find, now_ms as u64)
        } else {
            bundle::read(bytes)
        }
        .map_err(|e| to_js(&e))?;
        let before = self.engine.library.clone();
        let report = self
            .engine
            .library
            .import(concepts, OnCollision::Rename)
            .map_err(|e| to_js(&e))?;
        if let Err(error) = self.engine.embed_references(&Still).await {
            self.engine.library = before;
            return Err(to_js(&error));
        }
        report
            .added
            .iter()
            .chain(&report.replaced)
            .map(|id| self.stored(id))
            .collect()
    }

    /// The concepts (or those with these ids) as a bundle.
    #[wasm_bindgen(js_name = exportBundle)]
    pub fn export_bundle(&self, ids: Option<Vec<String>>) -> JsResult<Vec<u8>> {
        let Some(ids) = ids else {
            return bundle::export(&self.engine.library).map_err(|e| to_js(&e));
        };
        let mut part = Library::default();
        for id in ids {
            let concept = self.engine.library.get(&id).cloned().ok_or_else(|| {
                to_js(&Error::Concept {
                    concept: id,
                    problem: "there is no such concept".into(),
                })
            })?;
            part.restore(concept).map_err(|e| to_js(&e))?;
        }
        bundle::export(&part).map_err(|e| to_js(&e))
    }

    /// Answers a request about a photo; `on_event` hears of progress and of the growing answer.
    pub async fn run(
        &mut self,
        request: JsValue,
        photo: Vec<u8>,
        on_event: Function,
        cancel: &CancelFlag,
    ) -> JsResult<JsValue> {
        let request: Request = from_value(&request)?;
        let host = Worker::new(cancel);
        let mut hear = |event: Event| report(&on_event, &event);
        let outcome = self
            .engine
            .run(&request, &photo, &host, &mut hear)
            .await
            .map_err(|e| to_js(&e))?;
        to_value(&outcome)
    }

    /// Bytes of the module's memory.
    #[wasm_bindgen(js_name = memoryBytes)]
    pub fn memory_bytes(&self) -> f64 {
        fault::held_bytes()
    }
}

impl NameLensEngine {
    fn stored(&self, id: &str) -> JsResult<JsValue> {
        let concept = self.engine.library.get(id).ok_or_else(|| {
            to_js(&Error::Concept {
                concept: id.into(),
                problem: "there is no such concept".into(),
            })
        })?;
        to_stored(concept)
    }

    /// Embeds new photos; when that fails the new concepts are taken back.
    async fn embed_or_undo(&mut self, added: &[String]) -> JsResult<()> {
        if let Err(error) = self.engine.embed_references(&Still).await {
            for id in added {
                // It was added a moment ago, so it is there to delete.
                let _ = self.engine.library.delete(id);
            }
            return Err(to_js(&error));
        }
        Ok(())
    }
}

thread_local! {
    /// The WebGPU device of this worker: burn registers one a module, so a second engine shares the first one's.
    static WEBGPU: RefCell<Option<Device>> = const { RefCell::new(None) };
}

async fn open(device: &str) -> JsResult<Device> {
    match device {
        "cpu" => Ok(Device::flex()),
        "webgpu" => {
            if let Some(device) = WEBGPU.with_borrow(Clone::clone) {
                return Ok(device);
            }
            let device = Device::wgpu_options()
                .graphics_api(WgpuBackend::WebGpu)
                .init_async()
                .await
                .map_err(|error| {
                    to_js(&Error::NoAdapter {
                        problem: format!("{error:?}; use device `cpu`"),
                    })
                })?;
            WEBGPU.set(Some(device.clone()));
            Ok(device)
        }
        other => Err(bad_input(
            "device",
            format!("`{other}` is neither `webgpu` nor `cpu`"),
        )),
    }
}

fn is_database(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Value>(bytes)
        .is_ok_and(|value| value.get("concept_dict").is_some())
}

fn photo_map(photos: &Map) -> HashMap<String, Vec<u8>> {
    let mut out = HashMap::new();
    photos.for_each(&mut |bytes, path| {
        if let (Some(path), Some(bytes)) = (path.as_string(), bytes.dyn_ref::<Uint8Array>()) {
            out.insert(path, bytes.to_vec());
        }
    });
    out
}

fn problem(error: &Error) -> serde_json::Value {
    json!({ "code": error.code(), "message": error.to_string() })
}

fn from_value<T: serde::de::DeserializeOwned>(value: &JsValue) -> JsResult<T> {
    value::from_value("request", value)
}

fn report<T: Serialize>(listener: &Function, value: &T) {
    if let Ok(value) = to_value(value) {
        // A listener that throws must not end the run.
        let _ = listener.call1(&JsValue::NULL, &value);
    }
}
