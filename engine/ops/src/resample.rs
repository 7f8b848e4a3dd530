//! Passes of a resize that equals Pillow (before version 13) bit for bit, because vision towers were trained on it.
//!
//! `Resample.c`: fixed-point coefficients, 8-bit results of each pass. A float resize differs by up to 15 levels.

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

/// Makes each row of an RGB picture `width` pixels wide, which is `from` wide; neither is 0.
// Inlined into its one caller it would be compiled for size, as that is in the browser. So would be the other.
#[inline(never)]
pub fn horizontal(pixels: &[u8], from: u32, width: u32, filter: Filter) -> Vec<u8> {
    let taps = taps(from, width, filter);
    let row = from as usize * 3;
    let mut resized = Vec::with_capacity(pixels.len() / row * width as usize * 3);
    for source in pixels.chunks_exact(row) {
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
            resized.extend(sum.map(clip));
        }
    }
    resized
}

/// Numbers of a row that are added up together.
const STRIP: usize = 16;

/// Adds `w` times each of `values`.
#[inline(always)]
fn add(sums: &mut [i32], values: &[u8], w: i32) {
    for (s, &p) in sums.iter_mut().zip(values) {
        *s = s.wrapping_add(i32::from(p).wrapping_mul(w));
    }
}

/// Makes each column of an RGB picture of `width` pixels `height` pixels high; neither is 0, and the picture has a row.
#[inline(never)]
pub fn vertical(pixels: &[u8], width: u32, height: u32, filter: Filter) -> Vec<u8> {
    let row = width as usize * 3;
    let mut resized = Vec::with_capacity(row * height as usize);
    let mut sums = vec![0i32; row];
    // As high as memory holds, far below 2^32.
    let from = (pixels.len() / row) as u32;
    for tap in taps(from, height, filter) {
        sums.fill(HALF);
        let rows = pixels.chunks_exact(row).skip(tap.start);
        for (source, &w) in rows.zip(&tap.weights) {
            // In strips, or it would be vectorised only where it is compiled for speed.
            let (strips, rest) = sums.as_chunks_mut::<STRIP>();
            let (of, rest_of) = source.as_chunks::<STRIP>();
            for (strip, of) in strips.iter_mut().zip(of) {
                add(strip, of, w);
            }
            add(rest, rest_of, w);
        }
        resized.extend(sums.iter().map(|&s| clip(s)));
    }
    resized
}
