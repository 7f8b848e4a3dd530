//! Who is held out: every identity and every name belongs to exactly one split, by its hash.

use std::hash::Hasher;

use fnv::FnvHasher;
use sha2::{Digest, Sha256};

use crate::identity::Identity;
use crate::names;
use crate::rng::{Rng, scatter};

/// Training, tuning, validation or test. Things and names of one split never appear in another.
///
/// Tuning was set apart later, out of what used to be training: validation and test are what they were, and a model
/// trained before (the embedded one) has seen things and names of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// About 70 % of the identities and of the names.
    Train,
    /// About 10 %: what a trained model is tuned on afterwards, and has not seen while it was trained.
    Tune,
    /// About 10 %.
    Val,
    /// About 10 %.
    Test,
}

impl Split {
    /// Every split.
    pub const ALL: [Self; 4] = [Self::Train, Self::Tune, Self::Val, Self::Test];

    /// The split of an identity.
    pub fn of_identity(identity: &Identity) -> Self {
        Self::of_hash(scatter(u64::from(identity.code()) ^ 0x1DE7))
    }

    /// The split of a name. Case and spelling count: another spelling is another name.
    pub fn of_name(name: &str) -> Self {
        // FNV-1a folds the bytes, `scatter` spreads what it leaves in the low bits.
        let mut fold = FnvHasher::default();
        fold.write(name.as_bytes());
        Self::of_hash(scatter(fold.finish()))
    }

    fn of_hash(hash: u64) -> Self {
        match hash % 10 {
            0 => Self::Val,
            1 => Self::Test,
            // An eighth of the rest; the digits above the last one are as good as another hash.
            _ if (hash / 10).is_multiple_of(8) => Self::Tune,
            _ => Self::Train,
        }
    }

    /// Its name in run logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Tune => "tune",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// SHA-256, in hex, over what defines a split: all its identities and a fixed draw of 2000 names.
///
/// A model card quotes it, so that anyone can check that two evaluations held out the same things.
pub fn held_out_digest(split: Split) -> String {
    let mut hasher = Sha256::new();
    hasher.update(split.word());
    for identity in Identity::every().filter(|identity| identity.split() == split) {
        hasher.update(identity.code().to_le_bytes());
    }
    let mut rng = Rng::new(0, 0);
    for _ in 0..2000 {
        hasher.update(names::random(&mut rng, split));
        hasher.update([0]);
    }
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
