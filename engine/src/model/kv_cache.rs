//! Keys and values of the tokens already seen by one or more rows, allocated per layer as a conversation grows.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::rope::Rotation;
use crate::ops;

/// Cache of one layer: keys and values `[R, H_kv, capacity, D]`, of which the columns before `len` were written. What the others hold,
/// be it no numbers, has no influence on [`ops::cached_attention`], so nobody fills them.
#[derive(Debug, Clone)]
struct LayerCache {
    keys: Tensor<4>,
    values: Tensor<4>,
}

/// Cache of all layers of R rows that grow together.
///
/// All rows end at the same column; a shorter one starts later. So the tokens of a step are written in one piece, and a row
/// is as long as [`KvCache::len`] less its place in [`KvCache::starts`].
#[derive(Debug, Clone)]
pub struct KvCache {
    layers: Vec<Option<LayerCache>>,
    capacity: usize,
    limit: usize,
    len: usize,
    starts: Vec<usize>,
    /// Where the device is told of the token that is written, if it is.
    told: Option<ops::Step>,
}

/// Tokens a cache grows by: rare enough to copy, few enough to waste.
const GROWTH: usize = 256;
/// Room that is made for an answer before it begins; one that is longer makes room again.
const MOST_AHEAD: usize = 1024;

impl KvCache {
    /// An empty cache of one row for at most `limit` tokens.
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
                keys: Tensor::empty(shape, device),
                values: Tensor::empty(shape, device),
            })
        };
        Self {
            layers: (0..layers).map(|_| layer()).collect(),
            capacity,
            limit,
            len: 0,
            starts: vec![0],
            told: None,
        }
    }

    /// The rows of several caches as one, each part's as often as it says, in this order, with room for `room` more tokens a
    /// row; `None` of no rows. All are caches of one model.
    pub fn joined(parts: &[(&Self, usize)], room: usize) -> Option<Self> {
        let (first, _) = parts.first()?;
        let len = parts.iter().map(|(part, _)| part.len).max()?;
        let mut starts = Vec::new();
        for (part, copies) in parts {
            let short = len - part.len;
            for _ in 0..*copies {
                starts.extend(part.starts.iter().map(|start| start + short));
            }
        }
        if starts.is_empty() {
            return None;
        }
        let layer = |at: usize, which: fn(&LayerCache) -> &Tensor<4>| {
            let rows = parts.iter().filter(|(_, copies)| *copies > 0);
            let rows = rows.map(|(part, copies)| {
                let Some(layer) = &part.layers[at] else {
                    unreachable!("every layer is put back by `rewrite`")
                };
                let x = which(layer).clone();
                let [rows, heads, _, width] = x.dims();
                let space = |columns| Tensor::empty([rows, heads, columns, width], &x.device());
                let mut columns = Vec::with_capacity(3);
                if part.len < len {
                    columns.push(space(len - part.len));
                }
                columns.push(x.clone().narrow(2, 0, part.len));
                if room > 0 {
                    columns.push(space(room));
                }
                Tensor::cat(columns, 2).repeat_dim(0, *copies)
            });
            Tensor::cat(rows.collect(), 0)
        };
        let layers = (0..first.layers.len()).map(|at| {
            Some(LayerCache {
                keys: layer(at, |layer| &layer.keys),
                values: layer(at, |layer| &layer.values),
            })
        });
        Some(Self {
            layers: layers.collect(),
            capacity: len + room,
            limit: len + room,
            len,
            starts,
            told: None,
        })
    }

    /// Columns written, the same in every layer between two forward passes; the length of the longest row.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Columns there is memory for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Has the device say from now on which column is written and up to where tokens look, for single tokens of one row that begins at the
    /// first column; with `None` it is as the cache counts again.
    pub fn tell(&mut self, step: Option<ops::Step>) {
        self.told = step;
    }

    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first column of each row: what lies before is no part of it.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Tokens a row that still fit.
    pub fn remaining(&self) -> usize {
        self.limit - self.len
    }

    /// Makes room for a prompt of `tokens` and an answer of `answer` behind it at once, so that nothing is allocated while the answer is
    /// written; of what does not fit in the limit, and of a very long answer, for as much as is sensible.
    pub fn make_room(&mut self, tokens: usize, answer: usize) {
        self.reserve((tokens + answer.min(MOST_AHEAD)).min(self.remaining()));
    }

    /// Makes room for `tokens` more, in steps of some hundred; what is there is copied.
    fn reserve(&mut self, tokens: usize) {
        let needed = self.len + tokens;
        if needed <= self.capacity {
            return;
        }
        let capacity = needed.next_multiple_of(GROWTH).min(self.limit).max(needed);
        let len = self.len;
        let longer = |x: Tensor<4>| {
            let [rows, kv_heads, _, head_dim] = x.dims();
            let room = Tensor::empty([rows, kv_heads, capacity - len, head_dim], &x.device());
            match len {
                0 => room,
                _ => Tensor::cat(vec![x.narrow(2, 0, len), room], 2),
            }
        };
        for layer in self.layers.iter_mut().flatten() {
            layer.keys = longer(layer.keys.clone());
            layer.values = longer(layer.values.clone());
        }
        self.capacity = capacity;
    }

    /// Forgets everything after the first `len` columns, keeping the memory.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Keeps these rows only, in this order; the others' memory is free again.
    pub fn keep(&mut self, rows: &[usize]) {
        if rows.len() == self.starts.len() && rows.iter().enumerate().all(|(at, row)| at == *row) {
            return;
        }
        self.starts = rows.iter().map(|&row| self.starts[row]).collect();
        let index: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        for layer in self.layers.iter_mut().flatten() {
            let data = TensorData::new(index.clone(), [rows.len()]);
            let index = Tensor::<1, Int>::from_data(data, &layer.keys.device());
            layer.keys = layer.keys.clone().select(0, index.clone());
            layer.values = layer.values.clone().select(0, index);
        }
    }

    /// Turns new queries `[R, H, T, D]` and keys `[R, H_kv, T, D]` to their positions, and writes keys and values of `layer`
    /// behind the valid ones. Returns the queries and the whole buffers `[R, H_kv, capacity, D]`. [`KvCache::advance`]
    /// makes them count.
    pub fn write(
        &mut self,
        layer: usize,
        new: [Tensor<4>; 3],
        rotation: &Rotation,
    ) -> [Tensor<4>; 3] {
        let told = self.told.clone();
        self.rewrite(layer, new[1].dims()[2], |cache, column, _| {
            // What is remembered is a constant: a cache holds no graph of gradients.
            let written = match told {
                Some(step) => step.into_cache(new, cache),
                None => ops::rotate_into_cache(new, rotation.turns(), cache, column),
            };
            let cache = [&written[1], &written[2]].map(Tensor::clone);
            (written, cache)
        })
    }

    /// What the newest tokens, with queries `[R, H, T, D]`, see of keys and values that [`KvCache::write`] returned: `[R, H, T, D]`.
    pub fn attend(&self, [q, keys, values]: [Tensor<4>; 3]) -> Tensor<4> {
        if let Some(step) = &self.told {
            return step.attention(q, keys, values);
        }
        let len = self.len + q.dims()[2];
        ops::cached_attention(q, keys, values, &self.starts, len)
    }

    /// Has `act` write `tokens` more of `layer` into its keys and values `[R, H_kv, capacity, D]`, from a column on, of rows that start at
    /// some; what else it makes is returned. [`KvCache::advance`] makes them count.
    pub fn rewrite<T>(
        &mut self,
        layer: usize,
        tokens: usize,
        act: impl FnOnce([Tensor<4>; 2], usize, &[usize]) -> (T, [Tensor<4>; 2]),
    ) -> T {
        // The first layer of a pass makes room in all of them.
        self.reserve(tokens);
        // Taken out while it is rewritten, so that the buffer has one owner and is written in place.
        let Some(LayerCache { keys, values }) = self.layers[layer].take() else {
            unreachable!("every layer is put back below")
        };
        let (made, [keys, values]) = act([keys, values], self.len, &self.starts);
        self.layers[layer] = Some(LayerCache { keys, values });
        made
    }

    /// Counts `tokens` more as valid, after every layer has written them.
    pub fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::rope::Rope;
    use super::*;

    /// Writes `x` as queries, keys and values that are not turned.
    fn write(cache: &mut KvCache, layer: usize, x: Tensor<4>) -> [Tensor<4>; 3] {
        let [_, _, tokens, width] = x.dims();
        let rope = Rope::text(width, 1, 1e4, None, &x.device());
        let still = rope.at(&[vec![[0; 3]; tokens]]);
        cache.write(layer, [x.clone(), x.clone(), x], &still)
    }

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
                let [_, keys, values] = write(&mut cache, layer, part(start, tokens));
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

    #[test]
    fn an_answer_that_was_announced_makes_no_room() {
        let device = Device::flex();
        let mut cache = KvCache::new(1, 1, 2, 3000, &device);
        let columns = |cache: &KvCache| cache.layers[0].as_ref().unwrap().keys.dims()[2];
        for (prompt, answer, capacity) in [(200, 300, 512), (100, 412, 1024), (12, 0, 1024)] {
            cache.make_room(prompt, answer);
            assert_eq!(columns(&cache), capacity);
            for tokens in std::iter::once(prompt).chain(std::iter::repeat_n(1, answer)) {
                write(&mut cache, 0, Tensor::zeros([1, 1, tokens, 2], &device));
                cache.advance(tokens);
                assert_eq!(columns(&cache), capacity);
            }
        }
        // Of an endless answer a part, and never more than the limit.
        cache.make_room(1, usize::MAX);
        assert_eq!(columns(&cache), 2304);
        cache.make_room(2000, 2000);
        assert_eq!(columns(&cache), 3000);
    }

    /// The valid part of the keys of layer 0, row by row.
    fn rows(cache: &KvCache) -> Vec<Vec<f32>> {
        let keys = cache.layers[0].as_ref().unwrap().keys.clone();
        let len = cache.len();
        let row = |(row, &start): (usize, &usize)| {
            let keys = keys.clone().narrow(0, row, 1);
            let seen = keys.narrow(2, start, len - start);
            seen.into_data().try_to_vec().unwrap()
        };
        cache.starts().iter().enumerate().map(row).collect()
    }

    #[test]
    fn rows_of_any_lengths_are_joined_and_leave() {
        let device = Device::flex();
        let filled = |values: &[f32]| {
            let mut cache = KvCache::new(1, 1, 2, 1000, &device);
            let tokens = values.len() / 2;
            let keys = Tensor::<1>::from_floats(values, &device).reshape([1, 1, tokens, 2]);
            write(&mut cache, 0, keys);
            cache.advance(tokens);
            cache
        };
        let (long, short) = (filled(&[1.0, 2.0, 3.0, 4.0]), filled(&[5.0, 6.0]));
        let mut cache = KvCache::joined(&[(&short, 2), (&long, 1), (&long, 0)], 3).unwrap();
        let (a, b) = (vec![5.0, 6.0], vec![1.0, 2.0, 3.0, 4.0]);
        assert_eq!(rows(&cache), [a.clone(), a.clone(), b.clone()]);
        assert_eq!((cache.len(), cache.remaining()), (2, 3));
        let next = Tensor::<1>::from_floats([7.0, 7.5, 8.0, 8.5, 9.0, 9.5], &device);
        let next = next.reshape([3, 1, 1, 2]);
        write(&mut cache, 0, next);
        cache.advance(1);
        cache.keep(&[2, 0]);
        let with = |row: &[f32], more: [f32; 2]| [row, &more].concat();
        let want = [with(&b, [9.0, 9.5]), with(&a, [7.0, 7.5])];
        assert_eq!(rows(&cache), want);
        assert!(KvCache::joined(&[(&long, 0)], 1).is_none());
        assert!(KvCache::joined(&[], 1).is_none());
    }
}
