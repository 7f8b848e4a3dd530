//! Keys and values of the tokens already seen, preallocated per layer.

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
    len: usize,
}

impl KvCache {
    /// An empty cache for at most `capacity` tokens.
    pub fn new(
        layers: usize,
        kv_heads: usize,
        head_dim: usize,
        capacity: usize,
        device: &Device,
    ) -> Self {
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
        self.capacity - self.len
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
