//! Rotary positions (Su et al., arXiv 2104.09864) in Hugging Face's half-split layout.

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines of every position, computed once on the host.
#[derive(Debug, Clone)]
pub struct Rope {
    cos: Tensor<2>,
    sin: Tensor<2>,
}

impl Rope {
    /// Tables `[positions, head_dim]` for base `theta`.
    pub fn new(head_dim: usize, positions: usize, theta: f64, device: &Device) -> Self {
        let half = head_dim / 2;
        let mut cos = Vec::with_capacity(positions * head_dim);
        let mut sin = Vec::with_capacity(positions * head_dim);
        for position in 0..positions {
            for i in 0..head_dim {
                let frequency = theta.powf(-((i % half) as f64) * 2.0 / head_dim as f64);
                let angle = position as f64 * frequency;
                cos.push(angle.cos() as f32);
                // The minus of rotate_half lives in the table: one multiply less a token.
                let sign = if i < half { -1.0 } else { 1.0 };
                sin.push((sign * angle.sin()) as f32);
            }
        }
        let table = |v| Tensor::from_data(TensorData::new(v, [positions, head_dim]), device);
        Self {
            cos: table(cos),
            sin: table(sin),
        }
    }

    /// Turns `x` `[B, H, T, D]` whose first token stands at position `start`.
    pub fn rotate(&self, x: Tensor<4>, start: usize) -> Tensor<4> {
        let [_, _, tokens, head_dim] = x.dims();
        let half = head_dim / 2;
        let rows = start..start + tokens;
        let cos = self.cos.clone().slice([rows.clone()]).unsqueeze::<4>();
        let sin = self.sin.clone().slice([rows]).unsqueeze::<4>();
        let low = x.clone().narrow(3, 0, half);
        let high = x.clone().narrow(3, half, half);
        x * cos + Tensor::cat(vec![high, low], 3) * sin
    }
}
