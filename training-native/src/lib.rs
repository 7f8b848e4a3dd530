//! Training, evaluation and export of NameLens models: the library behind the binary `namelens`.

pub mod bundle;
pub mod device;
pub mod digests;
pub mod evaluate;
pub mod experiment;
pub mod export;
pub mod find;
pub mod gguf_folder;
pub mod merge;
pub mod metrics;
#[cfg(feature = "mpi")]
pub mod mpi;
pub mod native_host;
pub mod near_miss;
pub mod page;
pub mod photos;
pub mod plots;
pub mod presets;
pub mod ranks;
pub mod rewards;
pub mod rl;
pub mod stages;
pub mod things;
pub mod tokenizer;
pub mod train;
pub mod whole_file;
