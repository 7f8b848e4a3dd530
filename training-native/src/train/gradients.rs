//! Gradients of several shards: computed side by side, summed, clipped by their global norm.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};

/// Runs `work` on each shard in a thread of its own and sums the gradients.
///
/// Every thread gets a detached copy of the model: burn joins graphs that share a leaf and then
/// walks them one at a time, which would leave all threads but one waiting.
///
/// # Errors
/// The first error of a shard.
pub fn sharded<M, W, T>(
    model: &M,
    device: &Device,
    shards: usize,
    work: W,
) -> anyhow::Result<(GradientsParams, Vec<T>)>
where
    M: Module + Clone + Send + Sync,
    W: Fn(&M, usize) -> anyhow::Result<(Tensor<1>, T)> + Sync,
    T: Send,
{
    let run = |model: M, shard: usize| -> anyhow::Result<(GradientsParams, T)> {
        let (loss, value) = work(&model, shard)?;
        let gradients = loss.div_scalar(shards as f32).backward();
        Ok((GradientsParams::from_grads(gradients, &model), value))
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
    let mut sum = GradientsAccumulator::new();
    let mut values = Vec::with_capacity(shards);
    for part in parts {
        let (gradients, value) = part?;
        sum.accumulate(model, gradients);
        values.push(value);
    }
    Ok((sum.grads(), values))
}

/// Scales the gradients so that their global norm is at most `limit`; returns the norm before.
pub fn clip_by_global_norm<M: Module>(
    model: &M,
    gradients: GradientsParams,
    limit: f64,
) -> (GradientsParams, f64) {
    struct Norm<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Norm<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += gradient.square().sum().into_scalar::<f32>() as f64;
            }
        }
    }
    struct Scale(GradientsParams, f32);
    impl ModuleVisitor for Scale {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient.mul_scalar(self.1));
            }
        }
    }
    let mut norm = Norm(&gradients, 0.0);
    model.visit(&mut norm);
    let norm = norm.1.sqrt();
    if norm <= limit || !norm.is_finite() {
        return (gradients, norm);
    }
    let mut scale = Scale(gradients, (limit / norm) as f32);
    model.visit(&mut scale);
    (scale.0, norm)
}

/// Freezes the parameters for which `frozen` is true, and lets gradients through to the others.
struct Trainable<'a> {
    frozen: &'a dyn Fn(burn::module::ParamId) -> bool,
}

impl ModuleMapper for Trainable<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let train = !(self.frozen)(param.id);
        param.set_require_grad(train)
    }
}

/// The same model in which the parameters are frozen for which `frozen` is true, and only those.
pub fn set_trainable<M: Module>(model: M, frozen: &dyn Fn(burn::module::ParamId) -> bool) -> M {
    model.map(&mut Trainable { frozen })
}
