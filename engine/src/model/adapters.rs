//! The adapters of a model: several may be loaded, one or none counts, and changing it moves no weights. One that cannot be
//! used is kept with its reason, and is in nobody's way until it is chosen.

use burn::tensor::Device;

use super::linear::Linear;
use super::lora::{Adapter, Lora, LoraConfig};
use super::params::ParamBuilder;
use crate::{Error, Result};

/// Which adapters a model has and which one counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Adapters {
    names: Vec<String>,
    /// Names of those that cannot be used, and why.
    broken: Vec<(String, Error)>,
    active: Option<String>,
}

impl Adapters {
    /// Names in the order they were loaded.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Those that cannot be used, and why.
    pub(super) fn broken(&self) -> &[(String, Error)] {
        &self.broken
    }

    /// The one that counts.
    pub(super) fn active(&self) -> Option<&str> {
        self.active.as_deref()
    }

    /// Gives every layer its part of an adapter; one that was broken under this name is replaced.
    pub(super) fn add(
        &mut self,
        name: &str,
        mut adapter: Adapter,
        linears: &mut [&mut Linear],
        device: &Device,
    ) -> Result<()> {
        self.is_free(name)?;
        let mut found = Vec::with_capacity(linears.len());
        for linear in linears.iter() {
            let update = adapter.take(linear.key(), linear.dims())?;
            found.push(update.map(|update| Lora::new(name, linear.key(), update, device)));
        }
        adapter.all_taken()?;
        self.take_in(name, found, linears);
        Ok(())
    }

    /// Gives layers their part of a new adapter.
    pub(super) fn create(
        &mut self,
        name: &str,
        config: &LoraConfig,
        p: &mut ParamBuilder<'_>,
        linears: &mut [&mut Linear],
    ) -> Result<()> {
        self.is_free(name)?;
        config.check()?;
        let mut found = Vec::with_capacity(linears.len());
        for linear in linears.iter() {
            let wanted = config.is_for(linear.key());
            let fresh = wanted.then(|| Lora::fresh(p, name, linear, config));
            found.push(fresh.transpose()?);
        }
        if found.iter().all(Option::is_none) {
            return Err(Error::Option {
                option: "target_modules".into(),
                problem: format!(
                    "no layer is called {}, or all of them are excluded",
                    listed(&config.targets)
                ),
            });
        }
        self.take_in(name, found, linears);
        Ok(())
    }

    fn is_free(&self, name: &str) -> Result<()> {
        if name.is_empty() || self.names.iter().any(|known| known == name) {
            return Err(refuse(format!(
                "`{name}` cannot be the name of another adapter; the names in use are {}",
                listed(&self.names)
            )));
        }
        Ok(())
    }

    fn take_in(&mut self, name: &str, found: Vec<Option<Lora>>, linears: &mut [&mut Linear]) {
        for (linear, lora) in linears.iter_mut().zip(found) {
            if let Some(lora) = lora {
                linear.add_lora(lora);
            }
        }
        self.broken.retain(|(known, _)| known != name);
        self.names.push(name.to_owned());
    }

    /// Keeps the name of an adapter that cannot be used.
    pub(super) fn add_broken(&mut self, name: &str, reason: Error) {
        self.broken.push((name.to_owned(), reason));
    }

    /// Lets one count, or none.
    pub(super) fn choose(&mut self, name: Option<&str>, linears: Vec<&mut Linear>) -> Result<()> {
        if let Some(name) = name {
            self.usable(name)?;
        }
        for linear in linears {
            linear.use_adapter(name);
        }
        self.active = name.map(str::to_owned);
        Ok(())
    }

    /// Lets go of one; where it counted, none does afterwards.
    pub(super) fn remove(&mut self, name: &str, mut linears: Vec<&mut Linear>) -> Result<()> {
        if self.broken.iter().any(|(known, _)| known == name) {
            self.broken.retain(|(known, _)| known != name);
            return Ok(());
        }
        self.usable(name)?;
        for linear in &mut linears {
            linear.remove_adapter(name);
        }
        self.names.retain(|known| known != name);
        let active = self.active.take().filter(|active| active != name);
        self.choose(active.as_deref(), linears)
    }

    /// Refuses the name of an adapter that is not loaded.
    pub(super) fn usable(&self, name: &str) -> Result<()> {
        if self.names.iter().any(|known| known == name) {
            return Ok(());
        }
        let broken = self.broken.iter().find(|(known, _)| known == name);
        Err(refuse(match broken {
            Some((_, reason)) => format!("`{name}` cannot be used: {reason}"),
            None => format!("`{name}` is not loaded; loaded are {}", listed(&self.names)),
        }))
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
