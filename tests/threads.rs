//! Threads that a host lends: all loops that share work out say to the bit what they say without them.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::{Device, Tensor};
use namelens_engine::host::Still;
use namelens_engine::ops::{self, Activation, ConvWeights, Epilogue, QuantKind, QuantMatrix};
use namelens_engine::personalize::{Kind, Request};
use namelens_engine::threads::{self, Pool};
use namelens_engine::weights::{Dtype, encode};
use namelens_tests::album::{NAME, introduced};
use namelens_tests::{depthwise_of, floats, uniform};

/// Threads of the standard library, begun anew for each job, which take the pieces as they come.
struct Lent {
    threads: usize,
    /// Jobs of several pieces.
    jobs: AtomicUsize,
}

impl Pool for Lent {
    fn threads(&self) -> usize {
        self.threads
    }

    fn run(&self, pieces: usize, work: &(dyn Fn(usize) + Sync)) {
        self.jobs
            .fetch_add(usize::from(pieces > 1), Ordering::Relaxed);
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| {
                    while let piece @ 0.. = next.fetch_add(1, Ordering::Relaxed)
                        && piece < pieces
                    {
                        work(piece);
                    }
                });
            }
        });
    }
}

static LENT: Lent = Lent {
    threads: 3,
    jobs: AtomicUsize::new(0),
};

/// What an operation gave, by name.
type Results = Vec<(String, Vec<u32>)>;

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
    floats(tensor).into_iter().map(f32::to_bits).collect()
}

fn products(device: &Device, out: &mut Results) {
    for (dtype, kind) in [
        (Dtype::Q8_0, QuantKind::Q8_0),
        (Dtype::Q4_1, QuantKind::Q4_1),
    ] {
        // Rows that are no whole tile, and enough of them for several pieces.
        let matrix = |rows: usize, seed| {
            let weights: Vec<f32> = uniform([rows, 576], seed).try_to_vec().unwrap();
            let bytes = encode(dtype, &weights).unwrap();
            QuantMatrix::from_ggml(&bytes, kind, rows, 576, device).unwrap()
        };
        let (gate, up, small) = (matrix(1537, 1), matrix(1537, 2), matrix(20, 3));
        for rows in [1, 2, 11, 13, 40, 129] {
            let x = Tensor::<3>::from_data(uniform([1, rows, 576], 4), device);
            let onto = Tensor::<3>::from_data(uniform([1, rows, 1537], 5), device);
            let name = |what: &str| format!("{what}, {kind:?}, {rows} rows");
            for found in
                ops::quant_linears(x.clone(), [&gate, &small, &up], [const { None }; 3], None)
            {
                out.push((name("products of one input"), bits(found)));
            }
            let gated = ops::gated_quant_linear(x.clone(), &gate, &up, None);
            out.push((name("gated"), bits(gated)));
            let epilogue = Epilogue {
                bias: Some(Tensor::from_data(uniform([1537], 6), device)),
                activation: Some(Activation::GeluTanh),
                onto: Some(onto),
            };
            let found = ops::quant_linear(x, &gate, epilogue);
            out.push((name("finished"), bits(found)));
        }
    }
    let weight = Tensor::<2>::from_data(uniform([3000, 400], 6), device);
    for rows in [1, 3, 4] {
        let x = Tensor::<3>::from_data(uniform([1, rows, 400], 7), device);
        let found = ops::dense_linear(x, weight.clone(), None);
        out.push((format!("dense, {rows} rows"), bits(found)));
    }
}

fn rows_and_maps(device: &Device, out: &mut Results) {
    let x = Tensor::<2>::from_data(uniform([301, 700], 8), device);
    let weight = Tensor::<1>::from_data(uniform([700], 9), device);
    let normed = ops::rms_norm(x.clone(), weight, 1e-5);
    out.push(("norm".into(), bits(normed)));
    out.push(("activation".into(), bits(ops::gelu(x.clone()))));
    out.push(("gate".into(), bits(ops::gated_silu(x.clone(), x.clone()))));
    let queries = Tensor::<2>::from_data(uniform([3, 48], 10), device);
    let index = Tensor::<2>::from_data(uniform([9001, 48], 11), device);
    let (scores, rows) = ops::cosine_top_k(queries, index, 5);
    out.push(("cosines".into(), bits(scores)));
    out.push(("nearest rows".into(), bits(rows.float())));
    let q = Tensor::<4>::from_data(uniform([2, 6, 1, 64], 12), device);
    let [k, v] = [13, 14].map(|seed| Tensor::<4>::from_data(uniform([2, 3, 90, 64], seed), device));
    let attended = ops::cached_attention(q, k, v, &[0, 7], 77);
    out.push(("attention over the cache".into(), bits(attended)));
    let conv = |rows: usize, depth: usize, seed| {
        let weight = Tensor::from_data(uniform([rows, depth], seed), device);
        ConvWeights::new(weight, Tensor::from_data(uniform([rows], seed + 1), device))
    };
    let (expand, project) = (conv(96, 24, 15), conv(24, 96, 17));
    for (kernel, stride) in [(3, 1), (5, 2)] {
        let x = Tensor::<4>::from_data(uniform([1, 61, 83, 24], 19), device);
        let (depthwise, window) = depthwise_of(96, kernel, stride, device);
        let block = ops::Bottleneck {
            expand: Some(&expand),
            depthwise,
            window,
            project: &project,
            residual: stride == 1,
        };
        let found = ops::bottleneck(x, block);
        out.push((format!("bottleneck, {kernel} by {stride}"), bits(found)));
    }
    let x = Tensor::<2>::from_data(uniform([4003, 24], 22), device);
    let added = Tensor::<2>::from_data(uniform([4003, 96], 23), device);
    let found = ops::pointwise(x, &expand, Some(added), true);
    out.push(("pixels".into(), bits(found)));
    let logits: Vec<f32> = uniform([1, 49_153], 24).try_to_vec().unwrap();
    let probability = ops::logits::probability(&logits, 49_152);
    assert!(probability > 0.0);
    out.push(("probability".into(), vec![probability.to_bits()]));
}

/// The embedded model's caption of the album's scene, and how sure it was of what it found.
fn caption(device: &Device, out: &mut Results) {
    let (mut engine, photo) = introduced(device);
    let request = Request::new(Kind::Caption);
    let mut hear = |_| ();
    let outcome = engine.run(&request, &photo, &Still, &mut hear);
    let outcome = pollster::block_on(outcome).unwrap();
    assert!(outcome.text.contains(NAME), "{}", outcome.text);
    let sure = outcome.mentions.iter().map(|m| m.confidence.to_bits());
    out.push((outcome.text.clone(), sure.collect()));
}

fn all(device: &Device) -> Results {
    let mut out = Results::new();
    products(device, &mut out);
    rows_and_maps(device, &mut out);
    caption(device, &mut out);
    out
}

#[test]
fn threads_of_a_host_change_nothing() {
    let device = Device::flex();
    let before = all(&device);
    assert!(threads::lend(&LENT));
    assert!(!threads::lend(&LENT), "only the first are taken");
    assert_eq!(threads::count(), 3);
    let after = all(&device);
    let jobs = LENT.jobs.load(Ordering::Relaxed);
    assert!(jobs > 100, "only {jobs} jobs were shared out");
    for ((name, before), (same, after)) in before.iter().zip(&after) {
        assert_eq!(name, same);
        assert!(before == after, "{name} is another with threads");
    }
}
