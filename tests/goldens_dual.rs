//! Dual encoders against the reference implementation, stage by stage, on small random checkpoints.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use namelens_engine::model::dual::{DualEncoder, normalise};
use namelens_engine::model::dual_config::DualConfig;
use namelens_engine::model::params::{Init, ParamBuilder, ParamSource, Values};
use namelens_engine::model::variants::{PhotoPooling, TextPooling};
use namelens_tests::floats;
use namelens_tests::golden::{Case, Checkpoint, checkpoints, distance};

/// Largest distance from the reference in standard deviations of the values compared, in f32; see `goldens.rs`.
const BAR: f32 = 1e-4;

/// One dual encoder with its case.
struct Dual {
    checkpoint: Checkpoint,
    case: Case,
    model: DualEncoder,
    config: DualConfig,
    device: Device,
}

fn duals() -> Vec<Dual> {
    let device = Device::flex();
    let open = |checkpoint: Checkpoint| {
        let config = DualConfig::from_json(&checkpoint.config.to_string()).unwrap();
        let mut source = checkpoint.source();
        let model = DualEncoder::new(&mut ParamBuilder::new(&mut source, &device), &config);
        let model = model.unwrap();
        assert_eq!(source.unused(), Vec::<&str>::new(), "{}", checkpoint.name);
        Dual {
            case: checkpoint.cases().remove(0),
            checkpoint,
            model,
            config,
            device: device.clone(),
        }
    };
    let found = checkpoints(&["siglip", "siglip2", "clip"]);
    found.into_iter().map(open).collect()
}

impl Dual {
    /// The photos one by one, each of its own shape.
    fn photos(&self) -> Vec<Tensor<4>> {
        let patch = self.config.vision_config.patch_size;
        if let Some(photos) = self.case.shaped(&self.checkpoint, patch, &self.device) {
            return photos;
        }
        let all = self
            .case
            .planes("pixel_levels", &self.checkpoint, &self.device);
        let all = all.unwrap();
        let one = |at| all.clone().narrow(0, at, 1);
        (0..all.dims()[0]).map(one).collect()
    }

    fn ids(&self) -> Tensor<2, Int> {
        let (shape, ids) = self.case.ints("input_ids").unwrap();
        Tensor::from_data(TensorData::new(ids, [shape[0], shape[1]]), &self.device)
    }

    fn embed_photos(&self) -> Tensor<2> {
        let embed = |pixels: Tensor<4>| {
            let patches = self.model.vision.forward(pixels);
            let embedded = self.model.embed_regions(patches, None);
            let width = embedded.dims()[2];
            embedded.reshape([1, width])
        };
        Tensor::cat(self.photos().into_iter().map(embed).collect(), 0)
    }

    fn check(&self, stage: &str, found: &[f32], expected: &[f32]) {
        let distance = distance(found, expected);
        println!("{stage} | {} | {distance:.1e}", self.checkpoint.name);
        assert!(
            distance <= BAR,
            "{stage} of {}: {distance:.1e} deviations",
            self.checkpoint.name
        );
    }
}

/// CLIP's reference shows patches before the final norm, which our tower has behind it.
fn normed(dual: &Dual, rows: &[f32]) -> Vec<f32> {
    let hidden = dual.config.vision_config.hidden_size;
    let mut source = dual.checkpoint.source();
    let mut read = |name: &str| {
        let key = format!("vision_model.post_layernorm.{name}");
        match source.values(&key, &[hidden], Init::Constant(0.0)).unwrap() {
            Values::Host(values) => values,
            other => panic!("{key}: {other:?} instead of values"),
        }
    };
    let (weight, bias) = (read("weight"), read("bias"));
    let eps = dual.config.vision_config.layer_norm_eps;
    let norm = |row: &[f32]| -> Vec<f32> {
        let row: Vec<f64> = row.iter().map(|&v| f64::from(v)).collect();
        let mean = row.iter().sum::<f64>() / hidden as f64;
        let var = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / hidden as f64;
        let unit = |(at, v): (usize, &f64)| {
            let unit = (v - mean) / (var + eps).sqrt();
            (unit * f64::from(weight[at]) + f64::from(bias[at])) as f32
        };
        row.iter().enumerate().map(unit).collect()
    };
    rows.chunks(hidden).flat_map(norm).collect()
}

#[test]
fn patches_are_the_references() {
    for dual in duals() {
        let (shape, want) = dual.case.floats("vision_last_hidden").unwrap();
        for (at, pixels) in dual.photos().into_iter().enumerate() {
            let found = floats(dual.model.vision.forward(pixels));
            // The reference fills photos up to one number of patches.
            let want = &want[at * shape[1] * shape[2]..][..found.len()];
            let want = match dual.config.variant.photos {
                PhotoPooling::Probe => want.to_vec(),
                PhotoPooling::ClassToken => normed(&dual, want),
            };
            dual.check(&format!("patches of photo {at}"), &found, &want);
        }
    }
}

#[test]
fn photos_embed_as_in_the_reference() {
    for dual in duals() {
        let (_, want) = dual.case.floats("image_embeds").unwrap();
        dual.check("photos", &floats(dual.embed_photos()), &want);
    }
}

#[test]
fn tokens_are_the_references() {
    for dual in duals() {
        let (shape, want) = dual.case.floats("text_last_hidden").unwrap();
        let found = floats(dual.model.text.hidden(dual.ids()));
        let rows = match dual.case.ints("attention_mask") {
            Some((_, mask)) => mask,
            None => vec![1; shape[0] * shape[1]],
        };
        // What fills a text up means nothing where a mask hides it.
        let real = |values: &[f32]| -> Vec<f32> {
            let rows = values.chunks(shape[2]).zip(&rows);
            let real = rows.filter(|(_, mask)| **mask == 1);
            real.flat_map(|(row, _)| row.to_vec()).collect()
        };
        dual.check("tokens", &real(&found), &real(&want));
    }
}

#[test]
fn texts_embed_as_in_the_reference() {
    for dual in duals() {
        let (_, want) = dual.case.floats("text_embeds").unwrap();
        let found = floats(dual.model.embed_texts(dual.ids()));
        dual.check("texts", &found, &want);
    }
}

#[test]
fn an_old_clip_finds_the_end_by_the_highest_token() {
    let device = Device::flex();
    for checkpoint in checkpoints(&["clip"]) {
        let mut json = checkpoint.config.clone();
        json["text_config"]["eos_token_id"] = 2.into();
        let config = DualConfig::from_json(&json.to_string()).unwrap();
        assert_eq!(config.variant.texts, TextPooling::Highest);
        let mut source = checkpoint.source();
        let model = DualEncoder::new(&mut ParamBuilder::new(&mut source, &device), &config);
        for dual in duals()
            .iter()
            .filter(|dual| dual.checkpoint.name == checkpoint.name)
        {
            let found = floats(model.as_ref().unwrap().embed_texts(dual.ids()));
            let (_, want) = dual.case.floats("text_embeds").unwrap();
            dual.check("texts of an old configuration", &found, &want);
        }
    }
}

#[test]
fn texts_are_filled_up_as_in_the_reference() {
    for dual in duals() {
        let (shape, ids) = dual.case.ints("input_ids").unwrap();
        let pad = dual.checkpoint.config["text_config"]["pad_token_id"]
            .as_u64()
            .unwrap() as u32;
        let text = |row: &[i64]| -> Vec<u32> {
            let mut text: Vec<u32> = row.iter().map(|&id| id as u32).collect();
            // CLIP fills up with the end of the text, of which one is the text's own.
            while text.len() > 2 && text.ends_with(&[pad, pad]) {
                text.pop();
            }
            text
        };
        let texts: Vec<Vec<u32>> = ids.chunks(shape[1]).map(text).collect();
        let filled = dual.model.text.filled(&texts, pad).unwrap();
        let found = filled.clone().into_data().convert::<i64>();
        assert_eq!(
            found.try_to_vec::<i64>().unwrap(),
            ids,
            "{}",
            dual.checkpoint.name
        );
        let short = dual.model.text.filled(&texts[..1], pad).unwrap();
        let width = short.dims()[1];
        let own = dual.model.embed_texts(short);
        let (_, want) = dual.case.floats("text_embeds").unwrap();
        let want = &want[..own.dims()[1]];
        dual.check(&format!("a text in {width} places"), &floats(own), want);
        let vocab = dual.config.text_config.vocab_size as u32;
        for bad in [vec![1; 21], vec![], vec![vocab]] {
            assert!(dual.model.text.filled(&[bad], pad).is_err());
        }
    }
}

#[test]
fn logits_are_the_references() {
    for dual in duals() {
        let (_, want) = dual.case.floats("logits_per_image").unwrap();
        let texts = dual.model.embed_texts(dual.ids());
        let found = dual.model.pair_logits(dual.embed_photos(), texts);
        dual.check("logits", &floats(found), &want);
    }
}

#[test]
fn photos_of_another_size_stretch_the_positions() {
    let mut seen = 0;
    for dual in duals() {
        let planes = dual
            .case
            .planes("stretched_pixel_levels", &dual.checkpoint, &dual.device);
        let Some(pixels) = planes else {
            continue;
        };
        let patches = dual.model.vision.forward(pixels);
        let (_, want) = dual.case.floats("stretched_last_hidden").unwrap();
        dual.check("stretched patches", &floats(patches.clone()), &want);
        let (_, want) = dual.case.floats("stretched_pooled").unwrap();
        let pooled = dual.model.head.forward(patches, None);
        dual.check("stretched photo", &floats(pooled), &want);
        seen += 1;
    }
    assert_eq!(seen, 2, "both fixed-size SigLIPs have this case");
}

#[test]
fn a_region_of_clip_is_the_mean_of_its_patches() {
    for dual in duals() {
        if dual.config.variant.photos != PhotoPooling::ClassToken {
            continue;
        }
        let patches = dual.model.vision.forward(dual.photos().remove(0));
        let [_, tokens, _] = patches.dims();
        let outside: Vec<bool> = (0..tokens - 1).map(|at| at != 2 && at != 7).collect();
        let data = TensorData::new(outside, [1, 1, tokens - 1]);
        let outside = Tensor::<3, Bool>::from_data(data, &dual.device);
        let found = dual.model.embed_regions(patches.clone(), Some(outside));
        // Alone, a patch in the place of the class token is projected as that is.
        let one = |at: usize| {
            dual.model
                .head
                .forward(patches.clone().narrow(1, 1 + at, 1), None)
        };
        let want = normalise((one(2) + one(7)) / 2.0);
        dual.check("region", &floats(found), &floats(want));
    }
}
