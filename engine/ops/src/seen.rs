//! Who sees whom among the tokens of a row: the masks attention knows by name.

use std::sync::{Arc, OnceLock};

use burn::tensor::{Bool, Device, Tensor, TensorData};

/// Whom a token may look at.
#[derive(Debug, Clone)]
pub enum Seen {
    /// All.
    All,
    /// Itself and what came before.
    Before,
    /// Several sequences behind one beginning, packed into a row: each token sees itself, what came before in its own sequence,
    /// and the beginning (Liu et al., arXiv 2506.05433).
    Shared(Arc<Shared>),
}

/// Sequences behind one beginning.
#[derive(Debug, Clone)]
pub struct Shared {
    prefix: usize,
    lengths: Vec<usize>,
    /// Its mask, once a device without loops of its own asked for it.
    mask: OnceLock<Tensor<4, Bool>>,
}

impl Shared {
    /// A beginning of `prefix` tokens and sequences of these lengths, in the order in which they follow.
    pub fn new(prefix: usize, lengths: Vec<usize>) -> Self {
        Self {
            prefix,
            lengths,
            mask: OnceLock::new(),
        }
    }

    /// Tokens of the beginning.
    pub fn prefix(&self) -> usize {
        self.prefix
    }

    /// Tokens of each sequence.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Tokens of the row.
    pub fn tokens(&self) -> usize {
        self.prefix + self.lengths.iter().sum::<usize>()
    }

    /// The mask `[1, 1, T, T]`, in which `true` hides; made once, for the device that asks first.
    pub(super) fn mask(&self, device: &Device) -> Tensor<4, Bool> {
        let make = || mask(self.tokens(), device, |query, key| self.hides(query, key));
        self.mask.get_or_init(make).clone()
    }

    fn hides(&self, query: usize, key: usize) -> bool {
        // The sequence of the query begins here.
        let mut start = self.prefix;
        for len in &self.lengths {
            if query < start + len {
                break;
            }
            start += len;
        }
        key > query || (key >= self.prefix && key < start)
    }
}

impl Seen {
    /// Number of tokens it is for, where it says that.
    pub fn tokens(&self) -> Option<usize> {
        match self {
            Self::All | Self::Before => None,
            Self::Shared(shared) => Some(shared.tokens()),
        }
    }
}

fn mask(tokens: usize, device: &Device, hides: impl Fn(usize, usize) -> bool) -> Tensor<4, Bool> {
    let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| (query, key)));
    let mask: Vec<bool> = pairs.map(|(query, key)| hides(query, key)).collect();
    Tensor::from_data(TensorData::new(mask, [1, 1, tokens, tokens]), device)
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sequences_see_the_beginning_and_themselves() {
        let mask = Shared::new(2, vec![2, 0, 1]).mask(&Device::flex());
        let hidden: Vec<bool> = mask.into_data().try_to_vec().unwrap();
        let seen: Vec<String> = hidden
            .chunks(5)
            .map(|row| {
                row.iter()
                    .map(|&hidden| if hidden { '.' } else { 'x' })
                    .collect()
            })
            .collect();
        assert_eq!(seen, ["x....", "xx...", "xxx..", "xxxx.", "xx..x"]);
    }
}
