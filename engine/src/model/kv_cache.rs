//! Keys and values of the tokens already seen, allocated per layer as a conversation grows.

use burn::tensor::{Device, Tensor};

/// Cache of one layer: keys and values `[1, H_kv, capacity, D]`, of which `len` positions are valid.
#[derive(Debug, Clone)]
struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
}

/// Cache of all layers of one sequence.
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<Option<LayerCache>>,
    capacity: usize,
    limit: usize,
    len: usize,
}

/// Tokens a cache grows by: rare enough to copy, few enough to waste.
const GROWTH: usize = 256;

impl KvCache {
    /// An empty cache for at most `limit` tokens.
    pub fn new(
        layers: usize,
        kv_heads: usize,
        head_dim: usize,
        limit: usize,
        device: &Device,
    ) -> Self {
        let capacity = limit.min(GROWTH);
        let shape = [1, kv_heads, capacity, head_dim];
        let layer = || {
            Some(LayerCache {
                keys: Tensor::zeros(shape, device),
                values: Tensor::zeros(shape, device),
            })
        };
        Self {
            layers: (0..layers).map(|_| layer()).collect(),
            capacity,
            limit,
            len: 0,
        }
    }

    /// Valid positions, the same in every layer between two forward passes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Tokens that still fit.
    pub fn remaining(&self) -> usize {
        self.limit - self.len
    }

    /// Makes room for `tokens` more, in steps of some hundred; what is there is copied.
    fn reserve(&mut self, tokens: usize) {
        let needed = self.len + tokens;
        if needed <= self.capacity {
            return;
        }
        let capacity = needed.next_multiple_of(GROWTH).min(self.limit).max(needed);
        let more = capacity - self.capacity;
        let longer = |x: Tensor<4>| {
            let [_, kv_heads, _, head_dim] = x.dims();
            let room = Tensor::zeros([1, kv_heads, more, head_dim], &x.device());
            Tensor::cat(vec![x, room], 2)
        };
        for layer in self.layers.iter_mut().flatten() {
            layer.keys = longer(layer.keys.clone());
            layer.values = longer(layer.values.clone());
        }
        self.capacity = capacity;
    }

    /// Forgets everything after the first `len` tokens, keeping the memory.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Writes the new keys and values `[1, H_kv, T, D]` of `layer` behind the valid ones and returns
    /// the whole buffers `[1, H_kv, capacity, D]`. [`KvCache::advance`] makes them count.
    pub fn write(
        &mut self,
        layer: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        let [_, kv_heads, tokens, head_dim] = keys.dims();
        // The first layer of a pass makes room in all of them.
        self.reserve(tokens);
        let place = [0..1, 0..kv_heads, self.len..self.len + tokens, 0..head_dim];
        // Taken out while it is rewritten, so that the buffer has one owner and is written in place.
        let Some(LayerCache { keys: k, values: v }) = self.layers[layer].take() else {
            unreachable!("every layer is put back below")
        };
        let k = k.slice_assign(place.clone(), keys);
        let v = v.slice_assign(place, values);
        self.layers[layer] = Some(LayerCache {
            keys: k.clone(),
            values: v.clone(),
        });
        (k, v)
    }

    /// Counts `tokens` more as valid, after every layer has written them.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_stays_as_the_cache_grows() {
        let device = Device::flex();
        let mut cache = KvCache::new(2, 1, 2, 1000, &device);
        let part = |from: usize, tokens: usize| {
            let values: Vec<f32> = (0..2 * tokens).map(|i| (2 * from + i) as f32).collect();
            Tensor::<1>::from_floats(values.as_slice(), &device).reshape([1, 1, tokens, 2])
        };
        // Over the first step of growth in one go, then token by token over the second, up to the limit.
        for tokens in std::iter::once(300)
            .chain([100; 2])
            .chain([1; 20])
            .chain([480])
        {
            let start = cache.len();
            for layer in 0..2 {
                let (keys, values) = cache.write(layer, part(start, tokens), part(start, tokens));
                let seen = keys.narrow(2, 0, start + tokens);
                let seen: Vec<f32> = seen.into_data().try_to_vec().unwrap();
                assert!(
                    seen.iter().enumerate().all(|(i, &v)| v == i as f32),
                    "at {start}"
                );
                assert!(values.dims()[2] <= 1000);
            }
            cache.advance(tokens);
        }
        assert_eq!(cache.remaining(), 0);
    }
}
