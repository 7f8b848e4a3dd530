//! An adapter as PEFT saves it: `adapter_config.json` and the tensors of `adapter_model.safetensors`.

use burn::tensor::Tensor;
use serde_json::{Map, Value, json};

use super::Lora;
use super::adapter::{HALVES, PREFIX};
use crate::model::names::{self, Names};
use crate::model::params::NamedValues;

/// The two files of an adapter.
#[derive(Debug, Clone)]
pub struct SavedAdapter {
    /// Text of `adapter_config.json`.
    pub config: String,
    /// Tensors of `adapter_model.safetensors`.
    pub tensors: Vec<NamedValues>,
}

/// What is added to one weight of a checkpoint: several of our layers where that keeps them as one.
struct Stored {
    path: String,
    /// Number of blocks of rows.
    of: usize,
    /// What its products are multiplied with.
    scale: f64,
    /// By block of rows, our layer's share.
    parts: Vec<(usize, Halves)>,
}

/// One share, on the host.
struct Halves {
    a: Vec<f32>,
    b: Vec<f32>,
    rank: usize,
    input: usize,
    output: usize,
}

impl Halves {
    fn read(lora: &Lora) -> Self {
        let [rank, input] = lora.a.dims();
        Self {
            a: host(lora.a.val()),
            b: host(lora.b.val()),
            rank,
            input,
            output: lora.b.dims()[0],
        }
    }
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    let data = tensor.into_data().convert::<f32>();
    // It was converted to what is asked for.
    data.try_to_vec().unwrap_or_default()
}

/// The files of the adapter whose shares in our layers are these, for checkpoints that name their tensors so; `base` says of which
/// model. Blocks; native only.
///
/// Where a checkpoint keeps several of our layers as one tensor (`qkv`), their shares stand in it block by block, at as many times
/// the rank: the same sum.
pub(in crate::model) fn save(
    shares: &[(String, Lora)],
    names: Names,
    base: Option<&str>,
) -> SavedAdapter {
    let mut found: Vec<Stored> = Vec::new();
    for (key, lora) in shares {
        let mut places = names::stored(names, &format!("{key}.weight"));
        let names::Stored { name, part } = places.swap_remove(0);
        let path = name.trim_end_matches(".weight").to_owned();
        let (index, of) = part.map_or((0, 1), |part| (part.index, part.of));
        let part = (index, Halves::read(lora));
        match found.iter_mut().find(|stored| stored.path == path) {
            Some(stored) => stored.parts.push(part),
            None => found.push(Stored {
                path,
                of,
                scale: lora.scale,
                parts: vec![part],
            }),
        }
    }
    let first = shares.first().map(|(_, lora)| lora);
    let rank = first.map_or(1, |lora| lora.a.dims()[0]);
    let (scale, by_root) = first.map_or((1.0, false), |lora| (lora.scale, lora.by_root));
    let alpha_of = |scale: f64, rank: usize| {
        scale
            * if by_root {
                (rank as f64).sqrt()
            } else {
                rank as f64
            }
    };
    let (mut tensors, mut ranks, mut alphas) = (Vec::new(), Map::new(), Map::new());
    for stored in &found {
        let whole: usize = stored.parts.iter().map(|(_, halves)| halves.rank).sum();
        if whole != rank {
            ranks.insert(stored.path.clone(), json!(whole));
        }
        if whole != rank || stored.scale != scale {
            alphas.insert(stored.path.clone(), json!(alpha_of(stored.scale, whole)));
        }
        tensors.extend(stored.tensors(whole));
    }
    let targets: Vec<&String> = found.iter().map(|stored| &stored.path).collect();
    let config = json!({
        "peft_type": "LORA",
        "task_type": Value::Null,
        "base_model_name_or_path": base,
        "r": rank,
        "lora_alpha": alpha_of(scale, rank),
        "lora_dropout": first.map_or(0.0, |lora| lora.dropout.share()),
        "use_rslora": by_root,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "target_modules": targets,
        "bias": "none",
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "modules_to_save": Value::Null,
    });
    SavedAdapter {
        config: format!("{config:#}\n"),
        tensors,
    }
}

impl Stored {
    /// `A` `[rank, in]` and `B` `[out, rank]` of the whole weight: the parts' `A` one below the other, their `B` along the
    /// diagonal.
    fn tensors(&self, rank: usize) -> [NamedValues; 2] {
        let (_, first) = &self.parts[0];
        let (input, rows) = (first.input, first.output * self.of);
        let mut a = Vec::with_capacity(rank * input);
        let mut b = vec![0.0; rows * rank];
        let mut column = 0;
        for (index, halves) in &self.parts {
            a.extend_from_slice(&halves.a);
            for (row, values) in halves.b.chunks_exact(halves.rank).enumerate() {
                let at = (index * halves.output + row) * rank + column;
                b[at..at + halves.rank].copy_from_slice(values);
            }
            column += halves.rank;
        }
        let tensor = |half: usize, shape: Vec<usize>, values: Vec<f32>| NamedValues {
            name: format!("{PREFIX}{}{}", self.path, HALVES[half]),
            shape,
            values,
        };
        [
            tensor(0, vec![rank, input], a),
            tensor(1, vec![rows, rank], b),
        ]
    }
}
