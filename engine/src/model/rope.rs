//! Rotary positions (Su et al., arXiv 2104.09864) in Hugging Face's half-split layout, on one axis or several.
//!
//! Every use is one table: to each frequency its axis. Text has one axis; M-RoPE has three, in blocks or taking turns;
//! a vision tower has rows and columns. A token with the same number on every axis is turned as on one axis.

use burn::tensor::{Device, Tensor, TensorData};

use super::variants::Mrope;
use crate::ops;

/// Position of a token: time, row and column in a decoder, row and column (and 0) in a tower.
pub type Position = [u32; 3];

/// Frequencies with their axes, and the turns of the first positions, computed once.
#[derive(Debug, Clone)]
pub struct Rope {
    /// Axis and frequency of each pair of elements, `head_dim / 2` of them.
    frequencies: Vec<(usize, f32)>,
    /// Turns of positions `0..` that are equal on every axis, `[positions, head_dim]`.
    table: Rotation,
    device: Device,
}

/// Cosines and signed sines of a run of tokens.
#[derive(Debug, Clone)]
pub struct Rotation {
    /// `[B or 1, 1, T, head_dim]`
    cos: Tensor<4>,
    /// `[B or 1, 1, T, head_dim]`; the minus of rotate_half lives in it: one multiply less a token.
    sin: Tensor<4>,
}

impl Rope {
    /// One axis, or the three of `mrope`: the decoder's. `positions` are kept ready on the device.
    pub fn text(
        head_dim: usize,
        positions: usize,
        theta: f64,
        mrope: Option<Mrope>,
        device: &Device,
    ) -> Self {
        let axis = |at: usize| mrope.map_or(0, |mrope| axis_of(at, mrope));
        let frequencies = (0..head_dim / 2)
            .map(|at| (axis(at), frequency(theta, at, head_dim)))
            .collect();
        Self::new(frequencies, positions, device)
    }

    /// Rows in the first quarter of a head, columns in the second: the towers'.
    pub fn tower(head_dim: usize, theta: f64, device: &Device) -> Self {
        let quarter = head_dim / 4;
        let frequencies = (0..head_dim / 2)
            .map(|at| {
                (
                    at / quarter.max(1),
                    frequency(theta, at % quarter.max(1), head_dim / 2),
                )
            })
            .collect();
        Self::new(frequencies, 1, device)
    }

    fn new(frequencies: Vec<(usize, f32)>, positions: usize, device: &Device) -> Self {
        let positions: Vec<Position> = (0..positions as u32).map(|at| [at; 3]).collect();
        // Constants: with gradients or without, the same table serves.
        let device = device.clone().inner();
        let table = rotation(&frequencies, &[positions], &device);
        Self {
            frequencies,
            table,
            device,
        }
    }

    /// The turns of `len` tokens from position `start` on, equal on every axis.
    pub fn run(&self, start: usize, len: usize) -> Rotation {
        if start + len > self.table.cos.dims()[2] {
            let positions = (start as u32..).take(len).map(|at| [at; 3]).collect();
            return self.at(&[positions]);
        }
        let rows = |table: &Tensor<4>| table.clone().narrow(2, start, len);
        Rotation {
            cos: rows(&self.table.cos),
            sin: rows(&self.table.sin),
        }
    }

    /// The turns of the first positions, all of them.
    pub(super) fn table(&self) -> Rotation {
        self.table.clone()
    }

    /// Cosines and signed sines `[head_dim]` of a position that is equal on every axis, on the host.
    pub(super) fn told(&self, position: usize) -> [Vec<f32>; 2] {
        let [mut cos, mut sin] = [Vec::new(), Vec::new()];
        turns(
            &self.frequencies,
            &[position as u32; 3],
            [&mut cos, &mut sin],
        );
        [cos, sin]
    }

    /// The turns of rows of tokens at any positions; all rows are equally long.
    pub fn at(&self, rows: &[Vec<Position>]) -> Rotation {
        rotation(&self.frequencies, rows, &self.device)
    }
}

impl Rotation {
    /// Turns `x` `[B, H, T, D]`.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        ops::rotate(x, self.cos.clone(), self.sin.clone())
    }

    /// Cosines and signed sines, as the operations take them.
    pub(super) fn turns(&self) -> [Tensor<4>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }
}

/// In f32, as the reference computes it: at position 10,000 the rounding of a frequency is a visible angle, and models
/// were trained with it.
fn frequency(theta: f64, at: usize, dim: usize) -> f32 {
    let exponent = (2 * at) as f32 / dim as f32;
    1.0 / (theta as f32).powf(exponent)
}

/// The axis of frequency `at`.
fn axis_of(at: usize, mrope: Mrope) -> usize {
    let [time, row, _] = mrope.sections;
    if mrope.interleaved {
        let axis = at % 3;
        return if at < 3 * mrope.sections[axis] {
            axis
        } else {
            0
        };
    }
    match at {
        at if at < time => 0,
        at if at < time + row => 1,
        _ => 2,
    }
}

/// Puts the cosines and signed sines of a position behind what is there.
fn turns(frequencies: &[(usize, f32)], position: &Position, [cos, sin]: [&mut Vec<f32>; 2]) {
    let half = frequencies.len();
    for i in 0..2 * half {
        let (axis, frequency) = frequencies[i % half];
        let angle = f64::from(position[axis] as f32 * frequency);
        cos.push(angle.cos() as f32);
        let sign = if i < half { -1.0 } else { 1.0 };
        sin.push((sign * angle.sin()) as f32);
    }
}

fn rotation(frequencies: &[(usize, f32)], rows: &[Vec<Position>], device: &Device) -> Rotation {
    let half = frequencies.len();
    let tokens = rows.first().map_or(0, Vec::len);
    let values = rows.len() * tokens * 2 * half;
    let (mut cos, mut sin) = (Vec::with_capacity(values), Vec::with_capacity(values));
    for position in rows.iter().flatten() {
        turns(frequencies, position, [&mut cos, &mut sin]);
    }
    let shape = [rows.len(), 1, tokens, 2 * half];
    let table = |v| Tensor::from_data(TensorData::new(v, shape), device);
    Rotation {
        cos: table(cos),
        sin: table(sin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(sections: [usize; 3], interleaved: bool) -> Vec<usize> {
        let mrope = Mrope {
            sections,
            interleaved,
        };
        (0..sections.iter().sum())
            .map(|at| axis_of(at, mrope))
            .collect()
    }

    #[test]
    fn axes_follow_in_blocks_or_take_turns() {
        assert_eq!(axes([1, 2, 3], false), [0, 1, 1, 2, 2, 2]);
        assert_eq!(axes([4, 2, 2], true), [0, 1, 2, 0, 1, 2, 0, 0]);
        // Qwen3-VL's own: the last frequencies are all of time.
        let qwen3 = axes([24, 20, 20], true);
        assert_eq!(qwen3.iter().filter(|&&axis| axis == 1).count(), 20);
        assert_eq!(qwen3[60..], [0, 0, 0, 0]);
    }
}
