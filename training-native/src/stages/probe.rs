//! Probes: what tokens inside the decoder should predict.

/// What one token should predict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    /// Place in the chat.
    pub at: usize,
    /// The token to predict.
    pub word: u32,
    /// Which figure of the log it counts for.
    pub kind: &'static str,
}

/// What the tokens of one chat should predict, by the layer they are asked after.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// The position within a box, as a letter: of the tokens of boxes in entries of the prompt, and of the next token of
    /// boxes in answers.
    pub box_slots: Vec<Probe>,
    /// The concept a token belongs to, as the first token of its name: the middle of each reference photo, what an entry
    /// says after the name, the closing bracket of a name in a question or answer, and the box that answers.
    pub owners: Vec<Probe>,
    /// What is known of it:
    /// - a visual token of the photo that shows a thing: the first token of its name, or of its category where it has no name;
    ///   and as many that show no thing: the token that ends a turn;
    /// - the closing bracket of a name in a question: what follows that name in its entry, or the end of a turn where there
    ///   is no such entry;
    /// - a token of a box in an answer: the next token of the box in the entry;
    /// - the closing bracket of a name in an answer: the name to the right of it, or the end of a turn.
    pub contents: Vec<Probe>,
}
