//! The vision-language model and the dual encoder, built from Hugging Face configurations.

pub mod attention;
pub mod checkpoint;
pub mod config;
pub mod connector;
pub mod decoder;
pub mod dual;
pub mod families;
pub mod gguf_config;
pub mod gguf_layout;
pub mod kv_cache;
pub mod linear;
pub mod mlp;
pub mod names;
pub mod norm;
pub mod params;
pub mod patch_grid;
pub mod plan;
pub mod positions;
pub mod rope;
pub mod variants;
pub mod vision;
pub mod vlm;
pub mod windows;
