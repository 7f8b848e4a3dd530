//! The worker as the engine's host: its clocks, its chance, its cancellations, its event loop.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use js_sys::{Date, Function, Math, Promise, Uint8Array};
use namelens_engine::host::{Host, LocalTime};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::MessageChannel;

/// Longest stretch of work between two returns to the event loop, milliseconds: far below what anybody notices of a cancellation. A return
/// costs a hundredth of a small model's token.
const MAX_STRETCH_MS: f64 = 24.0;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
}

/// A flag that long calls look at whenever they yield.
#[wasm_bindgen]
#[derive(Debug, Clone, Default)]
pub struct CancelFlag {
    raised: Rc<Cell<bool>>,
}

#[wasm_bindgen]
impl CancelFlag {
    /// A flag that is down.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag; the call it was given to fails with code `cancelled`.
    pub fn cancel(&self) {
        self.raised.set(true);
    }

    /// Whether it is up.
    #[wasm_bindgen(getter)]
    pub fn cancelled(&self) -> bool {
        self.raised.get()
    }
}

/// Where the page keeps what was expensive to compute: `get(name)` promises a `Uint8Array` or nothing, `put(name, bytes)` takes one.
#[derive(Debug, Clone)]
pub(crate) struct Keeping {
    pub(crate) get: Function,
    pub(crate) put: Function,
}

/// The host of one call.
pub(crate) struct Worker {
    cancel: CancelFlag,
    last_pause: Cell<f64>,
    channel: Option<MessageChannel>,
    keeping: Option<Keeping>,
}

impl Worker {
    pub(crate) fn new(cancel: &CancelFlag) -> Self {
        Self {
            cancel: cancel.clone(),
            last_pause: Cell::new(performance_now()),
            channel: MessageChannel::new().ok(),
            keeping: None,
        }
    }

    /// The same host with a place to keep things, if there is one.
    pub(crate) fn keeping(mut self, keeping: Option<Keeping>) -> Self {
        self.keeping = keeping;
        self
    }
}

impl Host for Worker {
    fn now_ms(&self) -> f64 {
        performance_now()
    }

    fn cancelled(&self) -> bool {
        self.cancel.cancelled()
    }

    fn random(&self) -> u64 {
        // A multiple of 2^-53 below 1.
        (Math::random() * (1u64 << 53) as f64) as u64
    }

    fn local_time(&self) -> Option<LocalTime> {
        let now = Date::new_0();
        // JavaScript counts how far UTC is ahead.
        let offset_minutes = -now.get_timezone_offset() as i32;
        Some(LocalTime::from_utc_ms(now.get_time(), offset_minutes))
    }

    fn pause(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let now = performance_now();
        if now - self.last_pause.get() < MAX_STRETCH_MS {
            return Box::pin(std::future::ready(()));
        }
        Box::pin(async {
            // A message to oneself is a task of its own: it queues behind a waiting cancellation,
            // and unlike a timer it is never delayed.
            if let Some(channel) = &self.channel {
                let turn = Promise::new(&mut |resolve, _| {
                    channel.port1().set_onmessage(Some(&resolve));
                    // Posting null cannot fail to be cloned.
                    let _ = channel.port2().post_message(&JsValue::NULL);
                });
                let _ = JsFuture::from(turn).await;
            }
            self.last_pause.set(performance_now());
        })
    }

    fn kept<'a>(&'a self, key: &'a str) -> Pin<Box<dyn Future<Output = Option<Vec<u8>>> + 'a>> {
        Box::pin(async move {
            let get = &self.keeping.as_ref()?.get;
            let promise = get.call1(&JsValue::NULL, &key.into()).ok()?;
            let found = JsFuture::from(Promise::resolve(&promise)).await.ok()?;
            found.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec)
        })
    }

    fn keep(&self, key: &str, bytes: Vec<u8>) {
        if let Some(Keeping { put, .. }) = &self.keeping {
            // Where it cannot be kept it is computed again.
            let _ = put.call2(&JsValue::NULL, &key.into(), &Uint8Array::from(&bytes[..]));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // An open port keeps the worker's loop alive.
        if let Some(channel) = &self.channel {
            channel.port1().close();
            channel.port2().close();
        }
    }
}
