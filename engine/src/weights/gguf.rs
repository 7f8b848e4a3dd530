//! The GGUF header (versions 2 and 3, little-endian): key-value pairs, tensor table, data offset.

use std::collections::HashSet;

use super::gguf_reader::{Reader, Row};
use super::header::{Header, MAX_TENSORS, TensorInfo, check_overlaps};
use super::{ByteSource, Dtype, Metadata};
use crate::{Error, Result};

/// First four bytes of a GGUF file.
pub(super) const MAGIC: &[u8; 4] = b"GGUF";
/// Where data starts and tensors align when `general.alignment` is absent.
pub(super) const DEFAULT_ALIGNMENT: u64 = 32;
/// The key of the alignment.
pub(super) const ALIGNMENT_KEY: &str = "general.alignment";

const MAX_PAIRS: u64 = 65_536;

/// Parses and checks the header of a GGUF file.
pub(super) fn read_header(file: &str, source: &dyn ByteSource) -> Result<Header> {
    let mut reader = Reader::new(file, source, MAGIC.len() as u64);
    let version = reader.u32()?;
    if version.swap_bytes() <= 3 && version > 3 {
        return Err(reader.fail("a big-endian GGUF; convert it to little-endian".into()));
    }
    if !(2..=3).contains(&version) {
        return Err(reader.fail(format!(
            "GGUF version {version}; versions 2 and 3 can be read, convert the file again"
        )));
    }
    let n_tensors = reader.count("tensors", MAX_TENSORS, 24)?;
    let n_pairs = reader.count("key-value pairs", MAX_PAIRS, 13)?;
    let metadata = read_metadata(&mut reader, n_pairs)?;
    let alignment = alignment(&metadata).ok_or_else(|| {
        reader.fail(format!(
            "`{ALIGNMENT_KEY}` must be a power of two of at least 8"
        ))
    })?;
    let rows = (0..n_tensors)
        .map(|_| reader.tensor())
        .collect::<Result<Vec<_>>>()?;

    let base = reader
        .pos()
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| reader.fail("the header ends past any file".into()))?;
    place_tensors(
        file,
        rows,
        Place {
            base,
            alignment,
            file_len: source.len(),
        },
        metadata,
    )
}

/// The alignment a file declares, or `None` if it is not usable.
pub(super) fn alignment(metadata: &Metadata) -> Option<u64> {
    if metadata.get(ALIGNMENT_KEY).is_none() {
        return Some(DEFAULT_ALIGNMENT);
    }
    metadata
        .u64(ALIGNMENT_KEY)
        .filter(|a| a.is_power_of_two() && (8..=65_536).contains(a))
}

/// Name, block length and bytes of every ggml type there is, ours or not: the range of each tensor is checked.
fn block_of(code: u32) -> Option<(&'static str, u64, u64)> {
    Some(match code {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 36),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        16 => ("IQ2_XXS", 256, 66),
        17 => ("IQ2_XS", 256, 74),
        18 => ("IQ3_XXS", 256, 98),
        19 => ("IQ1_S", 256, 50),
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        24 => ("I8", 1, 1),
        25 => ("I16", 1, 2),
        26 => ("I32", 1, 4),
        27 => ("I64", 1, 8),
        28 => ("F64", 1, 8),
        29 => ("IQ1_M", 256, 56),
        30 => ("BF16", 1, 2),
        34 => ("TQ1_0", 256, 54),
        35 => ("TQ2_0", 256, 66),
        39 => ("MXFP4", 32, 17),
        40 => ("NVFP4", 64, 36),
        41 => ("Q1_0", 128, 18),
        _ => return None,
    })
}

/// Types that were taken out of ggml again; llama.cpp now reorders blocks when it loads them.
fn former(code: u32) -> Option<&'static str> {
    Some(match code {
        4 => "Q4_2",
        5 => "Q4_3",
        31 => "Q4_0_4_4",
        32 => "Q4_0_4_8",
        33 => "Q4_0_8_8",
        36 => "IQ4_NL_4_4",
        37 => "IQ4_NL_4_8",
        38 => "IQ4_NL_8_8",
        _ => return None,
    })
}

/// The types that are read, for people.
fn supported() -> String {
    Dtype::ALL.map(|dtype| dtype.to_string()).join(", ")
}

/// ggml's code of a type we read and write.
pub(super) const fn type_code(dtype: Dtype) -> u32 {
    match dtype {
        Dtype::F32 => 0,
        Dtype::F16 => 1,
        Dtype::Q4_0 => 2,
        Dtype::Q4_1 => 3,
        Dtype::Q5_0 => 6,
        Dtype::Q5_1 => 7,
        Dtype::Q8_0 => 8,
        Dtype::Q4K => 12,
        Dtype::Q5K => 13,
        Dtype::Q6K => 14,
        Dtype::BF16 => 30,
    }
}

fn known(code: u32) -> Option<Dtype> {
    Dtype::ALL
        .into_iter()
        .find(|dtype| type_code(*dtype) == code)
}

/// What the offsets of the tensor table are relative to and must stay within.
struct Place {
    base: u64,
    alignment: u64,
    file_len: u64,
}

fn place_tensors(file: &str, rows: Vec<Row>, place: Place, metadata: Metadata) -> Result<Header> {
    let mut tensors = Vec::with_capacity(rows.len());
    let mut unreadable = Vec::new();
    let mut ranges = Vec::with_capacity(rows.len());
    for row in rows {
        let fail = |problem: String| Error::Weights {
            file: file.into(),
            place: row.name.clone(),
            problem,
        };
        let (type_name, block_len, block_bytes) = block_of(row.code).ok_or_else(|| {
            let kind = match former(row.code) {
                Some(name) => format!("is stored as {name}, which ggml has given up"),
                None => format!("is of ggml type {}, which is not known here", row.code),
            };
            fail(format!(
                "{kind}; take or make a GGUF in one of {}",
                supported()
            ))
        })?;
        let cols = row.ne.first().copied().unwrap_or(1);
        let bytes = (cols % block_len == 0)
            .then(|| {
                row.ne
                    .iter()
                    .skip(1)
                    .try_fold((cols / block_len).checked_mul(block_bytes)?, |b, &d| {
                        b.checked_mul(d)
                    })
            })
            .flatten();
        let shape = row
            .ne
            .iter()
            .rev()
            .map(|&d| usize::try_from(d).ok())
            .collect::<Option<Vec<_>>>();
        let (Some(bytes), Some(shape)) = (bytes, shape) else {
            return Err(fail(format!(
                "dimensions {:?} are not possible in {type_name}",
                row.ne
            )));
        };
        if !row.offset.is_multiple_of(place.alignment) {
            return Err(fail(format!(
                "offset {} is not a multiple of the alignment {}",
                row.offset, place.alignment
            )));
        }
        let offset = place.base.checked_add(row.offset);
        let Some(offset) = offset.filter(|o| {
            o.checked_add(bytes)
                .is_some_and(|end| end <= place.file_len)
        }) else {
            return Err(fail(format!(
                "{bytes} bytes at {} of the data leave the file of {} bytes; was the download cut off?",
                row.offset, place.file_len
            )));
        };
        ranges.push((row.name.clone(), offset, bytes));
        match known(row.code) {
            Some(dtype) => tensors.push(TensorInfo {
                name: row.name,
                shape,
                dtype,
                offset,
                bytes,
            }),
            None => unreadable.push((row.name, type_name.into())),
        }
    }
    check_overlaps(
        file,
        ranges
            .iter()
            .map(|(name, offset, bytes)| (name.as_str(), *offset, *bytes)),
    )?;
    Ok(Header {
        metadata,
        tensors,
        unreadable,
    })
}

fn read_metadata(reader: &mut Reader<'_>, pairs: u64) -> Result<Metadata> {
    let mut entries = Vec::new();
    let mut keys = HashSet::new();
    for _ in 0..pairs {
        let key = reader.string()?;
        if !keys.insert(key.clone()) {
            return Err(reader.fail(format!("the key `{key}` appears twice")));
        }
        let code = reader.u32()?;
        let value = reader.value(code)?;
        entries.push((key, value));
    }
    Ok(Metadata::from_distinct(entries))
}
