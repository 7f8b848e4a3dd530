//! `namelens caption` and `namelens ask`: a photo and some named things, or a question alone, to an answer.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anstream::{eprintln, print, println};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use namelens::device::DeviceChoice;
use namelens::native_host::NativeHost;
use namelens_engine::personalize::{Engine, Event, Kind, Request, Retrieval};

use super::concept;
use super::model::ModelArgs;

/// Options of `namelens caption`.
#[derive(Debug, Args)]
pub(super) struct PhotoArgs {
    /// The photo: PNG, JPEG or WebP.
    photo: PathBuf,
    #[command(flatten)]
    how: AnswerArgs,
}

/// What `namelens caption` and `namelens ask` share.
#[derive(Debug, Args)]
struct AnswerArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// A thing you named: `NAME=PHOTO`, where in the photo it is (`@left,top,right,bottom`, from 0 to 1), and what cannot be seen
    /// (`:INFO`). May be repeated, for more things or with the same name for more photos of one.
    #[arg(long = "concept", value_name = "NAME=PHOTO[@BOX][:INFO]")]
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
#[command(
    allow_missing_positional = true,
    after_help = "\
Without a photo the model answers the question alone; a model that reads text only (Llama, SmolLM2) answers nothing else.

Examples:
  namelens ask photo.png 'Where is Mochi?' --model models/playroom --concept Mochi=mochi.png
  namelens ask 'Why is the sky blue?' --model SmolLM2-135M-Instruct"
)]
pub(super) struct AskArgs {
    /// The photo, if the question is about one: PNG, JPEG or WebP.
    photo: Option<PathBuf>,
    /// The question; names may be written with or without brackets.
    question: String,
    #[command(flatten)]
    how: AnswerArgs,
}

impl AskArgs {
    /// Answers.
    ///
    /// # Errors
    /// When the model, a photo or a name cannot be used.
    pub(super) fn run(&self) -> Result<()> {
        if self.photo.is_none() {
            self.without_photo()?;
        }
        let request = Request {
            question: Some(self.question.clone()),
            ..Request::new(Kind::Ask)
        };
        self.how.answer(self.photo.as_deref(), request)
    }
}

impl AskArgs {
    /// Refuses what only a photo would make sense of.
    fn without_photo(&self) -> Result<()> {
        let question = &self.question;
        ensure!(
            !Path::new(question).is_file(),
            "`{question}` is a file, and the question is missing: namelens ask {question} 'What is this?'"
        );
        let how = &self.how;
        let told = [
            ("--concept", !how.concepts.is_empty()),
            ("--all", how.all),
            ("--thorough", how.thorough),
        ];
        match told.iter().find(|(_, given)| *given) {
            Some((option, _)) => bail!(
                "{option} is about a photo, and none is given: namelens ask PHOTO '{question}' ..."
            ),
            None => Ok(()),
        }
    }
}

impl PhotoArgs {
    /// Writes a caption.
    ///
    /// # Errors
    /// When the model, a photo or a name cannot be used.
    pub(super) fn run(&self) -> Result<()> {
        self.how
            .answer(Some(&self.photo), Request::new(Kind::Caption))
    }
}

impl AnswerArgs {
    fn answer(&self, photo: Option<&Path>, mut request: Request) -> Result<()> {
        if self.all {
            request.retrieval = Retrieval::All;
        }
        // What a person mistyped is said before gigabytes are loaded.
        let concepts = concept::read_all("--concept ", &self.concepts)?;
        let read = |photo: &Path| {
            std::fs::read(photo).with_context(|| format!("cannot read {}", photo.display()))
        };
        let photo = photo.map(read).transpose()?;
        let stop = AtomicBool::new(false);
        let host = NativeHost::new(&stop);
        let files = self.model.open()?;
        let device = self.device.open()?;
        let mut engine = pollster::block_on(Engine::load(files, &device, &host, &mut |_, _| ()))?;
        self.check_search(&engine, &request)?;
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
        let outcome = match &photo {
            Some(photo) => pollster::block_on(engine.run(&request, photo, &host, &mut on_event)),
            None => pollster::block_on(engine.reply(&request, &host, &mut on_event)),
        }?;
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

    /// That things can take part: a model without a retriever finds none in a photo, and a caption has no question to name them.
    fn check_search(&self, engine: &Engine, request: &Request) -> Result<()> {
        let finds = self.all || engine.retriever().is_some() || request.question.is_some();
        ensure!(
            finds || self.concepts.is_empty(),
            "this model cannot search photos for things; add --retriever models/photos, or --all to tell it of every thing"
        );
        Ok(())
    }
}
