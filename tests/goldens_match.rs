//! The matching model against the reference implementation, stage by stage, on a small random checkpoint.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::Device;
use namelens_engine::model::matcher::{Matcher, similarity};
use namelens_engine::model::matcher_config::MatcherConfig;
use namelens_engine::model::params::ParamBuilder;
use namelens_tests::floats;
use namelens_tests::golden::{Case, Checkpoint, checkpoints, distance};

/// Largest distance from the reference in standard deviations of the values compared, in f32; see `goldens.rs`.
const BAR: f32 = 1e-4;

#[test]
fn photos_and_texts_match_as_in_the_reference() {
    let device = Device::flex();
    for checkpoint in checkpoints(&["blip-2"]) {
        let config = MatcherConfig::from_json(&checkpoint.config.to_string()).unwrap();
        let mut source = checkpoint.source();
        let model = Matcher::new(&mut ParamBuilder::new(&mut source, &device), &config).unwrap();
        assert_eq!(source.unused(), Vec::<&str>::new());
        for case in checkpoint.cases() {
            check_matches(&checkpoint, &case, &model, &device);
        }
    }
}

fn check_matches(checkpoint: &Checkpoint, case: &Case, model: &Matcher, device: &Device) {
    let check = |stage: &str, found: &[f32], expected: &[f32]| {
        let distance = distance(found, expected);
        println!("{stage} | {} | {distance:.1e}", case.name);
        assert!(distance <= BAR, "{stage}: {distance:.1e} deviations");
    };
    let want = |name: &str| case.floats(name).unwrap();
    let (shape, ids) = case.ints("input_ids").unwrap();
    let (_, mask) = case.ints("attention_mask").unwrap();
    let text = |(ids, mask): (&[i64], &[i64])| -> Vec<u32> {
        let real = ids.iter().zip(mask).filter(|(_, mask)| **mask == 1);
        real.map(|(&id, _)| id as u32).collect()
    };
    let rows = ids.chunks(shape[1]).zip(mask.chunks(shape[1]));
    let texts: Vec<Vec<u32>> = rows.map(text).collect();
    let pixels = case.planes("pixel_levels", checkpoint, device).unwrap();
    let seen = model.vision.forward(pixels);
    check(
        "patches",
        &floats(seen.clone()),
        &want("vision_last_hidden").1,
    );

    // Behind a text's end hidden states mean nothing.
    let real = |values: &[f32], [tokens, width]: [usize; 2], queries: usize| -> Vec<f32> {
        let rows = values.chunks(tokens * width).zip(&texts);
        rows.flat_map(|(row, text)| row[..(queries + text.len()) * width].to_vec())
            .collect()
    };
    let (shape, tokens) = want("text_last_hidden");
    let size = [shape[1], shape[2]];
    let found = floats(model.read_texts(&texts).unwrap());
    check("tokens", &real(&found, size, 0), &real(&tokens, size, 0));
    let (shape, pairs) = want("itm_last_hidden");
    let size = [shape[1], shape[2]];
    let queries = shape[1] - texts.iter().map(Vec::len).max().unwrap();
    let found = floats(model.read_pairs(seen.clone(), &texts).unwrap());
    check(
        "pairs",
        &real(&found, size, queries),
        &real(&pairs, size, queries),
    );

    let photos = model.embed_photos(seen.clone());
    check("photos", &floats(photos.clone()), &want("image_embeds").1);
    let embedded = model.embed_texts(&texts).unwrap();
    check("texts", &floats(embedded.clone()), &want("text_embeds").1);
    check(
        "ITC",
        &floats(similarity(photos, embedded)),
        &want("itc_logits").1,
    );
    let (_, itm) = want("itm_logits");
    for (at, want) in itm.chunks(texts.len() * 2).enumerate() {
        let one = seen.clone().narrow(0, at, 1);
        let found = floats(model.match_logits(one, &texts).unwrap());
        check(&format!("ITM of photo {at}"), &found, want);
    }
    let two = seen.narrow(0, 0, 2);
    assert!(
        model.match_logits(two, &texts).is_err(),
        "2 photos for 3 texts"
    );
}
