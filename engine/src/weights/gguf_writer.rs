//! Writes GGUF version 3: quantised models and vision projectors.

use std::io::Write;

use super::gguf::{self, ALIGNMENT_KEY, MAGIC};
use super::{Array, Dtype, Metadata, TensorData, Value, expected_bytes, write_failed};
use crate::{Error, Result};

/// A tensor announced in a header, its bytes still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// Name in the file.
    pub name: String,
    /// Row-major shape, outermost dimension first.
    pub shape: Vec<usize>,
    /// How the elements will be encoded.
    pub dtype: Dtype,
}

/// Writes a GGUF v3 file tensor by tensor, so that one at a time is in memory.
#[derive(Debug)]
pub struct GgufWriter<W> {
    out: W,
    alignment: u64,
    /// Name and bytes of the tensors that are still to come, the next one last.
    expected: Vec<(String, u64)>,
}

impl<W: Write> GgufWriter<W> {
    /// Writes the header: aligned to 32 bytes or to `general.alignment` if `metadata` has it, shapes reversed, as ggml
    /// wants them.
    ///
    /// # Errors
    /// When a shape is impossible in its type, a name repeats, a tensor has more than four dimensions, or `out` fails.
    pub fn begin(mut out: W, metadata: &Metadata, tensors: &[Announced]) -> Result<Self> {
        let alignment = gguf::alignment(metadata)
            .ok_or_else(|| refused(ALIGNMENT_KEY, "must be a power of two of at least 8"))?;
        let mut header = Vec::new();
        header.extend(MAGIC);
        header.extend(3u32.to_le_bytes());
        header.extend((tensors.len() as u64).to_le_bytes());
        header.extend((metadata.len() as u64).to_le_bytes());
        for (key, value) in metadata.iter() {
            put_string(&mut header, key);
            put_value(&mut header, value);
        }
        let mut names = std::collections::HashSet::new();
        let mut offset = 0u64;
        let mut expected = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let bytes = expected_bytes(&tensor.name, &tensor.shape, tensor.dtype)?;
            if !names.insert(tensor.name.as_str()) {
                return Err(refused(&tensor.name, "the name is used twice"));
            }
            if tensor.shape.len() > 4 {
                return Err(refused(&tensor.name, "GGUF holds at most four dimensions"));
            }
            put_string(&mut header, &tensor.name);
            header.extend((tensor.shape.len() as u32).to_le_bytes());
            for &dim in tensor.shape.iter().rev() {
                header.extend((dim as u64).to_le_bytes());
            }
            header.extend(gguf::type_code(tensor.dtype).to_le_bytes());
            header.extend(offset.to_le_bytes());
            offset = offset
                .checked_add(bytes)
                .and_then(|end| end.checked_next_multiple_of(alignment))
                .ok_or_else(|| refused(&tensor.name, "the file would be too large"))?;
            expected.push((tensor.name.clone(), bytes));
        }
        expected.reverse();
        write_padded(&mut out, &header, alignment)?;
        Ok(Self {
            out,
            alignment,
            expected,
        })
    }

    /// Writes the next tensor's bytes, as [`super::encode`] returns them; tensors come in the order announced.
    ///
    /// # Errors
    /// When it is not this tensor's turn, the bytes are not as many as announced, or the file cannot be written.
    pub fn tensor(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        match self.expected.pop() {
            Some((next, size)) if next == name && size == bytes.len() as u64 => {
                write_padded(&mut self.out, bytes, self.alignment)
            }
            next => {
                let problem = format!("{} bytes of it, where {next:?} was announced", bytes.len());
                Err(refused(name, &problem))
            }
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When an announced tensor did not come, or the file cannot be written.
    pub fn finish(mut self) -> Result<W> {
        if let Some((name, _)) = self.expected.last() {
            return Err(refused(name, "was announced and did not come"));
        }
        self.out.flush().map_err(|e| write_failed(&e))?;
        Ok(self.out)
    }
}

/// Writes a whole GGUF v3 file; see [`GgufWriter`].
///
/// # Errors
/// When a tensor's shape and bytes disagree, a name repeats, it has more than four dimensions, or
/// `out` fails.
pub fn write_gguf(
    out: &mut impl Write,
    metadata: &Metadata,
    tensors: &[TensorData<'_>],
) -> Result<()> {
    tensors.iter().try_for_each(TensorData::check)?;
    let announced: Vec<Announced> = tensors
        .iter()
        .map(|tensor| Announced {
            name: tensor.name.to_owned(),
            shape: tensor.shape.to_vec(),
            dtype: tensor.dtype,
        })
        .collect();
    let mut writer = GgufWriter::begin(out, metadata, &announced)?;
    tensors
        .iter()
        .try_for_each(|tensor| writer.tensor(tensor.name, tensor.bytes))?;
    writer.finish().map(|_| ())
}

fn write_padded(out: &mut impl Write, bytes: &[u8], alignment: u64) -> Result<()> {
    let len = bytes.len() as u64;
    let padding = len.next_multiple_of(alignment) - len;
    out.write_all(bytes)
        // `alignment` is at most 65,536, and the padding less.
        .and_then(|()| out.write_all(&vec![0; padding as usize]))
        .map_err(|e| write_failed(&e))
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    let mut tagged = |code: u32, bytes: &[u8]| {
        out.extend(code.to_le_bytes());
        out.extend(bytes);
    };
    match value {
        Value::U8(v) => tagged(0, &v.to_le_bytes()),
        Value::I8(v) => tagged(1, &v.to_le_bytes()),
        Value::U16(v) => tagged(2, &v.to_le_bytes()),
        Value::I16(v) => tagged(3, &v.to_le_bytes()),
        Value::U32(v) => tagged(4, &v.to_le_bytes()),
        Value::I32(v) => tagged(5, &v.to_le_bytes()),
        Value::F32(v) => tagged(6, &v.to_le_bytes()),
        Value::Bool(v) => tagged(7, &[u8::from(*v)]),
        Value::U64(v) => tagged(10, &v.to_le_bytes()),
        Value::I64(v) => tagged(11, &v.to_le_bytes()),
        Value::F64(v) => tagged(12, &v.to_le_bytes()),
        Value::String(v) => {
            tagged(8, &[]);
            put_string(out, v);
        }
        Value::Array(v) => {
            tagged(9, &[]);
            put_array(out, v);
        }
    }
}

fn put_array(out: &mut Vec<u8>, array: &Array) {
    fn head(out: &mut Vec<u8>, code: u32, len: usize) {
        out.extend(code.to_le_bytes());
        out.extend((len as u64).to_le_bytes());
    }
    /// An array of plain numbers.
    fn numbers<T: Copy, const N: usize>(
        out: &mut Vec<u8>,
        code: u32,
        items: &[T],
        bytes: fn(T) -> [u8; N],
    ) {
        head(out, code, items.len());
        out.extend(items.iter().flat_map(|v| bytes(*v)));
    }
    match array {
        Array::U8(v) => numbers(out, 0, v, u8::to_le_bytes),
        Array::I8(v) => numbers(out, 1, v, i8::to_le_bytes),
        Array::U16(v) => numbers(out, 2, v, u16::to_le_bytes),
        Array::I16(v) => numbers(out, 3, v, i16::to_le_bytes),
        Array::U32(v) => numbers(out, 4, v, u32::to_le_bytes),
        Array::I32(v) => numbers(out, 5, v, i32::to_le_bytes),
        Array::F32(v) => numbers(out, 6, v, f32::to_le_bytes),
        Array::Bool(v) => numbers(out, 7, v, |b| [u8::from(b)]),
        Array::U64(v) => numbers(out, 10, v, u64::to_le_bytes),
        Array::I64(v) => numbers(out, 11, v, i64::to_le_bytes),
        Array::F64(v) => numbers(out, 12, v, f64::to_le_bytes),
        Array::String(v) => {
            head(out, 8, v.len());
            v.iter().for_each(|s| put_string(out, s));
        }
        Array::Array(v) => {
            head(out, 9, v.len());
            v.iter().for_each(|a| put_array(out, a));
        }
    }
}

fn refused(place: &str, problem: &str) -> Error {
    Error::Weights {
        file: "output".into(),
        place: place.into(),
        problem: problem.into(),
    }
}
