//! Prompts from the Playroom: photos with named things, the concepts of as many things that are not there, and the truth.
//!
//! Nobody says where anything is: what is named has to be recognised.

use std::ops::RangeInclusive;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use namelens_engine::personalize::hint::Hint;
use namelens_engine::personalize::messages::{self, ImageRef, PromptConcept, PromptStyle};
use namelens_engine::random::Stream;
use playroom::{Rng, Sample, SampleOptions, Split, Task, sample_tasks};
use serde_json::{Map, Value, json};

use super::prompt::Prompt;
use crate::evaluate::png;
use crate::metrics::binding::Bound;
use crate::rewards::row::Photo;

/// Which prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayroomOptions {
    /// Where things and names come from.
    pub split: Split,
    /// Seed of the photos.
    pub seed: u64,
    /// How many there are.
    pub prompts: u64,
    /// Named things in the photo.
    pub present: RangeInclusive<usize>,
    /// Concepts in the prompt whose thing is not in the photo; as many as are there where it is left open.
    pub absent: Option<usize>,
    /// Share of those that differ from a present one in exactly one attribute.
    pub lookalikes: f32,
    /// What is asked, in turns: [`Task::Caption`], [`Task::Recognize`], [`Task::Locate`], [`Task::PlainCaption`] or
    /// [`Task::BriefCaption`].
    pub tasks: Vec<Task>,
    /// Side of the pictures, pixels.
    pub side: u32,
}

impl Default for PlayroomOptions {
    fn default() -> Self {
        Self {
            split: Split::Train,
            seed: 42,
            prompts: 2000,
            present: 1..=2,
            absent: None,
            lookalikes: 0.5,
            tasks: vec![Task::Caption],
            side: 96,
        }
    }
}

/// The `accu_reward_method` of captions without names: no reward of RePIC's, but the column `looks` says what should be in them.
pub const LOOKS: &str = "looks";
/// How hard photos are: as those of `namelens eval`.
const DIFFICULTY: f32 = 0.8;

/// Prompts by number.
#[derive(Debug)]
pub struct PlayroomPrompts {
    options: PlayroomOptions,
}

impl PlayroomPrompts {
    /// Prompts of that kind.
    pub fn new(options: PlayroomOptions) -> Self {
        Self { options }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        if self.options.tasks.is_empty() {
            0
        } else {
            self.options.prompts
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prompt number `index`: a function of options and number alone.
    ///
    /// # Errors
    /// When a task is none that rewards can check.
    pub fn get(&self, index: u64) -> Result<Prompt> {
        prompt(&self.sample(index)?)
    }

    /// The sample that prompt number `index` is made of.
    ///
    /// # Errors
    /// When nothing is asked.
    pub fn sample(&self, index: u64) -> Result<Sample> {
        let options = &self.options;
        let split = options.split.word().bytes().map(u64::from);
        let key: Vec<u64> = split.chain([options.seed, index]).collect();
        let seed = Stream::keyed(&key).bits();
        let (low, high) = (*options.present.start(), *options.present.end());
        let present = low + Rng::new(seed, 0x61).below(high - low + 1);
        let absent = options.absent.unwrap_or(present);
        ensure!(
            !options.tasks.is_empty(),
            "prompts of the Playroom ask nothing"
        );
        let task = options.tasks[(index % options.tasks.len() as u64) as usize];
        let world = SampleOptions {
            split: options.split,
            present: present..=present,
            noise: absent..=absent,
            alone: false,
            strangers: 0,
            turns: 1,
            lookalike_rate: options.lookalikes,
            side: options.side,
            difficulty: DIFFICULTY,
        };
        Ok(sample_tasks(seed, &world, &[task]))
    }
}

/// The prompt of a sample with one turn.
fn prompt(sample: &Sample) -> Result<Prompt> {
    let [turn] = sample.turns.as_slice() else {
        bail!(
            "a sample of the Playroom has {} questions, not one",
            sample.turns.len()
        );
    };
    // A caption without names is asked of somebody who has introduced nothing.
    let named = !matches!(turn.task, Task::PlainCaption | Task::BriefCaption);
    let concepts: Vec<PromptConcept> = sample
        .concepts
        .iter()
        .filter(|_| named)
        .map(|concept| PromptConcept {
            name: concept.name.clone(),
            aliases: Vec::new(),
            info: concept.info.clone(),
            hint: Hint::None,
        })
        .collect();
    let (mut chat, mut photos) = (Vec::new(), Vec::new());
    for message in messages::build(PromptStyle::NameLens, &concepts, &[], &turn.question) {
        let (message, pictures) = message.for_template();
        chat.push(message);
        for picture in pictures {
            let picture = match picture {
                ImageRef::Reference(at) => &sample.concepts[at].image,
                ImageRef::Photo => &sample.photo,
            };
            photos.push(Photo::Bytes(Arc::from(png(picture)?)));
        }
    }
    Ok(Prompt {
        messages: chat,
        photos,
        columns: columns(sample)?,
    })
}

/// What rewards read: RePIC's columns, all concepts, and the Playroom's own answer.
fn columns(sample: &Sample) -> Result<Map<String, Value>> {
    let marked = |concept: usize| format!("<{}>", sample.concepts[concept].name);
    let here: Vec<String> = sample
        .things
        .iter()
        .filter_map(|thing| thing.concept.map(marked))
        .collect();
    let turn = &sample.turns[0];
    let (method, solution) = match turn.task {
        Task::Caption if here.len() == 1 => ("yes_no_name", json!(here[0])),
        Task::Caption => ("yes_no_name_multi", json!(here)),
        Task::Recognize => ("yes_no", json!(turn.answer)),
        Task::Locate => ("iou", json!(turn.answer)),
        Task::PlainCaption | Task::BriefCaption => (LOOKS, Value::Null),
        other => {
            bail!(
                "{other:?} has no reward here; tasks are caption, recognize, locate, plain and brief"
            )
        }
    };
    let concepts: Vec<Value> = sample
        .concepts
        .iter()
        .map(|concept| json!({"name": marked_name(&concept.name), "info": concept.info}))
        .collect();
    let briefs = sample.things.iter().map(|thing| thing.identity.brief());
    let looks: Vec<String> = briefs
        .flat_map(|brief| {
            brief
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect();
    let bound: Vec<Bound> = sample
        .things
        .iter()
        .filter_map(|thing| {
            Some(Bound::of(
                thing,
                sample.concepts[thing.concept?].name.clone(),
            ))
        })
        .collect();
    let columns = json!({
        "looks": looks,
        "bound": bound,
        "accu_reward_method": method,
        "solution": solution,
        "concepts": concepts,
        "reference": [turn.answer],
    });
    match columns {
        Value::Object(columns) => Ok(columns),
        _ => Ok(Map::new()),
    }
}

fn marked_name(name: &str) -> String {
    format!("<{name}>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewards::{binding_f1, columns as read, repic_strict, set_f1};

    #[test]
    fn a_prompt_is_a_function_of_its_number_and_its_truth_is_rewarded() {
        let prompts = PlayroomPrompts::new(PlayroomOptions {
            tasks: vec![Task::Caption, Task::Recognize, Task::Locate],
            present: 1..=3,
            ..PlayroomOptions::default()
        });
        for index in 0..12 {
            let prompt = prompts.get(index).unwrap();
            let again = prompts.get(index).unwrap();
            assert_eq!(
                (&prompt.photos, &prompt.columns),
                (&again.photos, &again.columns)
            );
            let images = prompt.messages.iter().flat_map(|m| &m.content);
            let images = images.filter(|part| matches!(part, namelens_engine::text::Part::Image));
            assert_eq!(images.count(), prompt.photos.len());
            let answer = prompt.columns["reference"][0].as_str().unwrap().to_owned();
            let row = prompt.row(&answer, &[]);
            assert_eq!(
                repic_strict::score(&row, 0.5).unwrap(),
                Some(1.0),
                "{answer}"
            );
            let concepts = read::concepts(&row).unwrap();
            if prompt.columns["accu_reward_method"]
                .as_str()
                .unwrap()
                .starts_with("yes_no_name")
            {
                let present = read::texts(&row, "solution").unwrap().len();
                assert_eq!(concepts.len(), 2 * present, "as many are absent");
                assert_eq!(set_f1::score(&row, 1.0).unwrap(), Some(1.0), "{answer}");
                assert_eq!(binding_f1::score(&row, 1.0).unwrap(), Some(1.0), "{answer}");
                let all: Vec<String> = concepts.iter().map(|c| c.name.clone()).collect();
                let all = prompt.row(&all.join(" and "), &[]);
                assert!(
                    set_f1::score(&all, 1.0).unwrap().unwrap() < 0.0,
                    "naming all never pays"
                );
            } else {
                assert_eq!(set_f1::score(&row, 1.0).unwrap(), None, "{answer}");
                assert_eq!(binding_f1::score(&row, 1.0).unwrap(), None, "{answer}");
            }
        }
    }

    #[test]
    fn held_out_prompts_are_others() {
        let of = |split| {
            let options = PlayroomOptions {
                split,
                ..PlayroomOptions::default()
            };
            PlayroomPrompts::new(options).get(0).unwrap()
        };
        assert_ne!(of(Split::Train).photos, of(Split::Val).photos);
    }
}
