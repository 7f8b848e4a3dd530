//! Queries, keys and values of the CPU's attention where projections left them: by heads, or token by token with heads side by side.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

use super::flex::primitive;
use super::flex_product::Rows;

/// The backend's storage of heads `[B, H, T, D]`, as it lies if the numbers of a token of a head follow each other.
pub(super) fn storage(heads: Tensor<4>) -> FloatTensor<Flex> {
    readable(primitive(heads))
}

/// Heads `[B, H, T, D]`, copied if the numbers of a token of a head do not follow each other.
pub(super) fn readable(heads: FloatTensor<Flex>) -> FloatTensor<Flex> {
    match heads.layout().strides() {
        [.., 1] if heads.layout().has_positive_strides() => heads,
        _ => heads.to_contiguous(),
    }
}

/// Heads `[B, H, T, D]`, counted through all sequences.
#[derive(Clone, Copy)]
pub(super) struct Heads<'a> {
    values: &'a [f32],
    /// Heads of a sequence.
    count: usize,
    /// From a sequence, a head, a token to the next.
    strides: [usize; 3],
}

impl<'a> Heads<'a> {
    /// Those of a tensor as [`readable`] gives it.
    pub(super) fn of_tensor(tensor: &'a FloatTensor<Flex>) -> Self {
        let layout = tensor.layout();
        let strides = layout.strides();
        Self {
            // Views of nothing may begin behind the end, as may a head of theirs.
            values: from(tensor.storage(), layout.start_offset()),
            count: layout.shape()[1],
            strides: [0, 1, 2].map(|axis| strides[axis].unsigned_abs()),
        }
    }

    /// The tokens of head `head`.
    #[inline(always)]
    pub(super) fn of(self, head: usize) -> Rows<&'a [f32]> {
        let [sequence, own, stride] = self.strides;
        let first = head / self.count * sequence + head % self.count * own;
        Rows {
            values: from(self.values, first),
            stride,
        }
    }
}

#[inline(always)]
fn from(values: &[f32], first: usize) -> &[f32] {
    values.get(first..).unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};

    use crate::{Seen, attention};

    #[test]
    fn nothing_is_read_of_views_of_nothing() {
        for device in [Device::flex(), Device::flex().autodiff()] {
            for [batch, tokens] in [[1, 0], [0, 5]] {
                let wide = Tensor::<4>::zeros([batch, tokens, 9, 32], &device);
                let heads = wide.narrow(2, 3, 3).swap_dims(1, 2);
                let seen = attention(heads.clone(), heads.clone(), heads, &Seen::All);
                assert_eq!(seen.dims(), [batch, 3, tokens, 32]);
            }
        }
    }

    /// The same numbers in the same order of sums, so to the bit.
    #[test]
    fn heads_are_read_wherever_they_lie() {
        let device = Device::flex();
        device.seed(7);
        for batch in [1, 2] {
            let normal = Distribution::Normal(0.0, 1.0);
            // Queries, keys and values side by side, token by token, and columns that are not theirs before and behind.
            // Narrowed behind the last reshape, which would copy a part of something.
            let all = Tensor::<4>::random([batch, 40, 5 * 3, 32], normal, &device);
            let part = |at: usize| all.clone().narrow(2, 3 * at, 3).swap_dims(1, 2);
            let views = [1, 2, 3].map(part);
            // One after the other, and with the numbers of a token apart from each other.
            let copied = views.clone().map(|x| x * 1.0);
            let turned = views
                .clone()
                .map(|x| (x.swap_dims(2, 3) * 1.0).swap_dims(2, 3));
            let of = |[q, k, v]: [Tensor<4>; 3]| {
                let out = attention(q, k, v, &Seen::Before);
                out.into_data().try_to_vec::<f32>().unwrap()
            };
            let wanted = of(copied);
            assert!(wanted.iter().all(|x| x.is_finite()) && wanted.iter().any(|x| *x != 0.0));
            assert_eq!(of(views), wanted, "{batch} sequences, views");
            assert_eq!(of(turned), wanted, "{batch} sequences, turned");
        }
    }
}
