//! Any text as a `tokenizer.json`, and what follows its zero byte as text that a user wrote.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::text::{Segment, Tokenizer};
use namelens_fuzz::{text_and_rest, within};

fuzz_target!(|data: &[u8]| {
    let Some((json, rest)) = text_and_rest(data) else {
        return;
    };
    let written = String::from_utf8_lossy(rest);
    // The library's regular expressions and search trees take some MB whatever the input.
    within(1024 * data.len() + (64 << 20), || {
        let Ok(tokenizer) = Tokenizer::from_json(json.as_bytes()) else {
            return;
        };
        exercise(&tokenizer, &written);
        exercise(&tokenizer, "A mug <image> ist blau.\n\t123 \u{1F98A}</s>");
    });
});

fn exercise(tokenizer: &Tokenizer, text: &str) {
    let _ = tokenizer.encode(text, true);
    let _ = tokenizer.encode_wrapped(text);
    let segments = [
        Segment::Template("<s>user: ".into()),
        Segment::User(text.to_owned()),
        Segment::Image(0),
        Segment::Template(text.to_owned()),
    ];
    let _ = tokenizer.encode_segments(&segments, &["<image><image>".to_owned()]);
    if let Ok(ids) = tokenizer.encode(text, false) {
        let _ = tokenizer.decode(&ids, true);
        let _ = tokenizer.decode(&ids, false);
        // What a user wrote never becomes a special token, the unknown one excepted.
        let special = tokenizer.special_ids();
        let reached: Vec<u32> = ids.into_iter().filter(|id| special.contains(id)).collect();
        assert!(
            reached.windows(2).all(|pair| pair[0] == pair[1]),
            "{reached:?}"
        );
    }
}
