//! What the direct CPU loops of the flex backend share: a tensor's numbers, and the choice of instructions for loops that the
//! compiler vectorises.
//!
//! Natively they are compiled once for every instruction set of the processor family and chosen at
//! run time (`macerator`, the crate flex itself dispatches with); for wasm, simd128 is chosen when
//! the module is built.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Tensor, TensorData};
use macerator::{AutoArch, WithSimd};

/// The backend's own form of a tensor, as it lies.
pub(super) fn primitive<const D: usize>(tensor: Tensor<D>) -> FloatTensor<Flex> {
    // Only called for tensors of a flex device.
    tensor
        .try_into_primitive::<Flex>()
        .expect("a tensor of a flex device")
}

/// The backend's storage of a tensor; contiguous, so that `as_slice` succeeds. Loops know the shape: to reshape a tensor before costs a
/// token as much as the loops of its norms.
pub(super) fn storage<const D: usize>(tensor: Tensor<D>) -> FloatTensor<Flex> {
    contiguous(primitive(tensor))
}

fn contiguous(tensor: FloatTensor<Flex>) -> FloatTensor<Flex> {
    match tensor.is_contiguous() {
        true => tensor,
        false => tensor.to_contiguous(),
    }
}

/// A tensor of these numbers, row-major, on the flex device.
pub(super) fn tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    let data = TensorData::new(values, shape);
    Tensor::from_primitive::<Flex>(FloatTensor::<Flex>::from_data(data))
}

/// The numbers of a tensor as [`storage`] gives it.
pub(super) fn slice(tensor: &FloatTensor<Flex>) -> &[f32] {
    // Not `as_slice`, which looks once more whether they lie in order: a token has 600 of these.
    debug_assert!(tensor.is_contiguous(), "not as `storage` gives it");
    let layout = tensor.layout();
    let first = layout.start_offset();
    &tensor.storage()[first..first + layout.num_elements()]
}

/// Runs `work` in the best instruction set of this processor.
pub(super) fn simd<W: WithSimd>(work: W) -> W::Output {
    AutoArch::new().dispatch(work)
}
