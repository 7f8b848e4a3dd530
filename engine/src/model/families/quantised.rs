//! What `quantization_config` says of weights that are stored in ways not read here.

use serde_json::Value;

use super::json::Json;
use crate::Result;

/// Where a file may say it; compressed-tensors had a key of its own.
const KEYS: [&str; 2] = ["quantization_config", "compression_config"];

/// Methods as files call them, and as people do.
const METHODS: [(&str, &str); 20] = [
    ("aqlm", "AQLM"),
    ("auto-round", "AutoRound"),
    ("awq", "AWQ"),
    ("bitnet", "BitNet"),
    ("bitsandbytes", "bitsandbytes"),
    ("compressed-tensors", "compressed-tensors"),
    ("eetq", "EETQ"),
    ("fbgemm_fp8", "FP8"),
    ("fp8", "FP8"),
    ("gptq", "GPTQ"),
    ("higgs", "HIGGS"),
    ("hqq", "HQQ"),
    ("modelopt", "ModelOpt"),
    ("mxfp4", "MXFP4"),
    ("quanto", "quanto"),
    ("quark", "Quark"),
    ("sinq", "SINQ"),
    ("spqr", "SpQR"),
    ("torchao", "torchao"),
    ("vptq", "VPTQ"),
];

/// Refuses a `config.json` whose safetensors files hold quantised weights.
///
/// # Errors
/// [`crate::Error::Config`] with the method, and what to take instead; when the text is no JSON.
pub fn refuse_quantised(json: &str) -> Result<()> {
    let json = Json::parse(json)?;
    let parts = [
        Some(json.clone()),
        json.part("text_config").ok(),
        json.part("vision_config").ok(),
    ];
    for part in parts.into_iter().flatten() {
        for key in KEYS {
            let Some(method) = part.stated(key).and_then(method) else {
                continue;
            };
            let problem = format!(
                "the weights are quantised by {method}, which is not read; take the model in F16 or BF16 (the folder it was \
                 quantised from), or a GGUF of it"
            );
            return Err(part.fail(key, &problem));
        }
    }
    Ok(())
}

/// The method of a configuration and its bits, where it names them; `None` of one that says nothing.
fn method(config: &Value) -> Option<String> {
    let keys = config.as_object().filter(|keys| !keys.is_empty())?;
    let text = |key: &str| keys.get(key).and_then(Value::as_str);
    let is_set = |key: &str| keys.get(key).and_then(Value::as_bool) == Some(true);
    let named = text("quant_method").or_else(|| text("quant_algo"));
    let method = match named {
        Some(name) => METHODS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or_else(|| format!("`{name}`"), |(_, shown)| (*shown).to_owned()),
        // bitsandbytes of before the key was there.
        None if is_set("load_in_4bit") || is_set("load_in_8bit") => "bitsandbytes".into(),
        None => "a method it does not name".into(),
    };
    let bits = ["bits", "w_bit", "nbits", "weight_bits"]
        .iter()
        .find_map(|key| keys.get(*key)?.as_u64())
        .or_else(|| is_set("load_in_4bit").then_some(4))
        .or_else(|| is_set("load_in_8bit").then_some(8));
    let format = text("format").or_else(|| text("weights"));
    Some(match (bits, format) {
        (Some(bits), _) => format!("{method} ({bits} bits)"),
        (None, Some(format)) => format!("{method} ({format})"),
        (None, None) => method,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_method_is_named() {
        for (config, told) in [
            (json!({"quant_method": "awq", "bits": 4}), "AWQ (4 bits)"),
            (json!({"quant_method": "gptq", "bits": 8}), "GPTQ (8 bits)"),
            (
                json!({"quant_method": "bitsandbytes", "load_in_4bit": true}),
                "bitsandbytes (4 bits)",
            ),
            (json!({"load_in_8bit": true}), "bitsandbytes (8 bits)"),
            (
                json!({"quant_method": "fp8", "activation_scheme": "dynamic"}),
                "FP8",
            ),
            (
                json!({"quant_method": "compressed-tensors", "format": "int-quantized"}),
                "compressed-tensors (int-quantized)",
            ),
            (json!({"quant_method": "new"}), "`new`"),
            (json!({"group_size": 32}), "does not name"),
        ] {
            for json in [
                json!({"quantization_config": config}),
                json!({"text_config": {"quantization_config": config}}),
                json!({"compression_config": config}),
            ] {
                let error = refuse_quantised(&json.to_string()).unwrap_err().to_string();
                assert!(error.contains(told), "{error}");
            }
        }
        for plain in [
            json!({}),
            json!({"quantization_config": null}),
            json!({"quantization_config": {}}),
        ] {
            refuse_quantised(&plain.to_string()).unwrap();
        }
    }
}
