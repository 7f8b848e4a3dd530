//! The visual tokens of a photo as bytes that a host can keep, and back.

use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::generate::read_back::read;
use crate::model::connector::Visual;

/// Of the first bytes; another number for another layout.
const MAGIC: &[u8; 8] = b"nlvisu01";
/// Bytes of the magic, three sizes and the checksum.
const HEADER: usize = 8 + 3 * 4;
const CHECKSUM: usize = 32;

/// Magic; tensors, tokens and width as u32; the tensors' numbers as f32, all little-endian; SHA-256 of all that.
///
/// # Errors
/// When the device fails to give the numbers back.
pub(super) async fn pack(visual: &Visual) -> Result<Vec<u8>> {
    let [tokens, width] = visual.tokens.dims();
    let mut bytes = MAGIC.to_vec();
    for size in [1 + visual.deep.len(), tokens, width] {
        bytes.extend((size as u32).to_le_bytes());
    }
    for tensor in std::iter::once(&visual.tokens).chain(&visual.deep) {
        let values = read(tensor.clone()).await?;
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    bytes.extend(Sha256::digest(&bytes));
    Ok(bytes)
}

/// What [`pack`] made these bytes of, if it is `tokens` tokens; `None` where they are anything else, damaged ones included.
pub(super) fn unpack(bytes: &[u8], tokens: usize, device: &Device) -> Option<Visual> {
    let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
    if Sha256::digest(content).as_slice() != checksum || !content.starts_with(MAGIC) {
        return None;
    }
    let (header, numbers) = content.split_at_checked(HEADER)?;
    let mut sizes = header[MAGIC.len()..].as_chunks::<4>().0.iter();
    let mut size = || {
        sizes
            .next()
            .map(|bytes| u32::from_le_bytes(*bytes) as usize)
    };
    let (count, found, width) = (size()?, size()?, size()?);
    let each = found.checked_mul(width)?;
    let fits = count.checked_mul(each)?.checked_mul(4)? == numbers.len();
    if found != tokens || count == 0 || each == 0 || !fits {
        return None;
    }
    let values: Vec<f32> = numbers
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let mut tensors = values.chunks(each).map(|values| {
        let data = TensorData::new(values.to_vec(), [tokens, width]);
        Tensor::<2>::from_data(data, device)
    });
    Some(Visual {
        tokens: tensors.next()?,
        deep: tensors.collect(),
    })
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn visual(device: &Device) -> Visual {
        let tensor = |scale: f32| {
            let values: Vec<f32> = (0..6).map(|at| scale * at as f32).collect();
            Tensor::<1>::from_floats(values.as_slice(), device).reshape([3, 2])
        };
        Visual {
            tokens: tensor(0.1),
            deep: vec![tensor(-1e-30), tensor(7e20)],
        }
    }

    fn numbers(visual: &Visual) -> Vec<Vec<f32>> {
        std::iter::once(&visual.tokens)
            .chain(&visual.deep)
            .map(|tensor| tensor.to_data().try_to_vec().unwrap())
            .collect()
    }

    #[test]
    fn tokens_come_back_as_they_were_and_nothing_else_does() {
        let device = Device::flex();
        let before = visual(&device);
        let bytes = pollster::block_on(pack(&before)).unwrap();
        let after = unpack(&bytes, 3, &device).unwrap();
        assert_eq!(numbers(&before), numbers(&after));
        assert!(unpack(&bytes, 2, &device).is_none());
        for cut in 0..bytes.len() {
            assert!(unpack(&bytes[..cut], 3, &device).is_none(), "{cut}");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(unpack(&damaged, 3, &device).is_none(), "{at}");
        }
    }
}
