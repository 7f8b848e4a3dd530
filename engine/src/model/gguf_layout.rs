//! How llama.cpp's GGUF files lay a SmolVLM-family model out: tensor names, and the row order of rotary projections.
//!
//! Text model and vision projector are two files (`model.gguf`, `mmproj.gguf`); together they hold what
//! `model.safetensors` holds.

/// Translates between Hugging Face's layout and GGUF's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GgufLayout {
    /// Query heads of the decoder.
    pub heads: usize,
    /// Key and value heads of the decoder.
    pub kv_heads: usize,
}

/// Keys without a layer number.
const WHOLE: [(&str, &str); 9] = [
    ("model.text_model.embed_tokens.weight", "token_embd.weight"),
    ("model.text_model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
    (
        "model.connector.modality_projection.proj.weight",
        "mm.model.fc.weight",
    ),
    (
        "model.vision_model.embeddings.patch_embedding.weight",
        "v.patch_embd.weight",
    ),
    (
        "model.vision_model.embeddings.patch_embedding.bias",
        "v.patch_embd.bias",
    ),
    (
        "model.vision_model.embeddings.position_embedding.weight",
        "v.position_embd.weight",
    ),
    (
        "model.vision_model.post_layernorm.weight",
        "v.post_ln.weight",
    ),
    ("model.vision_model.post_layernorm.bias", "v.post_ln.bias"),
];

/// Stems within a layer: of the decoder, then of the vision tower.
const DECODER: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];
const TOWER: [(&str, &str); 8] = [
    ("layer_norm1", "ln1"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.out_proj", "attn_out"),
    ("layer_norm2", "ln2"),
    ("mlp.fc1", "ffn_up"),
    ("mlp.fc2", "ffn_down"),
];

impl GgufLayout {
    /// GGUF's name of a Hugging Face key; keys it has no name for stay as they are.
    pub fn name(&self, key: &str) -> String {
        let whole = WHOLE.iter().find(|(hf, _)| *hf == key);
        whole
            .map(|(_, gguf)| (*gguf).to_owned())
            .or_else(|| layer_name(key, "model.text_model.layers.", &DECODER, "blk."))
            .or_else(|| layer_name(key, "model.vision_model.encoder.layers.", &TOWER, "v.blk."))
            .unwrap_or_else(|| key.to_owned())
    }

    /// Whether a Hugging Face key belongs into the vision projector file.
    pub fn in_projector(key: &str) -> bool {
        key.starts_with("model.vision_model.") || key.starts_with("model.connector.")
    }

    /// The row of the Hugging Face matrix `key` that each row of GGUF's holds; `None` when the order is the same.
    ///
    /// Hugging Face rotates element `i` of a head with element `i + D/2`, llama.cpp neighbours; its converter
    /// interleaves the two halves of every head of the query and key projections.
    pub fn row_order(&self, key: &str, rows: usize) -> Option<Vec<usize>> {
        if !key.starts_with("model.text_model.layers.") {
            return None;
        }
        let heads = match key.rsplit_once("self_attn.")?.1 {
            "q_proj.weight" => self.heads,
            "k_proj.weight" => self.kv_heads,
            _ => return None,
        };
        let width = rows / heads.max(1);
        let half = width / 2;
        Some(
            (0..rows)
                .map(|row| {
                    let (head, at) = (row / width, row % width);
                    head * width + (at % 2) * half + at / 2
                })
                .collect(),
        )
    }
}

fn layer_name(key: &str, prefix: &str, stems: &[(&str, &str)], to: &str) -> Option<String> {
    let (number, rest) = key.strip_prefix(prefix)?.split_once('.')?;
    let (stem, kind) = rest.rsplit_once('.')?;
    let (_, name) = stems.iter().find(|(hf, _)| *hf == stem)?;
    Some(format!("{to}{number}.{name}.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: GgufLayout = GgufLayout {
        heads: 4,
        kv_heads: 2,
    };

    #[test]
    fn names_are_llama_cpps() {
        let name = |key| LAYOUT.name(key);
        assert_eq!(
            name("model.text_model.embed_tokens.weight"),
            "token_embd.weight"
        );
        assert_eq!(
            name("model.text_model.layers.11.self_attn.o_proj.weight"),
            "blk.11.attn_output.weight"
        );
        assert_eq!(
            name("model.vision_model.encoder.layers.3.mlp.fc2.bias"),
            "v.blk.3.ffn_down.bias"
        );
        assert_eq!(name("something.else"), "something.else");
    }

    /// The names of llama.cpp's own table; a round trip through files of ours would not show one that is wrong.
    #[test]
    fn every_stem_has_llama_cpps_name() {
        let names = |prefix: &str, stems: &[&str]| -> Vec<String> {
            let name = |stem: &&str| LAYOUT.name(&format!("{prefix}.2.{stem}.weight"));
            stems.iter().map(name).collect()
        };
        let decoder = [
            ("input_layernorm", "blk.2.attn_norm.weight"),
            ("self_attn.q_proj", "blk.2.attn_q.weight"),
            ("self_attn.k_proj", "blk.2.attn_k.weight"),
            ("self_attn.v_proj", "blk.2.attn_v.weight"),
            ("self_attn.o_proj", "blk.2.attn_output.weight"),
            ("post_attention_layernorm", "blk.2.ffn_norm.weight"),
            ("mlp.gate_proj", "blk.2.ffn_gate.weight"),
            ("mlp.up_proj", "blk.2.ffn_up.weight"),
            ("mlp.down_proj", "blk.2.ffn_down.weight"),
        ];
        let (ours, theirs): (Vec<_>, Vec<_>) = decoder.into_iter().unzip();
        assert_eq!(names("model.text_model.layers", &ours), theirs);
        let tower = [
            ("layer_norm1", "v.blk.2.ln1.weight"),
            ("layer_norm2", "v.blk.2.ln2.weight"),
            ("self_attn.q_proj", "v.blk.2.attn_q.weight"),
            ("self_attn.k_proj", "v.blk.2.attn_k.weight"),
            ("self_attn.v_proj", "v.blk.2.attn_v.weight"),
            ("self_attn.out_proj", "v.blk.2.attn_out.weight"),
            ("mlp.fc1", "v.blk.2.ffn_up.weight"),
            ("mlp.fc2", "v.blk.2.ffn_down.weight"),
        ];
        let (ours, theirs): (Vec<_>, Vec<_>) = tower.into_iter().unzip();
        assert_eq!(names("model.vision_model.encoder.layers", &ours), theirs);
        for (ours, theirs) in [
            ("model.text_model.norm.weight", "output_norm.weight"),
            ("lm_head.weight", "output.weight"),
            (
                "model.connector.modality_projection.proj.weight",
                "mm.model.fc.weight",
            ),
            (
                "model.vision_model.embeddings.patch_embedding.bias",
                "v.patch_embd.bias",
            ),
            (
                "model.vision_model.embeddings.position_embedding.weight",
                "v.position_embd.weight",
            ),
            (
                "model.vision_model.post_layernorm.weight",
                "v.post_ln.weight",
            ),
        ] {
            assert_eq!(LAYOUT.name(ours), theirs);
        }
    }

    #[test]
    fn halves_of_each_head_are_interleaved() {
        let key = "model.text_model.layers.0.self_attn.k_proj.weight";
        let order = LAYOUT.row_order(key, 12);
        assert_eq!(order, Some(vec![0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]));
        let same = "model.text_model.layers.0.self_attn.v_proj.weight";
        assert_eq!(LAYOUT.row_order(same, 12), None);
        let tower = "model.vision_model.encoder.layers.0.self_attn.q_proj.weight";
        assert_eq!(LAYOUT.row_order(tower, 12), None);
    }
}
