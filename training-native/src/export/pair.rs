//! Writes a model as GGUF files, text model (in parts, if asked) and vision projector if it has one, holding one tensor at a time.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use namelens_engine::model::config::VlmConfig;
use namelens_engine::model::gguf_layout::{GgufLayout, Piece};
use namelens_engine::model::params::{Init, ParamSource, Values};
use namelens_engine::model::plan::{Planned, parameters};
use namelens_engine::weights::{Announced, Dtype, GgufWriter, Metadata, Value, decode, encode};
use serde::Serialize;

/// Element types of the matrices of each part; norms, biases and tables of positions stay in single precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Types {
    /// Layers and head of the decoder.
    pub text: Dtype,
    /// Tower and connector.
    pub vision: Dtype,
    /// The embedding matrix.
    pub embeddings: Dtype,
}

/// The parts of a model that types are chosen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Layers and head of the decoder.
    Text,
    /// The embedding matrix.
    Embeddings,
    /// Tower and connector.
    Vision,
}

/// What became of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartReport {
    /// Which.
    pub part: Part,
    /// Parameters.
    pub parameters: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// Tensors of each element type.
    pub types: BTreeMap<String, usize>,
    /// Root mean square of what changed, as a fraction of that of the values.
    pub error: f64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// Names of the files, the text model first.
    pub files: Vec<String>,
    /// Each part.
    pub parts: Vec<PartReport>,
    /// What is otherwise than asked for.
    pub notes: Vec<String>,
}

/// A tensor of a file, and the parameters it is made of.
struct Target {
    announced: Announced,
    part: Part,
    /// In the order of their rows.
    members: Vec<Planned>,
    /// Which of so many frames of a patch kernel.
    frame: Option<(usize, usize)>,
}

/// What all tensors of a part have in common.
#[derive(Default)]
struct Sum {
    parameters: u64,
    bytes: u64,
    types: BTreeMap<String, usize>,
    squares: f64,
    errors: f64,
}

/// Writes `model.gguf` (or its parts of at most `split` bytes each) and, where the model sees photos, `mmproj.gguf` into `out`. `described` is the
/// metadata of both; `progress` hears of parameters done, and how many there are.
///
/// # Errors
/// When a parameter cannot be read or stored in its type, or a file cannot be written.
pub fn write_pair(
    source: &mut dyn ParamSource,
    config: &VlmConfig,
    described: [Metadata; 2],
    out: &Path,
    types: Types,
    split: Option<u64>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Written> {
    let layout = GgufLayout::of(config);
    let mut notes = Vec::new();
    let planned = parameters(config, &Device::flex())?;
    let total = planned.iter().map(Planned::elements).sum();
    let (projector, text): (Vec<_>, Vec<_>) = targets(&layout, planned, types, &mut notes)
        .into_iter()
        .partition(|target| target.part == Part::Vision);
    let [text_metadata, projector_metadata] = described;
    let text_metadata = typed(text_metadata, types.text);
    let mut files = parts(text, &text_metadata, split);
    if config.sees_photos() {
        let metadata = typed(projector_metadata, types.vision);
        files.push(("mmproj.gguf".into(), metadata, projector));
    }
    let mut sums: BTreeMap<Part, Sum> = BTreeMap::new();
    let mut done = 0;
    for (name, metadata, targets) in &files {
        let mut on_tensor = |elements: u64| {
            done += elements;
            progress(done, total);
        };
        write_file(
            &out.join(name),
            metadata,
            targets,
            source,
            &layout,
            &mut sums,
            &mut on_tensor,
        )?;
    }
    Ok(Written {
        files: files.into_iter().map(|(name, ..)| name).collect(),
        parts: sums.into_iter().map(report).collect(),
        notes,
    })
}

fn report((part, sum): (Part, Sum)) -> PartReport {
    PartReport {
        part,
        parameters: sum.parameters,
        bytes: sum.bytes,
        types: sum.types,
        error: if sum.squares > 0.0 {
            (sum.errors / sum.squares).sqrt()
        } else {
            0.0
        },
    }
}

/// The tensors of both files.
fn targets(
    layout: &GgufLayout,
    planned: Vec<Planned>,
    types: Types,
    notes: &mut Vec<String>,
) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    let mut ragged: BTreeMap<(Part, usize, String), usize> = BTreeMap::new();
    for planned in planned {
        let place = layout.places(&planned.key).swap_remove(0);
        let part = match planned.key.as_str() {
            key if GgufLayout::in_projector(key) => Part::Vision,
            key if key.contains("embed_tokens") => Part::Embeddings,
            _ => Part::Text,
        };
        let pieces = GgufLayout::pieces(&place, &planned.shape);
        let frames = pieces.len();
        for (frame, Piece { stored, mut shape }) in pieces.into_iter().enumerate() {
            if let Some(block) = stored.part {
                let known = targets.iter_mut().find(|t| t.announced.name == stored.name);
                if let Some(target) = known {
                    target.members.push(planned.clone());
                    continue;
                }
                shape[0] *= block.of;
            }
            let (dtype, is_ragged) = stored_as(&planned.key, &shape, part, types);
            if is_ragged {
                let cols = shape[shape.len() - 1];
                *ragged.entry((part, cols, dtype.to_string())).or_default() += 1;
            }
            targets.push(Target {
                announced: Announced {
                    name: stored.name,
                    shape,
                    dtype,
                },
                part,
                members: vec![planned.clone()],
                frame: (frames > 1).then_some((frame, frames)),
            });
        }
    }
    for ((part, cols, dtype), count) in ragged {
        notes.push(format!(
            "{count} matrices of {part:?} have rows of {cols}, no whole blocks: they are {dtype}"
        ));
    }
    targets
}

/// The type of a tensor, and whether it is another than asked for because its rows are no whole blocks.
fn stored_as(key: &str, shape: &[usize], part: Part, types: Types) -> (Dtype, bool) {
    let wanted = match part {
        Part::Text => types.text,
        Part::Embeddings => types.embeddings,
        Part::Vision => types.vision,
    };
    let cols = shape.last().copied().unwrap_or(1);
    // Positions are added, not multiplied with: llama.cpp keeps them in full, as it does norms and biases.
    if shape.len() == 1 || key.contains("position_embedding") || wanted == Dtype::F32 {
        (Dtype::F32, false)
    } else if shape.len() > 2 {
        // A kernel; llama.cpp convolves with half precision at the least.
        (Dtype::F16, false)
    } else if cols.is_multiple_of(wanted.block_len()) {
        (wanted, false)
    } else if wanted == Dtype::Q4K && cols.is_multiple_of(Dtype::Q4_1.block_len()) {
        (Dtype::Q4_1, true)
    } else {
        (Dtype::F16, true)
    }
}

/// The files of the text model with their metadata: one, or parts of at most `split` bytes of data each.
fn parts(
    targets: Vec<Target>,
    metadata: &Metadata,
    split: Option<u64>,
) -> Vec<(String, Metadata, Vec<Target>)> {
    let total = targets.len();
    let mut groups: Vec<Vec<Target>> = vec![Vec::new()];
    let mut size = 0;
    for target in targets {
        let bytes = bytes_of(&target.announced);
        let full = split.is_some_and(|split| size + bytes > split);
        if full && groups.last().is_some_and(|group| !group.is_empty()) {
            groups.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(group) = groups.last_mut() {
            group.push(target);
        }
    }
    let count = groups.len();
    let part = |(number, group): (usize, Vec<Target>)| {
        if count == 1 {
            return ("model.gguf".to_owned(), metadata.clone(), group);
        }
        let name = format!("model-{:05}-of-{count:05}.gguf", number + 1);
        let base = if number == 0 {
            metadata.clone()
        } else {
            Metadata::new()
        };
        let metadata = base
            .with("split.no", Value::U16(number as u16))
            .with("split.count", Value::U16(count as u16))
            .with("split.tensors.count", Value::I32(total as i32));
        (name, metadata, group)
    };
    groups.into_iter().enumerate().map(part).collect()
}

fn bytes_of(tensor: &Announced) -> u64 {
    tensor.dtype.tensor_bytes(&tensor.shape).unwrap_or(u64::MAX)
}

/// Writes under another name first, so that no half file is taken for a whole one.
fn write_file(
    path: &Path,
    metadata: &Metadata,
    targets: &[Target],
    source: &mut dyn ParamSource,
    layout: &GgufLayout,
    sums: &mut BTreeMap<Part, Sum>,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let partial = path.with_extension("partial");
    let file =
        File::create(&partial).with_context(|| format!("cannot write {}", partial.display()))?;
    let announced: Vec<Announced> = targets.iter().map(|t| t.announced.clone()).collect();
    let mut writer = GgufWriter::begin(BufWriter::new(file), metadata, &announced)?;
    for target in targets {
        let Announced { name, dtype, .. } = &target.announced;
        let values = values(target, source, layout)?;
        let bytes = encoded(*dtype, &values).with_context(|| format!("cannot store {name}"))?;
        writer.tensor(name, &bytes)?;
        let sum = sums.entry(target.part).or_default();
        sum.add(*dtype, &values, &bytes)?;
        progress(values.len() as u64);
    }
    writer.finish()?;
    fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))
}

fn encoded(dtype: Dtype, values: &[f32]) -> Result<Vec<u8>> {
    const LARGEST: f32 = 65_504.0;
    if dtype == Dtype::F16 && values.iter().any(|v| v.abs() > LARGEST) {
        bail!("it has values beyond {LARGEST}, too large for F16; ask for f32 in this part");
    }
    Ok(encode(dtype, values)?)
}

impl Sum {
    fn add(&mut self, dtype: Dtype, values: &[f32], bytes: &[u8]) -> Result<()> {
        self.parameters += values.len() as u64;
        self.bytes += bytes.len() as u64;
        *self.types.entry(dtype.to_string()).or_default() += 1;
        let square = |value: f32| f64::from(value) * f64::from(value);
        self.squares += values.iter().map(|v| square(*v)).sum::<f64>();
        if dtype != Dtype::F32 {
            let mut back = Vec::with_capacity(values.len());
            decode(dtype, bytes, &mut back)?;
            let off = back.iter().zip(values).map(|(b, v)| square(b - v));
            self.errors += off.sum::<f64>();
        }
        Ok(())
    }
}

/// The values of a tensor in the order the file has them.
fn values(target: &Target, source: &mut dyn ParamSource, layout: &GgufLayout) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    for Planned { key, shape, .. } in &target.members {
        let Values::Host(member) = source.values(key, shape, Init::Constant(0.0))? else {
            bail!("{key} has no values to write");
        };
        match layout.row_order(key, shape[0]) {
            None if values.is_empty() => values = member,
            None => values.extend(member),
            Some(order) => {
                let row = member.len() / shape[0];
                let rows = order.iter().flat_map(|&ours| &member[ours * row..][..row]);
                values.extend(rows.copied());
            }
        }
    }
    let Some((frame, frames)) = target.frame else {
        return Ok(values);
    };
    let shape = &target.announced.shape;
    let square = shape.iter().rev().take(2).product::<usize>();
    let own = values.chunks(square).skip(frame).step_by(frames).flatten();
    Ok(own.copied().collect())
}

/// Metadata with what it says of the element type.
fn typed(metadata: Metadata, dtype: Dtype) -> Metadata {
    // llama.cpp's numbers of `LLAMA_FTYPE_MOSTLY_*`.
    let number = match dtype {
        Dtype::F32 => 0,
        Dtype::Q4_0 => 2,
        Dtype::Q4_1 => 3,
        Dtype::Q8_0 => 7,
        Dtype::Q5_0 => 8,
        Dtype::Q5_1 => 9,
        // "S": all matrices alike.
        Dtype::Q4K => 14,
        Dtype::BF16 => 32,
        _ => 1,
    };
    metadata
        .with("general.file_type", Value::U32(number))
        .with("general.quantization_version", Value::U32(2))
}
