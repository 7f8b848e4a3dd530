//! Attention inside windows of different sizes: tokens gathered into rows of equal length, and brought back.

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Consecutive windows of a sequence, each a row of a batch, filled up to the longest.
#[derive(Debug, Clone)]
pub struct WindowPlan {
    /// Token at each place of each row; places to fill hold the first token.
    gather: Tensor<1, Int>,
    /// Place of each token.
    scatter: Tensor<1, Int>,
    /// `[windows, 1, longest, longest]`: `true` in columns that only fill up.
    padding: Tensor<4, Bool>,
    windows: usize,
    longest: usize,
}

impl WindowPlan {
    /// Windows of these lengths, one behind the other.
    pub fn new(lengths: &[usize], device: &Device) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let (mut gather, mut scatter, mut padding) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for (window, &length) in lengths.iter().enumerate() {
            for at in 0..longest {
                gather.push(if at < length { (first + at) as i64 } else { 0 });
                padding.push(at >= length);
            }
            scatter.extend((0..length).map(|at| (window * longest + at) as i64));
            first += length;
        }
        let windows = lengths.len();
        let int = |v: Vec<i64>| {
            let len = v.len();
            Tensor::<1, Int>::from_data(TensorData::new(v, [len]), device)
        };
        let padding = TensorData::new(padding, [windows, 1, 1, longest]);
        Self {
            gather: int(gather),
            scatter: int(scatter),
            padding: Tensor::<4, Bool>::from_data(padding, device)
                .expand([windows, 1, longest, longest]),
            windows,
            longest,
        }
    }

    /// `[1, H, T, D]` to `[windows, H, longest, D]`.
    pub fn gather(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, heads, _, width] = x.dims();
        x.select(2, self.gather.clone())
            .reshape([heads, self.windows, self.longest, width])
            .swap_dims(0, 1)
    }

    /// Columns that only fill up.
    pub fn padding(&self) -> Tensor<4, Bool> {
        self.padding.clone()
    }

    /// `[windows, H, longest, D]` to `[1, H, T, D]`.
    pub fn scatter(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, heads, _, width] = x.dims();
        x.swap_dims(0, 1)
            .reshape([1, heads, self.windows * self.longest, width])
            .select(2, self.scatter.clone())
    }
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_gathered_comes_back() {
        let device = Device::flex();
        let plan = WindowPlan::new(&[3, 1, 2], &device);
        let values: Vec<f32> = (0..24).map(|v| v as f32).collect();
        let x = Tensor::<4>::from_data(TensorData::new(values.clone(), [1, 2, 6, 2]), &device);
        let rows = plan.gather(x);
        assert_eq!(rows.dims(), [3, 2, 3, 2]);
        let back: Vec<f32> = plan.scatter(rows).into_data().try_to_vec().unwrap();
        assert_eq!(back, values);
    }
}
