//! The matching model: how alike a photo and a text are, and whether they match when read together (BLIP-2).

use burn::module::{Module, Param};
use burn::tensor::{Bool, Tensor, TensorData};

use super::dual::normalise;
use super::linear::Linear;
use super::matcher_config::MatcherConfig;
use super::params::{Init, ParamBuilder};
use super::qformer::QFormer;
use super::token_embedding::TokenEmbedding;
use super::vision::VisionTower;
use crate::ops;
use crate::{Error, Result};

/// What fills texts up; it is masked, so that any token would do.
const FILLING: u32 = 0;

/// Vision tower, querying transformer and their two answers.
#[derive(Module, Debug)]
pub struct Matcher {
    /// Photos to patch features, the class token first.
    pub vision: VisionTower,
    queries: Param<Tensor<3>>,
    embeddings: TokenEmbedding,
    qformer: QFormer,
    photo_head: Linear,
    text_head: Linear,
    match_head: Linear,
}

impl Matcher {
    /// Builds the model; its source translates the names of checkpoints.
    ///
    /// # Errors
    /// [`Error::Weights`] when the source lacks a tensor.
    pub fn new(p: &mut ParamBuilder<'_>, config: &MatcherConfig) -> Result<Self> {
        let qformer = &config.qformer;
        let (hidden, projection) = (qformer.hidden, config.projection);
        let tables = [qformer.vocab, qformer.longest, hidden];
        let queries = [1, config.queries, hidden];
        Ok(Self {
            vision: VisionTower::new(p, "vision_model", &config.vision)?,
            queries: p.param("query_tokens", queries, Init::Normal(0.02))?,
            embeddings: TokenEmbedding::new(p, "embeddings", tables)?,
            qformer: QFormer::new(p, "qformer", qformer)?,
            photo_head: Linear::new(p, "vision_projection", hidden, projection, true)?,
            text_head: Linear::new(p, "text_projection", hidden, projection, true)?,
            match_head: Linear::new(p, "itm_head", hidden, 2, true)?,
        })
    }

    /// Unit-norm embeddings `[N, Q, D]` of photos, one for each query, out of what the tower sees in them.
    ///
    /// # Shapes
    /// - seen: `[N, 1 + P, width of the tower]`
    pub fn embed_photos(&self, seen: Tensor<3>) -> Tensor<3> {
        let queries = self.queries_for(seen.dims()[0]);
        let count = queries.dims()[1];
        let hidden = self.qformer.forward(queries, count, Some(&seen), None);
        normalise(self.photo_head.forward(hidden))
    }

    /// Unit-norm embeddings `[N, D]` of texts; each begins with the tokenizer's first token, which stands for the text.
    ///
    /// # Errors
    /// As [`TokenEmbedding::filled`].
    pub fn embed_texts(&self, texts: &[Vec<u32>]) -> Result<Tensor<2>> {
        let hidden = self.read_texts(texts)?;
        let [count, _, width] = hidden.dims();
        let first = hidden.narrow(1, 0, 1).reshape([count, width]);
        Ok(normalise(self.text_head.forward(first)))
    }

    /// Logits `[N, 2]` of "photo i and text i do not match" and "they match"; one photo may stand before many texts.
    ///
    /// # Shapes
    /// - seen: `[N or 1, 1 + P, width of the tower]`
    ///
    /// # Errors
    /// As [`Matcher::read_pairs`].
    pub fn match_logits(&self, seen: Tensor<3>, texts: &[Vec<u32>]) -> Result<Tensor<2>> {
        let hidden = self.read_pairs(seen, texts)?;
        let count = self.queries.dims()[1];
        let logits = self.match_head.forward(hidden.narrow(1, 0, count));
        Ok(logits.mean_dim(1).reshape([texts.len(), 2]))
    }

    /// What each token of texts becomes without a photo, `[N, T, hidden]`; behind a text's end it means nothing.
    ///
    /// # Errors
    /// As [`TokenEmbedding::filled`].
    pub fn read_texts(&self, texts: &[Vec<u32>]) -> Result<Tensor<3>> {
        let ids = self.embeddings.filled(texts, FILLING, None)?;
        let x = self.embeddings.forward(ids);
        Ok(self.qformer.forward(x, 0, None, self.outside(texts, 0)))
    }

    /// What queries and tokens become of photos and texts read together, `[N, Q + T, hidden]`.
    ///
    /// # Errors
    /// As [`TokenEmbedding::filled`]; [`Error::Option`] when photos and texts differ in number.
    pub fn read_pairs(&self, seen: Tensor<3>, texts: &[Vec<u32>]) -> Result<Tensor<3>> {
        let [photos, patches, width] = seen.dims();
        if photos != 1 && photos != texts.len() {
            return Err(Error::Option {
                option: "texts".into(),
                problem: format!(
                    "{} texts for {photos} photos; give each photo its text, or one photo all texts",
                    texts.len()
                ),
            });
        }
        let ids = self.embeddings.filled(texts, FILLING, None)?;
        let words = self.embeddings.forward(ids);
        let queries = self.queries_for(texts.len());
        let count = queries.dims()[1];
        let seen = seen.expand([texts.len(), patches, width]);
        let x = Tensor::cat(vec![queries, words], 1);
        let outside = self.outside(texts, count);
        Ok(self.qformer.forward(x, count, Some(&seen), outside))
    }

    fn queries_for(&self, photos: usize) -> Tensor<3> {
        let [_, count, width] = self.queries.dims();
        self.queries.val().expand([photos, count, width])
    }

    /// Where rows of `queries` and a text are only filled up, `[N, queries + T]`; `None` when no row is.
    fn outside(&self, texts: &[Vec<u32>], queries: usize) -> Option<Tensor<2, Bool>> {
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        if texts.iter().all(|text| text.len() == longest) {
            return None;
        }
        let width = queries + longest;
        let row = |text: &Vec<u32>| {
            let end = queries + text.len();
            (0..width).map(move |at| at >= end)
        };
        let outside: Vec<bool> = texts.iter().flat_map(row).collect();
        let data = TensorData::new(outside, [texts.len(), width]);
        Some(Tensor::from_data(data, &self.embeddings.device()))
    }
}

/// Cosine similarities `[N, M]` of photos `[N, Q, D]` and texts `[M, D]`: of the query that is most like the text.
pub fn similarity(photos: Tensor<3>, texts: Tensor<2>) -> Tensor<2> {
    let [count, queries, width] = photos.dims();
    let rows = photos.reshape([count * queries, width]);
    let others = texts.dims()[0];
    ops::matmul(rows, texts.transpose())
        .reshape([count, queries, others])
        .max_dim(1)
        .reshape([count, others])
}
