//! Weight files against the reference package (fixtures by `tests/fixtures/gguf/make.py`), round trips, hostile bytes.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const REFERENCE: &[u8] = include_bytes!("../../../tests/fixtures/gguf/reference.gguf");
const DECODED: &[u8] = include_bytes!("../../../tests/fixtures/gguf/reference_decoded.f32");

fn open(bytes: &[u8]) -> Result<WeightFile> {
    WeightFile::open("test", Box::new(SliceSource::new(bytes)))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect()
}

#[test]
fn blocks_decode_and_encode_as_in_the_reference_package() {
    let file = open(REFERENCE).unwrap();
    let plain = file.read_f32(file.get("plain").unwrap()).unwrap();
    let decoded = floats(DECODED);
    let types = [
        ("bf16", Dtype::BF16),
        ("q8_0", Dtype::Q8_0),
        ("q4_0", Dtype::Q4_0),
    ];
    for ((name, dtype), expected) in types.into_iter().zip(decoded.chunks_exact(6 * 64)) {
        let tensor = file.get(name).unwrap();
        assert_eq!(
            (tensor.dtype, tensor.shape.as_slice()),
            (dtype, [6, 64].as_slice())
        );
        assert_eq!(file.read_f32(tensor).unwrap(), expected, "decoding {name}");
        assert_eq!(
            encode(dtype, &plain).unwrap(),
            file.read_raw(tensor).unwrap(),
            "encoding {name}"
        );
    }
    let half = file.get("half").unwrap();
    assert_eq!(
        encode(Dtype::F16, &plain).unwrap(),
        file.read_raw(half).unwrap()
    );
}

#[test]
fn shapes_come_outermost_first_and_every_metadata_type_is_read() {
    let file = open(REFERENCE).unwrap();
    let conv = file.get("conv").unwrap();
    assert_eq!(conv.shape, [2, 3, 4]);
    assert_eq!(
        file.read_f32(conv).unwrap(),
        (0..24).map(|v| v as f32).collect::<Vec<_>>()
    );
    let m = file.metadata();
    assert_eq!(m.str("general.architecture"), Some("llama"));
    assert_eq!(
        (m.u64("t.u8"), m.u64("t.u16"), m.u64("t.u64")),
        (Some(200), Some(60_000), Some((1 << 63) + 1))
    );
    assert_eq!(m.get("t.i8"), Some(&Value::I8(-5)));
    assert_eq!(m.get("t.i16"), Some(&Value::I16(-300)));
    assert_eq!(m.get("t.i32"), Some(&Value::I32(-70_000)));
    assert_eq!(m.get("t.i64"), Some(&Value::I64(-(1 << 40))));
    assert_eq!(m.u64("t.i64"), None);
    assert_eq!(
        (m.f64("t.f32"), m.f64("t.f64"), m.bool("t.bool")),
        (Some(0.5), Some(0.1), Some(true))
    );
    assert_eq!(m.strings("t.strings").unwrap(), ["a", "", "é東"]);
    assert_eq!(m.array("t.ints"), Some(&Array::I32(vec![1, -2, 3])));
    assert_eq!(m.array("t.floats"), Some(&Array::F32(vec![0.5, 2.0])));
}

type Owned = (&'static str, Vec<usize>, Dtype, Vec<u8>);

/// A file with every type, more than one window long, and nested arrays.
fn sample(alignment: Option<u32>) -> (Metadata, Vec<Owned>) {
    let words: Vec<String> = (0..9000).map(|i| format!("word {i}")).collect();
    let mut metadata = Metadata::new()
        .with("words", Value::Array(Array::String(words)))
        .with(
            "nested",
            Value::Array(Array::Array(vec![
                Array::U8(vec![1, 2]),
                Array::Bool(vec![true, false]),
            ])),
        )
        .with("numbers", Value::Array(Array::U64(vec![u64::MAX])))
        .with("name", Value::String("x".into()));
    if let Some(alignment) = alignment {
        metadata.set("general.alignment", Value::U32(alignment));
    }
    let values: Vec<f32> = (0..192).map(|i| (i as f32 * 0.37).sin()).collect();
    let tensors = [
        Dtype::F32,
        Dtype::F16,
        Dtype::BF16,
        Dtype::Q8_0,
        Dtype::Q4_0,
    ]
    .map(|dtype| {
        let name = ["a", "b", "c", "d", "e"][dtype as usize];
        (name, vec![3, 2, 32], dtype, encode(dtype, &values).unwrap())
    });
    (metadata, tensors.into())
}

fn borrow(tensors: &[Owned]) -> Vec<TensorData<'_>> {
    tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| TensorData {
            name,
            shape,
            dtype: *dtype,
            bytes,
        })
        .collect()
}

#[test]
fn gguf_round_trips() {
    for alignment in [None, Some(64)] {
        let (metadata, tensors) = sample(alignment);
        let mut bytes = Vec::new();
        write_gguf(&mut bytes, &metadata, &borrow(&tensors)).unwrap();
        let file = open(&bytes).unwrap();
        assert_eq!(file.metadata(), &metadata);
        for (name, shape, dtype, data) in &tensors {
            let info = file.get(name).unwrap();
            assert_eq!((&info.shape, info.dtype), (shape, *dtype));
            assert!(info.offset.is_multiple_of(alignment.unwrap_or(32).into()));
            assert_eq!(&file.read_raw(info).unwrap(), data);
        }
    }
}

#[test]
fn safetensors_round_trips() {
    let (_, tensors) = sample(None);
    let mut bytes = Vec::new();
    write_safetensors(&mut bytes, &[("format", "pt")], &borrow(&tensors[..3])).unwrap();
    let file = open(&bytes).unwrap();
    assert_eq!(file.metadata().str("format"), Some("pt"));
    assert_eq!(file.tensors().len(), 3);
    for (name, shape, dtype, data) in &tensors[..3] {
        let info = file.get(name).unwrap();
        assert_eq!((&info.shape, info.dtype), (shape, *dtype));
        assert_eq!(&file.read_raw(info).unwrap(), data);
    }
    let refused = write_safetensors(&mut Vec::new(), &[], &borrow(&tensors[3..]));
    assert!(refused.unwrap_err().to_string().contains("only in GGUF"));
}

/// A safetensors file from its JSON and data.
fn safetensors(json: &str, data: &[u8]) -> Vec<u8> {
    [&(json.len() as u64).to_le_bytes(), json.as_bytes(), data].concat()
}

#[test]
fn inconsistent_safetensors_are_refused() {
    for (json, data, expected) in [
        (
            r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
            4,
            "another size",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
            8,
            "4 bytes of data but 8",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8,
            "do not continue",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}"#,
            6,
            "do not continue",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
            8,
            "two tensors",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,4]}}"#,
            4,
            "another size",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
            0,
            "do not continue",
        ),
        ("[]", 0, "not a safetensors header"),
    ] {
        let error = open(&safetensors(json, &vec![0; data]))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
    assert!(
        open(&u64::MAX.to_le_bytes())
            .unwrap_err()
            .to_string()
            .contains("neither GGUF nor safetensors")
    );
    assert!(open(b"GGUF").is_err());
}

#[test]
fn a_foreign_type_hurts_only_when_the_tensor_is_wanted() {
    let json = r#"{"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"w":{"dtype":"F32","shape":[1],"data_offsets":[16,20]}}"#;
    let mut weights = Weights::new();
    weights
        .push(open(&safetensors(json, &[0; 20])).unwrap())
        .unwrap();
    assert_eq!(weights.take_f32("w", &[1]).unwrap(), [0.0]);
    assert!(
        weights
            .take_f32("ids", &[2])
            .unwrap_err()
            .to_string()
            .contains("stored as I64")
    );
}

#[test]
fn the_set_names_file_and_shapes_and_remembers_what_was_taken() {
    let (metadata, tensors) = sample(None);
    let mut bytes = Vec::new();
    write_gguf(&mut bytes, &metadata, &borrow(&tensors)).unwrap();
    let mut weights = Weights::new();
    weights.push(open(&bytes).unwrap()).unwrap();
    assert!(
        weights
            .push(open(&bytes).unwrap())
            .unwrap_err()
            .to_string()
            .contains("holds a tensor of this name")
    );
    let error = weights.take_f32("a", &[3, 64]).unwrap_err().to_string();
    assert!(
        error.contains("test: a: expected shape [3, 64], found [3, 2, 32]"),
        "{error}"
    );
    assert!(
        weights
            .take_f32("nothing", &[1])
            .unwrap_err()
            .to_string()
            .contains("no such tensor")
    );
    weights.take_f32("a", &[3, 2, 32]).unwrap();
    assert_eq!(
        weights.take_raw("e", &[3, 2, 32]).unwrap(),
        (Dtype::Q4_0, tensors[4].3.clone())
    );
    assert_eq!(weights.unused(), ["b", "c", "d"]);
}

#[test]
fn overlapping_gguf_tensors_are_refused() {
    let data = [0u8; 32];
    let tensor = |name| TensorData {
        name,
        shape: &[8],
        dtype: Dtype::F32,
        bytes: &data,
    };
    let mut bytes = Vec::new();
    write_gguf(&mut bytes, &Metadata::new(), &[tensor("a"), tensor("b")]).unwrap();
    // The offset of `b` is the last field of the table: before the padding and 64 bytes of data.
    let at = bytes
        .windows(8)
        .rposition(|w| w == 32u64.to_le_bytes())
        .unwrap();
    bytes[at..at + 8].fill(0);
    assert!(open(&bytes).unwrap_err().to_string().contains("overlap"));
}

#[test]
fn absurd_dimensions_beside_an_empty_one_do_no_harm() {
    let json = r#"{"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807,0],"data_offsets":[0,0]}}"#;
    exercise(&safetensors(json, &[]));
}

#[test]
fn lengths_the_file_cannot_hold_are_refused_before_allocation() {
    let gguf = |parts: &[&[u8]]| [b"GGUF\x03\0\0\0", parts.concat().as_slice()].concat();
    let n = |v: u64| v.to_le_bytes();
    let array = |len: u64| {
        let mut pair = [n(0), n(1), n(1)].concat();
        pair.extend(b"k\x09\0\0\0\x08\0\0\0");
        pair.extend(n(len));
        gguf(&[&pair])
    };
    for (bytes, expected) in [
        (gguf(&[&n(u64::MAX), &n(0)]), "more than the 65536 allowed"),
        (gguf(&[&n(60_000), &n(0)]), "more bytes"),
        (gguf(&[&n(0), &n(60_000)]), "more bytes"),
        (
            gguf(&[&n(0), &n(1), &n(1 << 40), &[0; 9]]),
            "more than the 1048576 allowed",
        ),
        (gguf(&[&n(0), &n(1), &n(1 << 20), &[0; 9]]), "more bytes"),
        (array(1 << 60), "more bytes"),
        (array(u64::MAX), "more bytes"),
        (n(99_000_000).to_vec(), "neither GGUF nor safetensors"),
    ] {
        let error = open(&bytes).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// Opens and reads everything; the only thing that matters is that it returns.
fn exercise(bytes: &[u8]) {
    let Ok(file) = open(bytes) else { return };
    for tensor in file.tensors() {
        let raw = file.read_raw(tensor).unwrap();
        assert_eq!(raw.len() as u64, tensor.bytes);
        assert_eq!(file.read_f32(tensor).unwrap().len(), tensor.elements());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        exercise(&bytes);
        exercise(&[b"GGUF\x03\0\0\0".as_slice(), &bytes].concat());
        exercise(&safetensors(&String::from_utf8_lossy(&bytes), &[]));
    }

    #[test]
    fn damaged_files_never_panic(
        gguf: bool,
        cut in any::<prop::sample::Index>(),
        truncate: bool,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let mut bytes = if gguf {
            REFERENCE.to_vec()
        } else {
            let data = [1u8; 24];
            let mut out = Vec::new();
            let tensor = |name, dtype| TensorData { name, shape: &[2, 3], dtype, bytes: if dtype == Dtype::F32 { &data } else { &data[..12] } };
            write_safetensors(&mut out, &[("k", "v")], &[tensor("a", Dtype::F32), tensor("b", Dtype::F16)]).unwrap();
            out
        };
        if truncate {
            bytes.truncate(cut.index(bytes.len()));
        }
        for (at, value) in edits {
            if !bytes.is_empty() {
                // Damage to the header is what matters; the data may hold anything.
                let at = at.index(bytes.len().min(1600));
                bytes[at] = value;
            }
        }
        exercise(&bytes);
    }

    #[test]
    fn quantising_stays_within_half_a_step(values in prop::collection::vec(-100.0f32..100.0, 32)) {
        let largest = values.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        // Half a step of rounding, the scale's f16 rounding (2^-11 of up to 127 steps), and for Q4_0 the
        // code +8 that does not exist: the value opposite the extreme is clipped by a whole step.
        for (dtype, step, bound) in [(Dtype::Q8_0, largest / 127.0, 0.6), (Dtype::Q4_0, largest / 8.0, 1.05)] {
            let mut back = Vec::new();
            decode(dtype, &encode(dtype, &values).unwrap(), &mut back).unwrap();
            for (v, b) in values.iter().zip(&back) {
                prop_assert!((v - b).abs() <= bound * step + 1e-6, "{dtype}: {v} became {b}, step {step}");
            }
        }
    }
}
