//! CoViP's caption reward (ICML 2026): what a reader of the caption alone can answer, and what it should not be able to.
//!
//! From the code in the history of its repository: 1/3 for each question about a present concept that is answered rightly
//! (not divided by the number of concepts), minus 1/n for each of the n questions about absent concepts that is not
//! answered "D: cannot be determined", minus 1 for a caption that is too long or repeats itself
//! ([`super::covip_penalty`]). There the judge is a language model that samples, so the reward is noisy; here it is
//! [`Judge`], and the answers of any other judge may come with the row (column `judged`).

use anyhow::{Result, ensure};
use namelens_engine::concepts::spelling::{Case, Haystack};
use serde::Deserialize;

use super::columns;
use super::covip_penalty::degenerate;
use super::{Reward, Row};
use crate::rl::metrics::{Figure, Metrics};

/// The answer that nothing can be said.
pub const UNDETERMINED: char = 'D';
/// Reward of a right answer about a present concept.
const RIGHT: f32 = 1.0 / 3.0;

/// A question about a photo, to be answered from a caption.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// What is asked.
    pub question: String,
    /// What may be answered: A, B, C.
    pub options: [String; 3],
    /// The right letter; for a question about an absent concept, `D`.
    pub answer: char,
    /// Whether it is about a concept that is in the photo.
    pub positive: bool,
}

/// Answers questions from a caption alone.
pub trait Judge: Send {
    /// A letter from A to D for each question.
    ///
    /// # Errors
    /// When the judge fails.
    fn answer(&mut self, caption: &str, questions: &[Question]) -> Result<Vec<char>>;
}

/// A judge that reads words only: the one option that stands in the caption, or D.
#[derive(Debug, Clone, Copy, Default)]
pub struct WordJudge;

impl Judge for WordJudge {
    fn answer(&mut self, caption: &str, questions: &[Question]) -> Result<Vec<char>> {
        let caption = Haystack::new(caption, Case::Ignore);
        let letter = |question: &Question| {
            let options = question.options.iter().zip(['A', 'B', 'C']);
            let mut said = options.filter(|(option, _)| !caption.find(option).is_empty());
            match (said.next(), said.next()) {
                (Some((_, letter)), None) => letter,
                _ => UNDETERMINED,
            }
        };
        Ok(questions.iter().map(letter).collect())
    }
}

/// The reward `covip`; it reads `questions`, and `judged` where the answers are there already. Rows whose questions are null are none
/// of its business.
#[derive(Debug)]
pub struct Covip<J> {
    /// Answers the questions of rows without `judged`.
    pub judge: J,
}

impl<J: Judge> Reward for Covip<J> {
    fn name(&self) -> &str {
        "covip"
    }

    fn score(&mut self, rows: &[Row], log: &mut Metrics) -> Result<Vec<Option<f32>>> {
        let mut rewards = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            if columns::is_null(row, "questions") {
                rewards.push(None);
                continue;
            }
            let place = |e: anyhow::Error| anyhow::anyhow!("reward 'covip', row {}: {e:#}", at + 1);
            rewards.push(Some(self.one(row, log).map_err(place)?));
        }
        Ok(rewards)
    }
}

impl<J: Judge> Covip<J> {
    fn one(&mut self, row: &Row, log: &mut Metrics) -> Result<f32> {
        let questions: Vec<Question> = match row.columns.get("questions") {
            Some(list) => serde_json::from_value(list.clone())?,
            None => anyhow::bail!("there is no column 'questions'"),
        };
        let letters = match columns::optional_texts(row, "judged")? {
            Some(letters) => letters.iter().map(|l| boxed_letter(l)).collect(),
            None => self.judge.answer(&row.completion, &questions)?,
        };
        ensure!(
            letters.len() == questions.len(),
            "{} answers to {} questions",
            letters.len(),
            questions.len()
        );
        let penalised = degenerate(row);
        let (mut right, mut used) = (Vec::new(), Vec::new());
        for (question, letter) in questions.iter().zip(&letters) {
            if question.positive {
                right.push(f64::from(u8::from(*letter == question.answer)));
            } else {
                used.push(f64::from(u8::from(*letter != UNDETERMINED)));
            }
        }
        let gain = right.iter().sum::<f64>() as f32 * RIGHT;
        let loss = used.iter().sum::<f64>() as f32 / used.len().max(1) as f32;
        // Both, always: an empty caption has the second perfect.
        log.add("accuracy_present", Figure::mean(right));
        log.add(
            "accuracy_absent",
            Figure::mean(used.iter().map(|u| 1.0 - u)),
        );
        log.add("degenerate", Figure::mean([f64::from(u8::from(penalised))]));
        Ok(gain - loss - f32::from(penalised))
    }
}

/// The letter of `\boxed{B}` or `B`; D where there is none, as CoViP's evaluation has it.
fn boxed_letter(text: &str) -> char {
    let inner = text
        .rsplit_once("\\boxed{")
        .and_then(|(_, rest)| rest.split_once('}'));
    let inner = inner.map_or(text, |(inner, _)| inner).trim();
    let mut letters = inner.chars();
    match (letters.next(), letters.next()) {
        (Some(letter @ 'A'..='D'), None) => letter,
        _ => UNDETERMINED,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> (f32, Metrics) {
        let row = json!({"completion": text, "questions": [
            {"question": "What does <Bo> love?", "options": ["jam", "tea", "cake"], "answer": "A", "positive": true},
            {"question": "Where is <Bo>?", "options": ["mat", "shelf", "box"], "answer": "B", "positive": true},
            {"question": "Who is <Mia>?", "options": ["a cat", "a can", "a dog"], "answer": "D", "positive": false},
            {"question": "What has <Mia>?", "options": ["hat", "bow", "star"], "answer": "D", "positive": false},
        ]});
        let mut log = Metrics::default();
        let rows = [Row::from_json(row).unwrap()];
        let reward = Covip { judge: WordJudge }.score(&rows, &mut log).unwrap();
        (reward[0].unwrap(), log)
    }

    #[test]
    fn right_answers_add_and_used_distractors_cost() {
        for (text, want) in [
            ("<Bo> loves jam and stands on the shelf.", 2.0 / 3.0),
            ("<Bo> loves jam.", 1.0 / 3.0),
            (
                "<Bo> loves jam, and <Mia> is a cat with a bow.",
                1.0 / 3.0 - 1.0,
            ),
            ("<Bo> loves jam or tea.", 0.0),
            ("", 0.0),
        ] {
            // Thirds in f32.
            assert!((of(text).0 - want).abs() < 1e-6, "{text}");
        }
        let (_, log) = of("");
        assert_eq!(
            (log.get("accuracy_present"), log.get("accuracy_absent")),
            (Some(0.0), Some(1.0))
        );
    }

    #[test]
    fn a_row_that_asks_nothing_is_none_of_its_business() {
        let row = json!({"completion": "x", "questions": null});
        let rows = [Row::from_json(row).unwrap()];
        let given = Covip { judge: WordJudge }.score(&rows, &mut Metrics::default());
        assert_eq!(given.unwrap(), [None]);
    }

    #[test]
    fn answers_of_another_judge_count() {
        assert_eq!(boxed_letter("so \\boxed{A} or \\boxed{ C }."), 'C');
        assert_eq!(
            (boxed_letter("B"), boxed_letter("Because"), boxed_letter("")),
            ('B', 'D', 'D')
        );
        let row = json!({"completion": "x", "judged": ["A"], "questions": []});
        let rows = [Row::from_json(row).unwrap()];
        let said = Covip { judge: WordJudge }.score(&rows, &mut Metrics::default());
        assert!(said.unwrap_err().to_string().contains("1 answers to 0"));
    }
}
