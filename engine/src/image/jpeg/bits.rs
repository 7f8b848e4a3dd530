//! Bits of an entropy-coded segment and the Huffman codes in them, never a bit more than the file holds.

/// Bits of a code that one look into the table settles; longer ones are rare.
const FAST_BITS: u32 = 9;

/// Why a segment cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A marker or the end of the file stands where bits are needed.
    Short,
    /// The bits are no code of the table, or a code that cannot stand there.
    Corrupt,
}

/// A canonical Huffman table (T.81, annex C).
#[derive(Debug)]
pub(super) struct Huffman {
    /// By the next [`FAST_BITS`] bits: length and symbol, or zero for a longer code.
    fast: Vec<(u8, u8)>,
    /// By length: the first code that is longer, left-aligned in 16 bits.
    end: [u32; 17],
    /// By length: what to add to a code to find its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// `counts` are the number of codes of 1 to 16 bits; none when the codes do not fit or symbols are missing.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut table = Self {
            fast: vec![(0, 0); 1 << FAST_BITS],
            end: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut index) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(index)?;
                // No code is all ones: those are the fill at the end of a segment.
                if code + 1 >= 1 << length {
                    return None;
                }
                if length <= FAST_BITS {
                    let spare = FAST_BITS - length;
                    let first = (code << spare) as usize;
                    table.fast[first..first + (1 << spare)].fill((length as u8, symbol));
                }
                code += 1;
                index += 1;
            }
            table.end[length as usize] = code << (16 - length);
            code <<= 1;
        }
        (index == symbols.len()).then_some(table)
    }
}

/// Reads bits up to the next marker; stuffed zeros are left out.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The bits read ahead, from the top.
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            held: 0,
            count: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let Some(&byte) = self.bytes.get(self.at) else {
                return;
            };
            let stuffed = byte == 0xFF;
            if stuffed && self.bytes.get(self.at + 1) != Some(&0) {
                return;
            }
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
            self.at += 1 + usize::from(stuffed);
        }
    }

    /// The next `count` bits, at most 16, as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Fault> {
        if self.count < count {
            self.fill();
        }
        if self.count < count {
            return Err(Fault::Short);
        }
        // Two shifts, because a shift by 64 is none.
        let value = (self.held >> 1 >> (63 - count)) as u32;
        self.held <<= count;
        self.count -= count;
        Ok(value)
    }

    /// The symbol of the next code.
    pub(super) fn symbol(&mut self, table: &Huffman) -> Result<u8, Fault> {
        if self.count < 16 {
            self.fill();
        }
        let (length, symbol) = table.fast[(self.held >> (64 - FAST_BITS)) as usize];
        if length > 0 {
            self.take(u32::from(length))?;
            return Ok(symbol);
        }
        let ahead = (self.held >> 48) as u32;
        let Some(length) = (FAST_BITS + 1..=16).find(|&l| ahead < table.end[l as usize]) else {
            // Zeros stand for bits that are not there, so a short segment may look like a wrong code.
            return Err(if self.count < 16 {
                Fault::Short
            } else {
                Fault::Corrupt
            });
        };
        let code = self.take(length)? as i32;
        let index = usize::try_from(code + table.offset[length as usize]);
        let symbol = index.ok().and_then(|index| table.symbols.get(index));
        symbol.copied().ok_or(Fault::Corrupt)
    }

    /// The marker behind the segment: where it starts, its code, and whether anything but padding lies before it unread.
    pub(super) fn end(&self) -> Option<(usize, u8, bool)> {
        let (at, code) = next_marker(self.bytes, self.at)?;
        // The bits that fill up a byte belong to it.
        let held = self.held << (self.count % 8);
        let left = &self.bytes[self.at..at];
        let padding = held == 0 && left.iter().all(|&byte| byte == 0 || byte == 0xFF);
        Some((at, code, !padding))
    }
}

/// Where the next marker at or behind `at` starts and its code; stuffed zeros and whatever else lies before it are skipped.
pub(super) fn next_marker(bytes: &[u8], mut at: usize) -> Option<(usize, u8)> {
    loop {
        at += bytes.get(at..)?.iter().position(|&b| b == 0xFF)?;
        let fill = bytes[at..].iter().position(|&b| b != 0xFF)?;
        match bytes[at + fill] {
            0 => at += fill + 1,
            code => return Some((at + fill - 1, code)),
        }
    }
}
