//! Every segment of a JPEG file from its start to its end marker: what the picture is, and that all of it is there.

use super::super::decode::{broken, cut_off, unsupported};
use super::bits::{Huffman, next_marker};
use super::frame::Frame;
use super::scan::{Progress, Scan};
use crate::Result;

/// More than any encoder writes; each scan costs a pass over the picture, however few bytes it has.
const MAX_SCANS: usize = 256;

/// What is known of a file in which nothing is missing.
pub(super) struct Inspected<'a> {
    pub(super) frame: Frame,
    /// Whether a JFIF header says that three components are YCbCr.
    pub(super) jfif: bool,
    /// What Adobe's marker says of the colours.
    pub(super) adobe: Option<u8>,
    /// The first EXIF block, from its TIFF header.
    pub(super) exif: Option<&'a [u8]>,
}

/// The tables that scans are read with; each holds until it is defined again.
#[derive(Default)]
pub(super) struct Tables<'a> {
    pub(super) dc: [Option<Huffman>; 4],
    pub(super) ac: [Option<Huffman>; 4],
    pub(super) quantization: [Option<&'a [u8]>; 4],
    /// MCUs between restart markers; 0 for none.
    pub(super) restart: usize,
}

/// Reads a whole file.
///
/// # Errors
/// When a byte is missing before the end marker, or the file is corrupt or of a kind we do not decode.
pub(super) fn inspect(bytes: &[u8]) -> Result<Inspected<'_>> {
    let mut segments = Segments { bytes, at: 2 };
    let mut tables = Tables::default();
    let mut progress: Option<(Frame, Progress<'_>)> = None;
    let (mut jfif, mut adobe, mut exif) = (false, None, None);
    let mut scans = 0;
    loop {
        let code = segments.marker()?;
        match code {
            0xD9 => break,
            0xC4 => tables.define_huffman(segments.body()?)?,
            0xDB => tables.define_quantization(segments.body()?)?,
            0xDD => tables.define_restart(segments.body()?)?,
            0xCC => return Err(unsupported("a JPEG with arithmetic coding")),
            0xDC => {
                return Err(unsupported(
                    "a JPEG that tells its height at the end (DNL marker)",
                ));
            }
            0xC0..=0xCF | 0xF7 => {
                let frame = Frame::parse(code, segments.body()?)?;
                if progress.is_some() {
                    return Err(unsupported("a hierarchical JPEG"));
                }
                let fresh = Progress::new(&frame);
                progress = Some((frame, fresh));
            }
            0xDA => {
                let header = segments.body()?;
                let Some((frame, progress)) = &mut progress else {
                    return Err(broken("its picture data come before its header"));
                };
                scans += 1;
                if scans > MAX_SCANS {
                    return Err(unsupported(&format!(
                        "a JPEG of more than {MAX_SCANS} scans"
                    )));
                }
                let scan = Scan::parse(header, frame)?;
                segments.at = progress.read(frame, &scan, &tables, bytes, segments.at)?;
            }
            0xE0 => jfif |= segments.body()?.starts_with(b"JFIF\0"),
            0xE1 => {
                let tiff = segments.body()?.strip_prefix(b"Exif\0\0");
                exif = exif.or(tiff);
            }
            0xEE => {
                let body = segments.body()?;
                if body.starts_with(b"Adobe") {
                    adobe = body.get(11).copied().or(adobe);
                }
            }
            0xE2..=0xEF | 0xFE => drop(segments.body()?),
            // Left over by encoders that write one after the last interval.
            0xD0..=0xD7 if scans > 0 => {}
            _ => {
                return Err(broken(format!(
                    "marker {code:02X} stands where none may be"
                )));
            }
        }
    }
    let Some((frame, progress)) = progress else {
        return Err(broken("there is no picture in it"));
    };
    progress.check_complete(&frame)?;
    Ok(Inspected {
        frame,
        jfif,
        adobe,
        exif,
    })
}

/// A place in the file that moves from marker to marker.
struct Segments<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    /// The next marker. It follows at once, or a length before it is damaged.
    fn marker(&mut self) -> Result<u8> {
        let (at, code) = next_marker(self.bytes, self.at).ok_or_else(cut_off)?;
        let gap = &self.bytes[self.at..at];
        if gap.iter().any(|&byte| byte != 0xFF) {
            return Err(broken("bytes between its segments belong to none"));
        }
        self.at = at + 2;
        Ok(code)
    }

    /// The body of the segment whose marker was just read.
    fn body(&mut self) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let &[high, low, ..] = rest else {
            return Err(cut_off());
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length < 2 {
            return Err(broken("a segment has an impossible length"));
        }
        let body = rest.get(2..length).ok_or_else(cut_off)?;
        self.at += length;
        Ok(body)
    }
}

impl<'a> Tables<'a> {
    fn define_huffman(&mut self, mut body: &[u8]) -> Result<()> {
        let problem = || broken("a Huffman table is damaged");
        while let Some((&target, rest)) = body.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(problem)?;
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).ok_or_else(problem)?;
            let class = match target >> 4 {
                // Lengths of differences; none has more bits.
                0 if symbols.iter().all(|&length| length <= 15) => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(problem()),
            };
            let slot = class
                .get_mut(usize::from(target & 15))
                .ok_or_else(problem)?;
            *slot = Some(Huffman::new(counts, symbols).ok_or_else(problem)?);
            body = rest;
        }
        Ok(())
    }

    fn define_quantization(&mut self, mut body: &'a [u8]) -> Result<()> {
        let problem = || broken("a quantisation table is damaged");
        while let Some((&target, rest)) = body.split_first() {
            let bytes = match target >> 4 {
                0 => 64,
                1 => 128,
                _ => return Err(problem()),
            };
            let (values, rest) = rest.split_at_checked(bytes).ok_or_else(problem)?;
            let slot = self.quantization.get_mut(usize::from(target & 15));
            *slot.ok_or_else(problem)? = Some(values);
            body = rest;
        }
        Ok(())
    }

    fn define_restart(&mut self, body: &[u8]) -> Result<()> {
        let &[high, low] = body else {
            return Err(broken("its restart interval is damaged"));
        };
        self.restart = usize::from(u16::from_be_bytes([high, low]));
        Ok(())
    }
}
