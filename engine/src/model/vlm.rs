//! The language model, with what it sees photos through, if it does: the two are joined at the image tokens of the prompt.

mod adapting;

use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Int, Tensor, TensorData};

use super::adapters::Adapters;
use super::attention::Mask;
use super::config::VlmConfig;
use super::connector::Visual;
use super::decoder::Decoder;
use super::kv_cache::KvCache;
use super::params::ParamBuilder;
use super::positions::{Grid, positions};
use super::rope::{Position, Rotation};
use super::vision_encoder::VisionEncoder;
use crate::ops::{self, Seen, Shared};
use crate::{Error, Result};

/// The whole model.
#[derive(Module, Debug)]
pub struct Vlm {
    /// Photos to visual tokens; `None` in a model that reads text only.
    vision: Option<VisionEncoder>,
    /// Visual and text tokens to logits.
    pub decoder: Decoder,
    image_token_id: u32,
    kv_heads: usize,
    head_dim: usize,
    /// Whether tokens of photos stand on rows and columns.
    on_grid: bool,
    #[module(skip)]
    adapters: Adapters,
}

/// Rows of tokens on their way through the decoder.
#[derive(Debug, Clone)]
pub struct Reading {
    /// `[B, T, hidden]`
    pub x: Tensor<3>,
    rotation: Rotation,
    /// Who may look at whom where there is no cache.
    mask: Mask,
    /// What the first layers add to visual tokens, each `[B, T, hidden]`.
    deep: Vec<Tensor<3>>,
}

impl Vlm {
    /// Builds the model; its source translates the names of other families.
    ///
    /// # Errors
    /// [`Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &VlmConfig) -> Result<Self> {
        let text = &config.text_config;
        Ok(Self {
            vision: VisionEncoder::new(p, config)?,
            decoder: Decoder::new(p, "model.text_model", text, config.tie_word_embeddings)?,
            image_token_id: config.image_token_id,
            kv_heads: text.num_key_value_heads,
            head_dim: text.head_dim(),
            on_grid: text.variant.mrope.is_some(),
            adapters: Adapters::default(),
        })
    }

    /// What makes visual tokens of photos.
    ///
    /// # Errors
    /// [`Error::Option`] when the model reads text only.
    pub fn vision(&self) -> Result<&VisionEncoder> {
        self.vision.as_ref().ok_or_else(|| Error::Option {
            option: "photo".into(),
            problem: "is nothing this model can see: it reads text only. Ask without a photo, or take a model with a \
                      vision tower (of GGUF files, the mmproj beside it)"
                .into(),
        })
    }

    /// Frames `[N, 3, H, W]` of one size to their visual tokens, frame by frame.
    ///
    /// # Errors
    /// As [`Vlm::vision`].
    pub fn encode_images(&self, pixels: Tensor<4>) -> Result<Visual> {
        Ok(self.vision()?.encode(pixels))
    }

    /// Token ids with the visual tokens in the places of the image token, the first at position 0.
    ///
    /// `photos` are the grids of the photos' visual tokens; only models with rows and columns in their positions look at
    /// them.
    ///
    /// # Shapes
    /// - ids: B rows of T ids
    /// - visual: the visual tokens of all photos, in reading order over all rows
    ///
    /// # Errors
    /// [`Error::Template`] when the places and the visual tokens do not match in number.
    pub fn read(&self, ids: &[Vec<u32>], visual: Option<&Visual>) -> Result<Reading> {
        let tokens = ids.first().map_or(0, Vec::len);
        self.reading(ids, visual, self.decoder.rope.run(0, tokens))
    }

    /// [`Vlm::read`] for one row whose tokens stand at these positions.
    ///
    /// # Errors
    /// As [`Vlm::read`].
    pub fn read_at(
        &self,
        ids: &[u32],
        visual: Option<&Visual>,
        positions: &[Position],
    ) -> Result<Reading> {
        self.reading(
            &[ids.to_vec()],
            visual,
            self.decoder.rope.at(&[positions.to_vec()]),
        )
    }

    /// [`Vlm::read`] for the next token of each row, of which row r's stands at position `positions[r]`.
    ///
    /// # Errors
    /// As [`Vlm::read`].
    pub fn read_next(&self, ids: &[u32], positions: &[usize]) -> Result<Reading> {
        let rotation = match positions {
            [at] => self.decoder.rope.run(*at, 1),
            rows => {
                let place = |&at: &usize| vec![[at as u32; 3]];
                let rows: Vec<Vec<Position>> = rows.iter().map(place).collect();
                self.decoder.rope.at(&rows)
            }
        };
        let rows: Vec<Vec<u32>> = ids.iter().map(|&id| vec![id]).collect();
        self.reading(&rows, None, rotation)
    }

    /// Where the device is told of the next token of one row; `None` where that cannot be.
    pub fn new_step(&self) -> Option<ops::Step> {
        ops::Step::new(self.head_dim, &self.decoder.device())
    }

    /// Tells `step` of the token `id` at `position`, whose keys and values go to `column` of the cache.
    ///
    /// # Errors
    /// As [`Vlm::read`].
    ///
    /// # Panics
    /// When it is no token of the model.
    pub fn tell(&self, step: &ops::Step, id: u32, position: usize, column: usize) -> Result<()> {
        self.check_places(usize::from(id == self.image_token_id), 0)?;
        assert!(self.decoder.is_token(id), "tell: no token {id}");
        let [cos, sin] = self.decoder.rope.told(position);
        step.tell(id, [&cos, &sin], column);
        Ok(())
    }

    /// [`Vlm::read_next`] of the token `step` tells of, whose turns are told there too.
    pub fn read_told(&self, step: &ops::Step) -> Reading {
        let x = self.decoder.embed_told(step.id());
        let hidden = x.dims()[1];
        Reading {
            x: x.reshape([1, 1, hidden]),
            // Not looked at.
            rotation: self.decoder.rope.table(),
            mask: Mask::Causal,
            deep: Vec::new(),
        }
    }

    /// [`Vlm::read`] for rows that begin with so many tokens to be passed over; positions count from behind them.
    ///
    /// # Errors
    /// As [`Vlm::read`].
    pub fn read_padded(
        &self,
        ids: &[Vec<u32>],
        padding: &[usize],
        visual: Option<&Visual>,
        photos: &[Vec<Grid>],
    ) -> Result<Reading> {
        let tokens = ids.first().map_or(0, Vec::len);
        let mut rows = Vec::with_capacity(ids.len());
        let mut masked = Vec::with_capacity(ids.len() * tokens * tokens);
        for (row, (ids, &pad)) in ids.iter().zip(padding).enumerate() {
            let mut places = vec![[0; 3]; pad];
            let grids = photos.get(row).map_or(&[][..], Vec::as_slice);
            places.extend(self.positions(&ids[pad..], grids)?.0);
            rows.push(places);
            for query in 0..tokens {
                // A token passed over looks at itself: a row of which all is masked would be no number.
                masked.extend((0..tokens).map(|key| key > query || (key < pad && key != query)));
            }
        }
        let shape = [ids.len(), 1, tokens, tokens];
        let masked = Tensor::from_data(TensorData::new(masked, shape), &self.decoder.device());
        let reading = self.reading(ids, visual, self.decoder.rope.at(&rows))?;
        Ok(Reading {
            mask: Mask::Explicit(masked),
            ..reading
        })
    }

    /// [`Vlm::read`] for a prompt that is followed by several completions, each as if the others were not there: one row of
    /// the prompt's tokens and then the completions', which see the prompt and themselves and whose positions go on from it. So
    /// the prompt and its photos are computed once, and gradients are those of a row for each completion (Liu et al., arXiv
    /// 2506.05433).
    ///
    /// Of a completion's last token nothing is asked, and it may be left out.
    ///
    /// # Errors
    /// As [`Vlm::read`]; also where a completion holds image tokens.
    pub fn read_completions(
        &self,
        prompt: &[u32],
        completions: &[&[u32]],
        visual: Option<&Visual>,
        photos: &[Grid],
    ) -> Result<Reading> {
        let (mut places, saved) = self.positions(prompt, photos)?;
        let mut ids = prompt.to_vec();
        for completion in completions {
            let first = prompt.len() - saved;
            places.extend((first as u32..).take(completion.len()).map(|at| [at; 3]));
            ids.extend_from_slice(completion);
        }
        let reading = self.reading(&[ids], visual, self.decoder.rope.at(&[places]))?;
        let lengths = completions.iter().map(|completion| completion.len());
        let shared = Shared::new(prompt.len(), lengths.collect());
        Ok(Reading {
            mask: Mask::Seen(Seen::Shared(Arc::new(shared))),
            ..reading
        })
    }

    /// Positions of a whole prompt, and how many positions its photos save.
    ///
    /// # Errors
    /// [`Error::Template`] when image tokens and grids do not match.
    pub fn positions(&self, ids: &[u32], photos: &[Grid]) -> Result<(Vec<Position>, usize)> {
        if !self.on_grid {
            return Ok(((0..ids.len() as u32).map(|at| [at; 3]).collect(), 0));
        }
        let found = positions(ids, self.image_token_id, photos)?;
        Ok((found.positions, found.saved))
    }

    /// Refuses tokens that a tokenizer has and the model does not: files of two models.
    fn check_tokens(&self, ids: &[u32]) -> Result<()> {
        match ids.iter().find(|id| !self.decoder.is_token(**id)) {
            None => Ok(()),
            Some(id) => Err(Error::Tokenizer {
                problem: format!(
                    "it makes token {id}, which the model does not have; take the tokenizer from the model's own folder"
                ),
            }),
        }
    }

    fn check_places(&self, places: usize, given: usize) -> Result<()> {
        if places != given {
            return Err(Error::Template {
                problem: format!("the prompt has {places} image places for {given} visual tokens"),
            });
        }
        Ok(())
    }

    /// One layer, so that a caller can yield or cancel in between; the caller advances the cache.
    pub fn layer(&self, index: usize, reading: &mut Reading, cache: Option<&mut KvCache>) {
        let (rotation, mask) = (&reading.rotation, &reading.mask);
        let x = reading.x.clone();
        let x = self.decoder.layer(index, x, rotation, mask, cache);
        reading.x = match reading.deep.get(index) {
            Some(deep) => x + deep.clone(),
            None => x,
        };
    }

    /// All layers and the final norm: hidden states `[B, T, hidden]`.
    pub fn forward(&self, mut reading: Reading, mut cache: Option<&mut KvCache>) -> Tensor<3> {
        let tokens = reading.x.dims()[1];
        for layer in 0..self.decoder.depth() {
            self.layer(layer, &mut reading, cache.as_deref_mut());
        }
        if let Some(cache) = cache {
            cache.advance(tokens);
        }
        self.decoder.finish(reading.x)
    }

    /// An empty cache for one sequence of at most `limit` tokens.
    pub fn new_cache(&self, limit: usize) -> KvCache {
        KvCache::new(
            self.decoder.depth(),
            self.kv_heads,
            self.head_dim,
            limit,
            &self.decoder.device(),
        )
    }

    fn reading(
        &self,
        ids: &[Vec<u32>],
        visual: Option<&Visual>,
        rotation: Rotation,
    ) -> Result<Reading> {
        let (rows, width) = (ids.len(), ids.first().map_or(0, Vec::len));
        let device = self.decoder.device();
        let flat: Vec<i64> = ids.iter().flatten().map(|&id| i64::from(id)).collect();
        let total = flat.len();
        let is_place = |id: &i64| *id == i64::from(self.image_token_id);
        let places = flat.iter().filter(|id| is_place(id)).count();
        let given = visual.map_or(0, Visual::len);
        self.check_places(places, given)?;
        let int = |v: Vec<i64>| Tensor::<1, Int>::from_data(TensorData::new(v, [total]), &device);
        // For each token the row it takes from (rows of its own kind, then visual tokens).
        let order = |own: &dyn Fn(usize) -> i64, first_visual: i64| -> Vec<i64> {
            let mut next = first_visual;
            let mut take = |(i, id): (usize, &i64)| {
                if !is_place(id) {
                    return own(i);
                }
                next += 1;
                next - 1
            };
            flat.iter().enumerate().map(&mut take).collect()
        };
        let tokens: Vec<u32> = ids.iter().flatten().copied().collect();
        self.check_tokens(&tokens)?;
        let text = self.decoder.embed(&tokens);
        let hidden = text.dims()[1];
        let shape = [rows, width, hidden];
        let (x, deep) = match visual {
            Some(visual) => {
                let joined = Tensor::cat(vec![text, visual.tokens.clone()], 0);
                let x = joined.select(0, int(order(&|i| i as i64, total as i64)));
                let nothing = Tensor::zeros([1, hidden], &device);
                let at = int(order(&|_| 0, 1));
                let spread = |deep: &Tensor<2>| {
                    let rows = Tensor::cat(vec![nothing.clone(), deep.clone()], 0);
                    rows.select(0, at.clone()).reshape(shape)
                };
                (x, visual.deep.iter().map(spread).collect())
            }
            None => (text, Vec::new()),
        };
        Ok(Reading {
            x: x.reshape(shape),
            rotation,
            mask: Mask::Causal,
            deep,
        })
    }
}
