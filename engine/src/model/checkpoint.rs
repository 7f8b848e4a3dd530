//! Parameters out of weight files: dense or quantised, under Hugging Face names or GGUF's.

use super::params::{Init, ParamSource, Values};
use crate::ops::QuantMatrix;
use crate::weights::Weights;
use crate::{Error, Result};

/// Translates a Hugging Face key into the name a file uses.
pub type Rename = fn(&str) -> String;

/// A [`ParamSource`] over the weights of one model.
#[derive(Debug)]
pub struct CheckpointSource {
    weights: Weights,
    rename: Rename,
    /// Where quantised matrices stay quantised; elsewhere they are expanded as they are read.
    keep_blocks: Option<burn::tensor::Device>,
}

impl CheckpointSource {
    /// Tensors under their Hugging Face names.
    pub fn new(weights: Weights) -> Self {
        Self {
            weights,
            rename: str::to_owned,
            keep_blocks: None,
        }
    }

    /// Tensors under other names.
    #[must_use]
    pub fn with_names(mut self, rename: Rename) -> Self {
        self.rename = rename;
        self
    }

    /// Keeps quantised matrices as blocks on `device`.
    #[must_use]
    pub fn keep_blocks(mut self, device: &burn::tensor::Device) -> Self {
        self.keep_blocks = Some(device.clone());
        self
    }

    /// Tensors nobody asked for, as their files name them.
    pub fn unused(&self) -> Vec<&str> {
        self.weights.unused()
    }
}

impl ParamSource for CheckpointSource {
    fn values(&mut self, name: &str, shape: &[usize], _init: Init) -> Result<Values> {
        let name = (self.rename)(name);
        let values = self.weights.take_f32(&name, shape)?;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            return Err(Error::Weights {
                file: self
                    .weights
                    .find(&name)
                    .map_or_else(String::new, |(file, _)| file.file().to_owned()),
                place: name,
                problem: format!("element {at} is not a finite number; the file is damaged"),
            });
        }
        Ok(Values::Host(values))
    }

    fn quantised(
        &mut self,
        _name: &str,
        _rows: usize,
        _cols: usize,
    ) -> Result<Option<QuantMatrix>> {
        Ok(None)
    }

    fn contains(&self, name: &str) -> bool {
        self.weights.contains(&(self.rename)(name))
    }
}

/// A source that takes what `first` has and the rest from `rest`; for starting a model from parts of another.
pub struct Overlay<'a> {
    /// Asked first, under the name this function gives; `None` when it has nothing to say.
    pub first: CheckpointSource,
    /// The name of a key in `first`.
    pub name_in_first: fn(&str) -> Option<String>,
    /// Asked for everything else.
    pub rest: &'a mut dyn ParamSource,
}

impl std::fmt::Debug for Overlay<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Overlay").finish_non_exhaustive()
    }
}

impl ParamSource for Overlay<'_> {
    fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Values> {
        match (self.name_in_first)(name) {
            Some(other) => self.first.values(&other, shape, init),
            None => self.rest.values(name, shape, init),
        }
    }

    fn contains(&self, name: &str) -> bool {
        match (self.name_in_first)(name) {
            Some(other) => self.first.contains(&other),
            None => self.rest.contains(name),
        }
    }
}
