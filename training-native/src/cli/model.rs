//! The options that choose a model, as several commands take them.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use namelens::export;
use namelens_engine::personalize::ModelFiles;

/// Which model.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// Model: its folder, or a GGUF file of its text model with the vision projector (mmproj) beside it.
    #[arg(long)]
    pub(super) model: PathBuf,
    /// Vision projector to use, where the folder has several.
    #[arg(long, value_name = "NAME")]
    mmproj: Option<String>,
    /// Model whose retriever searches the photos in place of the model's own, such as models/photos beside a captioner of real
    /// photos, or the folder of a DINOv2; given again, it searches beside the first, and of each thing the surer one is believed.
    #[arg(long, value_name = "FOLDER")]
    retriever: Vec<PathBuf>,
}

impl ModelArgs {
    /// The files of the model.
    ///
    /// # Errors
    /// When there are none, or it is not clear which projector is meant.
    pub(super) fn open(&self) -> Result<ModelFiles> {
        let mut files = export::open_model(&self.model, self.mmproj.as_deref())?;
        for (at, other) in self.retriever.iter().enumerate() {
            let other = export::open_model(other, None)?;
            match at {
                0 => files.use_retriever_of(other)?,
                _ => files.add_retriever_of(other)?,
            }
        }
        Ok(files)
    }
}
