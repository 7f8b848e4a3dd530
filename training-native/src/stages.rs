//! The stages of training from scratch: contrastive (dual encoder), then supervised (captioner).

pub mod attention_init;
pub mod attribute_loss;
pub mod batch;
pub mod calibrate;
mod chats;
pub mod connector;
pub mod connector_fit;
pub mod contrastive;
pub mod curriculum;
mod hint_sampling;
mod probe;
mod probe_loss;
mod probe_targets;
mod regions;
pub mod supervised;
mod token_loss;
pub mod vision_init;

use playroom::{SampleOptions, Split};

/// Text of the training world, for the tokenizer: questions, answers, names, infos, descriptions.
pub fn corpus(seed: u64, samples: u64) -> impl Iterator<Item = String> + Send {
    (0..samples).flat_map(move |index| {
        let options = SampleOptions {
            split: Split::Train,
            present: 1..=4,
            noise: 0..=2,
            alone: false,
            strangers: 0,
            turns: 6,
            lookalike_rate: 0.2,
            side: 8,
            difficulty: 1.0,
        };
        let sample = playroom::sample(seed.wrapping_mul(0x2545_f491) ^ index, &options);
        let mut texts = Vec::new();
        for concept in &sample.concepts {
            texts.push(format!(
                "1. Name: <{}>, Info: {}\n",
                concept.name, concept.info
            ));
        }
        for turn in &sample.turns {
            texts.push(format!("\nUser: {}", turn.question));
            texts.push(format!("\nAssistant: {}", turn.answer));
        }
        texts.extend(sample.things.iter().map(|thing| thing.description.clone()));
        texts
    })
}
