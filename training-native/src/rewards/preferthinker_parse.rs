//! A reasoned preference, read: two profiles over five dimensions, scores of both candidates, and the choice.
//!
//! PreferThinker's own tags are not published; these are ours:
//!
//! ```text
//! <liked>art style: ink; color: teal; art medium: paper; saturation: low; detail: high</liked>
//! <disliked>art style: ...</disliked>
//! <scores>art style: 7, 3; color: 8, 2; art medium: 5, 5; saturation: 6, 4; detail: 9, 1</scores>
//! <answer>A</answer>
//! ```

/// The dimensions of a profile (PreferThinker, arXiv 2511.00609).
pub const DIMENSIONS: [&str; 5] = ["art style", "color", "art medium", "saturation", "detail"];

/// A profile: a word or phrase for each of [`DIMENSIONS`], in lower case.
pub type Profile = [String; 5];

/// A reasoned preference.
#[derive(Debug, Clone, PartialEq)]
pub struct Preference {
    /// What the user likes.
    pub liked: Profile,
    /// What the user dislikes.
    pub disliked: Profile,
    /// Scores of candidates A and B in each dimension.
    pub scores: [[f32; 2]; 5],
    /// The candidate chosen, `A` or `B`.
    pub answer: char,
}

impl Preference {
    /// Reads a completion; `None` where a part is missing, doubled or malformed.
    pub fn read(text: &str) -> Option<Self> {
        let scores = fields(only(text, "scores")?)?;
        let mut pairs = [[0.0; 2]; 5];
        for (pair, text) in pairs.iter_mut().zip(&scores) {
            let (a, b) = text.split_once(',')?;
            for (score, text) in pair.iter_mut().zip([a, b]) {
                *score = text.trim().parse().ok().filter(|s: &f32| s.is_finite())?;
            }
        }
        Some(Self {
            liked: profile(only(text, "liked")?)?,
            disliked: profile(only(text, "disliked")?)?,
            scores: pairs,
            answer: answer(text)?,
        })
    }

    /// Whether the candidate chosen is the one whose scores sum higher; in a tie neither is.
    pub fn is_consistent(&self) -> bool {
        let [a, b] = [0, 1].map(|side| self.scores.iter().map(|pair| pair[side]).sum::<f32>());
        match self.answer {
            'A' => a > b,
            _ => b > a,
        }
    }
}

/// The candidate of `<answer>`, whatever else the text says.
pub fn answer(text: &str) -> Option<char> {
    match only(text, "answer")?.trim() {
        "A" => Some('A'),
        "B" => Some('B'),
        _ => None,
    }
}

/// A profile as one line, of a completion or of a solution.
pub fn profile(text: &str) -> Option<Profile> {
    fields(text)
}

/// What stands in the one `<tag>...</tag>` of the text.
pub fn only<'a>(text: &'a str, tag: &str) -> Option<&'a str> {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let (_, rest) = text.split_once(&open)?;
    let (inner, after) = rest.split_once(&close)?;
    (!after.contains(&open) && !inner.contains(&open)).then_some(inner)
}

/// The values of `name: value; ...`, which has each dimension once.
fn fields(text: &str) -> Option<[String; 5]> {
    let mut values: [Option<String>; 5] = Default::default();
    for field in text.split(';').filter(|f| !f.trim().is_empty()) {
        let (name, value) = field.split_once(':')?;
        let name = name.trim().to_lowercase();
        let at = DIMENSIONS.iter().position(|d| *d == name)?;
        let value = value.trim().to_lowercase();
        if value.is_empty() || values[at].replace(value).is_some() {
            return None;
        }
    }
    let values: Vec<String> = values.into_iter().collect::<Option<_>>()?;
    values.try_into().ok()
}
