//! Gradients of several shards: computed side by side, summed, divided once by all they are a mean over, clipped.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// The loss of one part of a step: a sum, and what it is to be divided by together with the other parts'.
///
/// Means of parts are no mean of the whole where one part has more tokens than another; so sums are added up and counts too,
/// and one division follows.
#[derive(Debug)]
pub struct Loss {
    /// Sum over what counts, `[1]`.
    pub sum: Tensor<1>,
    /// How much counts: tokens, answers, rows.
    pub count: f64,
    /// Figures worth logging.
    pub figures: Vec<(String, f64)>,
}

impl Loss {
    /// A loss that is a mean over `count` already.
    pub fn of_mean(mean: Tensor<1>, count: f64, figures: Vec<(String, f64)>) -> Self {
        Self {
            sum: mean.mul_scalar(count),
            count,
            figures,
        }
    }
}

/// Gradients of the losses of several parts, added up.
pub struct Summed<M> {
    gradients: GradientsAccumulator<M>,
    count: f64,
    /// The figures of each part.
    pub figures: Vec<Vec<(String, f64)>>,
}

impl<M> std::fmt::Debug for Summed<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Summed")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl<M: Module + Clone + Send + Sync> Summed<M> {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            gradients: GradientsAccumulator::new(),
            count: 0.0,
            figures: Vec::new(),
        }
    }

    /// Adds the gradients of `shards` parts, each computed by `work` in a thread of its own.
    ///
    /// Every thread gets a detached copy of the model: burn joins graphs that share a leaf and then
    /// walks them one at a time, which would leave all threads but one waiting.
    ///
    /// # Errors
    /// The first error of a shard.
    pub fn add<W>(
        &mut self,
        model: &M,
        device: &Device,
        shards: usize,
        work: W,
    ) -> anyhow::Result<()>
    where
        W: Fn(&M, usize) -> anyhow::Result<Loss> + Sync,
    {
        type Part = (GradientsParams, f64, Vec<(String, f64)>);
        let run = |model: M, shard: usize| -> anyhow::Result<Part> {
            let Loss {
                sum,
                count,
                figures,
            } = work(&model, shard)?;
            let gradients = GradientsParams::from_grads(sum.backward(), &model);
            Ok((gradients, count, figures))
        };
        let parts: Vec<_> = if shards == 1 {
            vec![run(model.clone(), 0)]
        } else {
            std::thread::scope(|scope| {
                let handles: Vec<_> = (0..shards)
                    .map(|shard| {
                        let own = model.clone().fork(device);
                        scope.spawn(move || run(own, shard))
                    })
                    .collect();
                handles
                    .into_iter()
                    .map(|handle| match handle.join() {
                        Ok(part) => part,
                        Err(panic) => std::panic::resume_unwind(panic),
                    })
                    .collect()
            })
        };
        for part in parts {
            let (gradients, count, figures) = part?;
            self.gradients.accumulate(model, gradients);
            self.count += count;
            self.figures.push(figures);
        }
        Ok(())
    }

    /// What all the parts count together.
    pub fn count(&self) -> f64 {
        self.count
    }

    /// The gradients of the mean: of all sums, divided by `count`, which is [`Summed::count`] or what others counted with it.
    pub fn mean(mut self, model: &M, count: f64) -> GradientsParams {
        scaled(model, self.gradients.grads(), 1.0 / count)
    }
}

impl<M: Module + Clone + Send + Sync> Default for Summed<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// All gradients times a number.
fn scaled<M: Module>(model: &M, gradients: GradientsParams, by: f64) -> GradientsParams {
    if by == 1.0 {
        return gradients;
    }
    scaled_by(model, gradients, &|_| by)
}

/// Every gradient times a number of its parameter.
fn scaled_by<M: Module>(
    model: &M,
    gradients: GradientsParams,
    by: &dyn Fn(ParamId) -> f64,
) -> GradientsParams {
    struct Scale<'a>(GradientsParams, &'a dyn Fn(ParamId) -> f64);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let by = (self.1)(param.id) as f32;
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient.mul_scalar(by));
            }
        }
    }
    let mut scale = Scale(gradients, by);
    model.visit(&mut scale);
    scale.0
}

/// Euclidean norms of the gradients of each of `N` parts, each as one vector; read back from the device once.
fn norms<M: Module, const N: usize>(
    model: &M,
    gradients: &GradientsParams,
    part: &dyn Fn(ParamId) -> usize,
) -> [f64; N] {
    struct Squares<'a>(&'a GradientsParams, Vec<(ParamId, Tensor<1>)>);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.push((param.id, gradient.square().sum()));
            }
        }
    }
    let mut squares = Squares(gradients, Vec::new());
    model.visit(&mut squares);
    if squares.1.is_empty() {
        return [0.0; N];
    }
    let (ids, squares): (Vec<_>, Vec<_>) = squares.1.into_iter().unzip();
    let data = Tensor::cat(squares, 0).into_data().convert::<f32>();
    // A norm that cannot be read is none.
    let squares = data
        .try_to_vec::<f32>()
        .unwrap_or_else(|_| vec![f32::NAN; ids.len()]);
    let mut sums = [0.0; N];
    for (id, square) in ids.into_iter().zip(squares) {
        sums[part(id)] += f64::from(square);
    }
    sums.map(f64::sqrt)
}

/// The Euclidean norm of all gradients as one vector.
pub fn global_norm<M: Module>(model: &M, gradients: &GradientsParams) -> f64 {
    let [norm] = norms(model, gradients, &|_| 0);
    norm
}

/// Scales the gradients so that their global norm is at most `limit`; returns the norm before.
pub fn clip_by_global_norm<M: Module>(
    model: &M,
    gradients: GradientsParams,
    limit: f64,
) -> (GradientsParams, f64) {
    let (clipped, [norm]) = clip_parts(model, gradients, limit, &|_| 0);
    (clipped, norm)
}

/// Scales the gradients of each of `N` parts so that its norm is at most `limit`; returns the norms before. `part` of a parameter is
/// below `N`.
///
/// Where losses of different scales train different parameters, one norm over all would scale the gradients of the one by the size of
/// the other's. (AdamW makes up for a scale that stays; not for one that changes from step to step.)
pub fn clip_parts<M: Module, const N: usize>(
    model: &M,
    gradients: GradientsParams,
    limit: f64,
    part: &dyn Fn(ParamId) -> usize,
) -> (GradientsParams, [f64; N]) {
    let norms: [f64; N] = norms(model, &gradients, part);
    let factors = norms.map(|norm| match norm <= limit || !norm.is_finite() {
        true => 1.0,
        false => limit / norm,
    });
    if factors == [1.0; N] {
        return (gradients, norms);
    }
    (scaled_by(model, gradients, &|id| factors[part(id)]), norms)
}

/// Freezes the parameters for which `frozen` is true, and lets gradients through to the others.
struct Trainable<'a> {
    frozen: &'a dyn Fn(ParamId) -> bool,
}

impl ModuleMapper for Trainable<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let train = !(self.frozen)(param.id);
        param.set_require_grad(train)
    }
}

/// The same model in which the parameters are frozen for which `frozen` is true, and only those.
pub fn set_trainable<M: Module>(model: M, frozen: &dyn Fn(ParamId) -> bool) -> M {
    model.map(&mut Trainable { frozen })
}

#[cfg(test)]
#[path = "gradients_tests.rs"]
mod tests;
