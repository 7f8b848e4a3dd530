//! The tables of a JPEG file that hold at a scan.

use super::bits::Huffman;

/// The tables that scans are read with; each holds until it is defined again.
#[derive(Default)]
pub(super) struct Tables<'a> {
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) quantization: [Option<&'a [u8]>; 4],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart: usize,
}
