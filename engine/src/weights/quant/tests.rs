//! Blocks against the reference package, bit for bit (fixture by `tests/fixtures/generate/gguf_blocks.py`).
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::weights::{SliceSource, WeightFile};

const BLOCKS: &[u8] = include_bytes!("../../../../tests/fixtures/gguf/blocks.gguf");

fn blocks() -> WeightFile {
    WeightFile::open("blocks.gguf", Box::new(SliceSource::new(BLOCKS))).unwrap()
}

/// Bits, so that -0.0 is not 0.0.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn every_type_decodes_to_the_bits_of_the_reference() {
    let file = blocks();
    for dtype in Dtype::ALL.into_iter().filter(|d| *d != Dtype::F32) {
        let stored = file.get(&dtype.to_string()).unwrap();
        let expected = file.get(&format!("{dtype}.read")).unwrap();
        assert_eq!((stored.dtype, &stored.shape), (dtype, &expected.shape));
        assert!(stored.elements() >= 512, "{dtype}");
        let (found, expected) = (
            file.read_f32(stored).unwrap(),
            file.read_f32(expected).unwrap(),
        );
        for (i, (found, expected)) in bits(&found).into_iter().zip(bits(&expected)).enumerate() {
            assert_eq!(found, expected, "{dtype}: element {i}");
        }
    }
}

#[test]
fn every_type_that_is_written_encodes_to_the_bytes_of_the_reference() {
    let file = blocks();
    let plain = file.read_f32(file.get("plain").unwrap()).unwrap();
    for dtype in Dtype::ALL {
        let Some(expected) = file.get(&format!("{dtype}.write")) else {
            continue;
        };
        let expected = file.read_raw(expected).unwrap();
        let found = encode(dtype, &plain).unwrap();
        let blocks = found.chunks(dtype.block_bytes());
        for (i, (found, expected)) in blocks.zip(expected.chunks(dtype.block_bytes())).enumerate() {
            assert_eq!(found, expected, "{dtype}: block {i}");
        }
        assert_eq!(found.len(), expected.len(), "{dtype}");
    }
    for dtype in [Dtype::Q5K, Dtype::Q6K] {
        let refused = encode(dtype, &[0.0; 256]).unwrap_err().to_string();
        assert!(refused.contains("only read"), "{refused}");
    }
}

#[test]
fn values_a_block_cannot_hold_are_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e9] {
        let mut block = [0.5; 256];
        block[7] = bad;
        for dtype in [
            Dtype::Q8_0,
            Dtype::Q4_0,
            Dtype::Q4_1,
            Dtype::Q5_0,
            Dtype::Q5_1,
            Dtype::Q4K,
        ] {
            assert!(encode(dtype, &block).is_err(), "{bad} in {dtype}");
        }
    }
}

#[test]
fn partial_blocks_are_refused() {
    for dtype in Dtype::ALL {
        let (len, bytes) = (dtype.block_len(), dtype.block_bytes());
        assert!(
            decode(dtype, &vec![0; bytes * 2 - 1], &mut Vec::new()).is_err(),
            "{dtype}"
        );
        assert_eq!(dtype.row_bytes(len * 3), Some(3 * bytes as u64));
        assert_eq!(
            dtype.tensor_bytes(&[2, 5, len]),
            Some(10 * bytes as u64),
            "{dtype}"
        );
        assert_eq!(dtype.tensor_bytes(&[usize::MAX, usize::MAX, len]), None);
        if !dtype.is_float() {
            assert!(encode(dtype, &vec![0.0; len - 1]).is_err(), "{dtype}");
            assert_eq!(dtype.row_bytes(len + len / 2), None, "{dtype}");
            assert_eq!(dtype.tensor_bytes(&[]), None, "{dtype}");
        }
    }
}

/// A GGUF file of one tensor `w` with data of zeros.
fn one_tensor(code: u32, ne: &[u64], data: usize) -> Vec<u8> {
    let mut out = b"GGUF\x03\0\0\0".to_vec();
    for count in [1u64, 0, 1] {
        out.extend(count.to_le_bytes());
    }
    out.push(b'w');
    out.extend((ne.len() as u32).to_le_bytes());
    ne.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
    out.extend(code.to_le_bytes());
    out.extend(0u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32) + data, 0);
    out
}

#[test]
fn rows_that_are_not_whole_blocks_and_absurd_shapes_are_refused_in_the_table() {
    let open = |bytes: Vec<u8>| WeightFile::open("x", Box::new(SliceSource::from(bytes)));
    for dtype in Dtype::ALL.into_iter().filter(|d| !d.is_float()) {
        let code = crate::weights::gguf::type_code(dtype);
        let (len, bytes) = (dtype.block_len() as u64, dtype.block_bytes());
        let file = open(one_tensor(code, &[len, 3], 3 * bytes)).unwrap();
        let tensor = file.get("w").unwrap();
        assert_eq!(
            (tensor.dtype, tensor.bytes),
            (dtype, 3 * bytes as u64),
            "{dtype}"
        );
        let zeros = file.read_f32(tensor).unwrap();
        assert_eq!(zeros, vec![0.0; 3 * len as usize], "{dtype}");
        let name = dtype.to_string();
        for (ne, data, expected) in [
            (&[len / 2, 4][..], 4 * bytes, name.as_str()),
            (&[len + 32 - 1, 4], 8 * bytes, &name),
            (&[1], bytes, &name),
            (&[], bytes, &name),
            (&[len << 50, 1 << 60], bytes, &name),
            (&[len, 1 << 30, 1 << 30, 1 << 30], bytes, &name),
            (&[len << 40, 1], bytes, "leave the file"),
            (&[u64::MAX / len * len, 1], bytes, "x: w: "),
            (&[len, 3], 3 * bytes - 1, "leave the file"),
        ] {
            let error = open(one_tensor(code, ne, data)).unwrap_err().to_string();
            assert!(error.contains(expected), "{dtype} {ne:?}: {error}");
        }
    }
}

#[test]
fn what_the_table_takes_as_empty_is_read_as_empty() {
    let bytes = one_tensor(0, &[64, 0, 1 << 40, 1 << 40], 0);
    let file = WeightFile::open("x", Box::new(SliceSource::from(bytes))).unwrap();
    let tensor = file.get("w").unwrap();
    assert_eq!(tensor.bytes, 0);
    assert!(file.read_raw(tensor).unwrap().is_empty());
    assert!(file.read_f32(tensor).unwrap().is_empty());
}

/// Root mean square of what a type makes of values, less the values.
fn rounding(dtype: Dtype, values: &[f32]) -> f32 {
    let mut back = Vec::new();
    decode(dtype, &encode(dtype, values).unwrap(), &mut back).unwrap();
    let squares = back.iter().zip(values).map(|(a, b)| (a - b) * (a - b));
    (squares.sum::<f32>() / values.len() as f32).sqrt()
}

#[test]
fn four_bits_in_blocks_of_256_lose_as_little_as_in_blocks_of_32_with_half_a_bit_more() {
    let file = blocks();
    let plain = file.read_f32(file.get("plain").unwrap()).unwrap();
    // What weights look like: many small ones of both signs, a few large ones, and each row with a strength of its own.
    let mut state = 1u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let drawn: Vec<f32> = (0..256 * 16)
        .map(|at| (0..4).map(|_| uniform()).sum::<f32>() * (1.0 + (at / 256) as f32))
        .collect();
    let rows = [plain[..plain.len() / 256 * 256].to_vec(), drawn];
    for values in rows {
        let (k, legacy) = (
            rounding(Dtype::Q4K, &values),
            rounding(Dtype::Q4_1, &values),
        );
        // Least squares win what 6 bits for scale and offset lose: 4.5 bits a weight for 5.
        assert!(k > 0.0 && k <= 1.05 * legacy, "{k} {legacy}");
    }
}

#[test]
fn what_blocks_of_256_can_say_they_say_to_a_thousandth() {
    // Scales and offsets of all groups in use, up to 63, and codes of all sizes.
    let values: Vec<f32> = (0..256u16)
        .map(|at| {
            let (group, code) = (at / 32, at * 7 % 16);
            let (scale, offset) = (63 - 8 * group, 9 * group);
            0.0625 * f32::from(scale * code) - 0.5 * f32::from(offset)
        })
        .collect();
    assert!(rounding(Dtype::Q4K, &values) < 1e-3 * 63.0);
    let constant = |value: f32| rounding(Dtype::Q4K, &[value; 256]) / value.abs();
    // f16 keeps eleven bits.
    assert!(constant(-0.3) < 1e-3 && constant(0.3) < 1e-3);
    assert!(
        encode(Dtype::Q4K, &[0.0; 256])
            .unwrap()
            .iter()
            .all(|b| *b == 0)
    );
}
