//! The safetensors header: an 8-byte length, then JSON that must describe every byte that follows.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::header::{Header, MAX_TENSORS, TensorInfo};
use super::{ByteSource, Dtype, Metadata, Value};
use crate::{Error, Result};

/// The reference implementation's own cap on the JSON.
const MAX_HEADER: u64 = 100_000_000;
/// More dimensions than any weight tensor has.
const MAX_DIMS: usize = 8;

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The JSON object in file order, duplicates kept so that they can be refused.
#[derive(Default)]
struct Table {
    metadata: BTreeMap<String, String>,
    entries: Vec<(String, Entry)>,
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TableVisitor;
        impl<'de> Visitor<'de> for TableVisitor {
            type Value = Table;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Table, A::Error> {
                let mut table = Table::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        table.metadata = map.next_value()?;
                    } else {
                        table.entries.push((name, map.next_value()?));
                    }
                }
                Ok(table)
            }
        }
        deserializer.deserialize_map(TableVisitor)
    }
}

/// Parses and checks the header of a safetensors file.
pub(super) fn read_header(file: &str, source: &dyn ByteSource) -> Result<Header> {
    let fail = |place: &str, problem: String| Error::Weights {
        file: file.into(),
        place: place.into(),
        problem,
    };
    let mut length = [0u8; 8];
    source.read_at(0, &mut length)?;
    let length = u64::from_le_bytes(length);
    let available = source.len().saturating_sub(8);
    if length > MAX_HEADER || length > available {
        return Err(fail(
            "header length",
            format!(
                "{length} bytes in a file of {}: neither GGUF nor safetensors, or cut off",
                source.len()
            ),
        ));
    }
    // Proved above to be at most MAX_HEADER.
    let mut json = vec![0; length as usize];
    source.read_at(8, &mut json)?;
    let table: Table = serde_json::from_slice(&json).map_err(|e| {
        fail(
            "header",
            format!("not a safetensors header: {e}; nor is the file GGUF"),
        )
    })?;
    drop(json);
    if table.entries.len() as u64 > MAX_TENSORS {
        return Err(fail("header", format!("more than {MAX_TENSORS} tensors")));
    }

    let base = 8 + length;
    check_contiguous(file, &table.entries, source.len() - base)?;
    let mut tensors = Vec::with_capacity(table.entries.len());
    let mut unreadable = Vec::new();
    for (name, entry) in table.entries {
        let shape = shape(&entry)
            .ok_or_else(|| fail(&name, format!("unusable shape {:?}", entry.shape)))?;
        // `check_contiguous` proved begin <= end.
        let bytes = entry.data_offsets.1 - entry.data_offsets.0;
        let (dtype, expected) = match known(&entry.dtype) {
            Some(dtype) => (Some(dtype), dtype.tensor_bytes(&shape)),
            None => (None, foreign_bytes(&entry.dtype, &shape)),
        };
        if expected.is_some_and(|expected| expected != bytes)
            || (dtype.is_some() && expected.is_none())
        {
            return Err(fail(
                &name,
                format!(
                    "{bytes} bytes are stored but shape {shape:?} in {} needs another size",
                    entry.dtype
                ),
            ));
        }
        match dtype {
            Some(dtype) => tensors.push(TensorInfo {
                name,
                shape,
                dtype,
                offset: base + entry.data_offsets.0,
                bytes,
            }),
            None => unreadable.push((name, entry.dtype)),
        }
    }
    let metadata = table
        .metadata
        .into_iter()
        .map(|(k, v)| (k, Value::String(v)))
        .collect();
    Ok(Header {
        metadata: Metadata::from_distinct(metadata),
        tensors,
        unreadable,
    })
}

/// The format allows neither holes nor overlaps: sorted ranges must tile the data exactly.
fn check_contiguous(file: &str, entries: &[(String, Entry)], data: u64) -> Result<()> {
    let mut ranges: Vec<_> = entries
        .iter()
        .map(|(name, e)| (e.data_offsets, name))
        .collect();
    ranges.sort_unstable();
    let mut expected = 0;
    for ((begin, end), name) in ranges {
        if begin != expected || end < begin || end > data {
            return Err(Error::Weights {
                file: file.into(),
                place: name.clone(),
                problem: format!(
                    "data_offsets {begin}..{end} do not continue at {expected} within {data} bytes of data; \
                     the file is corrupt or cut off"
                ),
            });
        }
        expected = end;
    }
    if expected != data {
        return Err(Error::Weights {
            file: file.into(),
            place: "data".into(),
            problem: format!(
                "the header describes {expected} bytes of data but {data} follow; the file is corrupt"
            ),
        });
    }
    Ok(())
}

fn shape(entry: &Entry) -> Option<Vec<usize>> {
    if entry.shape.len() > MAX_DIMS {
        return None;
    }
    entry
        .shape
        .iter()
        .map(|&dim| usize::try_from(dim).ok())
        .collect()
}

fn known(dtype: &str) -> Option<Dtype> {
    match dtype {
        "F32" => Some(Dtype::F32),
        "F16" => Some(Dtype::F16),
        "BF16" => Some(Dtype::BF16),
        _ => None,
    }
}

/// Size of a tensor of a type we only carry along; `None` for types we have never heard of.
fn foreign_bytes(dtype: &str, shape: &[usize]) -> Option<u64> {
    let size = match dtype {
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" => 1,
        "U16" | "I16" => 2,
        "U32" | "I32" => 4,
        "U64" | "I64" | "F64" | "C64" => 8,
        _ => return None,
    };
    shape
        .iter()
        .try_fold(size, |bytes: u64, &dim| bytes.checked_mul(dim as u64))
}
