//! The token text that stands for one photo in a SmolVLM (Idefics3) prompt.

/// The placeholder tokens of the Idefics3 family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageTokens {
    /// Replaced by one image feature each.
    pub image: String,
    /// Around every frame.
    pub fake_around: String,
    /// Before the whole photo, scaled to one frame.
    pub global: String,
}

impl Default for ImageTokens {
    fn default() -> Self {
        Self {
            image: "<image>".into(),
            fake_around: "<fake_token_around_image>".into(),
            global: "<global-img>".into(),
        }
    }
}

/// Expands one photo of `rows` x `cols` tiles (0 x 0 when it was not split) with `image_seq_len`
/// features a frame, exactly as Hugging Face's `Idefics3Processor` does.
///
/// The text holds special tokens, so it belongs into a template segment, never into user text.
pub fn image_prompt(
    tokens: &ImageTokens,
    rows: usize,
    cols: usize,
    image_seq_len: usize,
) -> String {
    let features = tokens.image.repeat(image_seq_len);
    let fake = &tokens.fake_around;
    let global = format!("{fake}{}{features}{fake}", tokens.global);
    if rows == 0 && cols == 0 {
        return global;
    }
    let mut text = String::new();
    for row in 1..=rows {
        for col in 1..=cols {
            text.push_str(&format!("{fake}<row_{row}_col_{col}>{features}"));
        }
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&global);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_photo() {
        assert_eq!(
            image_prompt(&ImageTokens::default(), 0, 0, 2),
            "<fake_token_around_image><global-img><image><image><fake_token_around_image>"
        );
    }

    #[test]
    fn tiles_come_row_by_row_and_the_whole_photo_last() {
        assert_eq!(
            image_prompt(&ImageTokens::default(), 2, 1, 1),
            "<fake_token_around_image><row_1_col_1><image>\n\
             <fake_token_around_image><row_2_col_1><image>\n\n\
             <fake_token_around_image><global-img><image><fake_token_around_image>"
        );
    }
}
