//! The parameters a configuration asks for, without any weights: what to look for in files, and what to write into them.

use burn::tensor::Device;

use super::checkpoint::CheckpointSource;
use super::config::VlmConfig;
use super::families;
use super::lora::Adapter;
use super::params::{Init, ParamBuilder, ParamSource, Values};
use super::vlm::Vlm;
use crate::Result;
use crate::ops::QuantMatrix;
use crate::weights::TensorInfo;

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

/// A parameter, and what it is stored as in the files, or why they have none that fits.
#[derive(Debug)]
pub struct Claimed {
    /// The parameter.
    pub planned: Planned,
    /// Its tensors.
    pub stored: Result<Vec<TensorInfo>>,
}

/// Remembers what it was asked for; what is stored comes from a source, if there is one.
struct Listener<'a> {
    source: Option<&'a mut CheckpointSource>,
    asked: Vec<Claimed>,
    /// The matrix last asked for in blocks.
    matrix: String,
    /// Parameters the source has not.
    faults: usize,
}

/// Parameters that may be missing before the rest is not asked for: a configuration may lie about millions of them.
const MAX_FAULTS: usize = 100;

impl ParamSource for Listener<'_> {
    fn values(&mut self, key: &str, shape: &[usize], _init: Init) -> Result<Values> {
        let planned = Planned {
            key: key.to_owned(),
            shape: shape.to_vec(),
            keeps_blocks: self.matrix == key,
        };
        let stored = match &mut self.source {
            Some(source) => source.claim(key, shape),
            None => Ok(Vec::new()),
        };
        let fault = stored.as_ref().err().cloned();
        self.asked.push(Claimed { planned, stored });
        self.faults += usize::from(fault.is_some());
        match fault {
            Some(fault) if self.faults >= MAX_FAULTS => Err(fault),
            _ => Ok(Values::StandIn),
        }
    }

    fn quantised(&mut self, key: &str, _rows: usize, _cols: usize) -> Result<Option<QuantMatrix>> {
        key.clone_into(&mut self.matrix);
        Ok(None)
    }

    fn contains(&self, key: &str) -> bool {
        self.source
            .as_ref()
            .is_none_or(|source| source.contains(key))
    }
}

fn listen(
    source: Option<&mut CheckpointSource>,
    device: &Device,
    build: impl FnOnce(&mut ParamBuilder<'_>) -> Result<()>,
) -> Result<Vec<Claimed>> {
    let mut listener = Listener {
        source,
        asked: Vec::new(),
        matrix: String::new(),
        faults: 0,
    };
    let built = build(&mut ParamBuilder::new(&mut listener, device));
    match built {
        // Too much is missing to go on; what is stands in the list.
        Err(_) if listener.faults > 0 => Ok(listener.asked),
        built => built.map(|()| listener.asked),
    }
}

/// Every parameter of the model of a configuration, in the order it is built in. `device` holds a few small tensors
/// meanwhile.
///
/// # Errors
/// When the configuration is of a model that cannot be.
pub fn parameters(config: &VlmConfig, device: &Device) -> Result<Vec<Planned>> {
    let asked = listen(None, device, |params| Vlm::new(params, config).map(drop))?;
    Ok(asked.into_iter().map(|claimed| claimed.planned).collect())
}

/// Every parameter of the model of a configuration, and what it is stored as in `source`; no data is read.
///
/// # Errors
/// When the configuration is of a model that cannot be.
pub fn claim_vlm(
    source: &mut CheckpointSource,
    config: &VlmConfig,
    device: &Device,
) -> Result<ClaimedVlm> {
    let mut adaptable = Vec::new();
    let claimed = claim(source, device, |params| {
        adaptable = Vlm::new(params, config)?.adaptable();
        Ok(())
    })?;
    Ok(ClaimedVlm { claimed, adaptable })
}

/// What a model asks for, before anything of it is loaded.
#[derive(Debug)]
pub struct ClaimedVlm {
    /// Its parameters.
    pub claimed: Vec<Claimed>,
    /// Our names of the layers an adapter may add to.
    adaptable: Vec<String>,
}

impl ClaimedVlm {
    /// Whether all of the model was asked for, and not too much of it missing to go on.
    pub fn is_whole(&self) -> bool {
        !self.adaptable.is_empty()
    }

    /// Proves from its header that an adapter is for this model, as loading it would.
    ///
    /// # Errors
    /// As [`Vlm::add_adapter`], but for what only the numbers show.
    pub fn fits(&self, adapter: &mut Adapter) -> Result<()> {
        for key in &self.adaptable {
            let weight = format!("{key}.weight");
            let planned = self.claimed.iter().map(|claimed| &claimed.planned);
            let shape = planned.filter(|p| p.key == weight).map(|p| &p.shape);
            if let Some(&[output, input]) = shape.map(Vec::as_slice).next() {
                adapter.claim(key, [output, input])?;
            }
        }
        adapter.all_taken()
    }
}

/// Every parameter of a model, and what it is stored as in `source`; no data is read. `build` is to build the model.
///
/// # Errors
/// When the configuration is of a model that cannot be.
pub fn claim(
    source: &mut CheckpointSource,
    device: &Device,
    build: impl FnOnce(&mut ParamBuilder<'_>) -> Result<()>,
) -> Result<Vec<Claimed>> {
    listen(Some(source), device, build)
}

/// Tensors of a source nobody asked for, buffers that are computed aside. A head that is `tied` to the embeddings may be
/// stored all the same; the reference passes it over too.
pub fn surplus(source: &CheckpointSource, tied: bool) -> Vec<&str> {
    let mut left = source.unused();
    let is_spare = |name: &str| families::is_ignorable(name) || tied && name == "lm_head.weight";
    left.retain(|name| !is_spare(name));
    left
}
