//! How well a caption fits a photo, by the dual encoder that lies beside a captioner.

use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::{Device, Tensor};
use namelens_engine::model::checkpoint::CheckpointSource;
use namelens_engine::model::dual::DualEncoder;
use namelens_engine::model::dual_config::DualConfig;
use namelens_engine::model::families;
use namelens_engine::model::params::ParamBuilder;
use namelens_engine::text::Tokenizer;

use super::policy::Kit;
use crate::bundle;
use crate::rewards::row::Photo;

/// The dual encoder of a model folder, without gradients.
#[derive(Debug)]
pub struct Similarity {
    dual: DualEncoder,
    tokenizer: Tokenizer,
    pad: u32,
    /// Most tokens of a text.
    longest: usize,
}

/// Logits of "these belong together" and cosines, `[photo][text]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Likeness {
    /// `exp(scale) * cosine + bias`.
    pub logits: Vec<Vec<f64>>,
    /// The bare cosines.
    pub cosines: Vec<Vec<f64>>,
}

impl Likeness {
    /// Mean logit of a photo with its own text; there are as many texts as photos.
    pub fn own(&self) -> f64 {
        let own = self.logits.iter().enumerate().map(|(at, row)| row[at]);
        own.sum::<f64>() / self.logits.len().max(1) as f64
    }

    /// Share of the texts whose own photo is the most alike of all (CLIP recall at 1 of arXiv 2404.01911).
    pub fn recall_at_1(&self) -> f64 {
        let found = |text: &usize| {
            let of = |photo: usize| self.cosines[photo][*text];
            (0..self.cosines.len()).all(|photo| photo == *text || of(photo) < of(*text))
        };
        let texts = 0..self.cosines.len();
        let count = texts.len().max(1);
        texts.filter(found).count() as f64 / count as f64
    }
}

impl Similarity {
    /// Reads `retriever/` of the model folder. Its texts are split as the captioner's, which is so for models trained here.
    ///
    /// # Errors
    /// When there is no dual encoder there, or it cannot be read.
    pub fn open(model: &Path, kit: &Kit, device: &Device) -> Result<Self> {
        let folder = model.join("retriever");
        let json = bundle::read_text(&folder, "config.json")
            .context("similarity needs the dual encoder beside the captioner")?;
        let config = DualConfig::from_json(&json)?;
        let weights = bundle::open_weights(&folder)?;
        let names = families::names(&config.model_type);
        let mut source = CheckpointSource::new(weights).with_names(names);
        let mut params = ParamBuilder::new(&mut source, device);
        Ok(Self {
            dual: DualEncoder::new(&mut params, &config)?,
            tokenizer: kit.chat.tokenizer().clone(),
            pad: kit.chat.pad(),
            longest: config.text_config.max_position_embeddings,
        })
    }

    /// Every photo against every text; a text longer than the encoder reads is cut.
    ///
    /// # Errors
    /// When a photo cannot be read, or the device fails.
    pub fn compare(&self, kit: &Kit, photos: &[&Photo], texts: &[&str]) -> Result<Likeness> {
        let mut seen = Vec::with_capacity(photos.len());
        for photo in photos {
            let (frames, _) = kit.photo(photo)?;
            // The whole photo, where a captioner's would be cut into several frames as well.
            let whole = frames.narrow(0, 0, 1);
            let patches = self.dual.vision.forward(whole);
            let embedded = self.dual.embed_regions(patches, None);
            let width = embedded.dims()[2];
            seen.push(embedded.reshape([1, width]));
        }
        let ids = texts
            .iter()
            .map(|text| {
                let mut ids = self.tokenizer.encode(text, false)?;
                ids.truncate(self.longest);
                if ids.is_empty() {
                    // A caption may end before its first word; an encoder of this kind reads that as filling alone.
                    ids.push(self.pad);
                }
                Ok(ids)
            })
            .collect::<Result<Vec<_>>>()?;
        let read = self
            .dual
            .embed_texts(self.dual.text.filled(&ids, self.pad)?);
        let seen = Tensor::cat(seen, 0);
        Ok(Likeness {
            logits: table(self.dual.pair_logits(seen.clone(), read.clone()))?,
            cosines: table(seen.matmul(read.transpose()))?,
        })
    }
}

fn table(values: Tensor<2>) -> Result<Vec<Vec<f64>>> {
    let width = values.dims()[1].max(1);
    let values: Vec<f32> = values.try_into_data()?.convert::<f32>().try_to_vec()?;
    let row = |row: &[f32]| row.iter().map(|v| f64::from(*v)).collect();
    Ok(values.chunks(width).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_where_its_own_photo_is_the_most_alike() {
        let cosines = vec![
            vec![0.9, 0.3, 0.1],
            vec![0.8, 0.2, 0.1],
            vec![0.1, 0.1, 0.1],
        ];
        let like = Likeness {
            logits: cosines.clone(),
            cosines,
        };
        // The second text is more like the first photo; the third like all of them, which is no find.
        assert!((like.recall_at_1() - 1.0 / 3.0).abs() < 1e-12);
        assert!((like.own() - 0.4).abs() < 1e-12);
    }
}
