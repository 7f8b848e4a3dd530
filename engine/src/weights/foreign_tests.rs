//! Weight files that are none, types that are not read, weights stored by other methods: each is called by its name.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn open(bytes: &[u8]) -> Result<WeightFile> {
    WeightFile::open("model.safetensors", Box::new(SliceSource::new(bytes)))
}

fn refusal(bytes: &[u8]) -> String {
    open(bytes).unwrap_err().to_string()
}

/// A GGUF file of one tensor `[256]` of a type, with `bytes` of data.
fn gguf(code: u32, bytes: usize) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3_u32.to_le_bytes());
    file.extend(1_u64.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.extend(1_u64.to_le_bytes());
    file.push(b'w');
    file.extend(1_u32.to_le_bytes());
    file.extend(256_u64.to_le_bytes());
    file.extend(code.to_le_bytes());
    file.extend(0_u64.to_le_bytes());
    file.resize(file.len().next_multiple_of(32) + bytes, 0);
    file
}

#[test]
fn files_of_another_kind_are_named_and_the_way_out_told() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 538090408\n";
    for (bytes, told) in [
        (pointer.as_slice(), "git lfs pull"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00", "gzip"),
        (b"PK\x03\x04\x14\x00\x00\x00\x08\x00", "zip"),
        (b"\x80\x02}q\x00(X\x01\x00\x00\x00", "PyTorch"),
        (b"Entry not found", "server's answer"),
        (b"lmgg\x01\x00\x00\x00", "before GGUF"),
        (b"", "empty"),
        (&[0; 64], "zeros"),
        (b"<html>", "web page"),
    ] {
        let said = refusal(bytes);
        assert!(said.contains(told), "{said}");
        assert!(said.starts_with("model.safetensors: "), "{said}");
        assert!(!said.contains("bytes in a file of"), "{said}");
    }
    // One that is cut off is still what it is.
    let cut = [b"\x48\x00\x00\x00\x00\x00\x00\x00{\"a\"".as_slice()].concat();
    assert!(refusal(&cut).contains("cut off"));
}

/// The length of a header may look like the beginning of an archive.
#[test]
fn a_whole_file_is_taken_whatever_its_first_bytes_look_like() {
    let length: usize = 0x0008_8b1f;
    let mut json = br#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#.to_vec();
    json.resize(length, b' ');
    let file = [&(length as u64).to_le_bytes()[..], &json, &[0; 4]].concat();
    assert!(file.starts_with(b"\x1f\x8b\x08"));
    assert_eq!(open(&file).unwrap().tensors().len(), 1);
}

#[test]
fn every_ggml_type_has_its_name_and_blocks_nobody_who_does_not_want_it() {
    for (code, name, bytes) in [
        (16, "IQ2_XXS", 66),
        (17, "IQ2_XS", 74),
        (18, "IQ3_XXS", 98),
        (19, "IQ1_S", 50),
        (21, "IQ3_S", 110),
        (22, "IQ2_S", 82),
        (29, "IQ1_M", 56),
        (34, "TQ1_0", 54),
        (35, "TQ2_0", 66),
        (39, "MXFP4", 8 * 17),
        (40, "NVFP4", 4 * 36),
        (41, "Q1_0", 2 * 18),
        (10, "Q2_K", 84),
        (23, "IQ4_XS", 136),
    ] {
        let file = open(&gguf(code, bytes)).unwrap();
        assert_eq!(file.unreadable(), [("w".to_owned(), name.to_owned())]);
        let mut weights = Weights::new();
        weights.push(file).unwrap();
        let said = weights.take_f32("w", &[256]).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains("Q8_0"), "{said}");
        assert!(open(&gguf(code, bytes - 1)).is_err(), "{name} is cut off");
    }
    for (code, name) in [
        (4, "Q4_2"),
        (31, "Q4_0_4_4"),
        (33, "Q4_0_8_8"),
        (36, "IQ4_NL_4_4"),
    ] {
        let said = refusal(&gguf(code, 4096));
        assert!(said.contains(name) && said.contains("Q8_0"), "{said}");
    }
    let said = refusal(&gguf(99, 4096));
    assert!(said.contains("type 99") && said.contains("Q8_0"), "{said}");
}

/// A safetensors file of empty tensors.
fn tensors(entries: &[(&str, &str)]) -> WeightFile {
    let entry = |(name, dtype): &(&str, &str)| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":[0,4],"data_offsets":[0,0]}}"#)
    };
    let json: Vec<String> = entries.iter().map(entry).collect();
    let json = format!("{{{}}}", json.join(","));
    open(&[&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat()).unwrap()
}

#[test]
fn quantised_weights_are_known_by_what_lies_beside_them() {
    for (entries, told) in [
        (
            &[("a.qweight", "I32"), ("a.scales", "F16")][..],
            "AWQ or GPTQ",
        ),
        (&[("a.qweight", "I32"), ("a.g_idx", "I32")], "GPTQ"),
        (&[("a.weight", "I8"), ("a.SCB", "F32")], "bitsandbytes"),
        (
            &[("a.weight", "U8"), ("a.weight.absmax", "U8")],
            "bitsandbytes (4 bits)",
        ),
        (
            &[("a.weight", "F8_E4M3"), ("a.weight_scale_inv", "F32")],
            "FP8",
        ),
        (
            &[("a.weight_packed", "I32"), ("a.weight_shape", "I64")],
            "compressed-tensors",
        ),
        (&[("a.weight", "F8_E5M2")], "stored as F8_E5M2"),
    ] {
        let mut weights = Weights::new();
        weights.push(tensors(entries)).unwrap();
        let said = weights.take_f32("a.weight", &[0, 4]).unwrap_err();
        let said = said.to_string();
        assert!(said.contains(told), "{said}");
        assert!(!said.contains("is a shard missing"), "{said}");
    }
    let mut weights = Weights::new();
    weights.push(tensors(&[("b.qweight", "I32")])).unwrap();
    let said = weights.take_f32("a.weight", &[0, 4]).unwrap_err();
    assert!(said.to_string().contains("is a shard missing"));
}
