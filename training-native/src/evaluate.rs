//! Evaluation on held-out things and names: captions, recognition, boxes, refusals, and where errors arise.

use anyhow::{Context, Result};
use namelens_engine::concepts::{Library, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::mentions::KnownName;
use namelens_engine::personalize::{Kind, Lens, Outcome, Request, Retrieval};
use playroom::{Rgb, Sample, SampleOptions, Split, Task, sample_tasks};
use serde::Serialize;

use crate::metrics::answers::{Boxes, Recognition, boxes, recognition};
use crate::metrics::rates::{Estimate, wilson};
use crate::metrics::{repic_compat, strict};

/// What to evaluate on.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EvalOptions {
    /// Photos a condition.
    pub photos: u64,
    /// Seed of the photos.
    pub seed: u64,
    /// Side photos are drawn at, pixels.
    pub side: u32,
}

/// Captions of photos with a given number of named things.
#[derive(Debug, Clone, Serialize)]
pub struct CaptionReport {
    /// Named things in each photo.
    pub concepts: usize,
    /// Whether the right concepts were handed over (`skip`) or had to be found (`retrieval`).
    pub mode: &'static str,
    /// Span metric that also counts false names.
    pub strict: strict::Report,
    /// RePIC's own script, artefacts included.
    pub repic_compat: repic_compat::Report,
    /// Expected names that were not handed to the model.
    pub lost_in_retrieval: usize,
    /// Expected names that were handed over but not written.
    pub lost_in_generation: usize,
    /// Concepts handed over that are not in the photo.
    pub retrieved_wrongly: usize,
    /// Boxes of the names in the caption.
    pub mention_boxes: Boxes,
}

/// All figures of one evaluation.
#[derive(Debug, Clone, Serialize)]
pub struct EvalReport {
    /// How it was made.
    pub options: EvalOptions,
    /// Split.
    pub split: &'static str,
    /// SHA-256 of what the split holds.
    pub split_digest: String,
    /// By number of things and mode.
    pub captions: Vec<CaptionReport>,
    /// Yes or no.
    pub recognition: Recognition,
    /// Where.
    pub boxes: Boxes,
    /// Questions on things that are not in the photo, refused as such.
    pub refused_absent: Estimate,
    /// Questions on names nobody introduced, refused as such.
    pub refused_unknown: Estimate,
    /// Answerable questions that were answered.
    pub answered: Estimate,
    /// Answerable questions whose answer is the right one, word for word.
    pub answered_right: Estimate,
    /// Colour and category words of captions without names.
    pub plain_attributes: Estimate,
}

/// Evaluates a model on `split`. `progress` hears of photos done.
///
/// # Errors
/// When a photo cannot be processed or the device fails.
pub fn evaluate(
    lens: &mut Lens,
    split: Split,
    options: EvalOptions,
    progress: &dyn Fn(u64),
) -> Result<EvalReport> {
    let mut bench = Bench {
        lens,
        split,
        options,
        progress,
    };
    let mut captions = Vec::new();
    for concepts in [1, 2, 4] {
        for retrieval in [false, true] {
            captions.push(bench.captions(concepts, retrieval)?);
        }
    }
    let recognition = bench.recognition()?;
    let boxes = bench.boxes()?;
    let refused_absent = bench.refusals(Task::RefuseAbsent, "absent")?;
    let refused_unknown = bench.refusals(Task::RefuseUnknown, "unknown")?;
    let (answered, answered_right) = bench.answerable()?;
    let plain_attributes = bench.plain()?;
    Ok(EvalReport {
        options,
        split: split.word(),
        split_digest: playroom::held_out_digest(split),
        captions,
        recognition,
        boxes,
        refused_absent,
        refused_unknown,
        answered,
        answered_right,
        plain_attributes,
    })
}

struct Bench<'a> {
    lens: &'a mut Lens,
    split: Split,
    options: EvalOptions,
    progress: &'a dyn Fn(u64),
}

impl Bench<'_> {
    fn sample(&self, stream: u64, index: u64, present: usize, noise: usize, task: Task) -> Sample {
        let options = SampleOptions {
            split: self.split,
            present: present..=present,
            noise: noise..=noise,
            alone: false,
            strangers: 0,
            turns: 1,
            lookalike_rate: 0.3,
            side: self.options.side,
            difficulty: 0.8,
        };
        let seed =
            (self.options.seed ^ (stream << 48)).wrapping_add(index.wrapping_mul(0x9e37_79b9));
        sample_tasks(seed, &options, &[task])
    }

    /// Puts the concepts of a sample into an empty library; returns their ids.
    fn introduce(&mut self, sample: &Sample) -> Result<Vec<String>> {
        let digest = self.lens.retriever().map_or("", |r| r.digest()).to_owned();
        self.lens.library = Library::new(digest);
        let mut ids = Vec::new();
        for concept in &sample.concepts {
            let new = NewConcept {
                name: concept.name.clone(),
                category: concept.category.clone(),
                info: concept.info.clone(),
                references: vec![Reference::new(png(&concept.image)?)],
                ..Default::default()
            };
            ids.push(self.lens.library.add(new, 0)?);
        }
        pollster::block_on(self.lens.embed_references(&Still))?;
        Ok(ids)
    }

    fn run(&mut self, sample: &Sample, request: &Request) -> Result<Outcome> {
        let photo = png(&sample.photo)?;
        let outcome = pollster::block_on(self.lens.run(request, &photo, &Still, &mut |_| ()))?;
        (self.progress)(1);
        Ok(outcome)
    }

    fn captions(&mut self, present: usize, retrieval: bool) -> Result<CaptionReport> {
        let mut rows = Vec::new();
        let mut compat = Vec::new();
        let mut places = Vec::new();
        let (mut lost_in_retrieval, mut lost_in_generation, mut retrieved_wrongly) = (0, 0, 0);
        for index in 0..self.options.photos {
            let sample = self.sample(present as u64, index, present, 3, Task::Caption);
            let ids = self.introduce(&sample)?;
            let here = here(&sample);
            let mut request = Request::new(Kind::Caption);
            if !retrieval {
                request.retrieval = Retrieval::Ids(here.iter().map(|&i| ids[i].clone()).collect());
            }
            let outcome = self.run(&sample, &request)?;
            for (i, id) in ids.iter().enumerate() {
                let told = outcome.retrieved.iter().any(|r| r.id == *id);
                let said = outcome.mentions.iter().any(|m| m.id == *id);
                match (here.contains(&i), told, said) {
                    (true, false, false) => lost_in_retrieval += 1,
                    (true, true, false) => lost_in_generation += 1,
                    (false, true, _) => retrieved_wrongly += 1,
                    _ => (),
                }
            }
            for thing in &sample.things {
                let id = thing.concept.map(|concept| &ids[concept]);
                let mention = outcome.mentions.iter().find(|m| Some(&m.id) == id);
                places.extend(mention.map(|mention| (mention.box_, thing.box_px)));
            }
            let name = |i: &usize| sample.concepts[*i].name.clone();
            let known: Vec<KnownName> = (0..ids.len())
                .map(|i| KnownName {
                    id: ids[i].clone(),
                    spellings: vec![name(&i)],
                })
                .collect();
            let expected: Vec<&str> = here.iter().map(|&i| ids[i].as_str()).collect();
            rows.push(strict::count(&outcome.raw, &known, &expected));
            compat.push(repic_compat::Row {
                caption: outcome.raw,
                expected: here.iter().map(|i| format!("<{}>", name(i))).collect(),
            });
        }
        let case = if present == 2 {
            repic_compat::Case::Sensitive
        } else {
            repic_compat::Case::Lower
        };
        Ok(CaptionReport {
            concepts: present,
            mode: if retrieval { "retrieval" } else { "skip" },
            strict: strict::report(&rows, self.options.seed),
            repic_compat: repic_compat::report(&compat, case),
            lost_in_retrieval,
            lost_in_generation,
            retrieved_wrongly,
            mention_boxes: boxes(&places, self.options.seed),
        })
    }

    fn recognition(&mut self) -> Result<Recognition> {
        let mut answers = Vec::new();
        for index in 0..self.options.photos {
            let sample = self.sample(11, index, 1 + (index % 3) as usize, 2, Task::Recognize);
            let ids = self.introduce(&sample)?;
            let here = here(&sample);
            for truth in [true, false] {
                let Some(subject) = (0..ids.len()).find(|i| here.contains(i) == truth) else {
                    continue;
                };
                let request = Request {
                    concept: Some(ids[subject].clone()),
                    ..Request::new(Kind::Recognize)
                };
                answers.push((self.run(&sample, &request)?.answer, truth));
            }
        }
        Ok(recognition(&answers, self.options.seed))
    }

    fn boxes(&mut self) -> Result<Boxes> {
        let mut answers = Vec::new();
        for index in 0..self.options.photos {
            let sample = self.sample(12, index, 1 + (index % 4) as usize, 1, Task::Locate);
            let ids = self.introduce(&sample)?;
            for thing in &sample.things {
                let Some(concept) = thing.concept else {
                    continue;
                };
                let request = Request {
                    concept: Some(ids[concept].clone()),
                    ..Request::new(Kind::Locate)
                };
                answers.push((self.run(&sample, &request)?.box_, thing.box_px));
            }
        }
        Ok(boxes(&answers, self.options.seed))
    }

    fn refusals(&mut self, task: Task, class: &str) -> Result<Estimate> {
        let mut right = 0;
        for index in 0..self.options.photos {
            let sample = self.sample(
                13 + class.len() as u64,
                index,
                1 + (index % 3) as usize,
                1,
                task,
            );
            let outcome = self.ask(&sample)?;
            right += usize::from(outcome.refused == Some(class));
        }
        Ok(wilson(right, self.options.photos as usize))
    }

    fn answerable(&mut self) -> Result<(Estimate, Estimate)> {
        let (mut answered, mut right) = (0, 0);
        for index in 0..self.options.photos {
            let task = [Task::VisualQa, Task::InfoQa, Task::Locate][(index % 3) as usize];
            let sample = self.sample(15, index, 1 + (index % 3) as usize, 1, task);
            let outcome = self.ask(&sample)?;
            answered += usize::from(outcome.refused.is_none());
            right += usize::from(outcome.raw.trim() == sample.turns[0].answer);
        }
        let photos = self.options.photos as usize;
        Ok((wilson(answered, photos), wilson(right, photos)))
    }

    /// Asks the sample's own question with all its concepts in the prompt.
    fn ask(&mut self, sample: &Sample) -> Result<Outcome> {
        let ids = self.introduce(sample)?;
        let request = Request {
            question: Some(sample.turns[0].question.clone()),
            retrieval: Retrieval::Ids(ids),
            ..Request::new(Kind::Ask)
        };
        self.run(sample, &request)
    }

    fn plain(&mut self) -> Result<Estimate> {
        let (mut found, mut total) = (0, 0);
        for index in 0..self.options.photos {
            let sample = self.sample(16, index, 1 + (index % 2) as usize, 0, Task::PlainCaption);
            let request = Request {
                question: Some(sample.turns[0].question.clone()),
                retrieval: Retrieval::Off,
                ..Request::new(Kind::Ask)
            };
            let text = self.run(&sample, &request)?.text.to_lowercase();
            for thing in &sample.things {
                let looks = thing.identity.brief();
                for word in looks.split_whitespace() {
                    total += 1;
                    found += usize::from(text.contains(word));
                }
            }
        }
        Ok(wilson(found, total))
    }
}

/// Positions of the concepts that are in the photo.
fn here(sample: &Sample) -> Vec<usize> {
    let mut here: Vec<usize> = sample.things.iter().filter_map(|t| t.concept).collect();
    here.sort_unstable();
    here
}

fn png(picture: &Rgb) -> Result<Vec<u8>> {
    let mut out = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut out,
        &picture.pixels,
        picture.size,
        picture.size,
        image::ColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .context("cannot encode a picture")?;
    Ok(out.into_inner())
}
