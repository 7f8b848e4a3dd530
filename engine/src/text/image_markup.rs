//! The token text that stands for one photo in a prompt, as each family writes it.

use crate::{Error, Result};

/// Most visual tokens of one photo; the longest context there is holds fewer.
const MAX_TOKENS: usize = 1 << 20;

/// How a family writes a photo into its prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageMarkup {
    /// SmolVLM (Idefics3): every frame between marks, tiles with their row and column.
    Tiles {
        /// Around every frame.
        fake_around: String,
        /// Before the whole photo, scaled to one frame.
        global: String,
        /// Visual tokens a frame.
        per_frame: usize,
    },
    /// Qwen-VL and others: the image token the template prints, once for each visual token.
    Repeat,
    /// Not at all: the model reads text only.
    Absent,
}

/// What one photo became, as far as its prompt shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoLayout {
    /// Tiles and the whole photo; 0 x 0 when it was not split.
    Tiles {
        /// Rows of tiles.
        rows: usize,
        /// Columns of tiles.
        cols: usize,
    },
    /// So many visual tokens.
    Tokens(usize),
}

impl PhotoLayout {
    /// A photo shown to SmolVLM as one frame.
    pub const WHOLE: Self = Self::Tiles { rows: 0, cols: 0 };
}

impl ImageMarkup {
    /// The marks of the published SmolVLM checkpoints.
    pub fn smolvlm(per_frame: usize) -> Self {
        Self::Tiles {
            fake_around: "<fake_token_around_image>".into(),
            global: "<global-img>".into(),
            per_frame,
        }
    }

    /// The text of one photo, with `image` for each visual token, exactly as Hugging Face's
    /// processor of the family writes it.
    ///
    /// The text holds special tokens, so it belongs into a template segment, never into user text.
    ///
    /// # Errors
    /// [`Error::Image`] when `layout` is of another family, or has over a million visual tokens.
    pub fn expand(&self, image: &str, layout: PhotoLayout) -> Result<String> {
        match (self, layout) {
            (Self::Absent, _) => Err(Error::Image {
                problem: "cannot be shown to this model, which reads text only".into(),
            }),
            (Self::Repeat, PhotoLayout::Tokens(count)) => Ok(image.repeat(bounded(Some(count))?)),
            (
                Self::Tiles {
                    fake_around,
                    global,
                    per_frame,
                },
                PhotoLayout::Tiles { rows, cols },
            ) => {
                let frames = rows.checked_mul(cols).and_then(|n| n.checked_add(1));
                bounded(frames.and_then(|n| n.checked_mul((*per_frame).max(1))))?;
                let features = image.repeat(*per_frame);
                Ok(tiles(fake_around, global, &features, rows, cols))
            }
            _ => Err(Error::Image {
                problem: format!(
                    "{layout:?} is not how this model is shown photos; image processor and chat belong to different models"
                ),
            }),
        }
    }
}

fn bounded(tokens: Option<usize>) -> Result<usize> {
    tokens
        .filter(|tokens| *tokens <= MAX_TOKENS)
        .ok_or_else(|| Error::Image {
            problem: format!("needs over {MAX_TOKENS} visual tokens; scale it down"),
        })
}

fn tiles(fake: &str, global: &str, features: &str, rows: usize, cols: usize) -> String {
    let whole = format!("{fake}{global}{features}{fake}");
    if rows == 0 && cols == 0 {
        return whole;
    }
    let mut text = String::new();
    for row in 1..=rows {
        for col in 1..=cols {
            text.push_str(&format!("{fake}<row_{row}_col_{col}>{features}"));
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&whole);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn whole_photo() {
        let text = ImageMarkup::smolvlm(2).expand("<image>", PhotoLayout::WHOLE);
        assert_eq!(
            text.unwrap(),
            "<fake_token_around_image><global-img><image><image><fake_token_around_image>"
        );
    }

    #[test]
    fn tiles_come_row_by_row_and_the_whole_photo_last() {
        let layout = PhotoLayout::Tiles { rows: 2, cols: 1 };
        assert_eq!(
            ImageMarkup::smolvlm(1).expand("<image>", layout).unwrap(),
            "<fake_token_around_image><row_1_col_1><image>\n\
             <fake_token_around_image><row_2_col_1><image>\n\n\
             <fake_token_around_image><global-img><image><fake_token_around_image>"
        );
    }

    #[test]
    fn the_image_token_is_repeated() {
        let text = ImageMarkup::Repeat.expand("<|image_pad|>", PhotoLayout::Tokens(2));
        assert_eq!(text.unwrap(), "<|image_pad|><|image_pad|>");
    }

    #[test]
    fn layouts_of_other_families_and_without_end_are_refused() {
        let huge = 1 << 60;
        for (markup, layout) in [
            (ImageMarkup::Repeat, PhotoLayout::WHOLE),
            (ImageMarkup::smolvlm(1), PhotoLayout::Tokens(4)),
            (ImageMarkup::Repeat, PhotoLayout::Tokens(huge)),
            (ImageMarkup::smolvlm(huge), PhotoLayout::WHOLE),
            (
                ImageMarkup::smolvlm(0),
                PhotoLayout::Tiles {
                    rows: huge,
                    cols: 1,
                },
            ),
            (
                ImageMarkup::smolvlm(1),
                PhotoLayout::Tiles {
                    rows: huge,
                    cols: huge,
                },
            ),
        ] {
            let error = markup.expand("<image>", layout);
            assert!(matches!(error, Err(Error::Image { .. })), "{error:?}");
        }
    }
}
