//! The window of a convolution over neighbours.

/// A convolution over neighbours: its kernel, its stride and the zeros around its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Side of the kernel.
    pub kernel: usize,
    /// Step between outputs.
    pub stride: usize,
    /// Rows of zeros above, and columns on the left.
    pub before: usize,
    /// Rows of zeros below, and columns on the right.
    pub after: usize,
}

impl Window {
    /// The padding that gives `side / stride` outputs, rounded up, on a side ("same").
    pub fn same(kernel: usize, stride: usize, side: usize) -> Self {
        let outputs = side.div_ceil(stride);
        let whole = ((outputs.saturating_sub(1)) * stride + kernel).saturating_sub(side);
        Self {
            kernel,
            stride,
            before: whole / 2,
            after: whole - whole / 2,
        }
    }

    /// Outputs along a side.
    pub fn outputs(&self, side: usize) -> usize {
        (side + self.before + self.after + self.stride).saturating_sub(self.kernel) / self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_gives_a_stride_of_outputs() {
        for side in 1..50 {
            for (kernel, stride) in [(3, 1), (3, 2), (5, 1), (5, 2)] {
                let window = Window::same(kernel, stride, side);
                assert_eq!(
                    window.outputs(side),
                    side.div_ceil(stride),
                    "{window:?} on {side}"
                );
            }
        }
    }
}
