//! EfficientNet-Lite against its PyTorch code: converted from the file that `torch.save` wrote, on photos of odd sizes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use namelens::bundle::FileSource;
use namelens::export::{EncoderConversion, convert_encoder};
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::efficientnet::EfficientNet;
use namelens_engine::model::efficientnet_config::EfficientNetConfig;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::weights::{Dtype, WeightFile, Weights};
use namelens_tests::golden::distance;
use namelens_tests::{floats, largest_gap};
use safetensors::SafeTensors;

/// Largest distance from the reference in standard deviations of the values compared, in f32; see `goldens.rs`.
const BAR: f32 = 1e-4;
/// What the published processor subtracts and divides by, in levels.
const MEAN_AND_STD: (f32, f32) = (127.0, 128.0);

/// The fixture.
fn fixture() -> PathBuf {
    // At run time: a build directory shared by two checkouts keeps the path of the other.
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("fixtures/efficientnet")
}

/// The fixture, or another one that has a `model.pth` and `cases.safetensors` of `efficientnet.py --real`.
fn folder() -> PathBuf {
    std::env::var_os("NAMELENS_ENCODER").map_or_else(fixture, PathBuf::from)
}

/// The encoder with its matrices in `dtype`, all of whose tensors were taken.
fn load(from: &Path, dtype: Dtype, device: &Device) -> EfficientNet {
    let out = tempfile::tempdir().unwrap();
    let conversion = EncoderConversion {
        dtype,
        words: None,
        force: false,
    };
    let written = convert_encoder(&from.join("model.pth"), out.path(), conversion).unwrap();
    let config = fs::read_to_string(out.path().join("retriever/config.json")).unwrap();
    let config = EfficientNetConfig::from_json(&config).unwrap();
    assert_eq!(config, written.config);
    let file = out.path().join("retriever/model.gguf");
    let file = WeightFile::open("model.gguf", Box::new(FileSource::open(&file).unwrap())).unwrap();
    let mut weights = Weights::new();
    weights.push(file).unwrap();
    let mut source = CheckpointSource::new(weights);
    let net = EfficientNet::new(&mut ParamBuilder::new(&mut source, device), &config).unwrap();
    assert_eq!(source.unused(), Vec::<&str>::new());
    net
}

/// Largest distances of feature maps and of shares of categories over all cases.
fn distances(from: &Path, dtype: Dtype, device: &Device) -> (f32, f32) {
    let net = load(from, dtype, device);
    let bytes = fs::read(from.join("cases.safetensors")).unwrap();
    let cases = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |name: &str| -> Vec<f32> {
        let (values, _) = cases.tensor(name).unwrap().data().as_chunks::<4>();
        values.iter().map(|v| f32::from_le_bytes(*v)).collect()
    };
    let (mut map, mut shares) = (0f32, 0f32);
    let count = cases.names().len() / 3;
    assert!(count >= 4);
    for case in 0..count {
        let pixels = cases.tensor(&format!("{case}.pixels")).unwrap();
        let [height, width, _] = pixels.shape().try_into().unwrap();
        let (mean, std) = MEAN_AND_STD;
        let levels: Vec<f32> = pixels
            .data()
            .iter()
            .map(|v| (f32::from(*v) - mean) / std)
            .collect();
        let data = TensorData::new(levels, [1, height, width, 3]);
        let features = net.forward(Tensor::from_data(data, device));
        let [_, rows, columns, channels] = features.dims();
        let found = floats(features.clone());
        map = map.max(distance(&found, &numbers(&format!("{case}.features"))));
        let mean = features.reshape([rows * columns, channels]).mean_dim(0);
        let found = floats(net.classify(mean));
        let logits = numbers(&format!("{case}.logits"));
        let total: f32 = logits.iter().map(|v| v.exp()).sum();
        let wanted: Vec<f32> = logits.iter().map(|v| v.exp() / total).collect();
        shares = shares.max(largest_gap(&found, &wanted));
    }
    (map, shares)
}

#[test]
fn features_equal_those_of_the_pytorch_code() {
    let (map, shares) = distances(&folder(), Dtype::F32, &Device::flex());
    println!("efficientnet | feature maps {map:.1e} | shares {shares:.1e}");
    assert!(map <= BAR, "{map:.1e} deviations");
    // Shares add up to 1; f32 has 6e-8 there.
    assert!(shares <= 1e-5, "{shares:.1e}");
}

#[cfg(feature = "wgpu")]
#[test]
fn the_gpu_sees_the_same() {
    for device in namelens_tests::gpus() {
        let (map, shares) = distances(&folder(), Dtype::F32, &device);
        println!("efficientnet on {device:?} | feature maps {map:.1e} | shares {shares:.1e}");
        let bars = [BAR, 1e-5].map(|bar| namelens_tests::network_bar(&device, bar));
        assert!(
            map <= bars[0] && shares <= bars[1],
            "{map:.1e}, {shares:.1e}"
        );
    }
}

#[test]
fn eight_bits_move_features_a_little() {
    let (map, shares) = distances(&folder(), Dtype::Q8_0, &Device::flex());
    println!("efficientnet in Q8_0 | feature maps {map:.1e} | shares {shares:.1e}");
    // More than nothing, or nothing was quantised; a layer gone wrong moves features by whole deviations.
    assert!(map > 1e-4 && map < 0.5, "{map:.1e}");
}

#[test]
fn what_is_no_encoder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let conversion = EncoderConversion {
        dtype: Dtype::Q8_0,
        words: None,
        force: false,
    };
    let pth = folder.path().join("model.pth");
    fs::write(&pth, b"<!DOCTYPE html>").unwrap();
    let error = convert_encoder(&pth, &folder.path().join("out"), conversion).unwrap_err();
    assert!(
        format!("{error:#}").contains("no PyTorch checkpoint"),
        "{error:#}"
    );
    // A file of another size than config.json says.
    let source = fixture();
    fs::copy(source.join("model.pth"), &pth).unwrap();
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    let wider = config.replace("\"width_coefficient\": 0.1", "\"width_coefficient\": 1.0");
    assert_ne!(wider, config);
    fs::write(folder.path().join("config.json"), wider).unwrap();
    let converted = convert_encoder(&pth, &folder.path().join("out"), conversion);
    let error = format!("{:#}", converted.unwrap_err());
    assert!(error.contains("is of another network"), "{error}");
    let words = folder.path().join("words.txt");
    fs::write(&words, "cat\ndog\n").unwrap();
    let with_words = EncoderConversion {
        words: Some(&words),
        ..conversion
    };
    let converted = convert_encoder(
        &source.join("model.pth"),
        &folder.path().join("out"),
        with_words,
    );
    assert!(converted.unwrap_err().to_string().contains("7 categories"));
}
