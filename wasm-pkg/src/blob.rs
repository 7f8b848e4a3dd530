//! A `Blob` or `File` as a weight file: read range by range where it lies, so that it is never whole in memory.

use std::cell::RefCell;
use std::collections::HashMap;

use js_sys::Uint8Array;
use namelens_engine::weights::ByteSource;
use namelens_engine::{Error, Result};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Blob, DomException, FileReaderSync};

/// Bytes that the browser copies at a time; more would only be a second copy of a large tensor.
const CHUNK: usize = 8 << 20;

thread_local! {
    /// The blobs of the sources of this worker. A source must be `Send`, which a handle of JavaScript is not;
    /// a number is.
    static BLOBS: RefCell<Blobs> = RefCell::default();
}

#[derive(Default)]
struct Blobs {
    next: u64,
    open: HashMap<u64, Blob>,
    reader: Option<FileReaderSync>,
}

/// The bytes of one `Blob`, through the synchronous reader that only workers have.
#[derive(Debug)]
pub(crate) struct BlobSource {
    file: String,
    /// Of the blob when it was opened; a file that changes later cannot be read any more.
    len: u64,
    id: u64,
}

impl BlobSource {
    /// Opens `blob`; `file` names it in errors. The blob is let go of with the source.
    pub(crate) fn new(file: &str, blob: Blob) -> Self {
        let len = blob.size() as u64;
        let id = BLOBS.with_borrow_mut(|blobs| {
            blobs.next += 1;
            blobs.open.insert(blobs.next, blob);
            blobs.next
        });
        Self {
            file: file.into(),
            len,
            id,
        }
    }

    fn fail(&self, problem: String) -> Error {
        Error::File {
            file: self.file.clone(),
            problem,
        }
    }

    /// The error of a read that the browser refused.
    fn refused(&self, thrown: &JsValue) -> Error {
        let exception = thrown.dyn_ref::<DomException>();
        let name = exception.map_or_else(String::new, DomException::name);
        self.fail(match name.as_str() {
            "NotReadableError" | "NotFoundError" => {
                "was changed, moved or locked after it was chosen; choose it again".into()
            }
            "NotAllowedError" | "SecurityError" => {
                "may not be read any more; choose it again".into()
            }
            _ => format!("the browser cannot read it ({name}); choose it again"),
        })
    }
}

impl ByteSource for BlobSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(self.fail(format!(
                "{} bytes from byte {offset} on were asked for but it has {}; take the file whole",
                out.len(),
                self.len
            )));
        }
        BLOBS.with_borrow_mut(|blobs| {
            if blobs.reader.is_none() {
                let reader = FileReaderSync::new().map_err(|_| {
                    self.fail("can only be read in a worker; do not pass `worker: false`".into())
                })?;
                blobs.reader = Some(reader);
            }
            let (Some(blob), Some(reader)) = (blobs.open.get(&self.id), &blobs.reader) else {
                return Err(self.fail("belongs to another worker".into()));
            };
            for (index, chunk) in out.chunks_mut(CHUNK).enumerate() {
                // Below 2^53, as every length of a blob: exact in an f64.
                let from = offset + (index * CHUNK) as u64;
                let to = from + chunk.len() as u64;
                let part = blob
                    .slice_with_f64_and_f64(from as f64, to as f64)
                    .and_then(|part| reader.read_as_array_buffer(&part))
                    .map_err(|thrown| self.refused(&thrown))?;
                let bytes = Uint8Array::new(&part);
                if bytes.length() as usize != chunk.len() {
                    return Err(self.fail(format!(
                        "ends before byte {to}; it was cut off after it was chosen, choose it again"
                    )));
                }
                bytes.copy_to(chunk);
            }
            Ok(())
        })
    }
}

impl Drop for BlobSource {
    fn drop(&mut self) {
        BLOBS.with_borrow_mut(|blobs| blobs.open.remove(&self.id));
    }
}
