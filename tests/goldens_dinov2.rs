//! DINOv2 against the reference implementation on small random checkpoints: plain, gated and with registers, on grids of any shape.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor};
use namelens_engine::image::{ImageProcessor, Rgb8};
use namelens_engine::model::config::VisionConfig;
use namelens_engine::model::feature_config::FeatureConfig;
use namelens_engine::model::feature_net::FeatureNet;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::model::plan::surplus;
use namelens_engine::model::vision::VisionTower;
use namelens_tests::golden::{Case, Checkpoint, checkpoints, distance};
use namelens_tests::{floats, network_bar};

/// Largest distance from the reference in standard deviations of the values compared, in f32; see `goldens.rs`.
const BAR: f32 = 1e-4;

/// One checkpoint with its case.
struct Encoder {
    checkpoint: Checkpoint,
    case: Case,
    net: FeatureNet,
    device: Device,
}

fn encoders(device: &Device) -> Vec<Encoder> {
    let open = |checkpoint: Checkpoint| {
        let config = FeatureConfig::from_json(&checkpoint.config.to_string()).unwrap();
        let mut source = checkpoint.source();
        let net = FeatureNet::new(&mut ParamBuilder::new(&mut source, device), &config).unwrap();
        assert_eq!(
            surplus(&source, false),
            Vec::<&str>::new(),
            "{}",
            checkpoint.name
        );
        Encoder {
            case: checkpoint.cases().remove(0),
            checkpoint,
            net,
            device: device.clone(),
        }
    };
    let found = checkpoints(&["dinov2", "dinov2_with_registers"]);
    found.into_iter().map(open).collect()
}

impl Encoder {
    fn tower(&self) -> (&VisionTower, &VisionConfig) {
        match &self.net {
            FeatureNet::Transformer(tower, config) => (tower, config),
            FeatureNet::Convolutional(..) => panic!("{} has no tower", self.checkpoint.name),
        }
    }

    fn planes(&self, name: &str) -> Tensor<4> {
        let planes = self.case.planes(name, &self.checkpoint, &self.device);
        planes.unwrap()
    }

    fn check(&self, stage: &str, found: &[f32], expected: &[f32]) {
        let distance = distance(found, expected);
        println!("{stage} | {} | {distance:.1e}", self.checkpoint.name);
        assert!(
            distance <= network_bar(&self.device, BAR),
            "{stage} of {}: {distance:.1e} deviations",
            self.checkpoint.name
        );
    }

    /// Photos as they are cut, and in every shape of the case.
    fn check_all(&self) {
        let (tower, _) = self.tower();
        let (shape, want) = self.case.floats("last_hidden").unwrap();
        let found = tower.forward(self.planes("pixel_levels"));
        assert_eq!(found.dims().to_vec(), shape);
        self.check("photos", &floats(found.clone()), &want);
        let [photos, _, width] = found.dims();
        let class = floats(found.narrow(1, 0, 1).reshape([photos, width]));
        let (_, want) = self.case.floats("pooled").unwrap();
        self.check("class tokens", &class, &want);
        let shapes = self.case.meta["shapes"].as_array().unwrap();
        assert!(shapes.len() >= 5);
        for shape in shapes.iter().map(|shape| shape.as_str().unwrap()) {
            let found = floats(tower.forward(self.planes(&format!("{shape}_pixel_levels"))));
            let (_, want) = self.case.floats(&format!("{shape}_last_hidden")).unwrap();
            self.check(shape, &found, &want);
        }
    }
}

#[test]
fn tokens_are_the_references_on_grids_of_any_shape() {
    let all = encoders(&Device::flex());
    assert_eq!(all.len(), 3, "plain, gated, with registers");
    all.iter().for_each(Encoder::check_all);
}

#[cfg(feature = "wgpu")]
#[test]
fn the_gpu_sees_the_same() {
    for device in namelens_tests::gpus() {
        encoders(&device).iter().for_each(Encoder::check_all);
    }
}

#[test]
fn every_layer_is_the_references() {
    for encoder in encoders(&Device::flex()) {
        let (tower, config) = encoder.tower();
        let mut passage = tower.enter(encoder.planes("pixel_levels"));
        for layer in 0..=config.num_hidden_layers {
            let name = format!("vision_hidden_{layer}");
            let (_, want) = encoder.case.floats(&name).unwrap();
            encoder.check(&name, &floats(passage.hidden()), &want);
            if layer < config.num_hidden_layers {
                tower.layer(layer, &mut passage);
            }
        }
    }
}

/// The maps of a photo are its patches without class token and registers, and means of squares of four of them.
#[test]
fn maps_are_the_patches_alone() {
    for encoder in encoders(&Device::flex()) {
        let (_, config) = encoder.tower();
        let name = "square";
        let pixels = encoder.planes(&format!("{name}_pixel_levels"));
        // 42 pixels are 7 patches of 6; a map has whole cells of two patches.
        let side = config.patch_size * 6;
        let pixels = pixels.narrow(2, 0, side).narrow(3, 0, side);
        let mut passage = encoder.net.enter(pixels.clone());
        for at in 0..encoder.net.depth() {
            passage.step(at);
        }
        let maps = passage.leave();
        let width = config.hidden_size;
        assert_eq!(maps.coarse.dims(), [1, 3, 3, width]);
        assert_eq!(maps.fine.dims(), [1, 6, 6, width]);
        assert_eq!(
            (encoder.net.cell(), encoder.net.width()),
            (2 * config.patch_size, width)
        );
        let tokens = floats(encoder.tower().0.forward(pixels));
        let before = 1 + config.variant.registers;
        let patches = &tokens[before * width..];
        assert_eq!(floats(maps.fine), patches);
        let coarse = floats(maps.coarse);
        for (row, column, feature) in [(0, 0, 0), (2, 1, 5), (1, 2, width - 1)] {
            let patch = |down: usize, across: usize| {
                patches[((2 * row + down) * 6 + 2 * column + across) * width + feature]
            };
            let mean = (patch(0, 0) + patch(0, 1) + patch(1, 0) + patch(1, 1)) / 4.0;
            let found = coarse[(row * 3 + column) * width + feature];
            // Four numbers near one, added in another order.
            assert!((found - mean).abs() < 1e-6, "{found} {mean}");
        }
    }
}

/// As the case has them: cut by the checkpoint's own processor, or brought to a size and left whole.
#[test]
fn photos_are_prepared_as_the_processor_does_it() {
    for encoder in encoders(&Device::flex()) {
        let file = "preprocessor_config.json";
        let processor = encoder.checkpoint.text(file).unwrap();
        let processor = ImageProcessor::from_json(file, &processor).unwrap();
        let photo = |at: usize| {
            let (shape, levels) = encoder.case.ints(&format!("rgb_{at}")).unwrap();
            Rgb8 {
                width: shape[1] as u32,
                height: shape[0] as u32,
                pixels: levels.into_iter().map(|level| level as u8).collect(),
            }
        };
        let want = floats(encoder.planes("pixel_levels"));
        let found: Vec<f32> = (0..2)
            .flat_map(|at| {
                processor
                    .process(&photo(at))
                    .unwrap()
                    .frames
                    .remove(0)
                    .pixels
            })
            .collect();
        assert_close(&found, &want);
        for shape in encoder.case.meta["shapes"].as_array().unwrap() {
            let planes = encoder.planes(&format!("{}_pixel_levels", shape.as_str().unwrap()));
            let [_, _, height, width] = planes.dims();
            let size = [width as u32, height as u32];
            let frame = processor.process_whole(&photo(0), size).unwrap();
            assert_eq!((frame.width, frame.height), (width, height));
            assert_close(&frame.pixels, &floats(planes));
        }
        for size in [[0, 8], [8, 0], [u32::MAX, u32::MAX]] {
            assert!(processor.process_whole(&photo(0), size).is_err());
        }
    }
}

/// The same levels; a level is far more than a rounding of f32.
fn assert_close(found: &[f32], want: &[f32]) {
    assert_eq!(found.len(), want.len());
    for (found, want) in found.iter().zip(want) {
        assert!((found - want).abs() < 1e-5, "{found} for {want}");
    }
}

#[test]
fn a_tensor_of_another_shape_is_named() {
    for encoder in encoders(&Device::flex()) {
        let mut json = encoder.checkpoint.config.clone();
        json["image_size"] = 48.into();
        let config = FeatureConfig::from_json(&json.to_string()).unwrap();
        let mut source = encoder.checkpoint.source();
        let device = Device::flex();
        let built = FeatureNet::new(&mut ParamBuilder::new(&mut source, &device), &config);
        let error = built.unwrap_err().to_string();
        assert!(error.contains("position_embeddings"), "{error}");
    }
}
