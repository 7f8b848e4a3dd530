//! What a model is said to need and to lack before it is loaded, against what its files hold.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::Device;
use namelens::bundle::{FileSource, open_weights};
use namelens::export::{Conversion, Types, convert, open_bundle};
use namelens_engine::personalize::ModelFiles;
use namelens_engine::personalize::inventory::Inventory;
use namelens_engine::weights::{
    ByteSource, Dtype, SliceSource, TensorData, WeightFile, write_gguf,
};
use namelens_tests::golden::{Checkpoint, vlms};

fn taken(model: &Path) -> Inventory {
    Inventory::take(open_bundle(model).unwrap(), &Device::flex()).unwrap()
}

fn converted(checkpoint: &Checkpoint, dtype: Dtype) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let conversion = Conversion {
        types: Types {
            text: dtype,
            vision: dtype,
            embeddings: dtype,
        },
        split: None,
        force: false,
    };
    convert(&checkpoint.dir, folder.path(), conversion, &mut |_, _| ()).unwrap();
    folder
}

#[test]
fn every_parameter_is_counted_from_folder_and_from_gguf() {
    for checkpoint in vlms() {
        let weights = open_weights(&checkpoint.dir).unwrap();
        let tensors = weights.files().iter().flat_map(WeightFile::tensors);
        let (mut elements, mut bytes) = (0, 0);
        for tensor in tensors {
            elements += tensor.elements() as u64;
            bytes += tensor.bytes;
        }
        let inventory = taken(&checkpoint.dir);
        assert_eq!(inventory.problems, Vec::<String>::new());
        let sum = |of: fn(&Inventory) -> Vec<u64>, inventory: &Inventory| -> u64 {
            of(inventory).into_iter().sum()
        };
        let parameters = |i: &Inventory| i.parts.iter().map(|p| p.parameters).collect();
        let stored = |i: &Inventory| i.parts.iter().map(|p| p.stored).collect();
        assert_eq!(sum(parameters, &inventory), elements, "{}", checkpoint.name);
        assert_eq!(sum(stored, &inventory), bytes, "{}", checkpoint.name);
        let folder = converted(&checkpoint, Dtype::Q8_0);
        let packed = taken(folder.path());
        assert_eq!(packed.problems, Vec::<String>::new());
        assert_eq!(sum(parameters, &packed), elements, "{}", checkpoint.name);
        assert!(packed.weights < inventory.weights, "{}", checkpoint.name);
        assert_eq!(packed.cache_per_token, inventory.cache_per_token);
        // Two f32 numbers for each layer, key head and element.
        let config = &checkpoint.config["text_config"];
        let number = |key: &str| config[key].as_u64().unwrap();
        let heads = number("num_attention_heads");
        let width = config["head_dim"]
            .as_u64()
            .unwrap_or(number("hidden_size") / heads);
        let layer = number("num_key_value_heads") * width;
        let cache = inventory.needs(100).cache;
        assert_eq!(cache, 100 * 8 * number("num_hidden_layers") * layer);
    }
}

/// A file that remembers the last place it was read at.
struct Watched(FileSource, Arc<AtomicU64>);

impl ByteSource for Watched {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> namelens_engine::Result<()> {
        self.1.fetch_max(offset, Ordering::Relaxed);
        self.0.read_at(offset, out)
    }
}

#[test]
fn weights_are_not_read() {
    let folder = converted(&vlms()[0], Dtype::F32);
    let mut files = ModelFiles::default();
    let mut watched = Vec::new();
    for name in ["model.gguf", "mmproj.gguf"] {
        let open = || FileSource::open(&folder.path().join(name)).unwrap();
        let file = WeightFile::open(name, Box::new(open())).unwrap();
        let data = file
            .tensors()
            .iter()
            .map(|tensor| tensor.offset)
            .min()
            .unwrap();
        let last = Arc::new(AtomicU64::new(0));
        files.insert(name, Box::new(Watched(open(), last.clone())));
        watched.push((data, last));
    }
    Inventory::take(files, &Device::flex()).unwrap();
    for (data, last) in watched {
        // Headers are read in blocks, which may reach into the data; none begins there.
        let last = last.load(Ordering::Relaxed);
        assert!(last < data, "read at {last}, where data begins at {data}");
    }
}

#[test]
fn everything_that_is_wrong_is_named() {
    let checkpoints = vlms();
    let checkpoint = checkpoints.iter().find(|c| c.name == "qwen3_vl").unwrap();
    let folder = converted(checkpoint, Dtype::F16);
    let path = folder.path().join("mmproj.gguf");
    let file = WeightFile::open("mmproj", Box::new(FileSource::open(&path).unwrap())).unwrap();
    let mut tensors: Vec<(String, Vec<usize>, Dtype, Vec<u8>)> = file
        .tensors()
        .iter()
        .map(|t| {
            (
                t.name.clone(),
                t.shape.clone(),
                t.dtype,
                file.read_raw(t).unwrap(),
            )
        })
        .collect();
    tensors.retain(|(name, ..)| name != "v.blk.1.ln2.bias" && name != "v.patch_embd.weight.1");
    let wrong = tensors
        .iter_mut()
        .find(|(name, ..)| name == "v.blk.0.attn_qkv.weight");
    wrong.unwrap().1.reverse();
    tensors.push(("v.blk.9.ln2.bias".into(), vec![2], Dtype::F16, vec![0; 4]));
    let written: Vec<TensorData<'_>> = tensors
        .iter()
        .map(|(name, shape, dtype, bytes)| TensorData {
            name,
            shape,
            dtype: *dtype,
            bytes,
        })
        .collect();
    let mut bytes = Vec::new();
    write_gguf(&mut bytes, file.metadata(), &written).unwrap();
    let text = FileSource::open(&folder.path().join("model.gguf")).unwrap();
    let mut files = ModelFiles::default();
    files.insert("mmproj.gguf", Box::new(SliceSource::from(bytes)));
    files.insert("model.gguf", Box::new(text));
    let problems = Inventory::take(files, &Device::flex()).unwrap().problems;
    let names = [
        "v.blk.1.ln2.bias",
        "v.patch_embd.weight.1",
        "v.blk.0.attn_qkv.weight",
        "v.blk.9.ln2.bias",
    ];
    for name in names {
        let named = problems.iter().filter(|problem| problem.contains(name));
        assert_eq!(named.count(), 1, "{name}: {problems:#?}");
    }
    assert_eq!(problems.len(), names.len(), "{problems:#?}");
}
