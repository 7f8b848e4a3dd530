//! What the header of a weight file says, whichever format it is in.

use super::{Dtype, Metadata};
use crate::{Error, Result};

/// Most tensors a file may hold; the largest models have a few thousand.
pub(super) const MAX_TENSORS: u64 = 65_536;

/// Where one tensor lies in its file and how to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name in the file.
    pub name: String,
    /// Row-major shape, outermost dimension first (ggml's `ne` reversed).
    pub shape: Vec<usize>,
    /// How the elements are stored.
    pub dtype: Dtype,
    /// First byte, from the start of the file.
    pub offset: u64,
    /// Size in bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        // Not the product of the shape: beside an empty dimension the others may be absurd and overflow it.
        let blocks = self.bytes / self.dtype.block_bytes() as u64;
        usize::try_from(blocks)
            .unwrap_or(usize::MAX)
            .saturating_mul(self.dtype.block_len())
    }
}

/// What a header parser found, before the file indexes it.
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: Vec<TensorInfo>,
    /// Tensors of types we cannot decode (name, type): harmless unless the model asks for one.
    pub(super) unreadable: Vec<(String, String)>,
}

/// Refuses tensors whose byte ranges overlap: two names for one range is how a crafted file hides data.
pub(super) fn check_overlaps<'a>(
    file: &str,
    ranges: impl Iterator<Item = (&'a str, u64, u64)>,
) -> Result<()> {
    let mut ranges: Vec<_> = ranges.filter(|&(_, _, bytes)| bytes > 0).collect();
    ranges.sort_unstable_by_key(|&(_, offset, _)| offset);
    for pair in ranges.windows(2) {
        if let [(first, offset, bytes), (second, next, _)] = *pair
            && offset.saturating_add(bytes) > next
        {
            return Err(Error::Weights {
                file: file.into(),
                place: second.into(),
                problem: format!("its bytes overlap those of `{first}`; the file is corrupt"),
            });
        }
    }
    Ok(())
}
