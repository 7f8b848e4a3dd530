//! A PyTorch file of EfficientNet-Lite as a photo encoder: batch norms folded into the convolutions before them, quantised.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result, bail};
use namelens_engine::model::efficientnet_config::EfficientNetConfig;
use namelens_engine::weights::{Announced, Dtype, GgufWriter, Metadata, Value, encode};
use pytorch_reader::{DType, PytorchReader};
use serde_json::json;

use super::manifest;

/// Added to variances; the published networks' own.
const EPSILON: f64 = 1e-3;
/// Files of the encoder in a bundle.
const FILES: [&str; 3] = [
    "model.json",
    "retriever/config.json",
    "retriever/model.gguf",
];
/// Words of the classifier, a line each, if they are known.
const WORDS: &str = "retriever/words.txt";

/// What a conversion of a photo encoder is asked for.
#[derive(Debug, Clone, Copy)]
pub struct EncoderConversion<'a> {
    /// Element type of the matrices whose rows are whole blocks; other matrices are F16, the rest F32.
    pub dtype: Dtype,
    /// A file with a word for each category, a line each.
    pub words: Option<&'a Path>,
    /// Whether files of a conversion before may be replaced.
    pub force: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq)]
pub struct WrittenEncoder {
    /// Its dimensions.
    pub config: EfficientNetConfig,
    /// Parameters, those of the batch norms folded away.
    pub parameters: u64,
    /// Bytes of `retriever/model.gguf`.
    pub bytes: u64,
}

/// A parameter of the folded network.
struct Folded {
    name: String,
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// A tensor of the file.
struct Stored {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Converts the file `from` into the bundle `out`.
///
/// # Errors
/// When the file is no EfficientNet-Lite, or files would be overwritten or cannot be written.
pub fn convert_encoder(
    from: &Path,
    out: &Path,
    conversion: EncoderConversion<'_>,
) -> Result<WrittenEncoder> {
    let words = conversion.words.map(fs::read_to_string).transpose();
    let words = words.context("cannot read the words")?;
    let file = PytorchReader::new(from).with_context(|| {
        format!(
            "{} is no PyTorch checkpoint that can be read",
            from.display()
        )
    })?;
    let (name, config) = config_of(from, &file)?;
    if let Some(words) = &words {
        let count = words.lines().count();
        if count != config.num_classes {
            bail!(
                "the classifier has {} categories and the file of words {count} lines; give one line a category",
                config.num_classes
            );
        }
    }
    let folded = fold(&file, &config)?;
    make_room(out, conversion.force)?;
    let bytes = write_gguf(&out.join(FILES[2]), &name, &folded, conversion.dtype)?;
    let model = json!({ "name": format!("namelens-photos-{name}"), "knows": "photos" });
    write_json(&out.join(FILES[0]), &model)?;
    write_json(&out.join(FILES[1]), &serde_json::to_value(&config)?)?;
    let mut files = FILES.to_vec();
    if let Some(words) = words {
        fs::write(out.join(WORDS), words).context("cannot write the words")?;
        files.push(WORDS);
    }
    if out.join("retriever/retrieval.json").exists() {
        files.push("retriever/retrieval.json");
    }
    manifest::write(out, &format!("namelens-photos-{name}"), &files)?;
    Ok(WrittenEncoder {
        config,
        parameters: folded.iter().map(|p| p.values.len() as u64).sum(),
        bytes,
    })
}

/// Whether a path names a checkpoint of PyTorch.
pub fn is_pytorch(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    path.is_file() && ending.is_some_and(|ending| ["pth", "pt", "bin"].iter().any(|e| ending == *e))
}

fn write_json(path: &Path, json: &serde_json::Value) -> Result<()> {
    let text = serde_json::to_string_pretty(json)? + "\n";
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Creates the folders; removes the files of a conversion before, if that is allowed.
fn make_room(out: &Path, force: bool) -> Result<()> {
    let below = out.join("retriever");
    fs::create_dir_all(&below).with_context(|| format!("cannot create {}", below.display()))?;
    for file in FILES.iter().chain([&WORDS]) {
        let path = out.join(file);
        if path.exists() && !force {
            bail!(
                "{} is there already; add --force to replace it, or choose another folder",
                path.display()
            );
        }
    }
    Ok(())
}

/// What `config.json` beside a file says of it, or else which of the published sizes it is.
fn config_of(from: &Path, file: &PytorchReader) -> Result<(String, EfficientNetConfig)> {
    let beside = from.with_file_name("config.json");
    if beside.exists() {
        let json = fs::read_to_string(&beside);
        let json = json.with_context(|| format!("cannot read {}", beside.display()))?;
        let config = EfficientNetConfig::from_json(&json)
            .with_context(|| format!("{} describes another model", beside.display()))?;
        return Ok(("lite".to_owned(), config));
    }
    let shape = |name: &str| file.get(name).map(|tensor| tensor.shape().to_vec());
    let classifier = shape("_fc.weight");
    let Some(&[classes, _]) = classifier.as_deref() else {
        bail!("it has no `_fc.weight`: it is no EfficientNet-Lite of efficientnet_lite_pytorch");
    };
    for (name, width, depth, side) in EfficientNetConfig::PUBLISHED {
        let config = EfficientNetConfig::published(width, depth, side, classes);
        let blocks = config.blocks();
        let fits = blocks.iter().enumerate().all(|(at, block)| {
            let project = shape(&format!("_blocks.{at}._project_conv.weight"));
            project == Some(vec![block.output, block.inner, 1, 1])
        });
        let none_left = shape(&format!("_blocks.{}._project_conv.weight", blocks.len())).is_none();
        if fits && none_left {
            return Ok((name.to_owned(), config));
        }
    }
    bail!(
        "its blocks are those of none of the published sizes, lite0 to lite4; put a config.json beside it"
    )
}

/// All parameters with the batch norms folded in, in the order of the network.
fn fold(file: &PytorchReader, config: &EfficientNetConfig) -> Result<Vec<Folded>> {
    let mut folded = Vec::new();
    let mut add = |conv: &str, norm: &str, expected: [usize; 4]| -> Result<()> {
        let Stored { shape, values } = read(file, &format!("{conv}.weight"))?;
        if shape != expected {
            bail!(
                "{conv} is {shape:?} and should be {expected:?}; config.json is of another network"
            );
        }
        let [scale, shift] = scale_and_shift(file, norm)?;
        let outputs = expected[0];
        if scale.len() != outputs {
            bail!("{conv} and {norm} do not fit each other");
        }
        let row = values.len() / outputs.max(1);
        let scaled = values
            .chunks_exact(row.max(1))
            .zip(&scale)
            .flat_map(|(row, scale)| row.iter().map(move |v| (f64::from(*v) * scale) as f32))
            .collect();
        let (shape, values) = channels_last(&shape, scaled);
        folded.push(Folded {
            name: format!("{conv}.weight"),
            shape,
            values,
        });
        folded.push(Folded {
            name: format!("{conv}.bias"),
            shape: vec![outputs],
            values: shift.iter().map(|v| *v as f32).collect(),
        });
        Ok(())
    };
    let (stem, window) = config.stem();
    let mut last = stem;
    add(
        "_conv_stem",
        "_bn0",
        [stem, 3, window.kernel, window.kernel],
    )?;
    for (at, block) in config.blocks().iter().enumerate() {
        let name = |part: &str| format!("_blocks.{at}.{part}");
        if block.inner != block.input {
            add(
                &name("_expand_conv"),
                &name("_bn0"),
                [block.inner, block.input, 1, 1],
            )?;
        }
        let side = block.window.kernel;
        add(
            &name("_depthwise_conv"),
            &name("_bn1"),
            [block.inner, 1, side, side],
        )?;
        add(
            &name("_project_conv"),
            &name("_bn2"),
            [block.output, block.inner, 1, 1],
        )?;
        last = block.output;
    }
    add("_conv_head", "_bn1", [config.width(), last, 1, 1])?;
    for name in ["_fc.weight", "_fc.bias"] {
        let Stored { shape, values } = read(file, name)?;
        folded.push(Folded {
            name: name.to_owned(),
            shape,
            values,
        });
    }
    Ok(folded)
}

/// What a batch norm multiplies with, and what it adds, in inference.
fn scale_and_shift(file: &PytorchReader, norm: &str) -> Result<[Vec<f64>; 2]> {
    let read = |part: &str| read(file, &format!("{norm}.{part}"));
    let (weight, bias) = (read("weight")?.values, read("bias")?.values);
    let (mean, var) = (read("running_mean")?.values, read("running_var")?.values);
    if [&bias, &mean, &var].iter().any(|v| v.len() != weight.len()) {
        bail!("the parts of {norm} are of different lengths");
    }
    let scale: Vec<f64> = weight
        .iter()
        .zip(&var)
        .map(|(weight, var)| f64::from(*weight) / (f64::from(*var) + EPSILON).sqrt())
        .collect();
    let shift = bias
        .iter()
        .zip(mean.iter().zip(&scale))
        .map(|(bias, (mean, scale))| f64::from(*bias) - f64::from(*mean) * scale)
        .collect();
    Ok([scale, shift])
}

/// `[out, in, 1, 1]` as a matrix, `[out, 1, k, k]` as `[k * k, out]`, `[out, in, k, k]` as `[out, k * k * in]`.
fn channels_last(shape: &[usize], values: Vec<f32>) -> (Vec<usize>, Vec<f32>) {
    let [outputs, inputs, height, width] = [shape[0], shape[1], shape[2], shape[3]];
    let taps = height * width;
    if taps == 1 {
        return (vec![outputs, inputs], values);
    }
    let at =
        |output: usize, input: usize, tap: usize| values[(output * inputs + input) * taps + tap];
    if inputs == 1 {
        let turned = (0..taps).flat_map(|tap| (0..outputs).map(move |output| (output, tap)));
        let values = turned.map(|(output, tap)| at(output, 0, tap)).collect();
        return (vec![taps, outputs], values);
    }
    let places = (0..outputs).flat_map(|output| {
        (0..taps).flat_map(move |tap| (0..inputs).map(move |input| (output, input, tap)))
    });
    let values = places
        .map(|(output, input, tap)| at(output, input, tap))
        .collect();
    (vec![outputs, taps * inputs], values)
}

fn read(file: &PytorchReader, name: &str) -> Result<Stored> {
    let tensor = file
        .get(name)
        .with_context(|| format!("it has no `{name}`"))?;
    if tensor.dtype() != DType::F32 {
        bail!("{name} is {:?}; only F32 is read here", tensor.dtype());
    }
    let bytes = tensor
        .read()
        .with_context(|| format!("cannot read {name}"))?;
    let number = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let values: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(number).collect();
    if let Some(at) = values.iter().position(|v| !v.is_finite()) {
        bail!("element {at} of {name} is not a finite number; the file is damaged");
    }
    Ok(Stored {
        shape: tensor.shape().to_vec(),
        values,
    })
}

/// The type of a parameter: kernels over neighbours and biases are few numbers and stay exact.
fn dtype_of(parameter: &Folded, wanted: Dtype) -> Dtype {
    let [.., columns] = parameter.shape[..] else {
        return Dtype::F32;
    };
    let exact = parameter.shape.len() == 1
        || parameter.name.contains("_depthwise_conv")
        || parameter.name.contains("_conv_stem");
    match exact {
        true => Dtype::F32,
        false if columns.is_multiple_of(wanted.block_len()) => wanted,
        false => Dtype::F16,
    }
}

/// Writes the parameters and gives the size of the file.
fn write_gguf(path: &Path, name: &str, folded: &[Folded], wanted: Dtype) -> Result<u64> {
    let metadata = Metadata::new()
        .with(
            "general.architecture",
            Value::String("efficientnet_lite".into()),
        )
        .with("general.name", Value::String(name.into()));
    let announced: Vec<Announced> = folded
        .iter()
        .map(|parameter| Announced {
            name: parameter.name.clone(),
            shape: parameter.shape.clone(),
            dtype: dtype_of(parameter, wanted),
        })
        .collect();
    let partial = path.with_extension("partial");
    let file =
        File::create(&partial).with_context(|| format!("cannot write {}", partial.display()))?;
    let mut writer = GgufWriter::begin(BufWriter::new(file), &metadata, &announced)?;
    for (parameter, Announced { name, dtype, .. }) in folded.iter().zip(&announced) {
        writer.tensor(name, &encode(*dtype, &parameter.values)?)?;
    }
    writer.finish()?;
    fs::rename(&partial, path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(fs::metadata(path)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_come_last() {
        let numbers = |count: usize| (0..count).map(|v| v as f32).collect::<Vec<_>>();
        let (shape, values) = channels_last(&[2, 1, 2, 2], numbers(8));
        assert_eq!(
            (shape, values),
            (vec![4, 2], vec![0., 4., 1., 5., 2., 6., 3., 7.])
        );
        let (shape, values) = channels_last(&[1, 2, 1, 3], numbers(6));
        assert_eq!((shape, values), (vec![1, 6], vec![0., 3., 1., 4., 2., 5.]));
        assert_eq!(
            channels_last(&[3, 2, 1, 1], numbers(6)),
            (vec![3, 2], numbers(6))
        );
    }
}
