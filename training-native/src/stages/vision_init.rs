//! Initial weights of a vision tower trained from scratch: heads that attend to neighbouring patches, as a convolution does.
//!
//! A tower of random weights must first discover that patches beside each other belong together; on some ten thousand
//! photos it does not, and learns colours only. Here a quarter of the channels carries sinusoids of row and column, in
//! which a step on the grid is a rotation (Vaswani et al., arXiv 1706.03762); queries turned by an offset meet the keys
//! of the patch at that offset. Everything stays trainable. The idea is that of convolutional starts (d'Ascoli et al.,
//! arXiv 2103.10697), carried out with absolute positions, so that checkpoints are plain SigLIP.

use std::collections::HashMap;
use std::f32::consts::TAU;

use namelens_engine::model::config::VisionConfig;
use playroom::Rng;

/// Channels that carry positions: cosine and sine of row and column in eight frequencies.
const CHANNELS: usize = 4 * FREQUENCIES;
const FREQUENCIES: usize = 8;
/// Factor on queries and on keys: by the scores of a head of 32, most of its attention goes to its patch.
const SHARPNESS: f32 = 2.0;
/// The patches that the heads of the first layers attend to: offsets of row and column.
const OFFSETS: [[(i32, i32); 4]; 3] = [
    [(0, 1), (0, -1), (1, 0), (-1, 0)],
    [(1, 1), (1, -1), (-1, 1), (-1, -1)],
    [(0, 2), (0, -2), (2, 0), (-2, 0)],
];

/// The parameters of the tower below `name` that do not start at random; empty when its heads are too narrow.
pub fn start(name: &str, config: &VisionConfig, seed: u64) -> HashMap<String, Vec<f32>> {
    let width = config.hidden_size;
    let head = width / config.num_attention_heads;
    let mut values = HashMap::new();
    if head < CHANNELS || width < 2 * CHANNELS {
        return values;
    }
    let mut rng = Rng::new(seed, 0x10ca1);
    let grid = config.patches_per_side();
    let mut positions = Vec::with_capacity(grid * grid * width);
    for patch in 0..grid * grid {
        positions.extend(place(patch / grid, patch % grid, grid));
        positions.extend((CHANNELS..width).map(|_| 0.02 * normal(&mut rng)));
    }
    values.insert(
        format!("{name}.embeddings.position_embedding.weight"),
        positions,
    );
    let patch = 3 * config.patch_size * config.patch_size;
    let key = format!("{name}.embeddings.patch_embedding.weight");
    values.insert(key, reserved(width, patch, &mut rng));
    for layer in 0..config.num_hidden_layers {
        let layer_name = format!("{name}.encoder.layers.{layer}");
        // Nothing is written over the positions in the beginning.
        let out = reserved(width, width, &mut rng);
        values.insert(format!("{layer_name}.self_attn.out_proj.weight"), out);
        let fc2 = reserved(width, config.intermediate_size, &mut rng);
        values.insert(format!("{layer_name}.mlp.fc2.weight"), fc2);
        let Some(offsets) = OFFSETS.get(layer) else {
            continue;
        };
        for (projection, turned) in [("q_proj", true), ("k_proj", false)] {
            let mut weight: Vec<f32> = (0..width * width)
                .map(|_| 0.02 * normal(&mut rng))
                .collect();
            for (at, &(row, column)) in offsets.iter().enumerate().take(config.num_attention_heads)
            {
                let (row, column) = if turned { (row, column) } else { (0, 0) };
                turn(&mut weight[at * head * width..], width, row, column, grid);
            }
            values.insert(
                format!("{layer_name}.self_attn.{projection}.weight"),
                weight,
            );
        }
    }
    values
}

/// Radians a step on the grid turns the pair of channels of frequency `k`; no frequency wraps within the grid.
fn step(k: usize, grid: usize) -> f32 {
    TAU * (k + 1) as f32 / (2 * grid) as f32
}

/// The position channels of a patch: pairs of cosine and sine, first of the row, then of the column.
fn place(row: usize, column: usize, grid: usize) -> Vec<f32> {
    [row, column]
        .into_iter()
        .flat_map(|at| {
            (0..FREQUENCIES).flat_map(move |k| {
                let angle = step(k, grid) * at as f32;
                [angle.cos(), angle.sin()]
            })
        })
        .collect()
}

/// Writes the map from the position channels of a patch to those of the patch at an offset into a head's rows.
fn turn(rows: &mut [f32], width: usize, row: i32, column: i32, grid: usize) {
    for (axis, offset) in [row, column].into_iter().enumerate() {
        for k in 0..FREQUENCIES {
            let (sin, cos) = (step(k, grid) * offset as f32).sin_cos();
            let at = 2 * (axis * FREQUENCIES + k);
            for (r, (left, right)) in [(at, (cos, -sin)), (at + 1, (sin, cos))] {
                rows[r * width + at] = SHARPNESS * left;
                rows[r * width + at + 1] = SHARPNESS * right;
            }
        }
    }
}

/// Random `[rows, columns]` whose first rows, which would write into the position channels, are zero.
fn reserved(rows: usize, columns: usize, rng: &mut Rng) -> Vec<f32> {
    let std = (1.0 / columns as f32).sqrt();
    (0..rows * columns)
        .map(|i| {
            if i / columns < CHANNELS {
                0.0
            } else {
                std * normal(rng)
            }
        })
        .collect()
}

/// A standard normal number (Box and Muller).
pub(super) fn normal(rng: &mut Rng) -> f32 {
    let (a, b) = (rng.unit().max(1e-7), rng.unit());
    (-2.0 * a.ln()).sqrt() * (TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    #[test]
    fn turned_queries_meet_the_keys_of_the_patch_at_the_offset() {
        let config = presets::vision();
        let (grid, width) = (config.patches_per_side(), config.hidden_size);
        let values = start("t", &config, 1);
        let weight = |name: &str| &values[&format!("t.encoder.layers.1.self_attn.{name}.weight")];
        let head = |weight: &[f32], row: usize, column: usize| -> Vec<f32> {
            let x = place(row, column, grid);
            let rows = weight.chunks_exact(width).take(CHANNELS);
            rows.map(|w| w.iter().zip(&x).map(|(w, x)| w * x).sum())
                .collect()
        };
        // Head 0 of layer 1 looks one row down and one column right.
        let query = head(weight("q_proj"), 4, 6);
        let score = |patch: usize| -> f32 {
            let key = head(weight("k_proj"), patch / grid, patch % grid);
            query.iter().zip(&key).map(|(q, k)| q * k).sum()
        };
        let best = (0..grid * grid).max_by(|&a, &b| score(a).total_cmp(&score(b)));
        assert_eq!(best, Some(5 * grid + 7));
    }

    #[test]
    fn every_value_has_its_shape_and_narrow_heads_are_left_alone() {
        let config = presets::vision();
        let values = start("t", &config, 1);
        let length = |name: &str| values[name].len();
        assert_eq!(length("t.embeddings.position_embedding.weight"), 144 * 128);
        assert_eq!(length("t.embeddings.patch_embedding.weight"), 128 * 3 * 64);
        assert_eq!(length("t.encoder.layers.3.mlp.fc2.weight"), 128 * 512);
        assert!(!values.contains_key("t.encoder.layers.3.self_attn.q_proj.weight"));
        let mut narrow = config;
        narrow.num_attention_heads = 8;
        assert!(start("t", &narrow, 1).is_empty());
    }
}
