//! A token that is told on the device: recorded launches do with it what the same operations do one by one.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;

use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::ops::{self, Recording, Step, Unrecorded};
use namelens_tests::{floats, uniform, wgpu};

const HEADS: usize = 4;
const KV_HEADS: usize = 2;
const WIDTH: usize = 8;
const CAPACITY: usize = 6;
/// Rows of the tables that tokens take their queries, keys and values from.
const TOKENS: usize = 9;

/// The turns of a position, as any would do.
fn turns(position: usize) -> [Vec<f32>; 2] {
    let angle = |at: usize| (position * (at % (WIDTH / 2) + 1)) as f32 * 0.3;
    let sign = |at: usize| if at < WIDTH / 2 { -1.0 } else { 1.0 };
    [
        (0..WIDTH).map(|at| angle(at).cos()).collect(),
        (0..WIDTH).map(|at| sign(at) * angle(at).sin()).collect(),
    ]
}

#[test]
fn a_recording_does_with_each_token_what_is_told_of_it() {
    let device = wgpu();
    let table = |heads: usize, seed| {
        Tensor::<2>::from_data(uniform([TOKENS, heads * WIDTH], seed), &device)
    };
    let tables = [table(HEADS, 1), table(KV_HEADS, 2), table(KV_HEADS, 3)];
    let heads = |table: &Tensor<2>, rows: Tensor<2>| {
        let count = table.dims()[1] / WIDTH;
        rows.reshape([1, count, 1, WIDTH])
    };
    let cache = || {
        let shape = [1, KV_HEADS, CAPACITY, WIDTH];
        [4, 5].map(|seed| Tensor::<4>::from_data(uniform(shape, seed), &device))
    };
    let step = Step::new(WIDTH, &device).unwrap();
    let told = RefCell::new(Some(cache()));
    let recording = Recording::of(&step, || {
        let new = tables
            .each_ref()
            .map(|table| heads(table, table.clone().select(0, step.id().clone())));
        let [q, keys, values] = step.into_cache(new, told.take().unwrap());
        told.replace(Some([keys.clone(), values.clone()]));
        step.attention(q, keys, values)
    })
    .unwrap();
    // The first was written at column 0 when it was recorded, and is written again.
    let mut alone = cache();
    for (column, id) in [5u32, 0, 8, 8, 3, 7].into_iter().enumerate() {
        // Positions need not be columns.
        let turns = turns(2 * column + 1);
        step.tell(id, turns.each_ref().map(Vec::as_slice), column);
        let found = floats(recording.replay().unwrap().clone());
        let new = tables
            .each_ref()
            .map(|table| heads(table, table.clone().narrow(0, id as usize, 1)));
        let turns = turns
            .map(|turns| Tensor::<4>::from_data(TensorData::new(turns, [1, 1, 1, WIDTH]), &device));
        let [q, keys, values] = ops::rotate_into_cache(new, turns, alone, column);
        alone = [keys.clone(), values.clone()];
        let want = floats(ops::cached_attention(q, keys, values, &[0], column + 1));
        assert_eq!(found, want, "column {column}");
    }
    let told = told.take().unwrap();
    for (told, alone) in told.into_iter().zip(alone) {
        assert_eq!(floats(told), floats(alone), "the cache");
    }
}

#[test]
fn what_a_device_does_not_do_is_refused_and_what_it_cannot_is_told() {
    assert!(Step::new(WIDTH, &Device::flex()).is_none());
    let device = wgpu();
    assert!(Step::new(6, &device).is_none(), "attention reads vec4s");
    let step = Step::new(WIDTH, &device).unwrap();
    let upload = || Tensor::<1>::from_data([1.0f32, 2.0], &device) + 1.0;
    let x = Tensor::<2>::from_data(uniform([3, WIDTH], 6), &device);
    let weight = Tensor::<1>::from_data(uniform([WIDTH], 7), &device);
    let norm = || ops::rms_norm(x.clone(), weight.clone(), 1e-5);
    let want = floats(norm());
    match Recording::of(&step, || (norm(), upload())) {
        Err(Unrecorded::Spoilt(problem)) => assert!(!problem.is_empty()),
        other => panic!("what is uploaded cannot be recorded: {other:?}"),
    }
    // The device goes on: what was only read is as it was. And it records again.
    assert_eq!(floats(norm()), want);
    assert_eq!(floats(upload()), [2.0, 3.0]);
    let one = Tensor::<1>::from_data([1.0f32], &device);
    let recording = Recording::of(&step, || one.clone() + 1.0).unwrap();
    assert_eq!(floats(recording.replay().unwrap().clone()), [2.0]);
}
