//! The first step of a text tower: tokens and their places to its width; texts brought to one length.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::params::{Init, ParamBuilder};
use crate::{Error, Result};

/// A row for each token and one for each place.
#[derive(Module, Debug)]
pub struct TokenEmbedding {
    tokens: Param<Tensor<2>>,
    positions: Param<Tensor<2>>,
}

impl TokenEmbedding {
    /// Builds `{name}.token_embedding.weight` `[vocab, hidden]` and `{name}.position_embedding.weight` `[longest, hidden]`.
    ///
    /// # Errors
    /// [`Error::Weights`] when the source lacks a tensor.
    pub fn new(
        p: &mut ParamBuilder<'_>,
        name: &str,
        [vocab, longest, hidden]: [usize; 3],
    ) -> Result<Self> {
        let init = Init::Normal((1.0 / hidden as f64).sqrt());
        let (tokens, positions) = ("token_embedding.weight", "position_embedding.weight");
        Ok(Self {
            tokens: p.param(&format!("{name}.{tokens}"), [vocab, hidden], init)?,
            positions: p.param(&format!("{name}.{positions}"), [longest, hidden], init)?,
        })
    }

    /// Most tokens of a text.
    pub fn longest(&self) -> usize {
        self.positions.dims()[0]
    }

    /// Where the tables are.
    pub fn device(&self) -> Device {
        self.tokens.val().device()
    }

    /// # Shapes
    /// - ids: `[N, T]`, T at most [`Self::longest`]
    /// - output: `[N, T, hidden]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [texts, tokens] = ids.dims();
        let hidden = self.positions.dims()[1];
        let x = self
            .tokens
            .val()
            .select(0, ids.reshape([texts * tokens]))
            .reshape([texts, tokens, hidden]);
        x + self.positions.val().narrow(0, 0, tokens).unsqueeze()
    }

    /// Texts filled up with `pad` on the right, to the longest of them or to `length`: `[N, T]`.
    ///
    /// # Errors
    /// [`Error::ContextFull`] when a text is too long, [`Error::Tokenizer`] when one is empty or has a token that the model
    /// does not have.
    pub fn filled(
        &self,
        texts: &[Vec<u32>],
        pad: u32,
        length: Option<usize>,
    ) -> Result<Tensor<2, Int>> {
        let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
        let width = length.unwrap_or(longest);
        let limit = width.min(self.longest());
        if longest > limit {
            return Err(Error::ContextFull {
                needed: longest,
                limit,
            });
        }
        if texts.is_empty() || texts.iter().any(Vec::is_empty) {
            return Err(Error::Tokenizer {
                problem: "a text without tokens has no embedding; leave it out".into(),
            });
        }
        let vocab = self.tokens.dims()[0];
        let is_unknown = |id: &&u32| **id as usize >= vocab;
        if let Some(id) = texts
            .iter()
            .flatten()
            .chain(std::iter::once(&pad))
            .find(is_unknown)
        {
            return Err(Error::Tokenizer {
                problem: format!(
                    "token {id} is not among the {vocab} of this model; take the tokenizer of its folder"
                ),
            });
        }
        let row = |text: &Vec<u32>| -> Vec<i64> {
            let ids = text.iter().copied().chain(std::iter::repeat(pad));
            ids.take(width).map(i64::from).collect()
        };
        let ids: Vec<i64> = texts.iter().flat_map(row).collect();
        let data = TensorData::new(ids, [texts.len(), width]);
        Ok(Tensor::from_data(data, &self.device()))
    }
}
