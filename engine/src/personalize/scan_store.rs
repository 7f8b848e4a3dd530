//! What was seen of a photo as bytes that say which encoder saw it: for a file of thousands of photos that a changed library
//! is compared with anew, without looking at a photo again.
//!
//! `NLS`, version, length and text of the encoder's digest, then what kind of scan it is: looks of a convolutional encoder,
//! each behind its length, or the windows and embeddings of a dual encoder, as 32-bit floats. Little-endian.

use burn::tensor::{Device, Tensor, TensorData};

use super::look::Look;
use super::look_store::{self, Reader};
use super::scan::Scan;

/// How the bytes begin; the last one is the version.
const MAGIC: [u8; 4] = *b"NLS\x01";
const LOOKS: u8 = 0;
const WINDOWS: u8 = 1;

/// A scan as bytes; `None` for one that was not made to be kept.
pub(super) fn pack(scan: &Scan, digest: &str) -> Option<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    let length = u16::try_from(digest.len()).ok()?;
    out.extend(length.to_le_bytes());
    out.extend(digest.as_bytes());
    if scan.looks.is_empty() {
        out.push(WINDOWS);
        let sizes = [scan.windows.len(), scan.whole.len()];
        for size in sizes {
            out.extend(u32::try_from(size).ok()?.to_le_bytes());
        }
        let boxes = scan.windows.as_flattened().iter();
        for number in boxes.chain(&scan.embeddings).chain(&scan.whole) {
            out.extend(number.to_le_bytes());
        }
        return Some(out);
    }
    out.push(LOOKS);
    for look in &scan.looks {
        if look.packed.is_empty() {
            return None;
        }
        out.extend(u32::try_from(look.packed.len()).ok()?.to_le_bytes());
        out.extend(&look.packed);
    }
    Some(out)
}

/// The scan in these bytes; `width` is the number of features in a cell, or `None` for a dual encoder.
pub(super) fn unpack(
    bytes: &[u8],
    digest: &str,
    width: Option<usize>,
    device: &Device,
) -> Option<Scan> {
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let length = reader.u16()?;
    if reader.take(length)? != digest.as_bytes() {
        return None;
    }
    match (reader.take(1)?, width) {
        ([LOOKS], Some(width)) => looks(reader, width, device),
        ([WINDOWS], None) => windows(reader, device),
        _ => None,
    }
}

fn looks(mut reader: Reader<'_>, width: usize, device: &Device) -> Option<Scan> {
    let mut looks: Vec<Look> = Vec::new();
    while !reader.0.is_empty() && looks.len() < 2 {
        let length = reader.u32()?;
        looks.push(look_store::unpack(reader.take(length)?, width, device)?);
    }
    if !reader.0.is_empty() || looks.is_empty() {
        return None;
    }
    let mut looks = looks.into_iter();
    let mut scan = Scan::of_look(looks.next()?);
    scan.looks.extend(looks);
    Some(scan)
}

fn windows(mut reader: Reader<'_>, device: &Device) -> Option<Scan> {
    let (count, width) = (reader.u32()?, reader.u32()?);
    let numbers = count
        .checked_mul(width.checked_add(4)?)?
        .checked_add(width)?;
    if width == 0 || reader.0.len() != numbers.checked_mul(4)? {
        return None;
    }
    let mut numbers =
        |count: usize| -> Option<Vec<f32>> { (0..count).map(|_| reader.f32()).collect() };
    let windows = numbers(4 * count)?.as_chunks().0.to_vec();
    let embeddings = numbers(count * width)?;
    let whole = numbers(width)?;
    let data = TensorData::new([&embeddings[..], &whole].concat(), [count + 1, width]);
    Some(Scan {
        windows,
        embeddings,
        whole,
        queries: Tensor::from_data(data, device),
        looks: Vec::new(),
    })
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn scan() -> Scan {
        let device = Device::flex();
        let (embeddings, whole) = (vec![0.6, 0.8, 1.0, 0.0], vec![0.0, 1.0]);
        let data = TensorData::new([&embeddings[..], &whole].concat(), [3, 2]);
        Scan {
            windows: vec![[0.0, 0.1, 0.5, 1.0], [0.2, 0.2, 0.4, 0.4]],
            embeddings,
            whole,
            queries: Tensor::from_data(data, &device),
            looks: Vec::new(),
        }
    }

    #[test]
    fn windows_come_back_bit_for_bit() {
        let device = Device::flex();
        let scan = scan();
        let bytes = pack(&scan, "dual").unwrap();
        let back = unpack(&bytes, "dual", None, &device).unwrap();
        assert_eq!(back.windows, scan.windows);
        assert_eq!(
            (&back.embeddings, &back.whole),
            (&scan.embeddings, &scan.whole)
        );
        assert_eq!(back.queries.to_data(), scan.queries.to_data());
    }

    #[test]
    fn what_another_encoder_saw_is_not_taken() {
        let device = Device::flex();
        let bytes = pack(&scan(), "dual").unwrap();
        assert!(unpack(&bytes, "other", None, &device).is_none());
        assert!(unpack(&bytes, "dual", Some(4), &device).is_none());
        for length in 0..bytes.len() {
            assert!(unpack(&bytes[..length], "dual", None, &device).is_none());
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] = 0xff;
            // Another scan, or none; never a panic.
            let _ = unpack(&damaged, "dual", None, &device);
        }
    }
}
