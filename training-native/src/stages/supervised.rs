//! Supervised stage: chats about Playroom photos, with the loss on the assistant's words.

use anyhow::Result;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::prompt::{self, Exchange, PromptConcept, PromptStyle};
use namelens_engine::text::{ChatEncoder, Message, Part};
use playroom::{Rgb, Rng, Sample, SampleOptions, Split, Task, Turn};

use super::alike;
use super::batch::{indices, pixels};
use super::sights::{self, Sight, Sights};
use crate::train::Objective;
use crate::train::fit::BatchKey;

/// The supervised objective.
#[derive(Debug)]
pub struct Supervised {
    /// Prepares photos.
    pub processor: ImageProcessor,
    /// Encodes chats.
    pub chat: ChatEncoder,
    /// Chats a part.
    pub batch: usize,
    /// Questions a chat.
    pub turns: usize,
    /// Step from which the vision tower learns too.
    pub thaw_vision_at: u64,
    /// Steps over which scenes grow from easy to the full world.
    pub curriculum: u64,
    /// Where batches are placed.
    pub device: Device,
}

/// One chat, encoded.
struct Encoded {
    ids: Vec<u32>,
    /// Whether the model should learn to say the token at this place.
    learn: Vec<bool>,
    /// Turn each token belongs to, for figures by task.
    tasks: Vec<Task>,
    /// Visual tokens and what each should call to mind.
    sights: Sights,
}

/// Share of the learning rate for the tower, which has learned to see already.
const VISION_SHARE: f64 = 0.2;
/// Share of the learning rate for the connector. Its 512 inputs vary together, so one step of Adam, in which every
/// weight moves as far, moves its outputs, by estimate, a hundred times farther than those of another layer: at the full rate
/// visual tokens were found on a line after some thousand steps.
const CONNECTOR_SHARE: f64 = 0.02;
/// Share of the learning rate for the attention of layers that start as [`alike`] makes them: what they are good for
/// shows only once names are spread over the references, and by then the full rate had worn them away.
const ALIKE_SHARE: f64 = 0.1;
/// Step from which these layers learn as the others do.
const ALIKE_UNTIL: u64 = 500;
/// Share of the learning rate for the other parameters of layers: at the full rate layers outgrow what they read.
const DECODER_SHARE: f64 = 0.5;
/// Weight of [`sights::loss`] beside the loss of the answers.
const SIGHT_WEIGHT: f32 = 1.0;

impl Objective<Vlm> for Supervised {
    fn loss(&self, model: &Vlm, batch: BatchKey) -> Result<(Tensor<1>, Vec<(String, f64)>)> {
        let samples: Vec<Sample> = (0..self.batch as u64)
            .map(|index| {
                let seed = batch.sample_seed(index, self.batch as u64);
                playroom::sample(seed, &self.options(seed, batch))
            })
            .collect();
        let chats = samples
            .iter()
            .map(|sample| self.encode(sample))
            .collect::<Result<Vec<_>>>()?;
        let photos: Vec<&Rgb> = samples.iter().flat_map(photos_in_order).collect();
        let pixels = pixels(&self.processor, &photos, &self.device)?;
        let images = model.encode_images(pixels);
        let width = chats.iter().map(|chat| chat.ids.len()).max().unwrap_or(0);
        let rows: Vec<Vec<u32>> = chats
            .iter()
            .map(|chat| {
                let mut row = chat.ids.clone();
                row.resize(width, self.chat.pad());
                row
            })
            .collect();
        let mut x = model.embed(&rows, Some(images))?;
        let asked = |which: fn(&Sights) -> &[Sight]| -> Vec<&[Sight]> {
            chats.iter().map(|chat| which(&chat.sights)).collect()
        };
        let decoder = &model.decoder;
        let mut dense = Vec::new();
        for layer in 0..decoder.depth() {
            let asked = match layer {
                _ if layer == alike::LAYERS.start => Some(asked(|sights| &sights.references)),
                _ if layer == alike::LAYERS.end => Some(asked(|sights| &sights.photo)),
                _ => None,
            };
            if let Some(asked) = asked {
                dense.push(sights::loss(
                    model,
                    &decoder.finish(x.clone()),
                    &asked,
                    width,
                ));
            }
            x = decoder.layer(layer, x, None);
        }
        let hidden = decoder.finish(x);
        let (answers, mut figures) = self.cross_entropy(model, hidden, &chats, width);
        let mut loss = answers;
        for (sights, shares) in dense {
            loss = loss + sights * SIGHT_WEIGHT;
            figures.extend(shares);
        }
        Ok((loss, figures))
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
        } else if step < ALIKE_UNTIL && name.contains(".self_attn.") && alike::has(name) {
            ALIKE_SHARE
        } else if name.contains(".layers.") {
            DECODER_SHARE
        } else {
            1.0
        }
    }
}

impl Supervised {
    /// The world of one sample: one thing in the beginning, up to four and the full mess at the end.
    ///
    /// All chats of a step have as many things, so that little of a batch is padding and no shard waits.
    fn options(&self, seed: u64, batch: BatchKey) -> SampleOptions {
        let grown = (batch.step as f32 / self.curriculum.max(1) as f32).min(1.0);
        let mut counts = Rng::new(batch.seed ^ batch.step.wrapping_mul(0x2545_f491), 0x51);
        let most = 1 + ((counts.unit() * (1.0 + 3.0 * grown)) as usize).min(3);
        let noise = (counts.unit() * (1.0 + 2.0 * grown)) as usize;
        // A third of the steps are as the page asks about one thing among things it does not know.
        let alone = counts.unit() < 0.35;
        let mut rng = Rng::new(seed, 0x52);
        SampleOptions {
            split: Split::Train,
            present: most..=most,
            noise: noise..=noise,
            alone,
            strangers: if alone { most - 1 } else { 0 },
            turns: self.turns,
            lookalike_rate: 0.15 + 0.2 * grown,
            side: [96, 96, 96, 128, 192][rng.below(5)],
            difficulty: 0.3 + 0.7 * grown,
        }
    }

    fn encode(&self, sample: &Sample) -> Result<Encoded> {
        let messages = messages(sample, &sample.turns, true);
        let layouts = vec![(0, 0); sample.concepts.len() + 1];
        let ids = self.chat.encode(&messages, &layouts, false)?;
        let learn = self.chat.answer_mask(&ids)?;
        let mut turn = 0;
        let tasks = ids
            .iter()
            .zip(&learn)
            .map(|(&id, &learn)| {
                let task = sample.turns[turn.min(sample.turns.len() - 1)].task;
                turn += usize::from(learn && id == self.chat.end_of_turn());
                task
            })
            .collect();
        let sights = sights::find(&self.chat, sample, &ids)?;
        Ok(Encoded {
            ids,
            learn,
            tasks,
            sights,
        })
    }

    /// Mean over the learned tokens; figures are the loss and, by task, the share of tokens foreseen.
    fn cross_entropy(
        &self,
        model: &Vlm,
        hidden: Tensor<3>,
        chats: &[Encoded],
        width: usize,
    ) -> (Tensor<1>, Vec<(String, f64)>) {
        let mut places = Vec::new();
        let mut targets = Vec::new();
        let mut tasks = Vec::new();
        for (row, chat) in chats.iter().enumerate() {
            for at in 1..chat.ids.len() {
                if chat.learn[at] {
                    places.push(row * width + at - 1);
                    targets.push(i64::from(chat.ids[at]));
                    tasks.push(chat.tasks[at]);
                }
            }
        }
        let [rows, _, wide] = hidden.dims();
        let hidden = hidden
            .reshape([rows * width, wide])
            .select(0, indices(&places, &self.device));
        let count = targets.len();
        let (loss, guesses) = token_loss(model, hidden, &targets);
        let mut figures = vec![("loss".into(), f64::from(loss.clone().into_scalar::<f32>()))];
        for (task, _) in Task::MIX {
            let of_task = |i: &usize| tasks[*i] == task;
            let total = (0..count).filter(of_task).count();
            if total > 0 {
                let right = (0..count)
                    .filter(of_task)
                    .filter(|&i| guesses[i] == targets[i])
                    .count();
                figures.push((format!("acc/{task:?}"), right as f64 / total as f64));
            }
        }
        (loss, figures)
    }
}

/// Mean cross-entropy of `targets` after `hidden` `[N, hidden]`, and the likeliest tokens.
pub(super) fn token_loss(model: &Vlm, hidden: Tensor<2>, targets: &[i64]) -> (Tensor<1>, Vec<i64>) {
    let device = hidden.device();
    let logits = model.decoder.logits(hidden);
    let guesses = logits
        .clone()
        .argmax(1)
        .into_data()
        .convert::<i64>()
        .try_to_vec::<i64>()
        .unwrap_or_default();
    let data = TensorData::new(targets.to_vec(), [targets.len(), 1]);
    let target = Tensor::<2, Int>::from_data(data, &device);
    let loss = -activation::log_softmax(logits, 1).gather(1, target).mean();
    (loss, guesses)
}

/// Reference photos in the order of the concepts, then the photo.
pub fn photos_in_order(sample: &Sample) -> Vec<&Rgb> {
    sample
        .concepts
        .iter()
        .map(|concept| &concept.image)
        .chain(std::iter::once(&sample.photo))
        .collect()
}

/// The chat of a sample: concepts, photo and first question in the first turn, then the others.
///
/// Without a last answer the chat ends with its question.
pub fn messages(sample: &Sample, turns: &[Turn], with_last_answer: bool) -> Vec<Message> {
    let concepts: Vec<PromptConcept> = sample
        .concepts
        .iter()
        .map(|concept| PromptConcept {
            name: concept.name.clone(),
            aliases: Vec::new(),
            info: concept.info.clone(),
        })
        .collect();
    let Some((last, earlier)) = turns.split_last() else {
        return Vec::new();
    };
    let earlier: Vec<Exchange> = earlier
        .iter()
        .map(|turn| Exchange {
            question: turn.question.clone(),
            answer: turn.answer.clone(),
        })
        .collect();
    let mut messages: Vec<Message> =
        prompt::build(PromptStyle::NameLens, &concepts, &earlier, &last.question)
            .iter()
            .map(|message| message.for_template().0)
            .collect();
    if with_last_answer {
        messages.push(Message {
            role: "assistant".into(),
            content: vec![Part::Text(last.answer.clone())],
        });
    }
    messages
}
