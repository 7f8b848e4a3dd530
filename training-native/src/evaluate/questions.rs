//! The questions of an evaluation, put to a model photo by photo.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Context, Result};
use namelens_engine::concepts::repic::{self, Ask};
use namelens_engine::concepts::{Library, NewConcept, Reference};
use namelens_engine::host::Still;
use namelens_engine::personalize::mentions::KnownName;
use namelens_engine::personalize::{Engine, Kind, Outcome, Request, Retrieval};
use playroom::{Rgb, Sample, SampleOptions, Split, Task, sample_tasks};

use super::record::{Answers, Captioned, Record};
use super::row::{Mode, Row};
use crate::metrics::binding::{self, Bound};
use crate::metrics::{repic_compat, strict};
use crate::stages::calibrate::rgb8;

/// A model and the world it is asked about.
pub(super) struct Bench<'a> {
    pub engine: &'a mut Engine,
    pub split: Split,
    pub seed: u64,
    pub side: u32,
}

impl Bench<'_> {
    /// Asks the questions of `row` about its photo number `photo`.
    pub(super) fn ask(&mut self, row: Row, photo: u64) -> Result<Record> {
        let start = Instant::now();
        let varied = |most: u64| 1 + (photo % most) as usize;
        let answers = match row {
            Row::Caption { things, mode } => {
                let absent = if mode.hands_over_all() { things } else { 3 };
                let options = SampleOptions {
                    // Half of those that are handed over without being there differ in one attribute from one that is.
                    lookalike_rate: if mode.hands_over_all() { 0.5 } else { 0.3 },
                    ..self.world(things, absent)
                };
                let sample = self.drawn(things as u64, photo, &options, Task::Caption);
                match mode {
                    Mode::NameAll => Answers::Caption(judged(&sample, name_all(&sample))),
                    _ => Answers::Caption(self.caption(&sample, mode)?),
                }
            }
            Row::Recognize { hints } => {
                let sample = self.sample(11, photo, varied(3), 2, Task::Recognize);
                self.recognize(&sample, hints)?
            }
            Row::Locate { hints } => {
                let sample = self.sample(12, photo, varied(4), 1, Task::Locate);
                self.locate(&sample, hints)?
            }
            Row::RefuseAbsent => {
                let sample = self.sample(19, photo, varied(3), 1, Task::RefuseAbsent);
                self.refusal(&sample, "absent")?
            }
            Row::RefuseUnknown => {
                let sample = self.sample(20, photo, varied(3), 1, Task::RefuseUnknown);
                self.refusal(&sample, "unknown")?
            }
            Row::Answerable => {
                let (task, present) = answerable(photo);
                let sample = self.sample(15, photo, present, 1, task);
                let outcome = self.own_question(&sample)?;
                Answers::Answer {
                    text: outcome.raw.trim().to_owned(),
                    expected: sample.turns[0].answer.clone(),
                    refused: outcome.refused.is_some(),
                }
            }
            Row::PlainCaption => {
                let sample = self.sample(16, photo, varied(2), 0, Task::PlainCaption);
                self.plain(&sample)?
            }
        };
        Ok(Record {
            photo,
            ms: start.elapsed().as_millis() as u64,
            answers,
        })
    }

    fn sample(&self, stream: u64, index: u64, present: usize, noise: usize, task: Task) -> Sample {
        self.drawn(stream, index, &self.world(present, noise), task)
    }

    /// What photos with so many named things are like, and so many more concepts.
    fn world(&self, present: usize, noise: usize) -> SampleOptions {
        SampleOptions {
            split: self.split,
            present: present..=present,
            noise: noise..=noise,
            alone: false,
            strangers: 0,
            turns: 1,
            lookalike_rate: 0.3,
            side: self.side,
            difficulty: 0.8,
        }
    }

    /// Photo number `index` of a stream.
    fn drawn(&self, stream: u64, index: u64, options: &SampleOptions, task: Task) -> Sample {
        let seed = (self.seed ^ (stream << 48)).wrapping_add(index.wrapping_mul(0x9e37_79b9));
        sample_tasks(seed, options, &[task])
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
        Ok(pollster::block_on(self.engine.run(
            request,
            &photo,
            &Still,
            &mut |_| (),
        ))?)
    }

    fn caption(&mut self, sample: &Sample, mode: Mode) -> Result<Captioned> {
        let ids = self.introduce(sample)?;
        let here = here(sample);
        let mut request = Request::new(Kind::Caption);
        request.hints = mode.hints();
        match mode {
            Mode::Retrieval => (),
            Mode::UnaidedAll => request.retrieval = Retrieval::Ids(ids.clone()),
            Mode::RepicRetrieval => {
                let chosen = self.nearest(sample, &ids, here.len())?;
                request.retrieval = Retrieval::Ids(chosen);
            }
            _ => {
                request.retrieval = Retrieval::Ids(here.iter().map(|&i| ids[i].clone()).collect());
            }
        }
        request.style = mode.style();
        let outcome = self.run(sample, &request)?;
        let mut captioned = judged(sample, outcome.raw.clone());
        for (i, id) in ids.iter().enumerate() {
            let handed = outcome.retrieved.iter().any(|r| r.id == *id);
            let said = outcome.mentions.iter().any(|m| m.id == *id);
            match (here.contains(&i), handed, said) {
                (true, false, false) => captioned.lost_in_retrieval += 1,
                (true, true, false) => captioned.lost_in_generation += 1,
                (false, true, _) => captioned.retrieved_wrongly += 1,
                _ => (),
            }
        }
        for thing in &sample.things {
            let id = thing.concept.map(|concept| &ids[concept]);
            let mention = outcome.mentions.iter().find(|m| Some(&m.id) == id);
            let mention = mention.map(|mention| (mention.box_, thing.box_px));
            captioned.mention_boxes.extend(mention);
            let found = outcome.retrieved.iter().find(|r| Some(&r.id) == id);
            let found = found.map(|found| (found.box_, thing.box_px));
            captioned.regions.extend(found);
        }
        Ok(captioned)
    }

    /// The concepts that RePIC's rule hands over for a photo of `things` named things: two, or as many as there are, the
    /// nearest to any region. Its regions are those of a detector; here they are all that our retriever proposes.
    fn nearest(&self, sample: &Sample, ids: &[String], things: usize) -> Result<Vec<String>> {
        let retriever = self.engine.retriever();
        let retriever = retriever.context("the model has no retriever to compare with RePIC's")?;
        let scan = pollster::block_on(retriever.scan(&rgb8(&sample.photo)?, &Still))?;
        let index = self.engine.library.index();
        let dim = index.dim();
        let crops: Vec<Vec<(usize, f32)>> = scan
            .embeddings
            .chunks_exact(dim.max(1))
            .map(|region| {
                let mut near: Vec<(usize, f32)> = Vec::with_capacity(ids.len());
                for (at, id) in ids.iter().enumerate() {
                    let rows = index.rows_of(id);
                    let own = &index.vectors()[rows.start * dim..rows.end * dim];
                    let cosine = own
                        .chunks_exact(dim.max(1))
                        .map(|reference| reference.iter().zip(region).map(|(a, b)| a * b).sum())
                        .fold(f32::MIN, f32::max);
                    near.push((at, repic::squared_l2(cosine)));
                }
                near.sort_by(|a, b| a.1.total_cmp(&b.1));
                near
            })
            .collect();
        let keys: Vec<String> = sample
            .concepts
            .iter()
            .map(|concept| format!("<{}>", concept.name))
            .collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let top_k = things.max(2);
        let found = repic::retrieve(&keys, Ask::Keys(&[]), &crops, top_k, top_k);
        Ok(found.into_iter().map(|(at, _)| ids[at].clone()).collect())
    }

    fn recognize(&mut self, sample: &Sample, hints: bool) -> Result<Answers> {
        let ids = self.introduce(sample)?;
        let here = here(sample);
        let mut answers = Vec::new();
        for truth in [true, false] {
            let Some(subject) = (0..ids.len()).find(|i| here.contains(i) == truth) else {
                continue;
            };
            let request = Request {
                concept: Some(ids[subject].clone()),
                hints,
                ..Request::new(Kind::Recognize)
            };
            answers.push((self.run(sample, &request)?.answer, truth));
        }
        Ok(Answers::YesNo(answers))
    }

    fn locate(&mut self, sample: &Sample, hints: bool) -> Result<Answers> {
        let ids = self.introduce(sample)?;
        let mut answers = Vec::new();
        for thing in &sample.things {
            let Some(concept) = thing.concept else {
                continue;
            };
            let request = Request {
                concept: Some(ids[concept].clone()),
                hints,
                ..Request::new(Kind::Locate)
            };
            answers.push((self.run(sample, &request)?.box_, thing.box_px));
        }
        Ok(Answers::Boxes(answers))
    }

    fn refusal(&mut self, sample: &Sample, class: &str) -> Result<Answers> {
        let outcome = self.own_question(sample)?;
        Ok(Answers::Refusal {
            right: outcome.refused == Some(class),
            text: outcome.raw.trim().to_owned(),
        })
    }

    /// Asks the sample's own question with all its concepts in the prompt.
    fn own_question(&mut self, sample: &Sample) -> Result<Outcome> {
        let ids = self.introduce(sample)?;
        let request = Request {
            question: Some(sample.turns[0].question.clone()),
            retrieval: Retrieval::Ids(ids),
            ..Request::new(Kind::Ask)
        };
        self.run(sample, &request)
    }

    fn plain(&mut self, sample: &Sample) -> Result<Answers> {
        let request = Request {
            question: Some(sample.turns[0].question.clone()),
            retrieval: Retrieval::Off,
            ..Request::new(Kind::Ask)
        };
        let text = self.run(sample, &request)?.text.to_lowercase();
        // Whole words: "red" is not in "tired".
        let said: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
        let (mut found, mut total) = (0, 0);
        for thing in &sample.things {
            let brief = thing.identity.brief();
            for word in brief.split_whitespace() {
                total += 1;
                found += usize::from(said.contains(word));
            }
        }
        Ok(Answers::Words { found, total })
    }
}

/// A caption against the truth: who is named, whether what is said with a name is its thing's, and RePIC's row.
fn judged(sample: &Sample, caption: String) -> Captioned {
    let name = |i: usize| sample.concepts[i].name.clone();
    let known: Vec<KnownName> = (0..sample.concepts.len())
        .map(|i| KnownName {
            id: i.to_string(),
            spellings: vec![name(i)],
        })
        .collect();
    let here = here(sample);
    let ids: Vec<String> = here.iter().map(usize::to_string).collect();
    let expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    let present: Vec<Bound> = sample
        .things
        .iter()
        .filter_map(|thing| Some(Bound::of(thing, thing.concept?.to_string())))
        .collect();
    Captioned {
        names: strict::count(&caption, &known, &expected),
        bound: Some(binding::count(&caption, &known, &present)),
        repic: repic_compat::Row {
            caption,
            expected: here.iter().map(|&i| format!("<{}>", name(i))).collect(),
        },
        ..Captioned::default()
    }
}

/// The rule "name everything given" at its strongest: every concept with the look of its reference, whatever the photo shows.
pub(crate) fn name_all(sample: &Sample) -> String {
    let named = |c: &playroom::ConceptRef| format!("<{}>, the {},", c.name, c.identity.brief());
    let all: Vec<String> = sample.concepts.iter().map(named).collect();
    format!("This is {}.", all.join(" with ").trim_end_matches(','))
}

/// Positions of the concepts that are in the photo.
fn here(sample: &Sample) -> Vec<usize> {
    let mut here: Vec<usize> = sample.things.iter().filter_map(|t| t.concept).collect();
    here.sort_unstable();
    here
}

pub(crate) fn png(picture: &Rgb) -> Result<Vec<u8>> {
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

/// What is asked about a photo of this number, and how many named things it shows: each kind of question among one, two and three.
fn answerable(photo: u64) -> (Task, usize) {
    let task = [Task::VisualQa, Task::InfoQa, Task::Locate][(photo % 3) as usize];
    (task, 1 + (photo / 3 % 3) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_question_is_asked_among_one_two_and_three_things() {
        let mut asked: Vec<(Task, usize)> = Vec::new();
        for photo in 0..9 {
            if !asked.contains(&answerable(photo)) {
                asked.push(answerable(photo));
            }
        }
        assert_eq!(asked.len(), 9, "{asked:?}");
    }
}
