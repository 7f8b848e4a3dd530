//! Typed values of GGUF metadata, read or written by one call, so that both ways have one list of keys.

use super::variants::Activation;
use crate::weights::{Array, Metadata, Value};
use crate::{Error, Result};

/// Metadata of one file on its way in or out.
pub(super) enum Keys<'a> {
    /// Values come from here.
    Read(&'a Metadata),
    /// Values go here.
    Write(&'a mut Metadata),
}

impl Keys<'_> {
    /// A whole number that must be there.
    pub(super) fn number(&mut self, key: &str, value: &mut usize) -> Result<()> {
        let found = self.optional(key, *value)?;
        *value = found.ok_or_else(|| fail(key, "is missing; convert the model again"))?;
        Ok(())
    }

    /// A whole number with a default.
    pub(super) fn number_or(
        &mut self,
        key: &str,
        value: &mut usize,
        otherwise: usize,
    ) -> Result<()> {
        *value = self.optional(key, *value)?.unwrap_or(otherwise);
        Ok(())
    }

    /// A whole number, if it is there; none is missing where numbers are written.
    pub(super) fn optional(&mut self, key: &str, value: usize) -> Result<Option<usize>> {
        match self {
            Self::Read(metadata) => match metadata.get(key) {
                None => Ok(None),
                Some(_) => metadata
                    .u64(key)
                    .and_then(|number| usize::try_from(number).ok())
                    .map(Some)
                    .ok_or_else(|| fail(key, "must be one whole number from 0 on")),
            },
            Self::Write(metadata) => {
                let number = u32::try_from(value).map_err(|_| fail(key, "is too large"))?;
                metadata.set(key, Value::U32(number));
                Ok(Some(value))
            }
        }
    }

    /// A positive number with a default.
    pub(super) fn real_or(&mut self, key: &str, value: &mut f64, otherwise: f64) -> Result<()> {
        match self {
            Self::Read(metadata) if metadata.get(key).is_none() => *value = otherwise,
            Self::Read(metadata) => {
                let real = decimal(metadata, key).filter(|real| *real > 0.0);
                *value = real.ok_or_else(|| fail(key, "must be a positive number"))?;
            }
            Self::Write(metadata) => metadata.set(key, Value::F32(*value as f32)),
        }
        Ok(())
    }

    /// A list of whole numbers, if the key is there; written as 32-bit integers.
    pub(super) fn numbers(&mut self, key: &str, value: &[usize]) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Read(metadata) => match metadata.array(key) {
                None if metadata.get(key).is_none() => Ok(None),
                found => found
                    .and_then(whole)
                    .map(Some)
                    .ok_or_else(|| fail(key, "must be a list of whole numbers")),
            },
            Self::Write(metadata) => {
                let items: Option<Vec<i32>> =
                    value.iter().map(|&n| i32::try_from(n).ok()).collect();
                let items = items.ok_or_else(|| fail(key, "is too large"))?;
                metadata.set(key, Value::Array(Array::I32(items)));
                Ok(Some(value.to_vec()))
            }
        }
    }

    /// The places at which a list of as many flags as there are layers is true.
    pub(super) fn layers(&mut self, key: &str, value: &mut Vec<usize>, depth: usize) -> Result<()> {
        match self {
            Self::Read(metadata) => {
                let flags = match (metadata.get(key), metadata.array(key)) {
                    (None, _) => &Vec::new(),
                    (_, Some(Array::Bool(flags))) if flags.len() <= depth => flags,
                    _ => return Err(fail(key, "must be true or false for each layer")),
                };
                let set = flags.iter().enumerate().filter(|(_, flag)| **flag);
                *value = set.map(|(at, _)| at).collect();
            }
            Self::Write(metadata) => {
                let flags = (0..depth).map(|at| value.contains(&at)).collect();
                metadata.set(key, Value::Array(Array::Bool(flags)));
            }
        }
        Ok(())
    }

    /// The activation of the tower, one of two flags; exact GELU, for which there is none, by a key of ours beside the
    /// flag nearest to it.
    pub(super) fn activation(&mut self, act: &mut Activation) -> Result<()> {
        const OURS: &str = "namelens.exact_gelu";
        const FLAGS: [(&str, Activation); 2] = [
            ("clip.use_gelu", Activation::GeluPytorchTanh),
            ("clip.use_silu", Activation::Silu),
        ];
        match self {
            Self::Read(metadata) if metadata.bool(OURS) == Some(true) => *act = Activation::Gelu,
            Self::Read(metadata) => {
                let is_set = |(key, _): &&(&str, Activation)| metadata.bool(key) == Some(true);
                // Without either the files mean quick GELU.
                let set = FLAGS.iter().find(is_set);
                let (_, found) =
                    set.ok_or_else(|| fail(FLAGS[0].0, "or clip.use_silu must be true"))?;
                *act = *found;
            }
            Self::Write(metadata) => {
                let [gelu, silu] = FLAGS.map(|(key, _)| key);
                let key = if *act == Activation::Silu { silu } else { gelu };
                metadata.set(key, Value::Bool(true));
                if *act == Activation::Gelu {
                    metadata.set(OURS, Value::Bool(true));
                }
            }
        }
        Ok(())
    }
}

/// A float as the decimal it was written from: 0.003 is kept as an f32 that is not quite that.
pub(super) fn decimal(metadata: &Metadata, key: &str) -> Option<f64> {
    match *metadata.get(key)? {
        Value::F32(real) => real.to_string().parse().ok(),
        Value::F64(real) => Some(real),
        _ => None,
    }
    .filter(|real: &f64| real.is_finite())
}

fn whole(array: &Array) -> Option<Vec<usize>> {
    match array {
        Array::I32(items) if items.len() <= 4096 => items
            .iter()
            .map(|&item| usize::try_from(item).ok())
            .collect(),
        Array::U32(items) if items.len() <= 4096 => items
            .iter()
            .map(|&item| usize::try_from(item).ok())
            .collect(),
        _ => None,
    }
}

/// An error that names a key of the metadata.
pub(super) fn fail(key: &str, problem: &str) -> Error {
    Error::Config {
        file: "GGUF metadata".into(),
        key: key.into(),
        problem: problem.into(),
    }
}
