//! How the rows of a matrix lie in the words that products read: the block formats of `shaders/common`.

use crate::blocks::QuantKind;

/// A format that products take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Numbers as they are, 32 a block.
    F32,
    /// [`QuantKind::Q4_0`].
    Q4_0,
    /// [`QuantKind::Q8_0`].
    Q8_0,
}

impl From<QuantKind> for Format {
    fn from(kind: QuantKind) -> Self {
        match kind {
            QuantKind::Q4_0 => Self::Q4_0,
            QuantKind::Q8_0 => Self::Q8_0,
            other => unreachable!("{other:?} is expanded when it is read (`QuantMatrix::keeps`)"),
        }
    }
}
