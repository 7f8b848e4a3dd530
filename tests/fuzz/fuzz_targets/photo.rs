//! Any bytes as a photo file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::image::decode;
use namelens_fuzz::within;

/// The engine's own caps: what a decoder may ask for, and a photo of 100 million pixels twice (as the file has it, and upright).
const LIMIT: usize = (512 << 20) + 2 * 100_000_000 * 4;

fuzz_target!(|data: &[u8]| {
    within(64 * data.len() + LIMIT, || {
        let Ok(photo) = decode(data) else {
            return;
        };
        let pixels = photo.width as usize * photo.height as usize;
        assert_eq!(photo.pixels.len(), 3 * pixels);
    });
});
