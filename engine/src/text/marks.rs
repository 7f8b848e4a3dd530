//! Marks: characters of private use that stand for a person's in a rendered chat; no template or text may have them otherwise.

/// The first mark: the two planes for private use hold them.
pub(super) const FIRST_MARK: u32 = 0xf_0000;
/// The last mark.
pub(super) const LAST_MARK: u32 = 0x10_fffd;

/// Whether a character could be a mark.
pub(super) fn is_mark(c: char) -> bool {
    (FIRST_MARK..=LAST_MARK).contains(&(c as u32))
}
