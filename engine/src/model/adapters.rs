//! The adapters of a model: several may be loaded, one or none counts, and changing it moves no weights.

use super::linear::Linear;
use super::lora::{Adapter, Lora};
use super::vlm::Vlm;
use crate::{Error, Result};

/// Which adapters a model has and which one counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Adapters {
    names: Vec<String>,
    active: Option<String>,
}

impl Vlm {
    /// Loads an adapter under a name of your choice; [`Vlm::set_adapter`] makes it count.
    ///
    /// # Errors
    /// [`Error::Option`] when the name is empty or taken; [`Error::Weights`] when a tensor of the adapter has another shape
    /// than its layer, holds a number that is none, or has no layer here. The model is then unchanged.
    pub fn add_adapter(&mut self, name: &str, mut adapter: Adapter) -> Result<()> {
        if name.is_empty() || self.adapters.names.iter().any(|known| known == name) {
            return Err(refuse(format!(
                "`{name}` cannot be the name of another adapter; the names in use are {}",
                listed(&self.adapters.names)
            )));
        }
        let device = self.decoder.device();
        let mut linears = self.linears();
        let mut found = Vec::with_capacity(linears.len());
        for linear in &linears {
            let update = adapter.take(linear.key(), linear.dims())?;
            found.push(update.map(|update| Lora::new(name, linear.key(), update, &device)));
        }
        adapter.all_taken()?;
        for (linear, lora) in linears.iter_mut().zip(found) {
            if let Some(lora) = lora {
                linear.add_lora(lora);
            }
        }
        self.adapters.names.push(name.to_owned());
        Ok(())
    }

    /// Lets one adapter count from now on, or none. Keys and values cached before are those of the model as it was.
    ///
    /// # Errors
    /// [`Error::Option`] when no adapter of this name is loaded; the choice is then unchanged.
    pub fn set_adapter(&mut self, name: Option<&str>) -> Result<()> {
        if let Some(name) = name {
            self.known(name)?;
        }
        for linear in self.linears() {
            linear.use_adapter(name);
        }
        self.adapters.active = name.map(str::to_owned);
        Ok(())
    }

    /// Lets go of an adapter; where it counted, none does afterwards.
    ///
    /// # Errors
    /// [`Error::Option`] when no adapter of this name is loaded.
    pub fn remove_adapter(&mut self, name: &str) -> Result<()> {
        self.known(name)?;
        for linear in self.linears() {
            linear.remove_adapter(name);
        }
        self.adapters.names.retain(|known| known != name);
        let active = self.adapters.active.take().filter(|active| active != name);
        self.set_adapter(active.as_deref())
    }

    /// Names of the adapters, in the order they were loaded.
    pub fn adapters(&self) -> &[String] {
        &self.adapters.names
    }

    /// The adapter that counts.
    pub fn active_adapter(&self) -> Option<&str> {
        self.adapters.active.as_deref()
    }

    fn known(&self, name: &str) -> Result<()> {
        let names = &self.adapters.names;
        if names.iter().any(|known| known == name) {
            return Ok(());
        }
        Err(refuse(format!(
            "`{name}` is not loaded; loaded are {}",
            listed(names)
        )))
    }

    /// Every layer an adapter may add to.
    fn linears(&mut self) -> Vec<&mut Linear> {
        let tower = self.vision.linears().into_iter();
        let connector = self.connector.linears();
        tower
            .chain(connector)
            .chain(self.decoder.linears())
            .collect()
    }
}

fn refuse(problem: String) -> Error {
    Error::Option {
        option: "adapter".into(),
        problem,
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "none".into(),
        names => names.join(", "),
    }
}
