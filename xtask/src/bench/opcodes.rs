//! Vector instructions of a WebAssembly module, counted by reading its code section instruction by instruction.
//!
//! WebAssembly core specification 3.0, section 5.4; numbers of relaxed instructions as in its appendix. Each body must end where
//! its size says, so an instruction that is read wrongly is an error and no false count.

use anyhow::{Context, Result, bail, ensure};

/// How often what occurs in a module's functions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// All instructions.
    pub(super) all: usize,
    /// Those of 128-bit SIMD, relaxed ones included.
    pub(super) simd: usize,
    /// `i32x4.dot_i16x8_s`: eight products of 16 bits at once.
    pub(super) dot: usize,
    /// Relaxed SIMD.
    pub(super) relaxed: usize,
}

const CODE: u8 = 10;
const DOT: u64 = 0xBA;

/// Counts in a module.
///
/// # Errors
/// When it is no module, or one with instructions that are not known here.
pub(super) fn count(module: &[u8]) -> Result<Counts> {
    ensure!(module.starts_with(b"\0asm"), "no WebAssembly module");
    let mut bytes = Bytes { module, at: 8 };
    let mut counts = Counts::default();
    while bytes.at < module.len() {
        let id = bytes.byte()?;
        let end = bytes.end()?;
        if id == CODE {
            for _ in 0..bytes.number()? {
                body(&mut bytes, &mut counts)?;
            }
            ensure!(bytes.at == end, "the code section does not end at its end");
        }
        bytes.at = end;
    }
    Ok(counts)
}

fn body(bytes: &mut Bytes<'_>, counts: &mut Counts) -> Result<()> {
    let end = bytes.end()?;
    for _ in 0..bytes.number()? {
        bytes.number()?;
        bytes.value_type()?;
    }
    while bytes.at < end {
        instruction(bytes, counts)?;
    }
    ensure!(bytes.at == end, "a function does not end at {end:#x}");
    Ok(())
}

fn instruction(bytes: &mut Bytes<'_>, counts: &mut Counts) -> Result<()> {
    counts.all += 1;
    let opcode = bytes.byte()?;
    match opcode {
        // Blocks with a type; labels, functions, tags, locals, globals, tables, memories; constants of whole numbers.
        0x02..=0x04 | 0x06..=0x09 | 0x0C | 0x0D | 0x10 | 0x12 | 0x14 | 0x15 | 0x18 => {
            bytes.numbers(1)
        }
        0x20..=0x26 | 0x3F..=0x42 | 0xD0 | 0xD2 | 0xD5 | 0xD6 => bytes.numbers(1),
        0x11 | 0x13 => bytes.numbers(2),
        0x0E => {
            let labels = bytes.number()?;
            bytes.numbers(labels + 1)
        }
        0x1C => {
            let types = bytes.number()?;
            (0..types).try_for_each(|_| bytes.value_type())
        }
        0x1F => try_table(bytes),
        0x28..=0x3E => bytes.memory(),
        0x43 => bytes.skip(4),
        0x44 => bytes.skip(8),
        0x00 | 0x01 | 0x05 | 0x0A | 0x0B | 0x0F | 0x19..=0x1B => Ok(()),
        0x45..=0xC4 | 0xD1 | 0xD3 | 0xD4 => Ok(()),
        0xFC => match bytes.number()? {
            0..=7 => Ok(()),
            8 | 10 | 12 | 14 => bytes.numbers(2),
            9 | 11 | 13 | 15..=17 => bytes.numbers(1),
            other => bail!("instruction 0xfc {other} is not known"),
        },
        0xFD => vector(bytes, counts),
        0xFE => match bytes.number()? {
            3 => bytes.skip(1),
            _ => bytes.memory(),
        },
        other => bail!("instruction {other:#x} at {:#x} is not known", bytes.at),
    }
}

fn vector(bytes: &mut Bytes<'_>, counts: &mut Counts) -> Result<()> {
    let opcode = bytes.number()?;
    counts.simd += 1;
    counts.dot += usize::from(opcode == DOT);
    counts.relaxed += usize::from(opcode >= 0x100);
    match opcode {
        // Loads and stores; a constant, a shuffle; lanes; loads and stores of lanes.
        0..=11 | 92 | 93 => bytes.memory(),
        12 | 13 => bytes.skip(16),
        21..=34 => bytes.skip(1),
        84..=91 => {
            bytes.memory()?;
            bytes.skip(1)
        }
        _ => Ok(()),
    }
}

fn try_table(bytes: &mut Bytes<'_>) -> Result<()> {
    bytes.numbers(1)?;
    for _ in 0..bytes.number()? {
        match bytes.byte()? {
            // With a tag, and without.
            0 | 1 => bytes.numbers(2)?,
            _ => bytes.numbers(1)?,
        }
    }
    Ok(())
}

/// A place in a module.
#[derive(Debug)]
struct Bytes<'a> {
    module: &'a [u8],
    at: usize,
}

impl Bytes<'_> {
    fn byte(&mut self) -> Result<u8> {
        let byte = self.module.get(self.at).context("the module is cut off")?;
        self.at += 1;
        Ok(*byte)
    }

    /// A LEB128 number. Signed ones are only passed over, and as long.
    fn number(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        bail!("a number at {:#x} has no end", self.at)
    }

    fn numbers(&mut self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| self.number().map(drop))
    }

    /// Where what is as long as the number here ends.
    fn end(&mut self) -> Result<usize> {
        let size = usize::try_from(self.number()?)?;
        let end = self.at.checked_add(size).context("a size overflows")?;
        ensure!(end <= self.module.len(), "the module is cut off");
        Ok(end)
    }

    fn skip(&mut self, count: usize) -> Result<()> {
        self.at += count;
        Ok(())
    }

    /// Alignment, the memory where there are several, and offset.
    fn memory(&mut self) -> Result<()> {
        let alignment = self.number()?;
        self.numbers(if alignment & 0x40 == 0 { 1 } else { 2 })
    }

    fn value_type(&mut self) -> Result<()> {
        match self.byte()? {
            // A reference to something of a type.
            0x63 | 0x64 => self.numbers(1),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A module of one function with this body, whose size is a single byte.
    fn module(body: &[u8]) -> Vec<u8> {
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        // A section of another kind first.
        module.extend([0, 2, 1, b'x']);
        let size = u8::try_from(body.len()).unwrap();
        module.extend([CODE, size + 2, 1, size]);
        module.extend(body);
        module
    }

    #[test]
    fn only_instructions_count_and_no_bytes_that_look_like_them() {
        let mut body = vec![1, 2, 0x7B];
        // A constant made of the very bytes of the instruction that is sought.
        body.extend([0xFD, 12]);
        body.extend([0xFD, 0xBA, 0x01].iter().cycle().take(16));
        body.extend([0x41, 0xFD, 0x7A]);
        // Dot; a relaxed dot (0x113); a load from the second memory; a lane; the end.
        body.extend([0xFD, 0xBA, 0x01, 0xFD, 0x93, 0x02]);
        body.extend([0xFD, 0, 0x40, 1, 0x80, 1, 0xFD, 21, 3, 0x0B]);
        let counts = count(&module(&body)).unwrap();
        let (simd, all) = (5, 7);
        assert_eq!(
            counts,
            Counts {
                all,
                simd,
                dot: 1,
                relaxed: 1
            }
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        assert!(count(b"GGUF").is_err());
        assert!(count(&module(&[0, 0xFF, 0x0B])).is_err());
        // A constant that reaches beyond the function.
        assert!(count(&module(&[0, 0x44, 0x0B])).is_err());
        let whole = module(&[0, 0x0B]);
        assert!(count(&whole[..whole.len() - 1]).is_err());
    }
}
