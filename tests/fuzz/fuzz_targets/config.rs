//! Any text as the `config.json` of every family, and what is computed from one that is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use namelens_engine::model::config::{CONTEXT, VlmConfig};
use namelens_engine::model::dual_config::DualConfig;
use namelens_engine::model::matcher_config::MatcherConfig;
use namelens_fuzz::within;

fuzz_target!(|data: &[u8]| {
    let Ok(json) = std::str::from_utf8(data) else {
        return;
    };
    // A list of one-digit numbers becomes values of some thirty bytes, several copies of them.
    within(256 * data.len() + (1 << 20), || {
        if let Ok(config) = VlmConfig::from_json(json) {
            let text = &config.text_config;
            assert!(text.context() <= CONTEXT);
            assert!(
                text.head_dim() > 0 && text.num_attention_heads % text.num_key_value_heads == 0
            );
            let _ = (
                config.tokens_per_image(),
                config.vision_config.num_patches(),
            );
        }
        if let Ok(config) = DualConfig::from_json(json) {
            let _ = config.vision_config.num_patches();
        }
        let _ = MatcherConfig::from_json(json);
    });
});
