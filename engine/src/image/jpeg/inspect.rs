//! Every segment of a JPEG file from its start to its end marker: what the picture is, and that all of it is there.

use super::super::limits::{broken, cut_off, unsupported};
use super::bits::{Huffman, next_marker};
use super::frame::{Frame, height_at_end};
use super::scan::{Progress, Scan};
use super::tables::Tables;
use crate::Result;

/// More than any encoder writes; each scan costs a pass over the picture, however few bytes it has.
const MAX_SCANS: usize = 100;

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

/// Reads a whole file.
///
/// # Errors
/// When a byte is missing before the end marker, or the file is corrupt or of a kind we do not decode.
pub(super) fn inspect(bytes: &[u8]) -> Result<Inspected<'_>> {
    let mut file = File {
        bytes,
        // Behind the start marker, by which the file was told.
        at: 2,
        tables: Tables::default(),
        picture: None,
        scans: 0,
        jfif: false,
        adobe: None,
        exif: None,
    };
    while file.segment()? {}
    let Some((frame, progress)) = file.picture else {
        return Err(broken("there is no picture in it"));
    };
    progress.check_complete(&frame)?;
    Ok(Inspected {
        frame,
        jfif: file.jfif,
        adobe: file.adobe,
        exif: file.exif,
    })
}

/// A file and what is known of it up to a place.
struct File<'a> {
    bytes: &'a [u8],
    at: usize,
    tables: Tables<'a>,
    picture: Option<(Frame, Progress<'a>)>,
    scans: usize,
    jfif: bool,
    adobe: Option<u8>,
    exif: Option<&'a [u8]>,
}

impl<'a> File<'a> {
    /// Reads the next segment; false behind the last one.
    fn segment(&mut self) -> Result<bool> {
        let code = self.marker()?;
        match code {
            0xD9 => return Ok(false),
            0xC4 => {
                let body = self.body()?;
                self.tables.define_huffman(body)?;
            }
            0xDB => {
                let body = self.body()?;
                self.tables.define_quantization(body)?;
            }
            0xDD => {
                let body = self.body()?;
                self.tables.define_restart(body)?;
            }
            0xCC => return Err(unsupported("a JPEG with arithmetic coding")),
            0xC0..=0xCF | 0xF7 => self.frame(code)?,
            0xDA => self.scan()?,
            0xDC => return Err(height_at_end()),
            0xE0..=0xEF | 0xFE => self.note(code)?,
            // Left over by encoders that write one after the last interval.
            0xD0..=0xD7 if self.scans > 0 => {}
            _ => {
                return Err(broken(format!(
                    "marker {code:02X} stands where none may be"
                )));
            }
        }
        Ok(true)
    }

    /// The next marker. Only padding lies before it, or a length or a table before it is damaged.
    fn marker(&mut self) -> Result<u8> {
        let (at, code) = next_marker(self.bytes, self.at).ok_or_else(cut_off)?;
        let gap = &self.bytes[self.at..at];
        if gap.iter().any(|&byte| byte != 0 && byte != 0xFF) {
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

    fn frame(&mut self, code: u8) -> Result<()> {
        let frame = Frame::parse(code, self.body()?)?;
        if self.picture.is_some() {
            return Err(unsupported("a hierarchical JPEG"));
        }
        let progress = Progress::new(&frame);
        self.picture = Some((frame, progress));
        Ok(())
    }

    fn scan(&mut self) -> Result<()> {
        let header = self.body()?;
        let Some((frame, progress)) = &mut self.picture else {
            return Err(broken("its picture data come before its header"));
        };
        self.scans += 1;
        if self.scans > MAX_SCANS {
            let kind = format!("a JPEG of more than {MAX_SCANS} scans");
            return Err(unsupported(&kind));
        }
        let scan = Scan::parse(header, frame)?;
        self.at = progress.read(frame, &scan, &self.tables, self.bytes, self.at)?;
        Ok(())
    }

    /// Segments of applications and comments: what they say of colours and of how the photo is turned.
    fn note(&mut self, code: u8) -> Result<()> {
        let body = self.body()?;
        match code {
            0xE0 => self.jfif |= body.starts_with(b"JFIF\0"),
            0xE1 => self.exif = self.exif.or(body.strip_prefix(b"Exif\0\0")),
            0xEE if body.starts_with(b"Adobe") => {
                self.adobe = body.get(11).copied().or(self.adobe);
            }
            _ => {}
        }
        Ok(())
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
