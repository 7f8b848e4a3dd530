//! Any text as a `preprocessor_config.json`; two bytes behind its zero byte are the size of a photo to process.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::image::{ImageMarkup, ImageProcessor, PhotoLayout, Rgb8};
use namelens_fuzz::{text_and_rest, within};

/// The engine's own caps: a frame of 2^25 pixels as floats, of 2^27 pixels as bytes, and the picture between two passes.
const LIMIT: usize = (1 << 25) * 12 + 2 * (1 << 27) * 3;

fuzz_target!(|data: &[u8]| {
    let Some((json, rest)) = text_and_rest(data) else {
        return;
    };
    let side = |at: usize| rest.get(at).map_or(17, |&byte| u32::from(byte.max(1)));
    let (width, height) = (side(0), side(1));
    within(256 * data.len() + LIMIT, || {
        let Ok(processor) = ImageProcessor::from_json("fuzz.json", json) else {
            return;
        };
        let levels = (0..width * height * 3).map(|at| (at * 37 % 256) as u8);
        let photo = Rgb8::new(width, height, levels.collect()).expect("three bytes a pixel");
        let Ok(processed) = processor.process(&photo) else {
            return;
        };
        for frame in &processed.frames {
            assert_eq!(frame.pixels.len(), 3 * frame.width * frame.height);
            assert!(
                processor
                    .side()
                    .is_none_or(|side| side == frame.width && side == frame.height)
            );
        }
        let markup = match processor.layout(&processed) {
            PhotoLayout::Tiles { .. } => ImageMarkup::smolvlm(1),
            PhotoLayout::Tokens(_) => ImageMarkup::Repeat,
        };
        let _ = markup.expand("<image>", processor.layout(&processed));
    });
});
