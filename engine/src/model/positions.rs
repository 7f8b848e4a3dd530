//! Where the tokens of a prompt with photos stand on the three axes of M-RoPE (Qwen2-VL, arXiv 2409.12191).

use super::rope::Position;
use crate::{Error, Result};

/// Rows and columns of visual tokens.
pub type Grid = (usize, usize);

/// Positions of all tokens of one prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    /// One a token.
    pub positions: Vec<Position>,
    /// What the index of a later token is short of its position: a photo takes fewer positions than tokens.
    pub saved: usize,
}

/// Text counts on; a photo's tokens share the time at which it begins and count rows and columns from there; text goes
/// on behind its longer side.
///
/// `photos` are the photos' grids in reading order; `image_token` marks their tokens.
///
/// # Errors
/// [`Error::Template`] when image tokens and grids do not match.
pub fn positions(ids: &[u32], image_token: u32, photos: &[Grid]) -> Result<Positions> {
    let mismatch = || Error::Template {
        problem: "the prompt's image places and its photos do not match".into(),
    };
    let mut positions = Vec::with_capacity(ids.len());
    let mut photos = photos.iter();
    let mut next = 0u32;
    let mut at = 0;
    while at < ids.len() {
        if ids[at] != image_token {
            positions.push([next; 3]);
            next += 1;
            at += 1;
            continue;
        }
        let &(rows, cols) = photos.next().ok_or_else(mismatch)?;
        let tokens = rows.checked_mul(cols).filter(|&tokens| tokens > 0);
        let tokens = tokens.ok_or_else(mismatch)?;
        let photo = ids.get(at..at + tokens).ok_or_else(mismatch)?;
        if photo.iter().any(|&id| id != image_token) {
            return Err(mismatch());
        }
        for place in 0..tokens {
            let (row, col) = (place / cols, place % cols);
            positions.push([next, next + row as u32, next + col as u32]);
        }
        next += rows.max(cols) as u32;
        at += tokens;
    }
    if photos.next().is_some() {
        return Err(mismatch());
    }
    Ok(Positions {
        saved: ids.len() - next as usize,
        positions,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_photo_takes_its_longer_side() {
        let found = positions(&[5, 9, 9, 9, 9, 9, 9, 5], 9, &[(2, 3)]).unwrap();
        let expected = [
            [0, 0, 0],
            [1, 1, 1],
            [1, 1, 2],
            [1, 1, 3],
            [1, 2, 1],
            [1, 2, 2],
            [1, 2, 3],
            [4, 4, 4],
        ];
        assert_eq!(found.positions, expected);
        // The next token has index 8 and position 5.
        assert_eq!(found.saved, 3);
    }

    #[test]
    fn photos_without_text_between_stay_apart() {
        let found = positions(&[9, 9], 9, &[(1, 1), (1, 1)]).unwrap();
        assert_eq!(found.positions, [[0; 3], [1; 3]]);
    }

    #[test]
    fn photos_that_do_not_fit_are_refused() {
        assert!(positions(&[9, 9, 9], 9, &[(2, 2)]).is_err());
        assert!(positions(&[9, 5, 9], 9, &[(1, 2)]).is_err());
        assert!(positions(&[5], 9, &[(1, 1)]).is_err());
        assert!(positions(&[9], 9, &[]).is_err());
        assert!(positions(&[9], 9, &[(0, 7)]).is_err());
        assert!(positions(&[9], 9, &[(usize::MAX, 2)]).is_err());
    }
}
