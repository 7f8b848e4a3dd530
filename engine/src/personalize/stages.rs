//! The walk of a photo from bytes to result: one file a stage, called in order, each taking what the last one gave.

mod caller;
mod choose;
mod facts;
mod generate_answer;
mod locate;
mod place;
mod prefill;
mod prompt;
mod question;
mod result;
mod retrieve;
mod token_count;
mod vision_pass;

use super::captioner::Captioner;
use super::engine::{Engine, no_captioner};
use super::photo_cache::PhotoCache;
use super::retriever::Retriever;
use super::types::{Event, Outcome, Request, Timings};
use crate::Result;
use crate::concepts::Retrieved;
use crate::host::{Host, breathe};
use crate::image::decode;
use caller::Caller;
pub use token_count::TokenCount;
use vision_pass::EncodedPhotos;

/// Measures one stage after the other.
struct Clock<'a> {
    host: &'a dyn Host,
    start: f64,
    lap: f64,
}

impl<'a> Clock<'a> {
    fn start(host: &'a dyn Host) -> Self {
        let now = host.now_ms();
        Self {
            host,
            start: now,
            lap: now,
        }
    }

    /// Milliseconds since the last lap.
    fn lap(&mut self) -> f64 {
        let since = std::mem::replace(&mut self.lap, self.host.now_ms());
        self.lap - since
    }

    /// Milliseconds since the start, at the last lap.
    fn total(&self) -> f64 {
        self.lap - self.start
    }
}

impl Engine {
    /// Answers `request` about an encoded photo.
    ///
    /// `on_event` hears of progress, of what was retrieved and of the growing answer. What was computed of the photo is kept
    /// until another one comes, so that a further question about it reads only what is new.
    ///
    /// # Errors
    /// A typed error; [`crate::Error::Cancelled`] at the next layer or token after a cancellation.
    pub async fn run(
        &mut self,
        request: &Request,
        photo: &[u8],
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Outcome> {
        let mut cache = std::mem::take(&mut self.photo_cache).of(Some(photo));
        let caller = Caller { host, on_event };
        let outcome = self.walk(request, photo, &mut cache, caller).await;
        self.photo_cache = cache;
        outcome
    }

    /// Answers a question about no photo, as [`Self::run`] does; a model that reads text only answers nothing else. Concepts
    /// take no part: they are recognised by photos. What was read is kept until the next request about a photo.
    ///
    /// # Errors
    /// As [`Self::run`]; [`crate::Error::Option`] for requests that need a photo, and where there is no captioner.
    pub async fn reply(
        &mut self,
        request: &Request,
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<Outcome> {
        question::check_without_photo(request)?;
        let mut cache = std::mem::take(&mut self.photo_cache).of(None);
        let question = question::question(request, &self.library)?;
        self.captioner
            .as_mut()
            .ok_or_else(no_captioner)?
            .chat
            .set_time(host.local_time());
        let prompt = prompt::Prompt::without_photo(request, question);
        let clock = Clock::start(host);
        let with = self.need_captioner()?;
        let shown = (&prompt, &vision_pass::EncodedPhotos::none());
        let mut caller = Caller { host, on_event };
        let measured = (clock, Timings::default());
        let outcome = self
            .write(
                with,
                request,
                (shown, &[]),
                &mut cache,
                measured,
                &mut caller,
            )
            .await;
        self.photo_cache = cache;
        outcome
    }

    /// All stages in order.
    async fn walk(
        &mut self,
        request: &Request,
        photo: &[u8],
        cache: &mut PhotoCache,
        mut caller: Caller<'_>,
    ) -> Result<Outcome> {
        let host = caller.host;
        let (mut clock, mut timings) = (Clock::start(host), Timings::default());
        if let Some(captioner) = &mut self.captioner {
            captioner.chat.set_time(host.local_time());
        }
        let question = question::question(request, &self.library)?;
        let photo = decode(photo)?;
        timings.decode_ms = clock.lap();
        breathe(host).await?;

        let found =
            retrieve::retrieve(self, request, &question, &photo, cache, &mut caller).await?;
        timings.retrieve_ms = clock.lap();

        let chosen = choose::choose(self, &found, request.hints);
        let Self {
            captioner, library, ..
        } = self;
        let Some(captioner) = captioner else {
            timings.total_ms = clock.total();
            let outcome = facts::facts(request, &found, library, timings)?;
            (caller.on_event)(Event::Text {
                delta: outcome.text.clone(),
                text: outcome.text.clone(),
                mentions: outcome.mentions.clone(),
            });
            return Ok(outcome);
        };
        captioner.vlm.vision()?;
        let splitting = request.splitting;
        let with = (&mut *captioner, &*library);
        let photos =
            vision_pass::vision_pass(with, &chosen, &photo, splitting, cache, &mut caller).await?;
        timings.vision_ms = clock.lap();

        let captioner = self.need_captioner()?;
        let prompt = prompt::Prompt::new(request, &chosen, question);
        let about = ((&prompt, &photos), &*found);
        let measured = (clock, timings);
        self.write(captioner, request, about, cache, measured, &mut caller)
            .await
    }

    /// The stages from the prompt on: it is read, the answer written, and what it mentions is found in the photo.
    async fn write(
        &self,
        captioner: &Captioner,
        request: &Request,
        ((prompt, photos), found): ((&prompt::Prompt<'_>, &EncodedPhotos), &[Retrieved]),
        cache: &mut PhotoCache,
        (mut clock, mut timings): (Clock<'_>, Timings),
        caller: &mut Caller<'_>,
    ) -> Result<Outcome> {
        let exact = self.retriever.as_ref().is_some_and(Retriever::proposes);
        let tokens = prompt.tokens(captioner, photos)?;
        let longest = generate_answer::longest(captioner, request);
        let mut read = prefill::prefill(captioner, tokens, longest, cache, caller).await?;
        timings.prefill_ms = clock.lap();

        let with = (captioner, &self.library);
        let answer =
            generate_answer::generate_answer(with, request, prompt, &mut read, caller).await?;
        timings.generate_ms = clock.lap();
        timings.tokens_per_second =
            answer.generated.tokens.len() as f64 / (timings.generate_ms / 1e3).max(1e-6);

        let (with, shown) = ((captioner, exact), (prompt, photos));
        let mentions = locate::locate(with, request, shown, &answer, &mut read, caller).await?;
        timings.locate_ms = clock.lap();
        timings.total_ms = clock.total();

        let counts = read.counts(&answer.generated);
        cache.session = Some(read.into_kept());
        let scale = captioner.box_scale(photos.size());
        Ok(result::result(
            request,
            answer,
            mentions,
            found,
            scale,
            (timings, counts),
        ))
    }
}
