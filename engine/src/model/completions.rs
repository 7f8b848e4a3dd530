//! Completions of one prompt read all at once, as training and its reference look at them: behind which hidden state each token
//! stands, and how likely it is there.

use burn::tensor::{Int, Tensor, TensorData};

use super::connector::Visual;
use super::positions::Grid;
use super::vlm::Vlm;
use crate::{Error, Result};

/// A prompt and what was said after it, sample by sample.
#[derive(Debug, Clone, Copy)]
pub struct Completed<'a> {
    /// Tokens of the prompt.
    pub prompt: &'a [u32],
    /// Tokens of each completion, its end among them where it ended.
    pub completions: &'a [&'a [u32]],
    /// Visual tokens of the prompt's photos, in reading order; of a plain device they are constants.
    pub visual: Option<&'a Visual>,
    /// Rows and columns of each photo's visual tokens.
    pub grids: &'a [Grid],
}

impl Completed<'_> {
    /// Tokens of all completions, one completion after the other.
    pub fn tokens(&self) -> Vec<u32> {
        self.completions.concat()
    }
}

impl Vlm {
    /// The hidden state behind which each token of the completions stands, `[tokens, hidden]`, one completion after the other:
    /// what [`super::decoder::Decoder::logits`] and `token_scores` take.
    ///
    /// The prompt is read once for all of them; see [`Vlm::read_completions`].
    ///
    /// # Errors
    /// [`Error::Option`] when there is no token to be predicted or nothing to predict it from, [`Error::Template`] when image
    /// tokens and photos do not match.
    pub fn completion_states(&self, said: &Completed<'_>) -> Result<Tensor<2>> {
        let refuse = |option: &str, problem: &str| Error::Option {
            option: option.into(),
            problem: problem.into(),
        };
        if said.prompt.is_empty() {
            return Err(refuse("prompt", "has no tokens"));
        }
        if said.completions.iter().all(|tokens| tokens.is_empty()) {
            return Err(refuse("completions", "have no tokens"));
        }
        // Nothing is asked of a last token.
        let read = said
            .completions
            .iter()
            .map(|tokens| &tokens[..tokens.len().saturating_sub(1)]);
        let read: Vec<&[u32]> = read.collect();
        let reading = self.read_completions(said.prompt, &read, said.visual, said.grids)?;
        let hidden = self.forward(reading, None);
        let [_, tokens, width] = hidden.dims();
        let mut start = said.prompt.len();
        let mut behind: Vec<i64> = Vec::new();
        for (tokens, read) in said.completions.iter().zip(&read) {
            if !tokens.is_empty() {
                behind.push(said.prompt.len() as i64 - 1);
            }
            behind.extend((start as i64..).take(read.len()));
            start += read.len();
        }
        let behind = TensorData::new(behind.clone(), [behind.len()]);
        let behind = Tensor::<1, Int>::from_data(behind, &hidden.device());
        Ok(hidden.reshape([tokens, width]).select(0, behind))
    }
}
