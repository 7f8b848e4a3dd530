//! A look at a photo as bytes, small enough to keep for thousands of photos, and back.
//!
//! Of features that are never negative a level in 255 of the map's strongest one is kept, and where there is none, one bit: most
//! are absent from most cells. Of all others, and of the fine map, one level in 127 of the strongest feature of its cell is kept.

use burn::tensor::Device;

use super::feature_map::{Map, Normalisation};
use super::look::{Distance, Look};

/// Of the first byte: the distance, and whether features have signs.
const FAR: u8 = Distance::Far as u8;
const NEAR: u8 = Distance::Near as u8;
const SIGNED: u8 = 0x80;
/// Most cells along a side, and most features of a cell, that are believed.
const MOST_CELLS: usize = 1 << 10;
const MOST_CHANNELS: usize = 1 << 14;

/// The look that [`unpack`] makes of the bytes in it.
pub(super) fn kept(coarse: &Map, fine: &Map, distance: Distance, device: &Device) -> Look {
    let signed = coarse.normalisation != Normalisation::Root;
    let mut packed = vec![distance as u8 | if signed { SIGNED } else { 0 }];
    let coarse = match signed {
        true => pack_signed(coarse, &mut packed),
        false => pack_rectified(coarse, &mut packed),
    };
    let fine = pack_signed(fine, &mut packed);
    let mut look = Look::of(&coarse, fine, distance, device);
    look.packed = packed;
    look
}

/// The look in these bytes, by an encoder with so many features in a cell; `None` where they are not one.
pub(super) fn unpack(bytes: &[u8], width: usize, device: &Device) -> Option<Look> {
    let mut reader = Reader(bytes);
    let [first] = *reader.take(1)? else {
        return None;
    };
    let signed = first & SIGNED != 0;
    let distance = match first & !SIGNED {
        NEAR => Distance::Near,
        FAR => Distance::Far,
        _ => return None,
    };
    let coarse = match signed {
        true => unpack_signed(&mut reader, Normalisation::Length)?,
        false => unpack_rectified(&mut reader)?,
    };
    // Its cells are unit vectors already.
    let fine = unpack_signed(&mut reader, Normalisation::Length)?;
    if coarse.channels != width || !reader.0.is_empty() {
        return None;
    }
    let mut look = Look::of(&coarse, fine, distance, device);
    look.packed = bytes.to_vec();
    Some(look)
}

/// Writes a map without negative features, and returns what will be read.
fn pack_rectified(map: &Map, out: &mut Vec<u8>) -> Map {
    pack_size(map, out);
    let step = map.values.iter().copied().fold(0.0, f32::max) / 255.0;
    out.extend(step.to_le_bytes());
    let scale = if step > 0.0 { 1.0 / step } else { 0.0 };
    let levels: Vec<u8> = map
        .values
        .iter()
        .map(|value| (value * scale).round() as u8)
        .collect();
    for cell in levels.chunks(map.channels.max(1)) {
        for eight in cell.chunks(8) {
            let bits = eight
                .iter()
                .enumerate()
                .map(|(at, v)| u8::from(*v > 0) << at);
            out.push(bits.sum());
        }
        out.extend(cell.iter().filter(|level| **level > 0));
    }
    Map {
        values: levels
            .iter()
            .map(|level| f32::from(*level) * step)
            .collect(),
        ..*map
    }
}

fn unpack_rectified(reader: &mut Reader<'_>) -> Option<Map> {
    let (rows, columns, channels) = unpack_size(reader)?;
    let step = reader.f32()?;
    // Every cell has its bits at least: a size that the bytes cannot hold allocates nothing.
    if reader.0.len() < rows * columns * channels.div_ceil(8) {
        return None;
    }
    let mut values = vec![0.0; rows * columns * channels];
    for cell in values.chunks_exact_mut(channels) {
        let bits = reader.take(channels.div_ceil(8))?;
        let is_there = |at: &usize| bits[at / 8] >> (at % 8) & 1 == 1;
        let there: Vec<usize> = (0..channels).filter(is_there).collect();
        for (at, level) in there.iter().zip(reader.take(there.len())?) {
            cell[*at] = f32::from(*level) * step;
        }
    }
    Some(Map {
        rows,
        columns,
        channels,
        normalisation: Normalisation::Root,
        values,
    })
}

/// Writes a map of any features, and returns what will be read.
fn pack_signed(map: &Map, out: &mut Vec<u8>) -> Map {
    pack_size(map, out);
    let mut values = Vec::with_capacity(map.values.len());
    for cell in map.values.chunks(map.channels.max(1)) {
        let step = cell.iter().fold(0.0f32, |most, v| most.max(v.abs())) / 127.0;
        let scale = if step > 0.0 { 1.0 / step } else { 0.0 };
        out.extend(step.to_le_bytes());
        for value in cell {
            let level = (value * scale).round() as i8;
            out.extend(level.to_le_bytes());
            values.push(f32::from(level) * step);
        }
    }
    Map { values, ..*map }
}

fn unpack_signed(reader: &mut Reader<'_>, normalisation: Normalisation) -> Option<Map> {
    let (rows, columns, channels) = unpack_size(reader)?;
    if reader.0.len() < rows * columns * (channels + 4) {
        return None;
    }
    let mut values = Vec::with_capacity(rows * columns * channels);
    for _ in 0..rows * columns {
        let step = reader.f32()?;
        let levels = reader.take(channels)?;
        values.extend(levels.iter().map(|v| f32::from(v.cast_signed()) * step));
    }
    Some(Map {
        rows,
        columns,
        channels,
        normalisation,
        values,
    })
}

fn pack_size(map: &Map, out: &mut Vec<u8>) {
    for side in [map.rows, map.columns, map.channels] {
        out.extend((side as u16).to_le_bytes());
    }
}

/// Rows, columns and channels, none of them zero or beyond belief.
fn unpack_size(reader: &mut Reader<'_>) -> Option<(usize, usize, usize)> {
    let (rows, columns, channels) = (reader.u16()?, reader.u16()?, reader.u16()?);
    let cells = 1..=MOST_CELLS;
    let believed = cells.contains(&rows)
        && cells.contains(&columns)
        && (1..=MOST_CHANNELS).contains(&channels);
    believed.then_some((rows, columns, channels))
}

/// Bytes that are read from their start, never beyond their end.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u16(&mut self) -> Option<usize> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(bytes)))
    }

    pub(super) fn u32(&mut self) -> Option<usize> {
        let bytes = self.take(4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }

    /// A number that is finite.
    pub(super) fn f32(&mut self) -> Option<f32> {
        let number = f32::from_le_bytes(self.take(4)?.try_into().ok()?);
        number.is_finite().then_some(number)
    }
}

#[cfg(all(test, feature = "cpu"))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn map(rows: usize, columns: usize, channels: usize, signed: bool) -> Map {
        let value = |at: usize| {
            let value = (at * 7919 % 601) as f32 / 100.0;
            match (signed, at % 3) {
                (true, _) => (value - 3.0) / 30.0,
                (false, 0) => value,
                (false, _) => 0.0,
            }
        };
        Map {
            rows,
            columns,
            channels,
            normalisation: match signed {
                true => Normalisation::Length,
                false => Normalisation::Root,
            },
            values: (0..rows * columns * channels).map(value).collect(),
        }
    }

    fn numbers(look: &Look) -> Vec<f32> {
        let sums = look.sums.to_data().try_to_vec::<f32>().unwrap();
        [sums, look.coarse.values.clone(), look.fine.values.clone()].concat()
    }

    #[test]
    fn what_is_kept_is_read_bit_for_bit() {
        let device = Device::flex();
        let all = [Distance::Far, Distance::Near].map(|at| [(at, false), (at, true)]);
        for (distance, signed) in all.into_iter().flatten() {
            let (coarse, fine) = (map(5, 7, 19, signed), map(10, 14, 6, true));
            let look = kept(&coarse, &fine, distance, &device);
            let back = unpack(&look.packed, 19, &device).unwrap();
            assert_eq!(numbers(&look), numbers(&back));
            assert_eq!(look.coarse.normalisation, coarse.normalisation);
            assert_eq!(back.coarse.normalisation, coarse.normalisation);
            assert_eq!((&look.windows, &look.packed), (&back.windows, &back.packed));
            // Each feature within half a level of what it was.
            let plain = Look::of(&coarse, fine.clone(), distance, &device);
            let apart = look.coarse.values.iter().zip(&plain.coarse.values);
            let apart = apart.map(|(a, b)| (a - b).abs());
            let worst = apart.max_by(f32::total_cmp).unwrap();
            assert!(worst < 0.02, "{worst}");
            for (a, b) in look.fine.values.iter().zip(&fine.values) {
                assert!((a - b).abs() <= 0.1 / 254.0 + 1e-6, "{a} {b}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_look_are_refused() {
        let device = Device::flex();
        for signed in [false, true] {
            let (coarse, fine) = (map(2, 3, 9, signed), map(4, 6, 2, true));
            let bytes = kept(&coarse, &fine, Distance::Far, &device).packed;
            for length in 0..bytes.len() {
                assert!(unpack(&bytes[..length], 9, &device).is_none(), "{length}");
            }
            assert!(unpack(&[&bytes[..], &[0]].concat(), 9, &device).is_none());
            assert!(unpack(&bytes, 10, &device).is_none());
            for at in 0..bytes.len() {
                for byte in [0, 0x7f, 0x80, 0xff] {
                    let mut damaged = bytes.clone();
                    damaged[at] = byte;
                    // Another look, or none; never a panic.
                    let _ = unpack(&damaged, 9, &device);
                }
            }
            let mut huge = bytes;
            huge[1..7].copy_from_slice(&[0, 4, 0, 4, 0, 0x40]);
            assert!(unpack(&huge, 1 << 14, &device).is_none());
        }
    }

    #[test]
    fn a_photo_of_nothing_is_kept_too() {
        let device = Device::flex();
        let nothing = |rows, columns, channels| Map {
            rows,
            columns,
            channels,
            normalisation: Normalisation::Root,
            values: vec![0.0; rows * columns * channels],
        };
        let look = kept(
            &nothing(1, 64, 8),
            &nothing(2, 128, 4),
            Distance::Far,
            &device,
        );
        let back = unpack(&look.packed, 8, &device).unwrap();
        assert!(back.coarse.values.iter().all(|v| *v == 0.0));
        // One bit a feature, and the sizes.
        assert!(
            look.packed.len() < 64 + 256 * 8 + 32,
            "{}",
            look.packed.len()
        );
    }
}
