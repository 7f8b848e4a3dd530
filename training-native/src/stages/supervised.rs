//! Supervised stage: chats about Playroom photos, with the loss on the assistant's words.

use anyhow::Result;
use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use namelens_engine::image::ImageProcessor;
use namelens_engine::model::vlm::Vlm;
use namelens_engine::personalize::prompt::{self, Exchange, PromptConcept, PromptStyle};
use namelens_engine::text::{ChatEncoder, Message, Part};
use playroom::{Rgb, Rng, Sample, SampleOptions, Split, Task, Turn};

use super::batch::{indices, pixels};
use super::looks;
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
    /// Places of the photo's visual tokens, and what each should call to mind.
    sights: Vec<(usize, u32)>,
}

/// Share of the learning rate for the tower, which has learned to see already.
const VISION_SHARE: f64 = 0.2;
/// Share of the learning rate for the connector. Its 512 inputs vary together, so one step of Adam, in which every
/// weight moves as far, moves its outputs, by estimate, a hundred times farther than those of another layer: at the full rate
/// visual tokens were found on a line after some thousand steps.
const CONNECTOR_SHARE: f64 = 0.02;
/// Weight of [`Supervised::sight_loss`] beside the loss of the answers.
const SIGHT_WEIGHT: f32 = 0.5;

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
        let x = model.embed(&rows, Some(images))?;
        let hidden = model.decoder.forward(x, None);
        let (sights, naming) = self.sight_loss(model, &hidden, &chats, width);
        let (answers, mut figures) = self.cross_entropy(model, hidden, &chats, width);
        figures.push(("acc/Sight".into(), naming));
        Ok((answers + sights * SIGHT_WEIGHT, figures))
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
        let sights = self.sights(sample, &ids)?;
        Ok(Encoded {
            ids,
            learn,
            tasks,
            sights,
        })
    }

    /// Visual tokens of the photo that lie on things, each with the first token of the name, or of the category
    /// where nobody gave a name; and as many on no thing, with the token that ends a turn.
    fn sights(&self, sample: &Sample, ids: &[u32]) -> Result<Vec<(usize, u32)>> {
        let tokenizer = self.chat.tokenizer();
        let image = self.chat.image_token();
        let places: Vec<usize> = (0..ids.len()).filter(|&at| ids[at] == image).collect();
        // The photo comes last, after the references.
        let photo = &places[places.len() - places.len() / (sample.concepts.len() + 1)..];
        let side = photo.len().isqrt();
        let mut words = Vec::with_capacity(sample.things.len());
        for thing in &sample.things {
            let word = match thing.concept {
                Some(concept) => format!("<{}>", sample.concepts[concept].name),
                None => format!("< {}", thing.identity.category.word()),
            };
            words.push(tokenizer.encode(&word, false)?.get(1).copied());
        }
        let boxes: Vec<[f32; 4]> = sample.things.iter().map(|thing| thing.box_px).collect();
        let (mut on, mut off) = (Vec::new(), Vec::new());
        for (cell, &at) in photo.iter().enumerate() {
            match looks::thing_at(&boxes, cell, side).and_then(|thing| words[thing]) {
                Some(word) => on.push((at, word)),
                None => off.push((at, self.chat.end_of_turn())),
            }
        }
        // Spread over the photo, not its first rows.
        let wanted = on.len().min(off.len());
        on.extend((0..wanted).map(|i| off[i * off.len() / wanted]));
        Ok(on)
    }

    /// What the photo's visual tokens call to mind, read out by the language head; returns the loss and the share
    /// that is right.
    ///
    /// An answer must go from the question to the photo, from there to a reference that looks alike, and from there
    /// to a name. From answers alone a small model finds this way late; here each patch is asked for its part of it.
    fn sight_loss(
        &self,
        model: &Vlm,
        hidden: &Tensor<3>,
        chats: &[Encoded],
        width: usize,
    ) -> (Tensor<1>, f64) {
        let mut places = Vec::new();
        let mut targets = Vec::new();
        for (row, chat) in chats.iter().enumerate() {
            for &(at, word) in &chat.sights {
                places.push(row * width + at);
                targets.push(i64::from(word));
            }
        }
        let [rows, _, wide] = hidden.dims();
        let hidden = hidden.clone().reshape([rows * width, wide]);
        let hidden = hidden.select(0, indices(&places, &self.device));
        let (loss, guesses) = self.token_loss(model, hidden, &targets);
        let right = guesses.iter().zip(&targets).filter(|(g, t)| g == t).count();
        (loss, right as f64 / targets.len().max(1) as f64)
    }

    /// Mean cross-entropy of `targets` after `hidden` `[N, hidden]`, and the likeliest tokens.
    fn token_loss(&self, model: &Vlm, hidden: Tensor<2>, targets: &[i64]) -> (Tensor<1>, Vec<i64>) {
        let logits = model.decoder.logits(hidden);
        let guesses = logits
            .clone()
            .argmax(1)
            .into_data()
            .convert::<i64>()
            .try_to_vec::<i64>()
            .unwrap_or_default();
        let data = TensorData::new(targets.to_vec(), [targets.len(), 1]);
        let target = Tensor::<2, Int>::from_data(data, &self.device);
        let loss = -activation::log_softmax(logits, 1).gather(1, target).mean();
        (loss, guesses)
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
        let (loss, guesses) = self.token_loss(model, hidden, &targets);
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
