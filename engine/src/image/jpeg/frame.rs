//! The frame of a JPEG file: its size, its components and how many blocks each has.

use super::super::limits::{MAX_ALLOC, broken, check_size, refused, unsupported};
use crate::{Error, Result};

/// A colour plane, as the frame header tells it.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    /// Sampling factors: blocks of this component an MCU, across and down.
    pub(super) h: usize,
    pub(super) v: usize,
    /// Which quantisation table is used.
    pub(super) quantization: usize,
}

/// A frame header of the kinds we decode: 8 bits, Huffman codes, sequential or progressive.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) components: Vec<Component>,
}

impl Frame {
    /// Reads the body of a start-of-frame segment, `code` its marker.
    pub(super) fn parse(code: u8, body: &[u8]) -> Result<Self> {
        supported(code)?;
        let &[precision, h1, h0, w1, w0, count, ref rest @ ..] = body else {
            return Err(broken("its frame header is too short"));
        };
        if precision != 8 {
            return Err(unsupported(&format!("a JPEG of {precision} bits a colour")));
        }
        let width = usize::from(u16::from_be_bytes([w1, w0]));
        let height = usize::from(u16::from_be_bytes([h1, h0]));
        if height == 0 {
            return Err(height_at_end());
        }
        check_size(width as u32, height as u32)?;
        if !matches!(count, 1 | 3 | 4) {
            return Err(unsupported(&format!("a JPEG of {count} colour components")));
        }
        if rest.len() != 3 * usize::from(count) {
            return Err(broken("its frame header does not fit its components"));
        }
        let components: Vec<Component> = rest
            .chunks_exact(3)
            .map(|c| Component {
                id: c[0],
                h: usize::from(c[1] >> 4),
                v: usize::from(c[1] & 15),
                quantization: usize::from(c[2]),
            })
            .collect();
        let frame = Self {
            progressive: code == 0xC2,
            width,
            height,
            components,
        };
        frame.check_sampling()?;
        if frame.decoding_bytes() > MAX_ALLOC {
            return Err(refused(format!(
                "decoding its {width} x {height} pixels needs too much memory; scale the photo down"
            )));
        }
        Ok(frame)
    }

    fn check_sampling(&self) -> Result<()> {
        for (at, component) in self.components.iter().enumerate() {
            let (h, v) = (component.h, component.v);
            if !(1..=4).contains(&h) || !(1..=4).contains(&v) || component.quantization > 3 {
                return Err(broken("its frame header has impossible values"));
            }
            if self.components[..at].iter().any(|c| c.id == component.id) {
                return Err(broken("two of its colour components have one name"));
            }
            let (h_max, v_max) = self.largest();
            if h_max % h != 0 || v_max % v != 0 {
                return Err(unsupported(&format!(
                    "a JPEG with a colour plane sampled {h} x {v} beside {h_max} x {v_max}"
                )));
            }
        }
        Ok(())
    }

    fn largest(&self) -> (usize, usize) {
        let h = self.components.iter().map(|c| c.h).max();
        let v = self.components.iter().map(|c| c.v).max();
        (h.unwrap_or(1), v.unwrap_or(1))
    }

    /// MCUs of an interleaved scan, across and down.
    pub(super) fn mcus(&self) -> (usize, usize) {
        let (h, v) = self.largest();
        (self.width.div_ceil(8 * h), self.height.div_ceil(8 * v))
    }

    /// Blocks of a component in a scan of its own, across and down: those that hold a pixel of the picture (T.81, A.2.2).
    pub(super) fn blocks(&self, component: usize) -> (usize, usize) {
        let (h_max, v_max) = self.largest();
        let Component { h, v, .. } = self.components[component];
        let across = (self.width * h).div_ceil(h_max).div_ceil(8);
        (across, (self.height * v).div_ceil(v_max).div_ceil(8))
    }

    /// Whether the decoder counts the blocks of a component's own scan as the standard does. It takes the blocks of whole
    /// MCUs that start inside the picture, which are more where a plane has several blocks an MCU and is not the largest.
    pub(super) fn decoder_counts_right(&self, component: usize) -> bool {
        let (mcus_across, mcus_down) = self.mcus();
        let Component { h, v, .. } = self.components[component];
        let across = (mcus_across * h).min(self.width.div_ceil(8));
        let down = (mcus_down * v).min(self.height.div_ceil(8));
        self.blocks(component) == (across, down)
    }

    /// What the decoder will ask for beside the picture: a plane a component, and coefficients when progressive.
    fn decoding_bytes(&self) -> u64 {
        let (across, down) = self.mcus();
        let blocks: usize = self.components.iter().map(|c| c.h * c.v).sum();
        let bytes = if self.progressive { 3 } else { 1 };
        (across * down) as u64 * (blocks * 64 * bytes) as u64
    }
}

pub(super) fn height_at_end() -> Error {
    unsupported("a JPEG that tells its height at the end (DNL marker)")
}

/// Tells the kinds of frames apart: 0xC0 to 0xC2 are ours.
fn supported(code: u8) -> Result<()> {
    Err(unsupported(match code {
        0xC0..=0xC2 => return Ok(()),
        0xC3 => "a lossless JPEG",
        0xC5..=0xC7 | 0xCD..=0xCF => "a hierarchical JPEG",
        0xC9..=0xCB => "a JPEG with arithmetic coding",
        _ => "JPEG-LS or another relative of JPEG",
    }))
}
