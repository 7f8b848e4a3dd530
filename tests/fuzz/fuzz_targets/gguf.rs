//! Any bytes as a GGUF file: header, metadata, split keys, and every tensor that fits.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::weights::{SliceSource, Split, WeightFile};
use namelens_fuzz::within;

fuzz_target!(|data: &[u8]| {
    // A byte of an array of empty strings costs three, and vectors double; a Q4_0 byte becomes seven of floats.
    within(64 * data.len() + (1 << 20), || {
        let Ok(file) = WeightFile::open("fuzz.gguf", Box::new(SliceSource::new(data))) else {
            return;
        };
        let _ = Split::of("fuzz.gguf", file.metadata());
        for tensor in file.tensors() {
            assert!(tensor.offset + tensor.bytes <= data.len() as u64);
            assert!(
                file.read_raw(tensor)
                    .is_ok_and(|raw| raw.len() as u64 == tensor.bytes)
            );
            assert!(
                file.read_f32(tensor)
                    .is_ok_and(|read| read.len() == tensor.elements())
            );
        }
    });
});
