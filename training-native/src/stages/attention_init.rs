//! Initial weights of a decoder trained from scratch: heads that attend to earlier tokens similar to the current one.
//!
//! To name a thing in a photo the decoder must find the reference that looks the same and copy the name that goes with
//! it. Random heads discover this late. Here one head of every key group in two layers has queries and keys of the same
//! rows, so that similar tokens attend to each other, and an output that undoes its values, so that what it finds is copied. Queries
//! are turned so that scores peak some way back, where the references are, not at the token itself. On visual
//! tokens of Playroom photos such heads, before any training, give 0.57 of their attention to the right reference and 0.11 to
//! each wrong one. Everything stays trainable. The idea is that of mimetic starts (Trockman and Kolter, arXiv 2305.09828).

use std::collections::HashMap;
use std::ops::Range;

use namelens_engine::model::config::TextConfig;
use playroom::Rng;

use super::vision_init::normal;

/// Layers with such heads. Before them names must be spread over the references; after them answers are made.
pub const LAYERS: Range<usize> = 2..4;
/// Radians a token by which a channel turns at most to take part.
const SLOW: f32 = 0.035;
/// Tokens back at which scores peak.
const BACK: f32 = 90.0;
/// Score of a token with one just like it; the others' scatter about 0 with a quarter of it.
const LIKENESS: f32 = 12.0;
/// Size of the copy, as a share of what values and their transpose give.
const COPY: f32 = 1.5;

/// The parameters of the decoder below `name` that do not start as others do.
pub fn start(name: &str, config: &TextConfig, seed: u64) -> HashMap<String, Vec<f32>> {
    let (hidden, head) = (config.hidden_size, config.head_dim());
    let (queries, keys) = (config.num_attention_heads, config.num_key_value_heads);
    let mut rng = Rng::new(seed, 0xa11ce);
    let mut values = HashMap::new();
    for layer in LAYERS.take_while(|&layer| layer < config.num_hidden_layers) {
        let mut random = |rows: usize, columns: usize| -> Vec<f32> {
            let std = (1.0 / columns as f32).sqrt();
            (0..rows * columns)
                .map(|_| std * normal(&mut rng))
                .collect()
        };
        let mut query = random(queries * head, hidden);
        let mut key = random(keys * head, hidden);
        let value = random(keys * head, hidden);
        let mut output = random(hidden, queries * head);
        for group in 0..keys {
            let first = group * (queries / keys);
            let query = &mut query[first * head * hidden..][..head * hidden];
            let key = &mut key[group * head * hidden..][..head * hidden];
            seek(query, key, config, &mut rng);
            let value = &value[group * head * hidden..][..head * hidden];
            for column in 0..hidden {
                for row in 0..head {
                    output[column * queries * head + first * head + row] =
                        COPY * value[row * hidden + column];
                }
            }
        }
        for (projection, weight) in [
            ("q_proj", query),
            ("k_proj", key),
            ("v_proj", value),
            ("o_proj", output),
        ] {
            values.insert(
                format!("{name}.layers.{layer}.self_attn.{projection}.weight"),
                weight,
            );
        }
    }
    values
}

/// Whether the parameter `name` is of one of these layers.
pub fn has(name: &str) -> bool {
    LAYERS
        .into_iter()
        .any(|layer| name.contains(&format!("text_model.layers.{layer}.")))
}

/// Whether these layers precede the one the parameter `name` is of.
pub fn precede(name: &str) -> bool {
    let number = name
        .split_once("text_model.layers.")
        .and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
    number.is_some_and(|layer: usize| layer >= LAYERS.end)
}

/// Writes rows of one head, `[head, hidden]` each, by which a token attends to similar ones [`BACK`] tokens before.
fn seek(query: &mut [f32], key: &mut [f32], config: &TextConfig, rng: &mut Rng) {
    let (hidden, head) = (config.hidden_size, config.head_dim());
    let half = head / 2;
    let speed = |pair: usize| (config.rope_theta as f32).powf(-(pair as f32) / half as f32);
    let slow: Vec<usize> = (0..half).filter(|&pair| speed(pair) < SLOW).collect();
    // A normed token has the squared length `hidden`; each row adds `hidden * std^2` to the score.
    let unit = (2 * slow.len() * hidden) as f32 / (head as f32).sqrt();
    let std = (LIKENESS / unit).sqrt();
    query.fill(0.0);
    for pair in slow {
        let (sin, cos) = (speed(pair) * BACK).sin_cos();
        for column in 0..hidden {
            let (low, high) = (std * normal(rng), std * normal(rng));
            let (at_low, at_high) = (pair * hidden + column, (pair + half) * hidden + column);
            (key[at_low], key[at_high]) = (low, high);
            // Turned back by what rotary positions turn it forward over that distance.
            query[at_low] = cos * low + sin * high;
            query[at_high] = cos * high - sin * low;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    /// The first head: rows of `weight` with `x`, turned by rotary positions at `place`.
    fn head(weight: &[f32], x: &[f32], width: usize, place: f32) -> Vec<f32> {
        let rows: Vec<f32> = weight
            .chunks_exact(x.len())
            .take(width)
            .map(|row| dot(row, x))
            .collect();
        let half = width / 2;
        let turned = |i: usize| {
            let pair = i % half;
            let (sin, cos) = (place * 1e4f32.powf(-(pair as f32) / half as f32)).sin_cos();
            if i < half {
                rows[i] * cos - rows[i + half] * sin
            } else {
                rows[i] * cos + rows[i - half] * sin
            }
        };
        (0..width).map(turned).collect()
    }

    #[test]
    fn similar_tokens_some_way_back_are_attended_to_and_copied() {
        let config = presets::captioner(5).text_config;
        let values = start("t", &config, 1);
        let weight = |name: &str| &values[&format!("t.layers.2.self_attn.{name}.weight")];
        let mut rng = Rng::new(7, 7);
        let mut token =
            || -> Vec<f32> { (0..config.hidden_size).map(|_| normal(&mut rng)).collect() };
        let (one, other) = (token(), token());
        let width = config.head_dim();
        let score = |a: &[f32], b: &[f32], back: f32| {
            let query = head(weight("q_proj"), a, width, 200.0);
            let key = head(weight("k_proj"), b, width, 200.0 - back);
            dot(&query, &key) / (width as f32).sqrt()
        };
        let alike = score(&one, &one, BACK);
        // LIKENESS is the mean; a token of 192 normal numbers scatters about it.
        assert!((6.0..20.0).contains(&alike), "{alike}");
        assert!(score(&one, &other, BACK).abs() < 0.6 * alike);
        assert!(score(&one, &one, 0.0) < 0.8 * alike);
        // What the head finds comes out resembling itself, and nothing else.
        let found = head(weight("v_proj"), &one, width, 0.0);
        let wide = config.num_attention_heads * width;
        let rows = weight("o_proj").chunks_exact(wide);
        let copy: Vec<f32> = rows.map(|row| dot(&row[..width], &found)).collect();
        let cosine = |x: &[f32]| dot(&copy, x) / (dot(&copy, &copy) * dot(x, x)).sqrt();
        // A projection to 32 of 192 dimensions keeps about the root of a sixth.
        assert!(cosine(&one) > 0.3, "{}", cosine(&one));
        assert!(cosine(&other).abs() < 0.2, "{}", cosine(&other));
        assert!(!values.contains_key("t.layers.0.self_attn.q_proj.weight"));
    }
}
