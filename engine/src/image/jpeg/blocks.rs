//! How one 8 x 8 block is coded in each kind of scan: its codes are read and checked, its values skipped.

use std::ops::RangeInclusive;

use super::bits::{Bits, Fault, Huffman};

/// How the blocks of one component in a scan are coded.
pub(super) enum Coder<'t> {
    /// The whole block.
    Sequential { dc: &'t Huffman, ac: &'t Huffman },
    /// The upper bits of the DC coefficient.
    Dc(&'t Huffman),
    /// One more bit of the DC coefficient.
    RefineDc,
    /// The upper bits of a band of AC coefficients.
    Ac(&'t Huffman, RangeInclusive<usize>),
    /// One more bit of a band of AC coefficients.
    RefineAc(&'t Huffman, RangeInclusive<usize>),
}

impl<'t> Coder<'t> {
    /// None when a table it needs was never defined.
    pub(super) fn new(
        progressive: bool,
        band: RangeInclusive<usize>,
        refines: bool,
        dc: Option<&'t Huffman>,
        ac: Option<&'t Huffman>,
    ) -> Option<Self> {
        Some(match (progressive, *band.start() == 0, refines) {
            (false, ..) => Self::Sequential { dc: dc?, ac: ac? },
            (true, true, false) => Self::Dc(dc?),
            (true, true, true) => Self::RefineDc,
            (true, false, false) => Self::Ac(ac?, band),
            (true, false, true) => Self::RefineAc(ac?, band),
        })
    }

    /// Reads one block. `empty` counts the blocks to come in which nothing is coded, `nonzero` has a bit for each
    /// coefficient of the block that is not zero so far: scans of AC coefficients read and write them.
    pub(super) fn block(
        &self,
        bits: &mut Bits<'_>,
        empty: &mut u32,
        nonzero: &mut u64,
    ) -> Result<(), Fault> {
        match self {
            Self::Sequential { dc, ac } => {
                dc_coefficient(bits, dc)?;
                sequential_ac(bits, ac)
            }
            Self::Dc(table) => dc_coefficient(bits, table),
            Self::RefineDc => bits.take(1).map(drop),
            Self::Ac(table, band) => first_ac(bits, table, band, empty, nonzero),
            Self::RefineAc(table, band) => refine_ac(bits, table, band, empty, nonzero),
        }
    }
}

/// T.81, F.2.2.1: the length of the difference, then the difference.
fn dc_coefficient(bits: &mut Bits<'_>, table: &Huffman) -> Result<(), Fault> {
    let length = bits.symbol(table)?;
    if length > 11 {
        return Err(Fault::Corrupt);
    }
    bits.take(u32::from(length)).map(drop)
}

/// T.81, F.2.2.2: pairs of a run of zeros and a value.
fn sequential_ac(bits: &mut Bits<'_>, table: &Huffman) -> Result<(), Fault> {
    let mut at = 1;
    while at < 64 {
        let (run, length) = run_and_length(bits.symbol(table)?);
        match (run, length) {
            (0, 0) => return Ok(()),
            (15, 0) => at += 16,
            (_, 0) => return Err(Fault::Corrupt),
            _ => {
                at += run + 1;
                bits.take(length)?;
            }
        }
    }
    if at == 64 {
        Ok(())
    } else {
        Err(Fault::Corrupt)
    }
}

/// T.81, G.1.2.2: as in a sequential scan, but the end of a block may be the end of many.
fn first_ac(
    bits: &mut Bits<'_>,
    table: &Huffman,
    band: &RangeInclusive<usize>,
    empty: &mut u32,
    nonzero: &mut u64,
) -> Result<(), Fault> {
    if *empty > 0 {
        *empty -= 1;
        return Ok(());
    }
    let mut at = *band.start();
    while at <= *band.end() {
        let (run, length) = run_and_length(bits.symbol(table)?);
        match (run, length) {
            (15, 0) => at += 16,
            (_, 0) => {
                *empty = (1 << run) - 1 + bits.take(run as u32)?;
                return Ok(());
            }
            _ => {
                at += run;
                // Longer values would not fit the decoder's 16 bits once they are shifted into place.
                if at > *band.end() || length > 11 {
                    return Err(Fault::Corrupt);
                }
                bits.take(length)?;
                *nonzero |= 1 << at;
                at += 1;
            }
        }
    }
    Ok(())
}

/// T.81, G.1.2.3: a bit for every coefficient that is not zero, and those that become one unit among the zeros.
fn refine_ac(
    bits: &mut Bits<'_>,
    table: &Huffman,
    band: &RangeInclusive<usize>,
    empty: &mut u32,
    nonzero: &mut u64,
) -> Result<(), Fault> {
    let mut at = *band.start();
    while *empty == 0 && at <= *band.end() {
        let (mut run, length) = run_and_length(bits.symbol(table)?);
        match (run, length) {
            (15, 0) => {}
            (_, 0) => {
                *empty = (1 << run) + bits.take(run as u32)?;
                break;
            }
            (_, 1) => drop(bits.take(1)?),
            _ => return Err(Fault::Corrupt),
        }
        // Zeros are counted; the others on the way have their bit.
        while at <= *band.end() && (run > 0 || *nonzero >> at & 1 == 1) {
            if *nonzero >> at & 1 == 1 {
                bits.take(1)?;
            } else {
                run -= 1;
            }
            at += 1;
        }
        if length == 1 {
            if at > *band.end() {
                return Err(Fault::Corrupt);
            }
            *nonzero |= 1 << at;
        }
        at += 1;
    }
    if *empty > 0 {
        *empty -= 1;
        for at in at..=*band.end() {
            bits.take((*nonzero >> at & 1) as u32)?;
        }
    }
    Ok(())
}

/// The two halves of the symbol before an AC coefficient.
fn run_and_length(symbol: u8) -> (usize, u32) {
    (usize::from(symbol >> 4), u32::from(symbol & 15))
}
