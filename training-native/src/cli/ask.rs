//! `namelens caption` and `namelens ask`: a photo and some named things to an answer.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anstream::{eprintln, print, println};
use anyhow::{Context, Result};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens::native_host::NativeHost;
use namelens_engine::personalize::{Engine, Event, Kind, Request, Retrieval};

use super::concept;
use super::model::ModelArgs;

/// Options of `namelens caption` and `namelens ask`.
#[derive(Debug, Args)]
pub(super) struct PhotoArgs {
    /// The photo: PNG, JPEG or WebP.
    photo: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// A thing you named: `NAME=PHOTO`, or `NAME=PHOTO:what cannot be seen`. May be repeated, for more things or with
    /// the same name for more photos of one.
    #[arg(long = "concept", value_name = "NAME=PHOTO[:INFO]")]
    concepts: Vec<String>,
    /// LoRA adapter to answer with, a folder of the model's `adapters/`.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Tell the model of every thing, not only of those found in the photo.
    #[arg(long)]
    all: bool,
    /// Look at the photo more closely where the retriever can, for small things.
    #[arg(long)]
    thorough: bool,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "auto")]
    device: DeviceChoice,
    /// Print the whole result as JSON.
    #[arg(long)]
    json: bool,
}

/// Options of `namelens ask`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  namelens ask photo.png 'Where is Mochi?' --model models/playroom --concept Mochi=mochi.png")]
pub(super) struct AskArgs {
    #[command(flatten)]
    photo: PhotoArgs,
    /// The question; names may be written with or without brackets.
    question: String,
}

impl AskArgs {
    /// Answers.
    ///
    /// # Errors
    /// When the model, a photo or a name cannot be used.
    pub(super) fn run(&self) -> Result<()> {
        self.photo.answer(Request {
            question: Some(self.question.clone()),
            ..Request::new(Kind::Ask)
        })
    }
}

impl PhotoArgs {
    /// Writes a caption.
    ///
    /// # Errors
    /// When the model, a photo or a name cannot be used.
    pub(super) fn run(&self) -> Result<()> {
        self.answer(Request::new(Kind::Caption))
    }

    fn answer(&self, mut request: Request) -> Result<()> {
        if self.all {
            request.retrieval = Retrieval::All;
        }
        // What a person mistyped is said before gigabytes are loaded.
        let concepts = concept::read_all("--concept ", &self.concepts)?;
        let photo = std::fs::read(&self.photo)
            .with_context(|| format!("cannot read {}", self.photo.display()))?;
        let stop = AtomicBool::new(false);
        let host = NativeHost::new(&stop);
        let files = self.model.open()?;
        let device = self.device.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &host, &mut |_, _| ()))?;
        engine.set_thorough(self.thorough);
        engine.use_adapter(self.adapter.as_deref())?;
        for concept in concepts {
            engine.library.add(concept, 0)?;
        }
        pollster::block_on(engine.embed_references(&host))?;
        let mut on_event = |event: Event| {
            if let (Event::Text { delta, .. }, false) = (event, self.json) {
                use std::io::Write;
                print!("{delta}");
                // Where nobody reads any more there is nothing to flush.
                let _ = std::io::stdout().flush();
            }
        };
        let outcome = pollster::block_on(engine.run(&request, &photo, &host, &mut on_event))?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&outcome)?);
            return Ok(());
        }
        println!();
        for mention in &outcome.mentions {
            let place = mention.box_.map_or("no box".into(), |b| format!("{b:.2?}"));
            eprintln!(
                "  {} {place} ({:.0} %)",
                mention.name,
                mention.confidence * 100.0
            );
        }
        Ok(())
    }
}
