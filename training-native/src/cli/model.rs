//! The options that choose a model, as several commands take them.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use namelens::digests::{digest_of, model_digest};
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

    /// SHA-256 of all that is opened: of the model's folder, and of whatever takes the place of a part of it.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn digest(&self) -> Result<String> {
        let own = model_digest(&self.model)?;
        if self.retriever.is_empty() && self.mmproj.is_none() {
            return Ok(own);
        }
        let mut parts = vec![own, self.mmproj.clone().unwrap_or_default()];
        for folder in &self.retriever {
            parts.push(model_digest(folder)?);
        }
        Ok(digest_of(&parts))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_of_all_that_answers() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(&path).unwrap();
            std::fs::write(path.join("config.json"), name).unwrap();
            path
        };
        let (model, one, other) = (of("model"), of("one"), of("other"));
        let digest = |retriever: &[&PathBuf], mmproj: Option<&str>| {
            let args = ModelArgs {
                model: model.clone(),
                mmproj: mmproj.map(str::to_owned),
                retriever: retriever.iter().map(|path| (*path).clone()).collect(),
            };
            args.digest().unwrap()
        };
        let all = [
            digest(&[], None),
            digest(&[&one], None),
            digest(&[&other], None),
            digest(&[&one, &other], None),
            digest(&[&other, &one], None),
            digest(&[], Some("a.gguf")),
        ];
        for (at, a) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|b| a != b), "{at}");
        }
        assert_eq!(all[0], model_digest(&model).unwrap());
    }
}
