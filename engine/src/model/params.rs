//! Where parameters come from (a checkpoint or an initialiser) and under which names they are saved.
//!
//! A module asks the [`ParamBuilder`] for each tensor by its checkpoint key and shape. The builder
//! remembers key and parameter id, so that loading, saving and the optimiser's groups share one list.

use std::hash::Hasher;

use burn::module::{Module, ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use fnv::FnvHasher;

use crate::ops::QuantMatrix;
use crate::{Error, Result};

/// How a parameter starts when nothing is loaded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Normal with this standard deviation.
    Normal(f64),
    /// Uniform between minus this and this.
    Uniform(f64),
    /// A constant.
    Constant(f64),
}

/// A place parameters come from.
pub trait ParamSource {
    /// The values of `name`, row-major, or an error when absent or of another shape.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the tensor.
    fn values(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Values>;

    /// The matrix `name` `[rows, cols]` in its quantised form, if it is stored so and should stay so.
    ///
    /// # Errors
    /// [`Error::Weights`] naming the tensor.
    fn quantised(&mut self, name: &str, rows: usize, cols: usize) -> Result<Option<QuantMatrix>> {
        let _ = (name, rows, cols);
        Ok(None)
    }

    /// Whether `name` exists (decides tied heads and optional biases).
    fn contains(&self, name: &str) -> bool;
}

/// Values for one parameter.
#[derive(Debug)]
pub enum Values {
    /// Read from a file, row-major.
    Host(Vec<f32>),
    /// To be drawn on the device.
    Draw(Init),
    /// Not at all: a tensor of one element stands in, for a model that is only described.
    StandIn,
}

/// Parameters drawn at random, for training from scratch.
#[derive(Debug, Default)]
pub struct RandomSource;

impl ParamSource for RandomSource {
    fn values(&mut self, _name: &str, _shape: &[usize], init: Init) -> Result<Values> {
        Ok(Values::Draw(init))
    }

    fn contains(&self, _name: &str) -> bool {
        true
    }
}

/// Hands out parameters below a name prefix.
pub struct ParamBuilder<'a> {
    source: &'a mut dyn ParamSource,
    device: Device,
    names: Vec<(String, ParamId)>,
}

impl std::fmt::Debug for ParamBuilder<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParamBuilder")
            .field("names", &self.names.len())
            .finish_non_exhaustive()
    }
}

impl<'a> ParamBuilder<'a> {
    /// A builder that takes from `source` and places tensors on `device`.
    pub fn new(source: &'a mut dyn ParamSource, device: &Device) -> Self {
        Self {
            source,
            device: device.clone(),
            names: Vec::new(),
        }
    }

    /// The device parameters are placed on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether the source has `name`.
    pub fn contains(&self, name: &str) -> bool {
        self.source.contains(name)
    }

    /// The parameter `name` of `shape`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the source lacks it or has another shape.
    pub fn param<const D: usize>(
        &mut self,
        name: &str,
        shape: [usize; D],
        init: Init,
    ) -> Result<Param<Tensor<D>>> {
        let tensor = match self.source.values(name, &shape, init)? {
            Values::Host(values) => {
                if values.len() != shape.iter().product::<usize>() {
                    return Err(Error::Weights {
                        file: "weights".into(),
                        place: name.into(),
                        problem: format!("{} values do not fill {shape:?}", values.len()),
                    });
                }
                Tensor::from_data(TensorData::new(values, shape), &self.device)
            }
            Values::Draw(Init::Normal(std)) => {
                Tensor::random(shape, Distribution::Normal(0.0, std), &self.device)
            }
            Values::Draw(Init::Uniform(bound)) => {
                Tensor::random(shape, Distribution::Uniform(-bound, bound), &self.device)
            }
            Values::Draw(Init::Constant(value)) => Tensor::full(shape, value, &self.device),
            Values::StandIn if D <= 2 => Tensor::zeros([1; D], &self.device),
            // A patch kernel, which is summed over its frames on the spot.
            Values::StandIn => Tensor::zeros(small(name, shape)?, &self.device),
        };
        let id = id_of(name);
        self.names.push((name.to_owned(), id));
        let tensor = if self.device.is_autodiff() {
            tensor.require_grad()
        } else {
            tensor
        };
        Ok(Param::initialized(id, tensor))
    }

    /// The quantised matrix `name`, if the source keeps it quantised.
    ///
    /// # Errors
    /// [`Error::Weights`] when its shape is another.
    pub fn quantised(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<Option<QuantMatrix>> {
        self.source.quantised(name, rows, cols)
    }

    /// The checkpoint key of every parameter handed out, in order.
    pub fn into_names(self) -> ParamNames {
        ParamNames(self.names)
    }
}

/// A shape of a kernel that may be allocated before anything is known of the files.
fn small<const D: usize>(name: &str, shape: [usize; D]) -> Result<[usize; D]> {
    let elements = shape.iter().try_fold(1usize, |n, &dim| n.checked_mul(dim));
    match elements {
        Some(elements) if elements <= MAX_KERNEL => Ok(shape),
        _ => Err(Error::Weights {
            file: "weights".into(),
            place: name.into(),
            problem: format!(
                "{shape:?} is too large for a patch kernel; correct the configuration"
            ),
        }),
    }
}

/// Most elements of a patch kernel; the largest known has three million.
const MAX_KERNEL: usize = 1 << 26;

/// The id of a parameter, a function of its key (FNV-1a), so that a saved optimiser state finds its
/// parameter again in another process.
pub(super) fn id_of(name: &str) -> ParamId {
    let mut hasher = FnvHasher::default();
    hasher.write(name.as_bytes());
    ParamId::from(hasher.finish())
}

/// Checkpoint key and id of every parameter of a module, in order of construction.
#[derive(Debug, Clone, Default)]
pub struct ParamNames(pub Vec<(String, ParamId)>);

/// One parameter read back to the host.
#[derive(Debug, Clone)]
pub struct NamedValues {
    /// Checkpoint key.
    pub name: String,
    /// Shape, outermost first.
    pub shape: Vec<usize>,
    /// Row-major values.
    pub values: Vec<f32>,
}

impl ParamNames {
    /// Key of a parameter id.
    pub fn name_of(&self, id: ParamId) -> Option<&str> {
        self.0
            .iter()
            .find(|(_, known)| *known == id)
            .map(|(name, _)| name.as_str())
    }

    /// Reads every parameter of `module` back to the host, under its key. Blocks; native only.
    pub fn collect<M: Module>(&self, module: &M) -> Vec<NamedValues> {
        struct Reader<'a> {
            names: &'a ParamNames,
            out: Vec<NamedValues>,
        }
        impl ModuleVisitor for Reader<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let Some(name) = self.names.name_of(param.id) else {
                    return;
                };
                let data = param.val().into_data().convert::<f32>();
                self.out.push(NamedValues {
                    name: name.to_owned(),
                    shape: data.shape().to_vec(),
                    values: data.try_to_vec().unwrap_or_default(),
                });
            }
        }
        let mut reader = Reader {
            names: self,
            out: Vec::new(),
        };
        module.visit(&mut reader);
        reader.out
    }
}
