//! What the bench of kernels runs: one piece of work at a time, prepared first and then run as often as the caller counts.

#[path = "../../tests/numbers/mod.rs"]
mod numbers;

use namelens_cpu_kernels::{Activations, Bits, COLUMNS, Group, Level, Packed, Queries, product_at};
use numbers::Numbers;

/// One matrix and the rows it is multiplied with.
struct Product {
    level: Level,
    w: Packed,
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Product {
    fn new(level: Level, bits: Bits, [rows, cols]: [usize; 2], tokens: usize) -> Self {
        let mut numbers = Numbers(11);
        let groups: Vec<Group> = (0..rows * cols / COLUMNS)
            .map(|_| Group {
                scales: [0.01 * numbers.next(); 2],
                least: if bits == Bits::Four { 0.05 } else { 0.0 },
                codes: core::array::from_fn(|_| ((numbers.next() + 1.0) * 7.9) as i8),
            })
            .collect();
        Self {
            level,
            w: Packed::new(bits, rows, cols, groups).expect("a shape of groups"),
            x: (0..tokens * cols).map(|_| numbers.next()).collect(),
            y: vec![0.0; tokens * rows],
        }
    }

    /// The activations are rounded in every run, as in a model.
    fn run(&mut self) {
        let x = Activations::new(&self.x, self.w.cols());
        product_at(self.level, &self.w, &x, &mut self.y);
    }
}

/// Work of one kind.
enum Work {
    /// Products, of which each run does the next one.
    Products {
        all: Vec<Product>,
        next: usize,
    },
    /// 4-bit blocks row by row with activations of 8 bits: the arithmetic of the usual loops, without repacking.
    RowWise(RowWise),
    /// Activations to 16 bits.
    Round(Vec<f32>, usize),
    /// The limits: bytes copied, and sums of products in f32 registers.
    Copy {
        from: Vec<u64>,
        to: Vec<u64>,
        next: usize,
    },
    /// The five rows of an index most like each query.
    Nearest {
        index: Vec<f32>,
        queries: Vec<f32>,
        width: usize,
        next: usize,
    },
    /// A matrix to f32, row by row.
    Unpack(Packed, Vec<f32>),
    /// Bytes only read.
    Read {
        from: Vec<u64>,
        next: usize,
    },
    Fma(Box<[[f32; 8]; 12]>),
}

/// A matrix of Q4_0-like blocks of 18 bytes (a half scale, 16 bytes of nibbles), and activations of 8 bits by blocks.
struct RowWise {
    blocks: Vec<[u8; 18]>,
    rows: usize,
    x: Vec<([i8; 32], f32)>,
    y: Vec<f32>,
}

/// A bench that is prepared.
pub(crate) struct Bench {
    work: Work,
    /// Runs that make the whole, each short enough to be timed on a machine that does other things as well.
    pub(crate) parts: usize,
    /// Bytes that all parts must read and write at the least.
    pub(crate) bytes: f64,
    /// Multiplications and additions of all parts.
    pub(crate) flops: f64,
}

/// The shapes of SmolLM2-135M: seven matrices in each of 30 layers, and the head.
const LAYER: [[usize; 2]; 7] = [
    [576, 576],
    [192, 576],
    [192, 576],
    [576, 576],
    [1536, 576],
    [1536, 576],
    [576, 1536],
];
const LAYERS: usize = 30;
const HEAD: [usize; 2] = [49_152, 576];
const HEAD_PARTS: usize = 16;
/// Rows of an index that are searched at a time.
const NEAREST: usize = 1000;
/// Bytes copied at a time.
const COPIED: usize = 1 << 20;

fn products(all: Vec<Product>) -> Work {
    Work::Products { all, next: 0 }
}

impl Bench {
    /// Prepares work by its name, behind which `@` and the name of an instruction set may stand: `a4 ROWS COLS TOKENS`, `a8 ...`, `model 0 0 TOKENS`, `layers 0 0 TOKENS`, `rowwise ROWS COLS 1`,
    /// `round 0 COLS TOKENS`, `copy BYTES 0 0`, `fma 0 0 0`.
    pub(crate) fn new(kind: &str, rows: usize, cols: usize, tokens: usize) -> Option<Self> {
        let (kind, level) = match kind.split_once('@') {
            Some((kind, name)) => (kind, Level::all().find(|level| level.name() == name)?),
            None => (kind, Level::best()),
        };
        let work =
            match kind {
                "a4" => products(vec![Product::new(level, Bits::Four, [rows, cols], tokens)]),
                "a6" => products(vec![Product::new(level, Bits::Six, [rows, cols], tokens)]),
                "a8" => products(vec![Product::new(level, Bits::Eight, [rows, cols], tokens)]),
                "model" | "layers" => {
                    let layers = (0..LAYERS).flat_map(|_| LAYER);
                    let mut all: Vec<Product> = layers
                        .map(|s| Product::new(level, Bits::Four, s, tokens))
                        .collect();
                    if kind == "model" {
                        // Of a prompt only the last token has logits.
                        let [rows, cols] = HEAD;
                        all.extend((0..HEAD_PARTS).map(|_| {
                            Product::new(level, Bits::Eight, [rows / HEAD_PARTS, cols], 1)
                        }));
                    }
                    products(all)
                }
                "rowwise" => Work::RowWise(RowWise::new(rows, cols)),
                "unpack4" | "unpack8" => {
                    let bits = if kind == "unpack4" {
                        Bits::Four
                    } else {
                        Bits::Eight
                    };
                    let w = Product::new(level, bits, [rows, cols], 1).w;
                    Work::Unpack(w, vec![0.0; cols])
                }
                "nearest" => {
                    let mut numbers = Numbers(7);
                    Work::Nearest {
                        index: (0..rows * cols).map(|_| numbers.next()).collect(),
                        queries: (0..tokens * cols).map(|_| numbers.next()).collect(),
                        width: cols,
                        next: 0,
                    }
                }
                "round" => {
                    let mut numbers = Numbers(5);
                    Work::Round((0..tokens * cols).map(|_| numbers.next()).collect(), cols)
                }
                "copy" => Work::Copy {
                    from: vec![1; rows / 8],
                    to: vec![0; rows / 8],
                    next: 0,
                },
                "read" => Work::Read {
                    from: vec![1; rows / 8],
                    next: 0,
                },
                "fma" => Work::Fma(Box::new([[1.0; 8]; 12])),
                _ => return None,
            };
        let (bytes, flops) = match &work {
            Work::Products { all, .. } => {
                let bytes = |p: &Product| p.w.bytes() + 4 * (p.x.len() + p.y.len());
                let flops = |p: &Product| 2.0 * (p.w.rows() * p.x.len()) as f64;
                (
                    all.iter().map(bytes).sum::<usize>() as f64,
                    all.iter().map(flops).sum(),
                )
            }
            Work::RowWise(w) => ((w.blocks.len() * 18) as f64, (w.blocks.len() * 64) as f64),
            Work::Round(x, _) => ((x.len() * 6) as f64, (x.len() * 4) as f64),
            Work::Copy { from, .. } => ((from.len() * 16) as f64, 0.0),
            Work::Nearest {
                index,
                queries,
                width,
                ..
            } => (
                (index.len() * 4) as f64,
                (2 * index.len() * (1 + queries.len() / width)) as f64,
            ),
            Work::Unpack(w, _) => ((w.bytes() + 4 * w.rows() * w.cols()) as f64, 0.0),
            Work::Read { from, .. } => ((from.len() * 8) as f64, 0.0),
            Work::Fma(_) => (0.0, (FMA_STEPS * 12 * 8 * 2) as f64),
        };
        let parts = match &work {
            Work::Products { all, .. } => all.len(),
            Work::Nearest { index, width, .. } => index.len() / width / NEAREST,
            Work::Copy { from, .. } | Work::Read { from, .. } => from.len() * 8 / COPIED,
            _ => 1,
        };
        Some(Self {
            work,
            parts,
            bytes,
            flops,
        })
    }

    /// Runs so many parts, one after the other; the number keeps the work from being left out.
    pub(crate) fn run(&mut self, times: usize) -> f32 {
        let mut kept = 0.0;
        for _ in 0..times {
            kept += match &mut self.work {
                Work::Products { all, next } => {
                    let product = &mut all[*next];
                    *next = (*next + 1) % self.parts;
                    product.run();
                    product.y[0]
                }
                Work::RowWise(w) => w.run(),
                Work::Round(x, cols) => Activations::new(x, *cols).rows() as f32,
                Work::Copy { from, to, next } => {
                    let part = *next * COPIED / 8..(*next + 1) * COPIED / 8;
                    *next = (*next + 1) % self.parts;
                    to[part.clone()].copy_from_slice(&from[part]);
                    std::hint::black_box(&to);
                    to[0] as f32
                }
                Work::Nearest {
                    index,
                    queries,
                    width,
                    next,
                } => {
                    let part = *next * NEAREST * *width..;
                    let part = &index[part][..NEAREST * *width];
                    *next = (*next + 1) % self.parts;
                    let found = Queries::new(queries, *width).nearest(part, 5);
                    found.into_ranked().map(|found| found[0].1).sum()
                }
                Work::Unpack(w, out) => {
                    (0..w.rows()).for_each(|row| w.unpack_row(row, std::hint::black_box(out)));
                    out[0]
                }
                Work::Read { from, next } => {
                    let part = *next * COPIED / 8..(*next + 1) * COPIED / 8;
                    *next = (*next + 1) % self.parts;
                    let mut all = [0; 64];
                    for words in from[part].as_chunks::<64>().0 {
                        for (all, word) in all.iter_mut().zip(words) {
                            *all |= word;
                        }
                    }
                    all.iter().fold(0, |all, word| all | word) as f32
                }
                Work::Fma(sums) => fma(sums),
            };
        }
        kept
    }
}

const FMA_STEPS: usize = 1 << 16;

/// As many multiplications and additions in f32 as independent registers allow.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "a call of what needs AVX2")]
fn fma(sums: &mut [[f32; 8]; 12]) -> f32 {
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both.
        return unsafe { with_avx2(sums) };
    }
    multiply(sums, |lane, a, b| lane * a + b)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(sums: &mut [[f32; 8]; 12]) -> f32 {
    multiply(sums, f32::mul_add)
}

/// WebAssembly has no instruction for both at once.
#[cfg(not(target_arch = "x86_64"))]
fn fma(sums: &mut [[f32; 8]; 12]) -> f32 {
    multiply(sums, |lane, a, b| lane * a + b)
}

#[inline(always)]
fn multiply(sums: &mut [[f32; 8]; 12], step: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let (a, b) = (
        std::hint::black_box(0.999_9f32),
        std::hint::black_box(1e-6f32),
    );
    for _ in 0..FMA_STEPS {
        for sum in sums.iter_mut() {
            for lane in sum.iter_mut() {
                *lane = step(*lane, a, b);
            }
        }
    }
    sums.as_flattened().iter().sum()
}

impl RowWise {
    fn new(rows: usize, cols: usize) -> Self {
        let mut numbers = Numbers(9);
        let mut byte = move || ((numbers.next() + 1.0) * 127.0) as u8;
        Self {
            // 0x2000 is a small half.
            blocks: (0..rows * cols / 32)
                .map(|_| core::array::from_fn(|at| if at < 2 { [0, 0x20][at] } else { byte() }))
                .collect(),
            rows,
            x: (0..cols / 32)
                .map(|at| (core::array::from_fn(|i| (i + at) as i8), 0.01))
                .collect(),
            y: vec![0.0; rows],
        }
    }

    fn run(&mut self) -> f32 {
        for (blocks, y) in self.blocks.chunks_exact(self.x.len()).zip(&mut self.y) {
            *y = row(blocks, &self.x);
        }
        self.y[self.rows - 1]
    }
}

/// A half as f32; these scales are neither subnormal nor infinite.
fn half(bytes: [u8; 2]) -> f32 {
    let bits = u32::from(u16::from_le_bytes(bytes));
    let magnitude = ((bits & 0x7fff) << 13) + (112 << 23);
    f32::from_bits(((bits & 0x8000) << 16) | magnitude)
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "loads of vectors")]
fn row(blocks: &[[u8; 18]], x: &[([i8; 32], f32)]) -> f32 {
    use core::arch::wasm32::*;
    let mut sums = f32x4_splat(0.0);
    let (low, eight) = (u8x16_splat(15), i8x16_splat(8));
    for (block, (x, scale)) in blocks.iter().zip(x) {
        // SAFETY: 16 bytes are there behind the scale, and 32 of activations.
        let (codes, x0, x1) = unsafe {
            (
                v128_load(block.as_ptr().add(2).cast()),
                v128_load(x.as_ptr().cast()),
                v128_load(x.as_ptr().add(16).cast()),
            )
        };
        let a = i8x16_sub(v128_and(codes, low), eight);
        let b = i8x16_sub(u8x16_shr(codes, 4), eight);
        let dot = |w: v128, x: v128| {
            i32x4_add(
                i32x4_dot_i16x8(i16x8_extend_low_i8x16(w), i16x8_extend_low_i8x16(x)),
                i32x4_dot_i16x8(i16x8_extend_high_i8x16(w), i16x8_extend_high_i8x16(x)),
            )
        };
        let whole = i32x4_add(dot(a, x0), dot(b, x1));
        let scale = f32x4_splat(half([block[0], block[1]]) * scale);
        sums = f32x4_add(sums, f32x4_mul(f32x4_convert_i32x4(whole), scale));
    }
    f32x4_extract_lane::<0>(sums)
        + f32x4_extract_lane::<1>(sums)
        + f32x4_extract_lane::<2>(sums)
        + f32x4_extract_lane::<3>(sums)
}

#[cfg(not(target_arch = "wasm32"))]
fn row(blocks: &[[u8; 18]], x: &[([i8; 32], f32)]) -> f32 {
    let mut sum = 0.0;
    for (block, (x, scale)) in blocks.iter().zip(x) {
        let mut whole = 0i32;
        for (at, &byte) in block[2..].iter().enumerate() {
            whole += (i32::from(byte & 15) - 8) * i32::from(x[at]);
            whole += (i32::from(byte >> 4) - 8) * i32::from(x[at + 16]);
        }
        sum += whole as f32 * half([block[0], block[1]]) * scale;
    }
    sum
}

/// How far the loops of this processor are from exact arithmetic, as a share of the error they publish, over shapes whole and
/// ragged; nothing is timed where it is more than 1.
pub(crate) fn worst_error() -> f64 {
    let mut worst = 0.0f64;
    let kinds = [Bits::Four, Bits::Six, Bits::Eight];
    for (level, bits) in Level::all().flat_map(|level| kinds.map(|bits| (level, bits))) {
        for (shape, tokens) in [([7, 64], 1), ([33, 576], 3), ([64, 1536], 9)] {
            let mut one = Product::new(level, bits, shape, tokens);
            one.run();
            let mut weights = vec![0.0; shape[1]];
            for row in 0..shape[0] {
                one.w.unpack_row(row, &mut weights);
                for (at, x) in one.x.chunks_exact(shape[1]).enumerate() {
                    let terms = weights.iter().zip(x);
                    let want: f64 = terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                    let far = (f64::from(one.y[at * shape[0] + row]) - want).abs();
                    let share = far / one.w.error_bound(row, x);
                    worst = if share.is_nan() {
                        f64::INFINITY
                    } else {
                        worst.max(share)
                    };
                }
            }
        }
    }
    worst
}
