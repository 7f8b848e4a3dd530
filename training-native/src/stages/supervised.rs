//! Supervised stage: chats about Playroom photos, with the loss on the assistant's words.

use anyhow::Result;
use burn::tensor::{Device, Tensor, TensorData};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::text::ChatEncoder;
use playroom::{Rgb, Task};

use super::attention_init;
use super::batch::{indices, pixels};
use super::chats::{self, Encoded, photos_in_order};
use super::curriculum::Curriculum;
use super::probe::{Probe, Probes};
use super::probe_loss;
use super::token_loss::token_losses;
use crate::train::fit::BatchKey;
use crate::train::{Loss, Objective};

/// The supervised objective.
#[derive(Debug)]
pub struct Supervised {
    /// Prepares photos.
    pub processor: ImageProcessor,
    /// Encodes chats.
    pub chat: ChatEncoder,
    /// Chats a part.
    pub batch: usize,
    /// Step from which the vision tower learns too.
    pub thaw_vision_at: u64,
    /// What chats are about.
    pub curriculum: Curriculum,
    /// Where batches are placed.
    pub device: Device,
}

/// Share of the learning rate for the tower, which the contrastive stage has trained already.
const VISION_SHARE: f64 = 0.2;
/// Share of the learning rate for the connector. Its 512 inputs vary together, so one step of Adam, in which every
/// weight moves as far, moves its outputs, by estimate, a hundred times farther than those of another layer: at the full rate
/// visual tokens were found on a line after some thousand steps.
const CONNECTOR_SHARE: f64 = 0.02;
/// Share of the learning rate for the attention of layers that start as [`attention_init`] makes them: they are of use only
/// once names have been spread over the references, and by then the full rate had undone the start.
const ATTENTION_INIT_SHARE: f64 = 0.1;
/// Step from which these layers learn as the others do.
const ATTENTION_INIT_UNTIL: u64 = 500;
/// Share of the learning rate for the layers up to there: at the full rate their outputs outgrow the visual tokens they
/// read.
const DECODER_SHARE: f64 = 0.5;
/// Weight of [`probe_loss::loss`] beside the loss of the answers.
const PROBE_WEIGHT: f32 = 1.0;

impl Objective<Vlm> for Supervised {
    fn options(&self) -> serde_json::Value {
        let Curriculum {
            turns,
            steps,
            hinted,
            unhinted,
            unhinted_share,
        } = &self.curriculum;
        serde_json::json!({
            "batch": self.batch,
            "thaw_vision_at": self.thaw_vision_at,
            "turns": turns,
            "curriculum": steps,
            "most_things": hinted.things,
            "most_absent": hinted.absent,
            "unhinted": unhinted_share,
            "unhinted_things": unhinted.things,
            "unhinted_absent": unhinted.absent,
        })
    }

    fn loss(&self, model: &Vlm, batch: BatchKey) -> Result<Loss> {
        let (mut samples, mut chats) = (Vec::new(), Vec::new());
        for index in 0..self.batch as u64 {
            let seed = batch.sample_seed(index, self.batch as u64);
            let (sample, hints) = self.curriculum.draw(seed, batch);
            chats.push(chats::encode(&self.chat, &sample, &hints)?);
            samples.push(sample);
        }
        let photos: Vec<&Rgb> = samples.iter().flat_map(photos_in_order).collect();
        let pixels = pixels(&self.processor, &photos, &self.device)?;
        let images = model.encode_images(pixels)?;
        let width = chats.iter().map(|chat| chat.ids.len()).max().unwrap_or(0);
        let rows: Vec<Vec<u32>> = chats
            .iter()
            .map(|chat| {
                let mut row = chat.ids.clone();
                row.resize(width, self.chat.pad());
                row
            })
            .collect();
        let mut reading = model.read(&rows, Some(&images))?;
        let asked = |which: fn(&Probes) -> &[Probe]| -> Vec<&[Probe]> {
            chats.iter().map(|chat| which(&chat.probes)).collect()
        };
        let decoder = &model.decoder;
        let mut dense = Vec::new();
        for layer in 0..decoder.depth() {
            let asked = match layer {
                _ if layer + 1 == attention_init::LAYERS.start => {
                    Some(asked(|probes| &probes.box_slots))
                }
                _ if layer == attention_init::LAYERS.start => Some(asked(|probes| &probes.owners)),
                _ if layer == attention_init::LAYERS.end => Some(asked(|probes| &probes.contents)),
                _ => None,
            };
            if let Some(asked) = asked {
                dense.push(probe_loss::loss(
                    model,
                    &decoder.finish(reading.x.clone()),
                    &asked,
                    width,
                ));
            }
            model.layer(layer, &mut reading, None);
        }
        let hidden = decoder.finish(reading.x);
        let (answers, mut figures) = self.cross_entropy(model, hidden, &chats, width);
        let mut loss = answers;
        for (probes, shares) in dense {
            loss = loss + probes * PROBE_WEIGHT;
            figures.extend(shares);
        }
        let answers = chats.iter().map(|chat| chat.answers.len()).sum::<usize>();
        Ok(Loss::of_mean(loss, answers.max(1) as f64, figures))
    }

    fn share(&self, name: &str, step: u64) -> f64 {
        if name.starts_with("model.vision_model") {
            if step < self.thaw_vision_at {
                0.0
            } else {
                VISION_SHARE
            }
        } else if name.starts_with("model.connector") {
            CONNECTOR_SHARE
        } else if step < ATTENTION_INIT_UNTIL
            && name.contains(".self_attn.")
            && attention_init::has(name)
        {
            ATTENTION_INIT_SHARE
        } else if name.contains(".layers.") && !attention_init::precede(name) {
            DECODER_SHARE
        } else {
            1.0
        }
    }
}

impl Supervised {
    /// Mean over the answers of the weighted mean over their tokens: a yes weighs as much as a caption, and the mix of tasks
    /// is what it says. Figures are the loss and, by task, the share of tokens and of whole answers predicted rightly.
    fn cross_entropy(
        &self,
        model: &Vlm,
        hidden: Tensor<3>,
        chats: &[Encoded],
        width: usize,
    ) -> (Tensor<1>, Vec<(String, f64)>) {
        let (mut places, mut targets) = (Vec::new(), Vec::new());
        let answers = || chats.iter().flat_map(|chat| &chat.answers);
        for (row, chat) in chats.iter().enumerate() {
            for at in chat.answers.iter().flat_map(|answer| answer.places.clone()) {
                places.push(row * width + at - 1);
                targets.push(i64::from(chat.ids[at]));
            }
        }
        let count = answers().count().max(1) as f32;
        let weights: Vec<f32> = answers()
            .flat_map(|answer| answer.weights.iter().map(|weight| weight / count))
            .collect();
        let [rows, _, wide] = hidden.dims();
        let hidden = hidden
            .reshape([rows * width, wide])
            .select(0, indices(&places, &self.device));
        let (losses, guesses) = token_losses(model, hidden, &targets);
        let weights = TensorData::new(weights, [targets.len()]);
        let loss = (losses * Tensor::from_data(weights, &self.device)).sum();
        let mut figures = vec![("loss".into(), f64::from(loss.clone().into_scalar::<f32>()))];
        for (task, _) in Task::MIX {
            let (mut tokens, mut predicted, mut asked, mut whole) = (0, 0, 0, 0);
            let mut start = 0;
            for answer in answers() {
                let own = start..start + answer.places.len();
                start = own.end;
                if answer.task == task {
                    let right = own.clone().filter(|&i| guesses[i] == targets[i]).count();
                    (tokens, predicted) = (tokens + own.len(), predicted + right);
                    (asked, whole) = (asked + 1, whole + usize::from(right == own.len()));
                }
            }
            if asked > 0 {
                let share = |part: usize, all: usize| part as f64 / all as f64;
                figures.push((format!("acc/{task:?}"), share(predicted, tokens)));
                figures.push((format!("whole/{task:?}"), share(whole, asked)));
            }
        }
        (loss, figures)
    }
}
