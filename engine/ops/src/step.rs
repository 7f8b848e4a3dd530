//! A token's way through a decoder recorded on its device: the host says which token and where, and the launches are made again.

use std::marker::PhantomData;

#[cfg(feature = "cube")]
use burn::tensor::{DType, TensorData};
use burn::tensor::{Device, Int, Tensor};
#[cfg(feature = "cube")]
use burn_cubecl::tensor::CubeTensor;

#[cfg(feature = "cube")]
use crate::kernels::{self, attention_decode, recording, rotate_into_cache};

/// The next token of one row, told on a device where kernels run: its id, the turns of its position, and its column of the cache.
///
/// Clones tell of the same token.
#[derive(Debug, Clone)]
pub struct Step {
    /// `[2 D + 1]`: cosines, sines with the sign of the lower half, column.
    place: Tensor<1>,
    /// `[1]`
    id: Tensor<1, Int>,
}

impl Step {
    /// Room for a token of heads `width` wide that tells of none yet; `None` where no kernels run, or attention has none for such heads.
    pub fn new(width: usize, device: &Device) -> Option<Self> {
        #[cfg(feature = "cube")]
        if kernels::available(device) && sizes([1, 1, 1], 1, width).supported() {
            let id = TensorData::new(vec![0i32], [1]);
            return Some(Self {
                place: Tensor::zeros([2 * width + 1], (device, DType::F32)),
                id: Tensor::from_data(id, (device, DType::I32)),
            });
        }
        let _ = (width, device);
        None
    }

    /// Tells of another token, for what is launched or run from now on.
    ///
    /// # Panics
    /// When the turns are not those of heads as wide as this was made for.
    pub fn tell(&self, id: u32, [cos, sin]: [&[f32]; 2], column: usize) {
        assert_eq!([cos.len(), sin.len()], [self.width(); 2], "tell: turns");
        #[cfg(feature = "cube")]
        {
            // A column is far below 2^24.
            let numbers = cos.iter().chain(sin).copied().chain([column as f32]);
            let words: Vec<u32> = numbers.map(f32::to_bits).collect();
            recording::rewrite(&self.place(), &words);
            recording::rewrite(&kernels::into_cube(self.id.clone()), &[id]);
        }
        #[cfg(not(feature = "cube"))]
        let _ = (id, column);
    }

    /// The token's id, `[1]`.
    pub fn id(&self) -> &Tensor<1, Int> {
        &self.id
    }

    fn width(&self) -> usize {
        (self.place.dims()[0] - 1) / 2
    }

    #[cfg(feature = "cube")]
    fn place(&self) -> CubeTensor {
        kernels::into_cube(self.place.clone())
    }

    /// [`crate::rotate_into_cache`] of this token.
    ///
    /// # Shapes
    /// - new: q `[1, H, 1, D]`, k and v `[1, Hkv, 1, D]`
    /// - cache: keys and values `[1, Hkv, capacity, D]`
    ///
    /// # Panics
    /// When shapes disagree. On a device without kernels there is no step.
    pub fn into_cache(&self, new: [Tensor<4>; 3], cache: [Tensor<4>; 2]) -> [Tensor<4>; 3] {
        #[cfg(feature = "cube")]
        {
            let [_, kv_heads, capacity, width] = cache[0].dims();
            let [q, k, v] = [&new[0], &new[1], &new[2]].map(Tensor::dims);
            assert_eq!(
                [q, k, v],
                [[1, q[1], 1, width], [1, kv_heads, 1, width], k],
                "into_cache: one token of heads {width} wide"
            );
            assert_eq!(
                cache[1].dims(),
                [1, kv_heads, capacity, width],
                "into_cache: cache"
            );
            assert_eq!(self.width(), width, "into_cache: turns");
            let new = new.map(Tensor::inner);
            let cache = cache.map(kernels::into_cube);
            let place = self.place();
            let turns = rotate_into_cache::Turns::Step(&place);
            rotate_into_cache::run(new, turns, cache).map(kernels::from_cube)
        }
        #[cfg(not(feature = "cube"))]
        unreachable!("a step needs kernels: {new:?} {cache:?}")
    }

    /// [`crate::cached_attention`] of this token, which is in the cache.
    ///
    /// # Shapes
    /// q `[1, H, 1, D]`, k and v `[1, Hkv, capacity, D]` -> `[1, H, 1, D]`
    ///
    /// # Panics
    /// When shapes disagree. On a device without kernels there is no step.
    pub fn attention(&self, q: Tensor<4>, k: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
        #[cfg(feature = "cube")]
        {
            let ([_, heads, ..], [_, kv_heads, capacity, width]) = (q.dims(), k.dims());
            assert_eq!(q.dims(), [1, heads, 1, width], "attention: one query");
            assert_eq!(
                v.dims(),
                [1, kv_heads, capacity, width],
                "attention: values"
            );
            assert!(
                heads.is_multiple_of(kv_heads),
                "attention: {heads} heads over {kv_heads}"
            );
            assert_eq!(self.width(), width, "attention: turns");
            let sizes = sizes([1, heads, kv_heads], capacity, width);
            let [q, k, v] = [q, k, v].map(|x| kernels::into_cube(x.inner()));
            let place = self.place();
            let rows = attention_decode::Rows::Step(&place);
            kernels::from_cube(attention_decode::run([&q, &k, &v], rows, sizes))
        }
        #[cfg(not(feature = "cube"))]
        unreachable!("a step needs kernels: {q:?} {k:?} {v:?}")
    }
}

#[cfg(feature = "cube")]
fn sizes(
    [batch, heads, kv_heads]: [usize; 3],
    capacity: usize,
    width: usize,
) -> attention_decode::Sizes {
    attention_decode::Sizes {
        batch,
        heads,
        kv_heads,
        capacity,
        // Told on the device.
        len: 0,
        width,
    }
}

/// Why there is no recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unrecorded {
    /// The device keeps no launches, or not now; nothing else has changed.
    Refused,
    /// Something failed, as this says: the device takes what the launches write for spoilt, a cache too.
    Spoilt(String),
}

/// A computation whose launches a device keeps, with what they fill. It stays on its thread: what is told by another is told in no order.
#[derive(Debug)]
pub struct Recording<T> {
    made: T,
    #[cfg(feature = "cube")]
    graph: cubecl::client::Graph,
    stays: PhantomData<*const ()>,
}

impl<T> Recording<T> {
    /// Records what `act` launches on the device of `step`, with nothing uploaded or read back. It runs twice, the first time for good;
    /// what the recording [made](Self::replay) is filled by each replay, not before.
    ///
    /// # Errors
    /// What the device says where it records nothing.
    pub fn of(step: &Step, act: impl FnMut() -> T) -> Result<Self, Unrecorded> {
        #[cfg(feature = "cube")]
        {
            let recorded = recording::record(&step.place(), act);
            let (graph, made) = recorded.map_err(|error| match error {
                recording::Unrecorded::Refused => Unrecorded::Refused,
                recording::Unrecorded::Spoilt(error) => Unrecorded::Spoilt(error.to_string()),
            })?;
            let stays = PhantomData;
            Ok(Self { made, graph, stays })
        }
        #[cfg(not(feature = "cube"))]
        {
            let _ = (step, act);
            Err(Unrecorded::Refused)
        }
    }

    /// Makes the launches again, and returns what they fill.
    ///
    /// # Errors
    /// What the device says.
    pub fn replay(&self) -> Result<&T, String> {
        #[cfg(feature = "cube")]
        recording::replay(&self.graph).map_err(|error| error.to_string())?;
        Ok(&self.made)
    }
}
