//! The parameters a configuration asks for, without any weights: what to look for in files, and what to write into them.

use burn::tensor::Device;

use super::checkpoint::CheckpointSource;
use super::config::VlmConfig;
use super::families;
use super::params::{Init, ParamBuilder, ParamSource, Values};
use super::vlm::Vlm;
use crate::Result;
use crate::ops::QuantMatrix;

/// One parameter of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Our key.
    pub key: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// Whether it may stay in blocks where it is stored so; all else is expanded to f32 when it is loaded.
    pub keeps_blocks: bool,
}

impl Planned {
    /// Number of elements, saturating.
    pub fn elements(&self) -> u64 {
        let dims = self.shape.iter().map(|&dim| dim as u64);
        dims.fold(1, u64::saturating_mul)
    }
}

/// A source that has everything and remembers what it was asked for.
#[derive(Default)]
struct Listener {
    asked: Vec<Planned>,
    /// The matrix last asked for in blocks.
    matrix: String,
}

impl ParamSource for Listener {
    fn values(&mut self, key: &str, shape: &[usize], _init: Init) -> Result<Values> {
        self.asked.push(Planned {
            key: key.to_owned(),
            shape: shape.to_vec(),
            keeps_blocks: self.matrix == key,
        });
        Ok(Values::StandIn)
    }

    fn quantised(&mut self, key: &str, _rows: usize, _cols: usize) -> Result<Option<QuantMatrix>> {
        key.clone_into(&mut self.matrix);
        Ok(None)
    }

    fn contains(&self, _key: &str) -> bool {
        true
    }
}

/// Every parameter of the model of a configuration, in the order it is built in. `device` holds a few small tensors
/// meanwhile.
///
/// # Errors
/// When the configuration is of a model that cannot be.
pub fn parameters(config: &VlmConfig, device: &Device) -> Result<Vec<Planned>> {
    let mut listener = Listener::default();
    Vlm::new(&mut ParamBuilder::new(&mut listener, device), config)?;
    Ok(listener.asked)
}

/// Tensors of a source nobody asked for, buffers that are computed aside. A head that is `tied` to the embeddings may be
/// stored all the same; the reference passes it over too.
pub fn surplus(source: &CheckpointSource, tied: bool) -> Vec<&str> {
    let mut left = source.unused();
    let is_spare = |name: &str| families::is_ignorable(name) || tied && name == "lm_head.weight";
    left.retain(|name| !is_spare(name));
    left
}
