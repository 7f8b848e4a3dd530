//! Any bytes as a safetensors file and, from the brace on, as the index of a sharded one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::weights::{ShardIndex, SliceSource, WeightFile};
use namelens_fuzz::within;

fuzz_target!(|data: &[u8]| {
    // The shortest entry of a table, some sixty bytes of JSON, becomes two names, a shape and a place in a map.
    within(64 * data.len() + (1 << 20), || {
        if let Ok(index) = ShardIndex::parse(data.get(8..).unwrap_or_default()) {
            assert!(index.files().iter().all(|name| !name.contains(['/', '\\'])));
        }
        let Ok(file) = WeightFile::open("fuzz.safetensors", Box::new(SliceSource::new(data)))
        else {
            return;
        };
        for tensor in file.tensors() {
            assert!(tensor.offset + tensor.bytes <= data.len() as u64);
            assert!(
                file.read_f32(tensor)
                    .is_ok_and(|read| read.len() == tensor.elements())
            );
        }
    });
});
