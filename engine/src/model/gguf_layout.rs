//! How llama.cpp's GGUF files lay a model out: places of tensors, frames of the patch kernel, row order of rotary projections.
//!
//! Text model and vision projector are two files; together they hold what `model.safetensors` holds.

use super::config::VlmConfig;
use super::families;
use super::gguf_names::SHARED;
use super::names::{self, Group, Names, Stored};

/// Translates between our names and row order and GGUF's, for one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GgufLayout {
    names: Vec<Group>,
    /// Query heads, and key and value heads, of a decoder whose rows llama.cpp interleaves.
    interleaved: Option<(usize, usize)>,
    /// The tower's layer behind each DeepStack merger; files number mergers by it.
    deepstack: Vec<usize>,
}

/// A tensor in a GGUF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it is, and which block of its rows.
    pub stored: Stored,
    /// Its shape; that of the block, where it is one.
    pub shape: Vec<usize>,
}

const DEEPSTACK: &str = "model.connector.deepstack.";

impl GgufLayout {
    /// The layout of a model; one of a family without GGUF files keeps our names.
    pub fn of(config: &VlmConfig) -> Self {
        let text = &config.text_config;
        let (own, interleaved): (Names, bool) = families::gguf_names(&config.model_type);
        Self {
            names: own.iter().chain(&SHARED).copied().collect(),
            interleaved: interleaved
                .then_some((text.num_attention_heads, text.num_key_value_heads)),
            deepstack: config.vision_config.variant.deepstack.clone(),
        }
    }

    /// Every place a parameter may be stored at, the usual one first.
    pub fn places(&self, key: &str) -> Vec<Stored> {
        names::stored(&self.names, &self.by_layer(key))
    }

    /// What a parameter of `shape` stored at `place` consists of: a kernel over several frames is a tensor a frame.
    pub fn pieces(place: &Stored, shape: &[usize]) -> Vec<Piece> {
        let [rows, channels, frames, height, width] = *shape else {
            return vec![Piece {
                stored: place.clone(),
                shape: shape.to_vec(),
            }];
        };
        let piece = |frame: usize| Piece {
            stored: Stored {
                name: match frame {
                    0 => place.name.clone(),
                    more => format!("{}.{more}", place.name),
                },
                part: None,
            },
            shape: vec![rows, channels, height, width],
        };
        (0..frames).map(piece).collect()
    }

    /// Whether a parameter belongs into the vision projector file.
    pub fn in_projector(key: &str) -> bool {
        key.starts_with("model.vision_model.") || key.starts_with("model.connector.")
    }

    /// The row of our matrix (or bias) `key` that each row of GGUF's holds; `None` when the order is the same.
    ///
    /// We rotate element `i` of a head with element `i + D/2`, llama.cpp's Llama neighbours; its converter interleaves the
    /// two halves of every head of the query and key projections.
    pub fn row_order(&self, key: &str, rows: usize) -> Option<Vec<usize>> {
        let (heads, kv_heads) = self.interleaved?;
        let rest = key.strip_prefix("model.text_model.layers.")?;
        let heads = match rest.rsplit_once("self_attn.")?.1.split_once('.')?.0 {
            "q_proj" => heads,
            "k_proj" => kv_heads,
            _ => return None,
        };
        let width = rows / heads.max(1);
        let half = width / 2;
        if half == 0 || !rows.is_multiple_of(width) {
            return None;
        }
        Some(
            (0..rows)
                .map(|row| {
                    let (head, at) = (row / width, row % width);
                    head * width + (at % 2) * half + at / 2
                })
                .collect(),
        )
    }

    /// The key with the number of the tower's layer in place of the DeepStack merger's.
    fn by_layer(&self, key: &str) -> String {
        let found = key.strip_prefix(DEEPSTACK).and_then(|rest| {
            let (number, rest) = rest.split_once('.')?;
            let layer = self.deepstack.get(number.parse::<usize>().ok()?)?;
            Some(format!("{DEEPSTACK}{layer}.{rest}"))
        });
        found.unwrap_or_else(|| key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::gguf_names::{APART, FUSED, MERGERS};
    use crate::model::names::third;

    fn layout(own: &[Group], interleaved: Option<(usize, usize)>) -> GgufLayout {
        GgufLayout {
            names: own.iter().chain(&SHARED).copied().collect(),
            interleaved,
            deepstack: vec![5, 11],
        }
    }

    #[test]
    fn names_are_llama_cpps() {
        let layout = layout(&[&[FUSED, APART][..], &MERGERS].concat(), None);
        let name = |key| layout.places(key).swap_remove(0).name;
        for (ours, theirs) in [
            ("model.text_model.embed_tokens.weight", "token_embd.weight"),
            ("model.text_model.norm.weight", "output_norm.weight"),
            ("lm_head.weight", "output.weight"),
            (
                "model.text_model.layers.11.self_attn.o_proj.weight",
                "blk.11.attn_output.weight",
            ),
            (
                "model.text_model.layers.1.self_attn.k_norm.weight",
                "blk.1.attn_k_norm.weight",
            ),
            (
                "model.vision_model.encoder.layers.3.mlp.fc2.bias",
                "v.blk.3.ffn_down.bias",
            ),
            ("model.connector.norm.bias", "v.post_ln.bias"),
            ("model.connector.fc2.weight", "mm.2.weight"),
            (
                "model.connector.deepstack.1.fc1.weight",
                "v.deepstack.11.fc1.weight",
            ),
            ("something.else", "something.else"),
        ] {
            assert_eq!(name(ours), theirs);
        }
        let keys = "model.vision_model.encoder.layers.3.self_attn.k_proj.bias";
        let places = layout.places(keys);
        assert_eq!(places[0].name, "v.blk.3.attn_qkv.bias");
        assert_eq!(places[0].part, third(1));
        assert_eq!(places[1].name, "v.blk.3.attn_k.bias");
    }

    #[test]
    fn a_kernel_over_two_frames_is_two_tensors() {
        let place = Stored {
            name: "v.patch_embd.weight".into(),
            part: None,
        };
        let pieces = GgufLayout::pieces(&place, &[48, 3, 2, 14, 14]);
        assert_eq!(pieces[1].stored.name, "v.patch_embd.weight.1");
        assert_eq!(pieces[1].shape, [48, 3, 14, 14]);
        assert_eq!(GgufLayout::pieces(&place, &[48, 3, 14, 14]).len(), 1);
    }

    /// The names of llama.cpp's own table; a round trip through files of ours would not show one that is wrong.
    #[test]
    fn every_stem_has_llama_cpps_name() {
        let layout = layout(families::gguf_names("idefics3").0, None);
        let stored = |key: &str| layout.places(key).swap_remove(0).name;
        let names = |prefix: &str, stems: &[&str]| -> Vec<String> {
            let name = |stem: &&str| stored(&format!("{prefix}.2.{stem}.weight"));
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
            assert_eq!(stored(ours), theirs);
        }
    }

    #[test]
    fn halves_of_each_head_are_interleaved() {
        let layout = layout(&[APART], Some((4, 2)));
        let key = "model.text_model.layers.0.self_attn.k_proj.weight";
        let order = layout.row_order(key, 12);
        assert_eq!(order, Some(vec![0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]));
        let same = "model.text_model.layers.0.self_attn.v_proj.weight";
        assert_eq!(layout.row_order(same, 12), None);
        let tower = "model.vision_model.encoder.layers.0.self_attn.q_proj.weight";
        assert_eq!(layout.row_order(tower, 12), None);
    }
}
