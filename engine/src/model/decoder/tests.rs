//! Tokens read one by one over a cache say what they say at once: as packed layers, and where a layer is more than its matrices.

use burn::tensor::{Device, Tensor, TensorData};

use super::*;
use crate::model::lora::{Lora, Update};
use crate::model::params::{Init, ParamSource, Values};
use crate::model::variants::TextVariant;
use crate::ops::{QuantKind, QuantMatrix};
use crate::random::Stream;
use crate::weights::{Dtype, encode};

const HIDDEN: usize = 64;
const DEEP: usize = 96;
const TOKENS: usize = 5;

/// Numbers between -1 and 1, others for each name.
fn numbers(name: &str, count: usize) -> Vec<f32> {
    let mut stream = Stream::keyed(&[name.bytes().map(u64::from).sum(), count as u64]);
    (0..count)
        .map(|_| stream.uniform() as f32 * 2.0 - 1.0)
        .collect()
}

/// Matrices of eight bits, all else as it comes.
struct Drawn;

impl ParamSource for Drawn {
    fn values(&mut self, name: &str, shape: &[usize], _init: Init) -> Result<Values> {
        Ok(Values::Host(numbers(name, shape.iter().product())))
    }

    fn quantised(&mut self, name: &str, rows: usize, cols: usize) -> Result<Option<QuantMatrix>> {
        let size = (cols as f32).sqrt();
        let values: Vec<f32> = numbers(name, rows * cols)
            .iter()
            .map(|v| v / size)
            .collect();
        let blocks = encode(Dtype::Q8_0, &values)?;
        let device = Device::flex();
        Ok(Some(QuantMatrix::from_ggml(
            &blocks,
            QuantKind::Q8_0,
            rows,
            cols,
            &device,
        )?))
    }

    fn contains(&self, _name: &str) -> bool {
        true
    }
}

fn decoder(variant: TextVariant) -> Decoder {
    let config = TextConfig {
        hidden_size: HIDDEN,
        intermediate_size: DEEP,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: None,
        rms_norm_eps: 1e-5,
        rope_theta: 1e4,
        vocab_size: 32,
        max_position_embeddings: 64,
        variant,
    };
    let device = Device::flex();
    Decoder::new(
        &mut ParamBuilder::new(&mut Drawn, &device),
        "text",
        &config,
        true,
    )
    .unwrap()
}

/// What the last layer makes of tokens `from..from + count`.
fn read(decoder: &Decoder, from: usize, count: usize, mut cache: Option<&mut KvCache>) -> Vec<f32> {
    let x = numbers("tokens", TOKENS * HIDDEN);
    let x = x[from * HIDDEN..][..count * HIDDEN].to_vec();
    let mut x = Tensor::from_data(TensorData::new(x, [1, count, HIDDEN]), &Device::flex());
    let positions = (from as u32..).take(count).map(|at| [at; 3]).collect();
    let rotation = decoder.rope.at(&[positions]);
    for layer in 0..decoder.depth() {
        x = decoder.layer(layer, x, &rotation, &Mask::Causal, cache.as_deref_mut());
    }
    if let Some(cache) = cache {
        cache.advance(count);
    }
    x.into_data().try_into_vec().unwrap()
}

/// Largest difference of the tokens one by one and at once, with what they are at once.
fn apart(decoder: &Decoder) -> (f32, Vec<f32>) {
    let mut cache = KvCache::new(decoder.depth(), 2, HIDDEN / 4, 64, &Device::flex());
    let single = (0..TOKENS).flat_map(|at| read(decoder, at, 1, Some(&mut cache)));
    let single: Vec<f32> = single.collect();
    let all = read(decoder, 0, TOKENS, None);
    (most(&single, &all), all)
}

/// The largest difference; NaN where there is one.
fn most(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let gaps = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    gaps.max_by(f32::total_cmp).unwrap()
}

/// Sums of some hundred numbers around 1 in another order.
const SUMS: f32 = 2e-5;

#[test]
fn tokens_one_by_one_say_what_they_say_at_once() {
    let plain = TextVariant::default;
    for (variant, is_packed) in [
        (plain(), true),
        (
            TextVariant {
                qkv_bias: true,
                ..plain()
            },
            true,
        ),
        (
            TextVariant {
                output_bias: true,
                ..plain()
            },
            false,
        ),
        (
            TextVariant {
                qk_norm: true,
                ..plain()
            },
            false,
        ),
    ] {
        let name = format!("{variant:?}");
        let decoder = decoder(variant);
        for layer in &decoder.layers {
            assert_eq!(layer.packed().is_some(), is_packed, "{name}");
        }
        let (off, _) = apart(&decoder);
        assert!(off <= SUMS, "{name}: {off:.1e}");
    }
}

#[test]
fn an_adapter_of_any_matrix_counts_for_tokens_one_by_one() {
    let plain = apart(&decoder(TextVariant::default())).1;
    for matrix in [
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    ] {
        let mut decoder = decoder(TextVariant::default());
        let adapted = |linear: &&mut Linear| linear.key().ends_with(matrix);
        for linear in decoder.linears().into_iter().filter(adapted) {
            let [output, input] = linear.dims();
            let update = Update {
                a: numbers("a", 2 * input),
                b: numbers("b", output * 2),
                rank: 2,
                input,
                output,
                scale: 0.1,
            };
            let key = linear.key().to_owned();
            linear.add_lora(Lora::new("mine", &key, update, &Device::flex()));
            linear.use_adapter(Some("mine"));
        }
        let (off, all) = apart(&decoder);
        assert!(off <= SUMS, "{matrix}: {off:.1e}");
        let moved = most(&all, &plain);
        assert!(
            moved > 100.0 * SUMS,
            "{matrix}: {moved:.1e} from no adapter"
        );
        decoder
            .linears()
            .into_iter()
            .for_each(|linear| linear.use_adapter(None));
        assert_eq!(apart(&decoder).1, plain, "{matrix}");
    }
}
