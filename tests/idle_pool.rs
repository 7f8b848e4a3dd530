//! A pool of threads that passes work over is found out before its results are read: they would be memory that nobody wrote.
#![allow(clippy::unwrap_used, reason = "tests")]

use burn::tensor::{Device, Tensor};
use namelens_engine::ops::{QuantKind, quant_linear};
use namelens_engine::threads::{self, Pool};
use namelens_tests::random_blocks;

/// Does nothing of what it is given.
struct Idle;

impl Pool for Idle {
    fn threads(&self) -> usize {
        2
    }

    fn run(&self, _: usize, _: &(dyn Fn(usize) + Sync)) {}
}

#[test]
#[should_panic(expected = "pieces that the pool did")]
fn work_that_was_passed_over_is_no_result() {
    assert!(threads::lend(&Idle), "the first that is lent");
    let device = Device::flex();
    let matrix = random_blocks(QuantKind::Q8_0, 64, 64, &device);
    quant_linear(Tensor::<2>::ones([1, 64], &device), &matrix, None);
}
