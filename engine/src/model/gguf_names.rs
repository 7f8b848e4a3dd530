//! What llama.cpp calls the tensors of decoders, towers and mergers.

use super::names::{Group, third};

/// Decoders of all families, and what all towers share.
pub(super) const SHARED: [Group; 5] = [
    Group {
        ours: "model.text_model.layers.",
        theirs: &["blk."],
        pieces: &[
            ("input_layernorm", "attn_norm", None),
            ("self_attn.q_proj", "attn_q", None),
            ("self_attn.k_proj", "attn_k", None),
            ("self_attn.v_proj", "attn_v", None),
            ("self_attn.o_proj", "attn_output", None),
            ("self_attn.q_norm", "attn_q_norm", None),
            ("self_attn.k_norm", "attn_k_norm", None),
            ("post_attention_layernorm", "ffn_norm", None),
            ("mlp.gate_proj", "ffn_gate", None),
            ("mlp.up_proj", "ffn_up", None),
            ("mlp.down_proj", "ffn_down", None),
        ],
    },
    Group {
        ours: "model.text_model.embed_tokens.",
        theirs: &["token_embd."],
        pieces: &[],
    },
    Group {
        ours: "model.text_model.norm.",
        theirs: &["output_norm."],
        pieces: &[],
    },
    Group {
        ours: "lm_head.",
        theirs: &["output."],
        pieces: &[],
    },
    Group {
        ours: "model.vision_model.",
        theirs: &["v."],
        pieces: &[
            ("embeddings.patch_embedding", "patch_embd", None),
            ("embeddings.position_embedding", "position_embd", None),
            ("post_layernorm", "post_ln", None),
        ],
    },
];

/// A layer of a tower with three projections of their own.
pub(super) const APART: Group = Group {
    ours: "model.vision_model.encoder.layers.",
    theirs: &["v.blk."],
    pieces: &[
        ("layer_norm1", "ln1", None),
        ("layer_norm2", "ln2", None),
        ("self_attn.q_proj", "attn_q", None),
        ("self_attn.k_proj", "attn_k", None),
        ("self_attn.v_proj", "attn_v", None),
        ("self_attn.out_proj", "attn_out", None),
        ("mlp.fc1", "ffn_up", None),
        ("mlp.fc2", "ffn_down", None),
        ("mlp.gate_proj", "ffn_gate", None),
        ("mlp.up_proj", "ffn_up", None),
        ("mlp.down_proj", "ffn_down", None),
    ],
};

/// A layer of a tower whose queries, keys and values are one tensor.
pub(super) const FUSED: Group = Group {
    ours: APART.ours,
    theirs: APART.theirs,
    pieces: &[
        ("layer_norm1", "ln1", None),
        ("layer_norm2", "ln2", None),
        ("self_attn.q_proj", "attn_qkv", third(0)),
        ("self_attn.k_proj", "attn_qkv", third(1)),
        ("self_attn.v_proj", "attn_qkv", third(2)),
        ("self_attn.out_proj", "attn_out", None),
        ("mlp.fc1", "ffn_up", None),
        ("mlp.fc2", "ffn_down", None),
        ("mlp.gate_proj", "ffn_gate", None),
        ("mlp.up_proj", "ffn_up", None),
        ("mlp.down_proj", "ffn_down", None),
    ],
};

/// Two projections over merged squares, and the norm before them.
pub(super) const MERGERS: [Group; 3] = [
    Group {
        ours: "model.connector.deepstack.",
        theirs: &["v.deepstack."],
        pieces: &[],
    },
    Group {
        ours: "model.connector.norm.",
        theirs: &["v.post_ln."],
        pieces: &[],
    },
    Group {
        ours: "model.connector.",
        theirs: &["mm."],
        pieces: &[("fc1", "0", None), ("fc2", "2", None)],
    },
];
