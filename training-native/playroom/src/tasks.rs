//! Questions and their exact answers, one maker per task, and the way back from a refusal to its kind.

use crate::info::Fact;
use crate::place::Place;
use crate::rng::Rng;
use crate::sample::{Task, ThingTruth, Turn};
use crate::text;
use crate::wording::article;

/// All a question can be about.
pub(crate) struct Story<'a> {
    /// Names of the concepts, in prompt order.
    pub(crate) names: Vec<&'a str>,
    /// Facts of the concepts, in prompt order.
    pub(crate) facts: Vec<&'a [Fact]>,
    /// The things of the photo from left to right.
    pub(crate) things: &'a [ThingTruth],
    /// Where the photo was taken.
    pub(crate) place: Place,
    /// A name that is not among the concepts.
    pub(crate) stranger: String,
}

/// A task and, for yes/no questions, the wanted answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) task: Task,
    pub(crate) yes: bool,
}

impl Wish {
    pub(crate) fn new(rng: &mut Rng, task: Task) -> Self {
        Self {
            task,
            yes: rng.chance(0.5),
        }
    }

    /// The nearest wish that can be granted when the only concept is `here` or is not.
    pub(crate) fn fitting(self, here: bool) -> Self {
        let task = match (self.task, here) {
            (Task::RefuseAbsent, true) => Task::Recognize,
            (Task::Locate | Task::VisualQa, false) => Task::RefuseAbsent,
            (task, _) => task,
        };
        Self { task, yes: here }
    }

    /// Whether it is about a concept that is in the photo.
    pub(crate) fn needs_present(self) -> bool {
        match self.task {
            Task::Locate | Task::VisualQa => true,
            Task::Recognize => self.yes,
            _ => false,
        }
    }

    /// Whether it is about a concept that is not in the photo.
    pub(crate) fn needs_absent(self) -> bool {
        self.task == Task::RefuseAbsent || (self.task == Task::Recognize && !self.yes)
    }
}

/// One question of the wished kind; `None` when the story has nothing to ask it about.
pub(crate) fn ask(story: &Story<'_>, wish: Wish, rng: &mut Rng) -> Option<Turn> {
    let task = wish.task;
    let turn = |subject, question: String, answer: String| Turn {
        task,
        question,
        answer,
        subject,
    };
    let name = |index: usize| story.names.get(index).copied().unwrap_or_default();
    Some(match task {
        Task::Caption => {
            let (question, form) = rng.pick(text::CAPTION);
            let answer = text::caption(story.things, &story.names, story.place, form);
            turn(None, question.to_owned(), answer)
        }
        Task::PlainCaption => {
            let (question, form) = rng.pick(text::PLAIN);
            turn(
                None,
                question.to_owned(),
                text::plain(story.things, story.place, form),
            )
        }
        Task::BriefCaption => {
            // The questions of plain captions: who learns these answers learns to say less.
            let (question, _) = rng.pick(text::PLAIN);
            turn(
                None,
                question.to_owned(),
                text::brief(story.things, story.place),
            )
        }
        Task::Recognize => {
            let subject = if wish.yes {
                story.present(rng)?.1
            } else {
                story.absent(rng)?
            };
            let name = name(subject);
            let question = match rng.below(2) {
                0 => format!("Is <{name}> in the image?"),
                _ => format!("Can you see <{name}> in this photo?"),
            };
            turn(
                Some(subject),
                question,
                if wish.yes { "Yes." } else { "No." }.to_owned(),
            )
        }
        Task::Locate => {
            let (at, subject) = story.present(rng)?;
            let question = locating(name(subject), rng);
            turn(Some(subject), question, format_box(story.things[at].box_px))
        }
        Task::VisualQa => {
            let (at, subject) = story.present(rng)?;
            let (question, answer) = visual(story, at, name(subject), rng);
            turn(Some(subject), question, answer)
        }
        Task::InfoQa => {
            let known: Vec<usize> = (0..story.facts.len())
                .filter(|&index| !story.facts[index].is_empty())
                .collect();
            let subject = if known.is_empty() {
                return None;
            } else {
                rng.pick(&known)
            };
            let fact = rng.pick(story.facts[subject]);
            turn(Some(subject), fact.question(name(subject)), fact.answer())
        }
        Task::RefuseAbsent => {
            let subject = story.absent(rng)?;
            let (question, answer) = absent(name(subject), rng);
            turn(Some(subject), question, answer)
        }
        Task::RefuseUnknown => {
            let (question, answer) = unknown(&story.stranger, rng);
            turn(None, question, answer)
        }
    })
}

impl Story<'_> {
    /// A thing that shows a concept: its place in `things` and the concept's index.
    fn present(&self, rng: &mut Rng) -> Option<(usize, usize)> {
        let shown: Vec<(usize, usize)> = self
            .things
            .iter()
            .enumerate()
            .filter_map(|(at, thing)| Some((at, thing.concept?)))
            .collect();
        if shown.is_empty() {
            None
        } else {
            Some(rng.pick(&shown))
        }
    }

    /// The index of a concept no thing shows.
    fn absent(&self, rng: &mut Rng) -> Option<usize> {
        let shown = |index| self.things.iter().any(|thing| thing.concept == Some(index));
        let missing: Vec<usize> = (0..self.names.len())
            .filter(|&index| !shown(index))
            .collect();
        if missing.is_empty() {
            None
        } else {
            Some(rng.pick(&missing))
        }
    }

    /// The name of a thing, when it shows a concept.
    fn name_at(&self, at: usize) -> Option<&str> {
        self.things
            .get(at)?
            .concept
            .and_then(|index| self.names.get(index))
            .copied()
    }
}

fn locating(name: &str, rng: &mut Rng) -> String {
    match rng.below(2) {
        0 => format!("Where is <{name}>?"),
        _ => format!("Give the box of <{name}>."),
    }
}

/// A question only a photo with the thing in it could answer, and its refusal.
fn absent(name: &str, rng: &mut Rng) -> (String, String) {
    let refusal = format!("<{name}> is not in the image.");
    match rng.below(6) {
        0 => (format!("What is <{name}> doing?"), refusal),
        1 => (format!("Who is left of <{name}>?"), refusal),
        2 => (format!("Who is right of <{name}>?"), refusal),
        _ => (
            locating(name, rng),
            format!("I cannot see <{name}> in the image."),
        ),
    }
}

/// A question on somebody nobody introduced, and its refusal.
fn unknown(name: &str, rng: &mut Rng) -> (String, String) {
    let doubt = format!("I do not know who <{name}> is.");
    let stranger = format!("I have not met <{name}>.");
    match rng.below(6) {
        0 => (format!("Who is <{name}>?"), doubt),
        1 => (format!("What is <{name}> doing?"), doubt),
        2 => (format!("What colour is <{name}>?"), doubt),
        3 => (format!("What is <{name}> wearing?"), doubt),
        4 => (format!("Is <{name}> in the image?"), stranger),
        _ => (locating(name, rng), stranger),
    }
}

fn visual(story: &Story<'_>, at: usize, name: &str, rng: &mut Rng) -> (String, String) {
    let thing = &story.things[at];
    let identity = &thing.identity;
    let left = at.checked_sub(1).and_then(|next| story.name_at(next));
    let right = story.name_at(at + 1);
    let (question, phrase) = match rng.below(10) {
        0 => (
            format!("What pattern does <{name}> have?"),
            identity.pattern.word().to_owned(),
        ),
        1 => (format!("What is <{name}> wearing?"), identity.wears()),
        2 => (format!("What is <{name}> doing?"), thing.pose.clone()),
        3 => (
            format!("What kind of thing is <{name}>?"),
            article(identity.category.word()),
        ),
        4 => (format!("What mark does <{name}> have?"), identity.marked()),
        5 => (
            "Where was this photo taken?".to_owned(),
            story.place.word().to_owned(),
        ),
        6 => {
            let count = ["no", "one", "two", "three", "four", "five"];
            let word = count.get(story.things.len()).copied().unwrap_or("many");
            ("How many things are there?".to_owned(), word.to_owned())
        }
        7 if left.is_some() => (
            format!("Who is left of <{name}>?"),
            format!("<{}>", left.unwrap_or_default()),
        ),
        8 if right.is_some() => (
            format!("Who is right of <{name}>?"),
            format!("<{}>", right.unwrap_or_default()),
        ),
        _ => (
            format!("What colour is <{name}>?"),
            identity.body.word().to_owned(),
        ),
    };
    (question, text::sentence(&phrase))
}

/// The answer to "where": `[x0, y0, x1, y1]` in whole percent of the side, 0 to 99.
pub fn format_box(shares: [f32; 4]) -> String {
    let [x0, y0, x1, y1] = shares.map(|share| ((share * 100.0).floor() as i32).clamp(0, 99));
    format!("[{x0}, {y0}, {x1}, {y1}]")
}

/// Which refusal an answer is, if it is one: [`Task::RefuseAbsent`] or [`Task::RefuseUnknown`].
///
/// The whole answer must be one of the four refusal sentences around one bracketed name.
pub fn refusal_class(answer: &str) -> Option<Task> {
    const FORMS: [(&str, &str, Task); 4] = [
        ("<", "> is not in the image.", Task::RefuseAbsent),
        ("I cannot see <", "> in the image.", Task::RefuseAbsent),
        ("I do not know who <", "> is.", Task::RefuseUnknown),
        ("I have not met <", ">.", Task::RefuseUnknown),
    ];
    let answer = answer.trim();
    FORMS.into_iter().find_map(|(before, after, task)| {
        let name = answer.strip_prefix(before)?.strip_suffix(after)?;
        (!name.is_empty() && !name.contains(['<', '>'])).then_some(task)
    })
}
