//! One scan of a JPEG file, read code by code without making a picture, to know that every block of it is there.

use super::super::limits::{broken, cut_off, unsupported};
use super::bits::{Bits, Fault};
use super::blocks::Coder;
use super::frame::Frame;
use super::tables::Tables;
use crate::Result;

/// A coefficient of which no scan has told anything.
const UNSEEN: u8 = u8::MAX;

/// A component's part in a scan.
struct Part {
    component: usize,
    dc: usize,
    ac: usize,
}

/// A scan header: which components, which coefficients, which bits of them.
pub(super) struct Scan {
    parts: Vec<Part>,
    first: usize,
    last: usize,
    high: u8,
    low: u8,
}

impl Scan {
    /// Reads the body of a start-of-scan segment.
    pub(super) fn parse(body: &[u8], frame: &Frame) -> Result<Self> {
        let problem = || broken("the header of a scan is damaged");
        let (&count, rest) = body.split_first().ok_or_else(problem)?;
        let (parts, rest) = rest
            .split_at_checked(2 * usize::from(count))
            .ok_or_else(problem)?;
        let &[first, last, approximation] = rest else {
            return Err(problem());
        };
        let parts = parts.chunks_exact(2).map(|part| {
            let component = frame.components.iter().position(|c| c.id == part[0]);
            let (dc, ac) = (usize::from(part[1] >> 4), usize::from(part[1] & 15));
            let component = component.filter(|_| dc < 4 && ac < 4)?;
            Some(Part { component, dc, ac })
        });
        let parts: Vec<Part> = parts.collect::<Option<_>>().ok_or_else(problem)?;
        if parts.is_empty() || !parts.is_sorted_by(|a, b| a.component < b.component) {
            return Err(problem());
        }
        let (first, last) = (usize::from(first), usize::from(last));
        let (high, low) = (approximation >> 4, approximation & 15);
        // Some encoders leave the band of a sequential scan zero; it is always the whole.
        let (first, last) = match (frame.progressive, first, last, high, low) {
            (false, 0, 0 | 63, 0, 0) => (0, 63),
            (true, 0, 0, ..) => (0, 0),
            (true, 1..=63, ..=63, ..) if first <= last && parts.len() == 1 => (first, last),
            _ => return Err(problem()),
        };
        if low > 7 || (high != 0 && high != low + 1) {
            return Err(problem());
        }
        Ok(Self {
            parts,
            first,
            last,
            high,
            low,
        })
    }

    /// How each component's blocks of an MCU are read, and how many there are.
    fn coders<'t>(&self, frame: &Frame, tables: &'t Tables<'_>) -> Result<Vec<(usize, Coder<'t>)>> {
        let coder = |part: &Part| {
            let band = self.first..=self.last;
            let (dc, ac) = (tables.dc[part.dc].as_ref(), tables.ac[part.ac].as_ref());
            let coder = Coder::new(frame.progressive, band, self.high > 0, dc, ac);
            let coder = coder
                .ok_or_else(|| unsupported("a JPEG without Huffman tables (a frame of a video)"))?;
            let component = &frame.components[part.component];
            let blocks = match self.parts.len() {
                1 => 1,
                _ => component.h * component.v,
            };
            Ok((blocks, coder))
        };
        self.parts.iter().map(coder).collect()
    }
}

/// What the scans so far have told.
pub(super) struct Progress<'a> {
    /// By component and coefficient: the lowest bit that is known, [`UNSEEN`] when none is.
    known: Vec<[u8; 64]>,
    /// By component and block: which coefficients are not zero; refining scans have a bit for each.
    nonzero: Vec<Vec<u64>>,
    /// By component: the quantisation table of its first scan.
    quantization: Vec<Option<&'a [u8]>>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(frame: &Frame) -> Self {
        let count = frame.components.len();
        Self {
            known: vec![[UNSEEN; 64]; count],
            nonzero: vec![Vec::new(); count],
            quantization: vec![None; count],
        }
    }

    /// Reads the scan whose data start at `at`; where the marker behind it starts.
    pub(super) fn read(
        &mut self,
        frame: &Frame,
        scan: &Scan,
        tables: &Tables<'a>,
        bytes: &[u8],
        at: usize,
    ) -> Result<usize> {
        self.begin(frame, scan, tables)?;
        let (across, down) = match scan.parts.as_slice() {
            [part] => frame.blocks(part.component),
            _ => frame.mcus(),
        };
        let coders = scan.coders(frame, tables)?;
        let mut nothing = Vec::new();
        let nonzero = match scan.first {
            0 => &mut nothing,
            _ => &mut self.nonzero[scan.parts[0].component],
        };
        let mut place = Place {
            bytes,
            bits: Bits::new(bytes, at),
            empty: 0,
            restarts: 0,
        };
        for mcu in 0..across * down {
            let mut none = 0;
            let seen = nonzero.get_mut(mcu).unwrap_or(&mut none);
            place
                .read_mcu(mcu, tables.restart, &coders, seen)
                .map_err(|fault| {
                    let percent = 100 * mcu / (across * down);
                    broken(match fault {
                        Fault::Short => format!("a scan ends {percent} % down the picture"),
                        Fault::Corrupt => {
                            format!("a scan makes no sense {percent} % down the picture")
                        }
                    })
                })?;
        }
        match place.bits.end() {
            // Many cameras leave some before the end of the file, and what is needed has been read.
            Some((at, 0xD9, _)) | Some((at, _, false)) => Ok(at),
            Some((_, _, true)) => Err(broken("a scan has bytes that belong to no block")),
            None => Err(cut_off()),
        }
    }

    /// Takes down what a scan is going to tell, and refuses what does not follow from the scans before it.
    fn begin(&mut self, frame: &Frame, scan: &Scan, tables: &Tables<'a>) -> Result<()> {
        for part in &scan.parts {
            let at = part.component;
            let component = &frame.components[at];
            if scan.parts.len() == 1 && !frame.decoder_counts_right(at) {
                return Err(unsupported(&format!(
                    "a JPEG with a colour plane sampled {} x {} in a scan of its own",
                    component.h, component.v
                )));
            }
            let table = tables.quantization[component.quantization]
                .ok_or_else(|| broken("a quantisation table is missing"))?;
            if *self.quantization[at].get_or_insert(table) != table {
                return Err(unsupported(
                    "a JPEG whose quantisation tables change between scans",
                ));
            }
            let before = if scan.high == 0 { UNSEEN } else { scan.high };
            let known = &mut self.known[at];
            if scan.first > 0 && known[0] == UNSEEN {
                return Err(broken("its scans are out of order"));
            }
            for coefficient in &mut known[scan.first..=scan.last] {
                if *coefficient != before {
                    return Err(broken("its scans are out of order"));
                }
                *coefficient = scan.low;
            }
            if scan.first > 0 {
                let (across, down) = frame.blocks(at);
                self.nonzero[at].resize(across * down, 0);
            }
        }
        let blocks =
            |part: &Part| frame.components[part.component].h * frame.components[part.component].v;
        if scan.parts.len() > 1 && scan.parts.iter().map(blocks).sum::<usize>() > 10 {
            return Err(broken("a scan mixes more blocks than it may"));
        }
        Ok(())
    }

    /// Refuses a picture of which scans are missing.
    pub(super) fn check_complete(&self, frame: &Frame) -> Result<()> {
        let parts = frame.components.len() * 64;
        let known = self.known.iter().flatten().filter(|&&low| low == 0).count();
        if known < parts {
            let percent = 100 * known / parts;
            return Err(broken(format!(
                "scans are missing, {percent} % of the coefficients are there"
            )));
        }
        Ok(())
    }
}

/// Where in the data of a scan we are.
struct Place<'a> {
    bytes: &'a [u8],
    bits: Bits<'a>,
    /// Blocks to come in which nothing is coded (progressive scans of AC coefficients).
    empty: u32,
    restarts: usize,
}

impl Place<'_> {
    fn read_mcu(
        &mut self,
        mcu: usize,
        interval: usize,
        coders: &[(usize, Coder<'_>)],
        seen: &mut u64,
    ) -> Result<(), Fault> {
        if interval > 0 && mcu > 0 && mcu.is_multiple_of(interval) {
            self.restart()?;
        }
        for (blocks, coder) in coders {
            for _ in 0..*blocks {
                coder.block(&mut self.bits, &mut self.empty, seen)?;
            }
        }
        Ok(())
    }

    /// Steps over a restart marker. Viewers guess on when it is not the one that must come; we cannot see what they see.
    fn restart(&mut self) -> Result<(), Fault> {
        let expected = 0xD0 + (self.restarts % 8) as u8;
        let (at, code, left_over) = self.bits.end().ok_or(Fault::Short)?;
        if left_over || code != expected {
            return Err(Fault::Corrupt);
        }
        self.bits = Bits::new(self.bytes, at + 2);
        self.restarts += 1;
        self.empty = 0;
        Ok(())
    }
}
