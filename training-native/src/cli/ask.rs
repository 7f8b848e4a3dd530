//! `namelens caption` and `namelens ask`: a photo and some named things to an answer.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, Result, bail};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens::export;
use namelens::native_host::NativeHost;
use namelens_engine::concepts::{NewConcept, Reference};
use namelens_engine::personalize::{Engine, Event, Kind, Request, Retrieval};

/// Options of `namelens caption` and `namelens ask`.
#[derive(Debug, Args)]
pub(super) struct PhotoArgs {
    /// The photo: PNG, JPEG or WebP.
    photo: PathBuf,
    /// Model bundle.
    #[arg(long)]
    model: PathBuf,
    /// A thing you named: `NAME=PHOTO`, or `NAME=PHOTO:what cannot be seen`. May be repeated.
    #[arg(long = "concept", value_name = "NAME=PHOTO[:INFO]")]
    concepts: Vec<String>,
    /// LoRA adapter to answer with, a folder of the model's `adapters/`.
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// Tell the model of every thing, not only of those found in the photo.
    #[arg(long)]
    all: bool,
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
        let stop = AtomicBool::new(false);
        let host = NativeHost::new(&stop);
        let files = export::open_bundle(&self.model)?;
        let device = self.device.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &host, &mut |_, _| ()))?;
        engine.use_adapter(self.adapter.as_deref())?;
        for text in &self.concepts {
            engine.library.add(concept(text)?, 0)?;
        }
        pollster::block_on(engine.embed_references(&host))?;
        let photo = std::fs::read(&self.photo)
            .with_context(|| format!("cannot read {}", self.photo.display()))?;
        let mut on_event = |event: Event| {
            if let (Event::Text { delta, .. }, false) = (event, self.json) {
                use std::io::Write;
                print!("{delta}");
                // A closed pipe is noticed by the next print.
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

fn concept(text: &str) -> Result<NewConcept> {
    let Some((name, rest)) = text.split_once('=') else {
        bail!("`{text}` is not NAME=PHOTO, such as Mochi=mochi.png");
    };
    let (photo, info) = rest.split_once(':').unwrap_or((rest, ""));
    let bytes = std::fs::read(photo).with_context(|| format!("cannot read {photo}"))?;
    Ok(NewConcept {
        name: name.into(),
        info: info.into(),
        references: vec![Reference::new(bytes)],
        ..Default::default()
    })
}
