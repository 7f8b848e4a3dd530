//! The one error type of the engine: a variant is something a caller can act on.

use crate::ops::UnfitBlocks;

/// Shorthand for results of the engine.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong, said so that the reader knows what to do next.
///
/// [`Error::code`] is stable: the JavaScript package exposes it and callers may match on it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A `config.json`, `preprocessor_config.json` or `generation_config.json` that cannot be used.
    #[error("{file}: `{key}`: {problem}")]
    Config {
        /// The file as the caller named it.
        file: String,
        /// The JSON key, dotted.
        key: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A weight file that is truncated, corrupt, of another model or of an unknown type.
    #[error("{file}: {place}: {problem}")]
    Weights {
        /// The file as the caller named it.
        file: String,
        /// The tensor, header field or byte offset.
        place: String,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// A file that the model needs and that is not there.
    #[error("{file} is missing: {problem}")]
    Missing {
        /// Its name in the model's folder.
        file: String,
        /// What it is needed for and what to do.
        problem: String,
    },
    /// A file of the model whose bytes cannot be read any more, whatever is in them.
    #[error("{file}: {problem}")]
    File {
        /// The file as the caller named it.
        file: String,
        /// What happened to it and what to do.
        problem: String,
    },
    /// Bytes that are not a photo we can read.
    #[error("photo: {problem}")]
    Image {
        /// What is wrong and what to do.
        problem: String,
    },
    /// A `tokenizer.json` that cannot be used, or text it cannot encode.
    #[error("tokenizer: {problem}")]
    Tokenizer {
        /// What is wrong and what to do.
        problem: String,
    },
    /// A chat template that does not compile or refuses the messages.
    #[error("chat template: {problem}")]
    Template {
        /// What is wrong and what to do.
        problem: String,
    },
    /// A concept bundle or `database.json` that cannot be imported; the library is unchanged.
    #[error("concept bundle: {place}: {problem}")]
    Bundle {
        /// The JSON path or byte offset.
        place: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A concept that does not exist, or a record that is not acceptable.
    #[error("concept `{concept}`: {problem}")]
    Concept {
        /// Id or name of the concept.
        concept: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// An option out of its range.
    #[error("option `{option}`: {problem}")]
    Option {
        /// The option's name.
        option: String,
        /// The accepted range.
        problem: String,
    },
    /// The prompt does not fit the model's context.
    #[error(
        "the prompt needs {needed} tokens but the model holds {limit}; use fewer concepts or a shorter question"
    )]
    ContextFull {
        /// Tokens the prompt and the answer need.
        needed: usize,
        /// The model's limit.
        limit: usize,
    },
    /// The caller cancelled.
    #[error("cancelled")]
    Cancelled,
    /// No usable graphics adapter.
    #[error("no usable graphics adapter: {problem}")]
    NoAdapter {
        /// What was looked for; use the CPU device instead.
        problem: String,
    },
    /// The device ran out of memory or was lost.
    #[error("device: {problem}")]
    Device {
        /// What happened; a smaller model or the CPU device may work.
        problem: String,
    },
}

impl From<UnfitBlocks> for Error {
    /// Of blocks whose file is not known here.
    fn from(UnfitBlocks { place, problem }: UnfitBlocks) -> Self {
        Self::Weights {
            file: "ggml blocks".into(),
            place,
            problem,
        }
    }
}

impl Error {
    /// The stable code of the variant, in the spelling JavaScript sees.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Weights { .. } => "weights",
            Self::Missing { .. } => "missing",
            Self::File { .. } => "file",
            Self::Image { .. } => "image",
            Self::Tokenizer { .. } => "tokenizer",
            Self::Template { .. } => "template",
            Self::Bundle { .. } => "bundle",
            Self::Concept { .. } => "concept",
            Self::Option { .. } => "option",
            Self::ContextFull { .. } => "context-full",
            Self::Cancelled => "cancelled",
            Self::NoAdapter { .. } => "no-adapter",
            Self::Device { .. } => "device",
        }
    }
}
