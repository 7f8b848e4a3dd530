//! Any text as an `adapter_config.json` and any bytes as its weights, for the names of every family.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::model::families;
use namelens_engine::model::lora::Adapter;
use namelens_engine::weights::SliceSource;
use namelens_fuzz::{text_and_rest, within};

fuzz_target!(|data: &[u8]| {
    let Some((config, weights)) = text_and_rest(data) else {
        return;
    };
    for family in ["smolvlm", "qwen2_5_vl", "qwen3_vl"] {
        // A byte of a list in the configuration becomes a value of some thirty, in several copies.
        within(256 * data.len() + (1 << 20), || {
            let source = Box::new(SliceSource::new(weights));
            let adapter = Adapter::open("fuzz", config, source, families::names(family));
            if let Ok(adapter) = adapter {
                assert!(adapter.len() <= weights.len());
            }
        });
    }
});
