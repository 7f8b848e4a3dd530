//! Words of quantised blocks as weights, by plain operations.

use burn::tensor::{DType, Int, Tensor};

use crate::blocks::{BLOCK, Layout, QuantKind};

/// Blocks `[N, words]` of `layout` as weights `[N, cols]` f32: plain body of [`crate::QuantMatrix::dequantize`].
pub(crate) fn dequantize(blocks: Tensor<2, Int>, layout: Layout, cols: usize) -> Tensor<2> {
    let (rows, count) = (blocks.dims()[0], cols / BLOCK);
    let weights = match layout {
        Layout::Q4_0 => {
            let (scale, codes) = half_and_codes(blocks, count, QuantKind::Q4_0);
            (nibbles(codes) - 8.0) * scale
        }
        Layout::Q8_0 => {
            let (scale, codes) = half_and_codes(blocks, count, QuantKind::Q8_0);
            signed(codes) * scale
        }
        Layout::A4 => {
            let [numbers, codes] = numbers_and_codes(blocks, count, 2);
            nibbles(codes) * part(&numbers, 0) + part(&numbers, 1)
        }
        Layout::A8 => {
            let [numbers, codes] = numbers_and_codes(blocks, count, 3);
            let codes = signed(codes).reshape([rows, 2 * count, BLOCK / 2]);
            let scales = numbers
                .clone()
                .narrow(2, 0, 2)
                .reshape([rows, 2 * count, 1]);
            let steps = (codes * float(scales, 8, 23)).reshape([rows, count, BLOCK]);
            steps + part(&numbers, 2)
        }
    };
    weights.reshape([rows, cols])
}

/// Scales `[N, count, 1]` and bytes of codes of blocks as files have them.
fn half_and_codes(
    blocks: Tensor<2, Int>,
    count: usize,
    kind: QuantKind,
) -> (Tensor<3>, Tensor<3, Int>) {
    let [rows, words] = blocks.dims();
    let size = kind.block_bytes();
    let bytes = bytes(blocks.reshape([rows, words, 1]))
        .reshape([rows, words * 4])
        .narrow(1, 0, count * size)
        .reshape([rows, count, size]);
    let [low, high] = [0, 1].map(|at| bytes.clone().narrow(2, at, 1));
    (float(low + high * 256, 5, 10), bytes.narrow(2, 2, size - 2))
}

/// The first words of blocks of whole words, bits of f32, and the bytes of their codes.
fn numbers_and_codes(blocks: Tensor<2, Int>, count: usize, numbers: usize) -> [Tensor<3, Int>; 2] {
    let [rows, words] = blocks.dims();
    let blocks = blocks.reshape([rows, count, words / count]);
    let codes = words / count - numbers;
    let of_codes = bytes(blocks.clone().narrow(2, numbers, codes));
    [blocks.narrow(2, 0, numbers), of_codes]
}

fn part(numbers: &Tensor<3, Int>, at: usize) -> Tensor<3> {
    float(numbers.clone().narrow(2, at, 1), 8, 23)
}

/// Words as their bytes, the lowest first: `[A, B, C]` -> `[A, B, 4 C]`.
fn bytes(words: Tensor<3, Int>) -> Tensor<3, Int> {
    let [a, b, c] = words.dims();
    let bytes = [0, 8, 16, 24].map(|shift| bits(&words, shift, 8).reshape([a, b, c, 1]));
    Tensor::cat(bytes.to_vec(), 3).reshape([a, b, 4 * c])
}

/// So many bits from a place on.
fn bits<const D: usize>(words: &Tensor<D, Int>, from: i32, count: i32) -> Tensor<D, Int> {
    // The mask also removes the sign that the shift drags in.
    let shifted = words.clone().bitwise_right_shift_scalar(from);
    shifted.bitwise_and_scalar((1 << count) - 1)
}

/// Low nibbles, then high ones.
fn nibbles(bytes: Tensor<3, Int>) -> Tensor<3> {
    f32s(Tensor::cat(
        [0, 4].map(|from| bits(&bytes, from, 4)).to_vec(),
        2,
    ))
}

/// Bytes with the signs they have.
fn signed(bytes: Tensor<3, Int>) -> Tensor<3> {
    let negative = bytes.clone().greater_elem(127).int().cast(DType::I32);
    f32s(bytes - negative * 256)
}

fn f32s(numbers: Tensor<3, Int>) -> Tensor<3> {
    numbers.float().cast(DType::F32)
}

/// The finite numbers of which these are the bits: a sign, so many bits of exponent, so many of mantissa.
fn float(word: Tensor<3, Int>, exponent: i32, mantissa: i32) -> Tensor<3> {
    let sign = f32s(bits(&word, exponent + mantissa, 1)) * -2.0 + 1.0;
    let at = bits(&word, mantissa, exponent);
    // Numbers of exponent 0 have no implicit bit and the step of exponent 1.
    let normal = at.clone().greater_elem(0).int().cast(DType::I32);
    let mantissas = f32s(bits(&word, 0, mantissa) + normal * (1 << mantissa));
    // A table, because a device's pow need not be exact.
    let least = (1 << (exponent - 1)) - 1 + mantissa;
    let steps: Vec<f32> = (0..1 << exponent)
        .map(|e: i32| f32::exp2((e.max(1) - least) as f32))
        .collect();
    let steps = Tensor::<1>::from_data(steps.as_slice(), (&mantissas.device(), DType::F32));
    let shape = at.dims();
    let count = shape.iter().product::<usize>();
    sign * mantissas * steps.select(0, at.reshape([count])).reshape(shape)
}
