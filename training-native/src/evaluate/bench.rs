//! The questions of an evaluation, put to a model one by one.

use anyhow::{Context, Result};
use namelens_engine::concepts::{Library, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::mentions::KnownName;
use namelens_engine::personalize::{Engine, Kind, Outcome, Request, Retrieval};
use playroom::{Rgb, Sample, SampleOptions, Split, Task, sample_tasks};

use super::{CaptionReport, EvalOptions, Mode};
use crate::metrics::answers::{Boxes, Recognition, boxes, recognition};
use crate::metrics::rates::{Estimate, wilson};
use crate::metrics::{repic_compat, strict};

/// A model and the photos it is asked about.
pub(super) struct Bench<'a> {
    pub engine: &'a mut Engine,
    pub split: Split,
    pub options: EvalOptions,
    pub progress: &'a dyn Fn(u64),
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
        let digest = self
            .engine
            .retriever()
            .map_or("", |r| r.digest())
            .to_owned();
        self.engine.library = Library::new(digest);
        let mut ids = Vec::new();
        for concept in &sample.concepts {
            let new = NewConcept {
                name: concept.name.clone(),
                category: concept.category.clone(),
                info: concept.info.clone(),
                references: vec![Reference::new(png(&concept.image)?)],
                ..Default::default()
            };
            ids.push(self.engine.library.add(new, 0)?);
        }
        pollster::block_on(self.engine.embed_references(&Still))?;
        Ok(ids)
    }

    fn run(&mut self, sample: &Sample, request: &Request) -> Result<Outcome> {
        let photo = png(&sample.photo)?;
        let outcome = pollster::block_on(self.engine.run(request, &photo, &Still, &mut |_| ()))?;
        (self.progress)(1);
        Ok(outcome)
    }

    pub(super) fn captions(&mut self, present: usize, mode: Mode) -> Result<CaptionReport> {
        let mut rows = Vec::new();
        let mut compat = Vec::new();
        let (mut places, mut regions) = (Vec::new(), Vec::new());
        let (mut lost_in_retrieval, mut lost_in_generation, mut retrieved_wrongly) = (0, 0, 0);
        for index in 0..self.options.photos {
            let sample = self.sample(present as u64, index, present, 3, Task::Caption);
            let ids = self.introduce(&sample)?;
            let here = here(&sample);
            let mut request = Request::new(Kind::Caption);
            request.hints = mode != Mode::Unaided;
            if mode != Mode::Retrieval {
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
                let found = outcome.retrieved.iter().find(|r| Some(&r.id) == id);
                regions.extend(found.map(|found| (found.box_, thing.box_px)));
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
            mode: mode.word(),
            strict: strict::report(&rows, self.options.seed),
            repic_compat: repic_compat::report(&compat, case),
            lost_in_retrieval,
            lost_in_generation,
            retrieved_wrongly,
            mention_boxes: boxes(&places, self.options.seed),
            regions: boxes(&regions, self.options.seed),
        })
    }

    pub(super) fn recognition(&mut self, hints: bool) -> Result<Recognition> {
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
                    hints,
                    ..Request::new(Kind::Recognize)
                };
                answers.push((self.run(&sample, &request)?.answer, truth));
            }
        }
        Ok(recognition(&answers, self.options.seed))
    }

    pub(super) fn boxes(&mut self, hints: bool) -> Result<Boxes> {
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
                    hints,
                    ..Request::new(Kind::Locate)
                };
                answers.push((self.run(&sample, &request)?.box_, thing.box_px));
            }
        }
        Ok(boxes(&answers, self.options.seed))
    }

    pub(super) fn refusals(&mut self, task: Task, class: &str) -> Result<Estimate> {
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

    pub(super) fn answerable(&mut self) -> Result<(Estimate, Estimate)> {
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

    pub(super) fn plain(&mut self) -> Result<Estimate> {
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
