//! Supervised stage: chats about Playroom photos, with the loss on the assistant's words.

use std::ops::Range;

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

/// One answer of a chat: what was asked for, and the places of its tokens, its end included.
struct Answer {
    task: Task,
    places: Range<usize>,
}

/// One chat, encoded.
struct Encoded {
    ids: Vec<u32>,
    answers: Vec<Answer>,
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
        let mut answers: Vec<Answer> = Vec::with_capacity(sample.turns.len());
        let mut open = false;
        for (at, learn) in self.chat.answer_mask(&ids)?.into_iter().enumerate() {
            if learn && !open {
                let turn = answers.len().min(sample.turns.len() - 1);
                let task = sample.turns[turn].task;
                answers.push(Answer {
                    task,
                    places: at..at,
                });
            }
            open = learn && ids[at] != self.chat.end_of_turn();
            if let Some(answer) = answers.last_mut().filter(|_| learn) {
                answer.places.end = at + 1;
            }
        }
        let sights = sights::find(&self.chat, sample, &ids)?;
        Ok(Encoded {
            ids,
            answers,
            sights,
        })
    }

    /// Mean over the answers of the mean over their tokens: a yes weighs as much as a caption, and the mix of tasks is
    /// what it says. Figures are the loss and, by task, the share of tokens foreseen and of answers wholly so.
    fn cross_entropy(
        &self,
        model: &Vlm,
        hidden: Tensor<3>,
        chats: &[Encoded],
        width: usize,
    ) -> (Tensor<1>, Vec<(String, f64)>) {
        let (mut places, mut targets, mut weights) = (Vec::new(), Vec::new(), Vec::new());
        let answers = || chats.iter().flat_map(|chat| &chat.answers);
        let count = answers().count().max(1);
        for (row, chat) in chats.iter().enumerate() {
            for answer in &chat.answers {
                let weight = 1.0 / (answer.places.len() * count) as f32;
                for at in answer.places.clone() {
                    places.push(row * width + at - 1);
                    targets.push(i64::from(chat.ids[at]));
                    weights.push(weight);
                }
            }
        }
        let [rows, _, wide] = hidden.dims();
        let hidden = hidden
            .reshape([rows * width, wide])
            .select(0, indices(&places, &self.device));
        let (losses, guesses) = token_losses(model, hidden, &targets);
        let weights = TensorData::new(weights, [targets.len()]);
        let loss = (losses * Tensor::from_data(weights, &self.device)).sum();
        let mut figures = vec![("loss".into(), f64::from(loss.clone().into_scalar::<f32>()))];
        for (task, _) in Task::MIX {
            let (mut tokens, mut foreseen, mut asked, mut whole) = (0, 0, 0, 0);
            let mut start = 0;
            for answer in answers() {
                let own = start..start + answer.places.len();
                start = own.end;
                if answer.task == task {
                    let right = own.clone().filter(|&i| guesses[i] == targets[i]).count();
                    (tokens, foreseen) = (tokens + own.len(), foreseen + right);
                    (asked, whole) = (asked + 1, whole + usize::from(right == own.len()));
                }
            }
            if asked > 0 {
                let share = |part: usize, all: usize| part as f64 / all as f64;
                figures.push((format!("acc/{task:?}"), share(foreseen, tokens)));
                figures.push((format!("whole/{task:?}"), share(whole, asked)));
            }
        }
        (loss, figures)
    }
}

/// Cross-entropy `[N]` of `targets` after `hidden` `[N, hidden]`, and the likeliest tokens.
pub(super) fn token_losses(
    model: &Vlm,
    hidden: Tensor<2>,
    targets: &[i64],
) -> (Tensor<1>, Vec<i64>) {
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
    let losses = -activation::log_softmax(logits, 1).gather(1, target);
    (losses.reshape([targets.len()]), guesses)
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
