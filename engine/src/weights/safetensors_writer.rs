//! Writes safetensors files: adapters and full-precision checkpoints.

use std::io::Write;

use serde_json::{Map, json};

use super::{TensorData, write_failed};
use crate::{Error, Result};

/// Writes a whole safetensors file; `metadata` becomes `__metadata__`.
///
/// Tensors are laid out widest type first, then by name, as the reference writer does, so that each
/// starts at a multiple of its element size.
///
/// # Errors
/// When a tensor's shape and bytes disagree, its type is a GGUF block type, a name repeats, or
/// `out` fails.
pub fn write_safetensors(
    out: &mut impl Write,
    metadata: &[(&str, &str)],
    tensors: &[TensorData<'_>],
) -> Result<()> {
    let mut ordered: Vec<_> = tensors.iter().collect();
    ordered.sort_by_key(|t| (std::cmp::Reverse(t.dtype.block_bytes()), t.name));

    let mut header = Map::new();
    if !metadata.is_empty() {
        let strings: Map<_, _> = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), json!(v)))
            .collect();
        header.insert("__metadata__".into(), strings.into());
    }
    let mut offset = 0u64;
    for tensor in &ordered {
        tensor.check()?;
        if !tensor.dtype.is_float() {
            return Err(refused(
                tensor.name,
                format!("{} exists only in GGUF", tensor.dtype),
            ));
        }
        let end = offset + tensor.bytes.len() as u64;
        let entry = json!({
            "dtype": tensor.dtype.to_string(),
            "shape": tensor.shape,
            "data_offsets": [offset, end],
        });
        if header.insert(tensor.name.into(), entry).is_some() {
            return Err(refused(
                tensor.name,
                "the name is used twice or reserved".into(),
            ));
        }
        offset = end;
    }

    let mut json = serde_json::Value::Object(header).to_string().into_bytes();
    // The data starts 8-aligned; the format pads with spaces.
    json.resize(json.len().next_multiple_of(8), b' ');
    let mut write = |bytes: &[u8]| out.write_all(bytes).map_err(|e| write_failed(&e));
    write(&(json.len() as u64).to_le_bytes())?;
    write(&json)?;
    ordered.iter().try_for_each(|tensor| write(tensor.bytes))?;
    // What a buffer still holds is only written when it is dropped, which tells nobody of a full disk.
    out.flush().map_err(|e| write_failed(&e))
}

fn refused(name: &str, problem: String) -> Error {
    Error::Weights {
        file: "output".into(),
        place: name.into(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full, as a buffer in front of it learns at the end.
    struct Full;

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
    }

    #[test]
    fn a_disk_that_is_full_at_the_end_is_told() {
        assert!(write_safetensors(&mut Full, &[], &[]).is_err());
    }
}
