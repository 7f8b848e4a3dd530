//! The scalars, strings, arrays and table rows of a GGUF header, never allocated past what the file holds.

use super::{Array, ByteSource, Value};
use crate::{Error, Result};

/// One string; a tokenizer's vocabulary is an array of strings, so this bounds templates and licences.
const MAX_STRING: u64 = 1 << 20;
/// ggml's own limit.
const MAX_DIMS: u32 = 4;
/// Arrays of arrays exist in the format but in no file we know.
const MAX_NESTING: u32 = 4;
/// Bytes fetched from the source at a time.
const WINDOW: usize = 64 << 10;

/// One row of the tensor table as stored: offset from the data section, dimensions innermost first.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) ne: Vec<u64>,
    pub(super) code: u32,
    pub(super) offset: u64,
}

/// A forward reader over a [`ByteSource`] that knows how much of the file is left.
pub(super) struct Reader<'a> {
    file: &'a str,
    source: &'a dyn ByteSource,
    pos: u64,
    window: Vec<u8>,
    window_at: u64,
}

impl<'a> Reader<'a> {
    /// A reader of `source` from `pos` on; `file` names it in errors.
    pub(super) fn new(file: &'a str, source: &'a dyn ByteSource, pos: u64) -> Self {
        Self {
            file,
            source,
            pos,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// Offset of the next byte.
    pub(super) fn pos(&self) -> u64 {
        self.pos
    }

    pub(super) fn fail(&self, problem: String) -> Error {
        Error::Weights {
            file: self.file.into(),
            place: format!("byte {}", self.pos),
            problem,
        }
    }

    fn remaining(&self) -> u64 {
        self.source.len().saturating_sub(self.pos)
    }

    /// Fails unless `bytes` more exist, so that nothing is allocated for a length the file cannot hold.
    fn need(&self, bytes: u64) -> Result<()> {
        if bytes <= self.remaining() {
            return Ok(());
        }
        Err(self.fail(format!(
            "the header needs {bytes} more bytes but {} are left; was the download cut off?",
            self.remaining()
        )))
    }

    /// A count of things that take at least `min_bytes` each.
    pub(super) fn count(&mut self, what: &str, most: u64, min_bytes: u64) -> Result<u64> {
        let count = self.u64()?;
        if count > most {
            return Err(self.fail(format!("{count} {what}, more than the {most} allowed")));
        }
        self.need(count.saturating_mul(min_bytes))?;
        Ok(count)
    }

    fn fill(&mut self, out: &mut [u8]) -> Result<()> {
        self.need(out.len() as u64)?;
        let start = self.pos.wrapping_sub(self.window_at);
        if let Ok(start) = usize::try_from(start)
            && let Some(bytes) = start
                .checked_add(out.len())
                .and_then(|end| self.window.get(start..end))
        {
            out.copy_from_slice(bytes);
        } else if out.len() >= WINDOW {
            self.source.read_at(self.pos, out)?;
        } else {
            // Both are at most WINDOW, which fits a usize.
            self.window
                .resize(self.remaining().min(WINDOW as u64) as usize, 0);
            self.window_at = self.pos;
            self.source.read_at(self.pos, &mut self.window)?;
            out.copy_from_slice(&self.window[..out.len()]);
        }
        self.pos += out.len() as u64;
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        self.fill(&mut out)?;
        Ok(out)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn bool(&mut self) -> Result<bool> {
        match self.bytes()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(self.fail(format!("{other} is not a boolean"))),
        }
    }

    pub(super) fn string(&mut self) -> Result<String> {
        let len = self.u64()?;
        if len > MAX_STRING {
            return Err(self.fail(format!(
                "a string of {len} bytes, more than the {MAX_STRING} allowed"
            )));
        }
        self.need(len)?;
        // At most MAX_STRING.
        let mut bytes = vec![0; len as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.fail("a string is not UTF-8".into()))
    }

    pub(super) fn tensor(&mut self) -> Result<Row> {
        let name = self.string()?;
        let n_dims = self.u32()?;
        if n_dims > MAX_DIMS {
            return Err(self.fail(format!(
                "`{name}` has {n_dims} dimensions, more than {MAX_DIMS}"
            )));
        }
        let ne = (0..n_dims).map(|_| self.u64()).collect::<Result<_>>()?;
        Ok(Row {
            name,
            ne,
            code: self.u32()?,
            offset: self.u64()?,
        })
    }

    pub(super) fn value(&mut self, code: u32) -> Result<Value> {
        Ok(match code {
            0 => Value::U8(self.bytes().map(u8::from_le_bytes)?),
            1 => Value::I8(self.bytes().map(i8::from_le_bytes)?),
            2 => Value::U16(self.bytes().map(u16::from_le_bytes)?),
            3 => Value::I16(self.bytes().map(i16::from_le_bytes)?),
            4 => Value::U32(self.u32()?),
            5 => Value::I32(self.bytes().map(i32::from_le_bytes)?),
            6 => Value::F32(self.bytes().map(f32::from_le_bytes)?),
            7 => Value::Bool(self.bool()?),
            8 => Value::String(self.string()?),
            9 => Value::Array(self.array(0)?),
            10 => Value::U64(self.u64()?),
            11 => Value::I64(self.bytes().map(i64::from_le_bytes)?),
            12 => Value::F64(self.bytes().map(f64::from_le_bytes)?),
            _ => return Err(self.fail(format!("unknown value type {code}"))),
        })
    }

    fn array(&mut self, nesting: u32) -> Result<Array> {
        if nesting >= MAX_NESTING {
            return Err(self.fail(format!("arrays nested more than {MAX_NESTING} deep")));
        }
        let code = self.u32()?;
        Ok(match code {
            0 => Array::U8(self.items(1, |r| r.bytes().map(u8::from_le_bytes))?),
            1 => Array::I8(self.items(1, |r| r.bytes().map(i8::from_le_bytes))?),
            2 => Array::U16(self.items(2, |r| r.bytes().map(u16::from_le_bytes))?),
            3 => Array::I16(self.items(2, |r| r.bytes().map(i16::from_le_bytes))?),
            4 => Array::U32(self.items(4, Self::u32)?),
            5 => Array::I32(self.items(4, |r| r.bytes().map(i32::from_le_bytes))?),
            6 => Array::F32(self.items(4, |r| r.bytes().map(f32::from_le_bytes))?),
            7 => Array::Bool(self.items(1, Self::bool)?),
            8 => Array::String(self.items(8, Self::string)?),
            9 => Array::Array(self.items(12, |r| r.array(nesting + 1))?),
            10 => Array::U64(self.items(8, Self::u64)?),
            11 => Array::I64(self.items(8, |r| r.bytes().map(i64::from_le_bytes))?),
            12 => Array::F64(self.items(8, |r| r.bytes().map(f64::from_le_bytes))?),
            _ => return Err(self.fail(format!("unknown array element type {code}"))),
        })
    }

    fn items<T>(
        &mut self,
        min_bytes: u64,
        mut item: impl FnMut(&mut Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let len = self.count("array elements", u64::MAX, min_bytes)?;
        // `count` proved that the file is at least this long, so it fits what memory could hold of it.
        (0..len).map(|_| item(self)).collect()
    }
}
