//! Shards and splits made by our own writers, whole, damaged and hostile.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;
use crate::weights::{
    Dtype, Metadata, SliceSource, TensorData, Value, write_gguf, write_safetensors,
};

type Sources = HashMap<String, Box<dyn ByteSource>>;

fn source(bytes: Vec<u8>) -> Box<dyn ByteSource> {
    Box::new(SliceSource::from(bytes))
}

fn tensor(name: &str) -> TensorData<'_> {
    TensorData {
        name,
        shape: &[2],
        dtype: Dtype::F32,
        bytes: &[0, 0, 128, 63, 0, 0, 0, 64],
    }
}

fn tensors<'a>(names: &[&'a str]) -> Vec<TensorData<'a>> {
    names.iter().map(|name| tensor(name)).collect()
}

fn safetensors(names: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    write_safetensors(&mut out, &[], &tensors(names)).unwrap();
    out
}

const A: &str = "model-00001-of-00002.safetensors";
const B: &str = "model-00002-of-00002.safetensors";

fn index() -> Vec<u8> {
    let map = json!({"embed": A, "layers.0": A, "layers.1": B, "head": B});
    json!({"metadata": {"total_size": 32}, "weight_map": map})
        .to_string()
        .into_bytes()
}

fn shards() -> Sources {
    Sources::from([
        (A.into(), source(safetensors(&["embed", "layers.0"]))),
        (B.into(), source(safetensors(&["layers.1", "head", "more"]))),
        ("config.json".into(), source(b"{}".to_vec())),
    ])
}

#[test]
fn an_index_says_what_to_fetch_and_is_proved_by_the_shards() {
    assert_eq!(shard_files(&index()).unwrap(), [A, B]);
    let mut sources = shards();
    let mut weights = ShardIndex::parse(&index())
        .unwrap()
        .open(&mut sources)
        .unwrap();
    assert_eq!(weights.take_f32("head", &[2]).unwrap(), [1.0, 2.0]);
    assert_eq!(weights.find("layers.0").unwrap().0.file(), A);
    assert_eq!(sources.keys().collect::<Vec<_>>(), ["config.json"]);
}

#[test]
fn a_tensor_of_a_foreign_type_counts_as_present() {
    let json = r#"{"ids":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#;
    let bytes = [&(json.len() as u64).to_le_bytes(), json.as_bytes(), &[0; 8]].concat();
    let mut sources = Sources::from([(A.into(), source(bytes))]);
    let index = json!({"weight_map": {"ids": A}}).to_string();
    let index = ShardIndex::parse(index.as_bytes()).unwrap();
    assert!(index.open(&mut sources).is_ok());
}

#[test]
fn a_missing_or_wrong_shard_is_named() {
    let index = ShardIndex::parse(&index()).unwrap();
    let mut sources = shards();
    sources.remove(B);
    let error = index.open(&mut sources).unwrap_err().to_string();
    assert!(error.contains(&format!("{B}: file: missing; ")), "{error}");
    assert!(
        sources.contains_key(A),
        "nothing is taken before all is there"
    );

    for (file, names, expected) in [
        (B, &["layers.1"][..], format!("{B}: head: not in this file")),
        (A, &["layers.0"], format!("{A}: embed: not in this file")),
        (
            A,
            &["embed", "layers.0", "head"],
            format!("{B}: head: `{A}` holds a tensor of this name too"),
        ),
    ] {
        let mut sources = shards();
        sources.insert(file.into(), source(safetensors(names)));
        let error = index.open(&mut sources).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn hostile_indices_are_refused() {
    let named = |file: &str| json!({"weight_map": {"w": file}}).to_string();
    let many = |count: usize, file: &dyn Fn(usize) -> String| {
        let entries: Vec<_> = (0..count)
            .map(|i| format!("\"{i}\":\"{}\"", file(i)))
            .collect();
        format!("{{\"weight_map\":{{{}}}}}", entries.join(","))
    };
    let outside = "is not the name of a .safetensors file";
    for (json, expected) in [
        (named("../x.safetensors"), outside),
        (named("a/b.safetensors"), outside),
        (named("/etc/x.safetensors"), outside),
        (named("a\\b.safetensors"), outside),
        (named("C:x.safetensors"), outside),
        (named("%2e%2e%2fx.safetensors"), outside),
        (named("https://x.safetensors"), outside),
        (named("x.safetensors?.safetensors"), outside),
        (named("x\0.safetensors"), outside),
        (named(".safetensors"), outside),
        (named("model.bin"), outside),
        (named(""), outside),
        (named(&"x".repeat(300)), outside),
        (named(&format!("{}.safetensors", "x".repeat(300))), outside),
        (
            many(1_000_000, &|_| "x.safetensors".into()),
            "more than 65536 tensors",
        ),
        (
            many(2000, &|i| format!("{i}.safetensors")),
            "2000 files; 1 to 1024",
        ),
        (
            r#"{"weight_map":{"w":"a.safetensors","w":"b.safetensors"}}"#.into(),
            "listed twice",
        ),
        (r#"{"weight_map":{}}"#.into(), "0 files"),
        (r#"{"weight_map":{"w":1}}"#.into(), "not an index"),
        (r#"{"weight_map":["w"]}"#.into(), "not an index"),
        ("{}".into(), "not an index"),
        ("[".repeat(100_000), "not an index"),
        (String::new(), "not an index"),
    ] {
        let error = shard_files(json.as_bytes()).unwrap_err().to_string();
        let shown: String = json.chars().take(60).collect();
        assert!(error.contains(expected), "{shown}: {error}");
        assert!(
            error.len() < 400,
            "{shown}: the error is {} long",
            error.len()
        );
    }
}

fn part_name(number: usize) -> String {
    format!("m-{number:05}-of-00003.gguf")
}

/// A part of a split file: `[split.no, split.count, split.tensors.count]`, left out where `None`.
fn part(keys: [Option<u64>; 3], names: &[&str]) -> Vec<u8> {
    let mut metadata = Metadata::new();
    for (key, value) in ["split.no", "split.count", "split.tensors.count"]
        .into_iter()
        .zip(keys)
    {
        if let Some(value) = value {
            metadata.set(key, Value::U64(value));
        }
    }
    if keys[0] == Some(0) {
        metadata.set("general.architecture", Value::String("llama".into()));
    }
    let mut out = Vec::new();
    write_gguf(&mut out, &metadata, &tensors(names)).unwrap();
    out
}

/// A whole model in three parts, the first without tensors, as the reference splitter can write it.
fn parts() -> Sources {
    [&[][..], &["a", "b"], &["c"]]
        .into_iter()
        .zip(0u64..)
        .map(|(names, i)| {
            let bytes = part([Some(i), Some(3), Some(3)], names);
            (part_name(i as usize + 1), source(bytes))
        })
        .collect()
}

#[test]
fn split_parts_become_one_set() {
    assert_eq!(split_files("model.gguf").unwrap(), None);
    let names = split_files(&part_name(2)).unwrap().unwrap();
    assert_eq!(names, [1, 2, 3].map(part_name));
    let mut sources = parts();
    let mut weights = open_split(&part_name(2), &mut sources).unwrap();
    assert!(sources.is_empty());
    assert_eq!(
        weights.files()[0].metadata().str("general.architecture"),
        Some("llama")
    );
    assert_eq!(weights.take_f32("c", &[2]).unwrap(), [1.0, 2.0]);
    let second = &weights.files()[1];
    assert_eq!(
        Split::of(second.file(), second.metadata()).unwrap(),
        Some(Split {
            number: 1,
            count: 3,
            tensors: 3
        })
    );
    assert_eq!(Split::of("x", &Metadata::new()).unwrap(), None);
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let some = |number, count, tensors| [Some(number), Some(count), Some(tensors)];
    for (at, bytes, expected) in [
        (2, None, "m-00002-of-00003.gguf: file: missing"),
        (
            2,
            Some(part(some(2, 3, 3), &["a", "b"])),
            "m-00002-of-00003.gguf: split.no: named part 2 of 3 but it is part 3 of 3",
        ),
        (
            2,
            Some(part(some(1, 2, 3), &["a", "b"])),
            "named part 2 of 3 but it is part 2 of 2",
        ),
        (
            3,
            Some(part(some(2, 3, 4), &["c"])),
            "4 tensors, but part 1 says 3",
        ),
        (
            3,
            Some(part(some(2, 3, 3), &[])),
            "3 tensors announced but the parts hold 2",
        ),
        (
            3,
            Some(part(some(2, 3, 3), &["a"])),
            "m-00003-of-00003.gguf: a: `m-00002-of-00003.gguf` holds",
        ),
        (
            1,
            Some(part([None; 3], &[])),
            "named as a part but has no `split.*` keys",
        ),
        (
            1,
            Some(part([Some(0), None, Some(3)], &[])),
            "needs the numbers",
        ),
        (1, Some(part(some(0, 0, 3), &[])), "part 0 (from 0) of 0"),
        (
            1,
            Some(part(some(0, 1 << 16, 3), &[])),
            "of 65536; 1 to 1024",
        ),
        (1, Some(part(some(0, u64::MAX, 3), &[])), "1 to 1024 parts"),
        (1, Some(part(some(3, 3, 3), &[])), "part 3 (from 0) of 3"),
        (
            3,
            Some(part(some(2, 3, u64::MAX), &["c"])),
            "but part 1 says 3",
        ),
    ] {
        let mut sources = parts();
        match bytes {
            Some(bytes) => sources.insert(part_name(at), source(bytes)),
            None => sources.remove(&part_name(at)),
        };
        let error = open_split(&part_name(3), &mut sources)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    for name in [
        "m-00000-of-00003.gguf",
        "m-00004-of-00003.gguf",
        "-00001-of-99999.gguf",
    ] {
        let error = split_files(name).unwrap_err().to_string();
        assert!(error.contains("1 to 1024 parts"), "{name}: {error}");
    }
    for name in [
        "m-1-of-3.gguf",
        "m-00001-of-0000é.gguf",
        "00001-of-00003.gguf",
        "",
    ] {
        assert_eq!(split_files(name).unwrap(), None, "{name}");
        let error = open_split(name, &mut parts()).unwrap_err().to_string();
        assert!(error.contains("not the name of a part"), "{name}: {error}");
    }
}
