//! Norms over the last axis on the CPU, without gradients: a row at a time, read twice and written once.

use burn::tensor::Tensor;
use macerator::{Simd, WithSimd};

use super::exp::fused;
use super::flex::{simd, slice, storage, tensor};
use super::flex_softmax::STRIP;
use crate::threads;

/// Rows that are worth a core of their own.
const SHARE: usize = 32;

/// `(x - mean) / sqrt(mean of squares + eps) * weight + bias`; without `bias` the mean stays where it is.
pub(super) fn norm<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Option<Tensor<1>>,
    eps: f64,
) -> Tensor<D> {
    let shape = x.dims();
    let (x, weight, bias) = (storage(x), storage(weight), bias.map(storage));
    let bias = bias.as_ref().map(slice);
    tensor(normed(slice(&x), slice(&weight), bias, eps), shape)
}

/// [`norm`] of rows. Not within it, because what has a parameter is compiled where it is called, and not as quick there.
pub(super) fn normed(x: &[f32], weight: &[f32], bias: Option<&[f32]>, eps: f64) -> Vec<f32> {
    let width = weight.len();
    let rows = x.len() / width.max(1);
    let mut out = vec![0.0; x.len()];
    let some = |x, out| {
        simd(Norm {
            x,
            weight,
            bias,
            eps: eps as f32,
            out,
        });
    };
    if threads::is_worth(rows, SHARE) {
        let each = (SHARE * width).max(1);
        let shares = out.chunks_mut(each).zip(x.chunks(each));
        threads::each(shares.collect(), |(out, x)| some(x, out));
        return out;
    }
    some(x, &mut out[..]);
    out
}

struct Norm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    eps: f32,
    out: &'a mut [f32],
}

impl WithSimd for Norm<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self) {
        let width = self.weight.len().max(1);
        let count = width as f32;
        for (x, out) in self
            .x
            .chunks_exact(width)
            .zip(self.out.chunks_exact_mut(width))
        {
            match self.bias {
                None => {
                    let scale = 1.0 / (squares(x, 0.0) / count + self.eps).sqrt();
                    for ((out, x), weight) in out.iter_mut().zip(x).zip(self.weight) {
                        *out = x * scale * weight;
                    }
                }
                Some(bias) => {
                    let mean = sum(x) / count;
                    let scale = 1.0 / (squares(x, mean) / count + self.eps).sqrt();
                    let terms = x.iter().zip(self.weight).zip(bias);
                    for (out, ((x, weight), bias)) in out.iter_mut().zip(terms) {
                        *out = fused((x - mean) * scale, *weight, *bias);
                    }
                }
            }
        }
    }
}

/// Sum of `(x - mean)²`, in as many partial sums as the widest registers hold.
#[inline(always)]
fn squares(x: &[f32], mean: f32) -> f32 {
    let mut sums = [0.0f32; STRIP];
    let strips = x.chunks_exact(STRIP);
    let rest = strips.remainder().iter().map(|x| (x - mean) * (x - mean));
    let rest = rest.sum::<f32>();
    for strip in strips {
        for (sum, x) in sums.iter_mut().zip(strip) {
            let off = x - mean;
            *sum = fused(off, off, *sum);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    let mut sums = [0.0f32; STRIP];
    let strips = x.chunks_exact(STRIP);
    let rest = strips.remainder().iter().sum::<f32>();
    for strip in strips {
        for (sum, x) in sums.iter_mut().zip(strip) {
            *sum += x;
        }
    }
    sums.iter().sum::<f32>() + rest
}
