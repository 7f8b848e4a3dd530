//! Any bytes as a GGUF file with a tokenizer in its metadata.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::text::{GgufSpecials, Tokenizer};
use namelens_engine::weights::{SliceSource, WeightFile};
use namelens_fuzz::within;

fuzz_target!(|data: &[u8]| {
    // The library's regular expressions and search trees take some MB whatever the input.
    within(1024 * data.len() + (64 << 20), || {
        let Ok(file) = WeightFile::open("fuzz.gguf", Box::new(SliceSource::new(data))) else {
            return;
        };
        let _ = GgufSpecials::of(file.metadata());
        let Ok(tokenizer) = Tokenizer::from_gguf(file.metadata()) else {
            return;
        };
        let text = "A mug <image> ist blau.\n\t123 \u{1F98A}</s>";
        for allow_special in [true, false] {
            if let Ok(ids) = tokenizer.encode(text, allow_special) {
                let _ = tokenizer.decode(&ids, allow_special);
                let special = tokenizer.special_ids();
                assert!(
                    allow_special || ids.iter().all(|id| !special.contains(id)),
                    "{ids:?}"
                );
            }
        }
    });
});
