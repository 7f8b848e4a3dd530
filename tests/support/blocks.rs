//! Quantised matrices of random blocks, in every format.

use burn::tensor::Device;
use namelens_engine::ops::{QuantKind, QuantMatrix};

use super::bytes;

/// Every format, and where in a block its halves are.
const HALVES: [(QuantKind, &[usize]); 8] = [
    (QuantKind::Q4_0, &[0]),
    (QuantKind::Q8_0, &[0]),
    (QuantKind::Q4_1, &[0, 2]),
    (QuantKind::Q5_0, &[0]),
    (QuantKind::Q5_1, &[0, 2]),
    (QuantKind::Q4K, &[0, 2]),
    (QuantKind::Q5K, &[0, 2]),
    (QuantKind::Q6K, &[208]),
];

/// Every format of blocks.
pub const KINDS: [QuantKind; 8] = {
    let mut kinds = [QuantKind::Q4_0; 8];
    let mut at = 0;
    while at < kinds.len() {
        kinds[at] = HALVES[at].0;
        at += 1;
    }
    kinds
};

/// A matrix of random codes under halves near 2^-6, every seventh block's subnormal; `cols` is a number of whole blocks.
///
/// # Panics
/// When it is not.
pub fn random_blocks(kind: QuantKind, rows: usize, cols: usize, device: &Device) -> QuantMatrix {
    let (_, halves) = HALVES
        .into_iter()
        .find(|(own, _)| *own == kind)
        .expect("every format is in the table");
    let mut blocks = bytes(rows * cols / kind.block_len() * kind.block_bytes(), 5);
    for (i, block) in blocks.chunks_exact_mut(kind.block_bytes()).enumerate() {
        for half in halves {
            let high = &mut block[half + 1];
            *high = match i % 7 {
                0 => 0x02,
                _ => 0x24 | (*high & 0x80),
            };
        }
    }
    QuantMatrix::from_ggml(&blocks, kind, rows, cols, device).expect("whole blocks, finite halves")
}
