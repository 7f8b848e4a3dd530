//! What was seen of a photo as bytes that say which encoder saw it: for a file of thousands of photos that a changed library
//! is compared with anew, without looking at a photo again.
//!
//! `NLS`, version, length and text of the retriever's digest, then what kind of scan it is: looks of an encoder of maps, each
//! behind its length, the windows and embeddings of a dual encoder, as 32-bit floats, or the scans of several encoders, each behind
//! its length. Little-endian.

use burn::tensor::{Device, Tensor, TensorData};

use super::look::Look;
use super::look_store::{self, Reader};
use super::scan::Scan;

/// How the bytes begin; the last one is the version.
const MAGIC: [u8; 4] = *b"NLS\x01";
const LOOKS: u8 = 0;
const WINDOWS: u8 = 1;
const SEVERAL: u8 = 2;

/// A scan as bytes; `None` for one that was not made to be kept.
pub(super) fn pack(scan: &Scan, digest: &str) -> Option<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    let length = u16::try_from(digest.len()).ok()?;
    out.extend(length.to_le_bytes());
    out.extend(digest.as_bytes());
    match scan.others.is_empty() {
        true => pack_one(scan, &mut out)?,
        false => {
            out.push(SEVERAL);
            for one in std::iter::once(scan).chain(&scan.others) {
                let mut own = Vec::new();
                pack_one(one, &mut own)?;
                out.extend(u32::try_from(own.len()).ok()?.to_le_bytes());
                out.extend(own);
            }
        }
    }
    Some(out)
}

/// Appends what one encoder saw; `None` where it was not made to be kept.
fn pack_one(scan: &Scan, out: &mut Vec<u8>) -> Option<()> {
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
        return Some(());
    }
    out.push(LOOKS);
    for look in &scan.looks {
        if look.packed.is_empty() {
            return None;
        }
        out.extend(u32::try_from(look.packed.len()).ok()?.to_le_bytes());
        out.extend(&look.packed);
    }
    Some(())
}

/// The scan in these bytes; `encoders` are the number of features in a cell of each, or `None` for a dual encoder, and their devices.
pub(super) fn unpack(
    bytes: &[u8],
    digest: &str,
    encoders: &[(Option<usize>, &Device)],
) -> Option<Scan> {
    let mut reader = Reader(bytes);
    if reader.take(MAGIC.len())? != MAGIC {
        return None;
    }
    let length = reader.u16()?;
    if reader.take(length)? != digest.as_bytes() {
        return None;
    }
    if let [(width, device)] = encoders {
        return unpack_one(reader, *width, device);
    }
    if reader.take(1)? != [SEVERAL] {
        return None;
    }
    let mut scans = Vec::with_capacity(encoders.len());
    for (width, device) in encoders {
        let length = reader.u32()?;
        scans.push(unpack_one(Reader(reader.take(length)?), *width, device)?);
    }
    if !reader.0.is_empty() {
        return None;
    }
    let mut scans = scans.into_iter();
    let mut first = scans.next()?;
    first.others = scans.collect();
    Some(first)
}

fn unpack_one(mut reader: Reader<'_>, width: Option<usize>, device: &Device) -> Option<Scan> {
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
        others: Vec::new(),
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
            others: Vec::new(),
        }
    }

    #[test]
    fn windows_come_back_bit_for_bit() {
        let device = Device::flex();
        let scan = scan();
        let bytes = pack(&scan, "dual").unwrap();
        let back = unpack(&bytes, "dual", &[(None, &device)]).unwrap();
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
        assert!(unpack(&bytes, "other", &[(None, &device)]).is_none());
        assert!(unpack(&bytes, "dual", &[(Some(4), &device)]).is_none());
        for length in 0..bytes.len() {
            assert!(unpack(&bytes[..length], "dual", &[(None, &device)]).is_none());
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] = 0xff;
            // Another scan, or none; never a panic.
            let _ = unpack(&damaged, "dual", &[(None, &device)]);
        }
    }

    #[test]
    fn what_several_encoders_saw_comes_back_in_their_order() {
        let device = Device::flex();
        let mut both = scan();
        both.others.push(Scan {
            whole: vec![1.0, 0.0],
            ..scan()
        });
        let bytes = pack(&both, "a+b").unwrap();
        let encoders = [(None, &device), (None, &device)];
        let back = unpack(&bytes, "a+b", &encoders).unwrap();
        assert_eq!(back.whole, both.whole);
        assert_eq!(back.others.len(), 1);
        assert_eq!(back.others[0].whole, [1.0, 0.0]);
        // One encoder, or three, is another retriever.
        assert!(unpack(&bytes, "a+b", &encoders[..1]).is_none());
        let three = [encoders[0], encoders[1], encoders[0]];
        assert!(unpack(&bytes, "a+b", &three).is_none());
        for length in 0..bytes.len() {
            assert!(unpack(&bytes[..length], "a+b", &encoders).is_none());
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] = 0xff;
            // Another scan, or none; never a panic.
            let _ = unpack(&damaged, "a+b", &encoders);
        }
    }
}
