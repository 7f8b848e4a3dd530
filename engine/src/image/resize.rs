//! Resizing that equals Pillow (before version 13) bit for bit, because vision towers were trained on it.
//!
//! `Resample.c`: fixed-point coefficients, the horizontal pass first, 8-bit intermediates. A float
//! resize differs by up to 15 levels, the other order of passes by up to 28.

use super::Rgb8;
use crate::{Error, Result};

/// Interpolation kernels, under Pillow's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Filter {
    /// Windowed sinc of three lobes; Pillow's 1.
    Lanczos3,
    /// Pillow's 3, with a = -0.5.
    Bicubic,
    /// Triangle; Pillow's 2.
    Bilinear,
}

/// Fraction bits of the coefficients: 8 for the pixel and 2 of headroom for sums outside 0..=255.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// Most pixels of a result, and of the picture between the passes; no processor asks for more.
const MAX_PIXELS: u64 = 1 << 27;

impl Filter {
    /// Half-width of the kernel when not shrinking, in source pixels.
    const fn support(self) -> f64 {
        match self {
            Self::Lanczos3 => 3.0,
            Self::Bicubic => 2.0,
            Self::Bilinear => 1.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        match self {
            Self::Lanczos3 => {
                if (-3.0..3.0).contains(&x) {
                    sinc(x) * sinc(x / 3.0)
                } else {
                    0.0
                }
            }
            Self::Bicubic => {
                const A: f64 = -0.5;
                let x = x.abs();
                if x < 1.0 {
                    ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    (((x - 5.0) * x + 8.0) * x - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Bilinear => (1.0 - x.abs()).max(0.0),
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Resizes to `width` x `height`, equal to Pillow's `Image.resize` on an RGB image.
///
/// # Errors
/// [`Error::Image`] when the target has an empty side, or it or the picture between the two passes
/// has over 134 million pixels, or `photo` is inconsistent.
pub fn resize(photo: &Rgb8, width: u32, height: u32, filter: Filter) -> Result<Rgb8> {
    photo.check()?;
    let area = |height: u32| u64::from(width) * u64::from(height);
    if area(height) == 0 || area(height.max(photo.height)) > MAX_PIXELS {
        return Err(Error::Image {
            problem: format!(
                "cannot resize {} x {} to {width} x {height} pixels; crop or scale the photo first",
                photo.width, photo.height
            ),
        });
    }
    // Pillow skips a pass that would not change the size, so rounding happens only where it resamples.
    let wide = (width != photo.width).then(|| horizontal(photo, width, filter));
    let source = wide.as_ref().unwrap_or(photo);
    Ok(
        match (height != source.height).then(|| vertical(source, height, filter)) {
            Some(tall) => tall,
            None => wide.unwrap_or_else(|| photo.clone()),
        },
    )
}

/// For one output position: the first source position and the weights from there on.
struct Taps {
    start: usize,
    weights: Vec<i32>,
}

/// `precompute_coeffs` and `normalize_coeffs_8bpc` of Pillow.
fn taps(from: u32, to: u32, filter: Filter) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    let inverse = 1.0 / stretch;
    (0..to)
        .map(|i| {
            let center = (f64::from(i) + 0.5) * scale;
            // C truncates toward zero, then clamps; so does `as` on the positive part.
            let start = (center - support + 0.5).max(0.0) as u32;
            let end = ((center + support + 0.5) as u32).min(from);
            let raw: Vec<f64> = (start..end)
                .map(|x| filter.weight((f64::from(x) - center + 0.5) * inverse))
                .collect();
            let sum: f64 = raw.iter().sum();
            let norm = if sum == 0.0 { 1.0 } else { sum };
            Taps {
                start: start as usize,
                weights: raw.iter().map(|w| fixed(w / norm)).collect(),
            }
        })
        .collect()
}

/// Rounds half away from zero into fixed point, as Pillow's `(int)(±0.5 + w * (1 << PRECISION_BITS))`.
fn fixed(weight: f64) -> i32 {
    let scaled = weight * f64::from(1u32 << PRECISION_BITS);
    (if weight < 0.0 {
        scaled - 0.5
    } else {
        scaled + 0.5
    }) as i32
}

/// Back from fixed point; the accumulator starts at one half, so the shift rounds.
fn clip(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn horizontal(photo: &Rgb8, width: u32, filter: Filter) -> Rgb8 {
    let taps = taps(photo.width, width, filter);
    let row = photo.width as usize * 3;
    let mut pixels = Vec::with_capacity(width as usize * photo.height as usize * 3);
    for source in photo.pixels.chunks_exact(row) {
        for tap in &taps {
            let mut sum = [HALF; 3];
            for (pixel, &w) in source[tap.start * 3..]
                .as_chunks::<3>()
                .0
                .iter()
                .zip(&tap.weights)
            {
                for (s, &p) in sum.iter_mut().zip(pixel) {
                    *s = s.wrapping_add(i32::from(p).wrapping_mul(w));
                }
            }
            pixels.extend(sum.map(clip));
        }
    }
    Rgb8 {
        width,
        height: photo.height,
        pixels,
    }
}

fn vertical(photo: &Rgb8, height: u32, filter: Filter) -> Rgb8 {
    let row = photo.width as usize * 3;
    let mut pixels = Vec::with_capacity(row * height as usize);
    let mut sums = vec![0i32; row];
    for tap in taps(photo.height, height, filter) {
        sums.fill(HALF);
        let rows = photo.pixels.chunks_exact(row).skip(tap.start);
        for (source, &w) in rows.zip(&tap.weights) {
            for (s, &p) in sums.iter_mut().zip(source) {
                *s = s.wrapping_add(i32::from(p).wrapping_mul(w));
            }
        }
        pixels.extend(sums.iter().map(|&s| clip(s)));
    }
    Rgb8 {
        width: photo.width,
        height,
        pixels,
    }
}
