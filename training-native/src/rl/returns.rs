//! VLRM's return of each token: what the whole caption is worth, less the fines that lie at the token or after it.

use super::a2c_config::A2cConfig;
use super::caption_fines::Fines;

/// What is known of a caption.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionTerms {
    /// Similarity of caption and photo: of an image-text-matching head the positive logit before the softmax, of a dual
    /// encoder its logit.
    pub similarity: f64,
    /// The contrastive term of [`retrieval_term`]; 0 without it.
    pub contrast: f64,
    /// Mean log-probability of the tokens under the reference language model; 0 without one. (The paper calls it
    /// perplexity; higher is more natural.)
    pub reference: f64,
    /// Whether the caption came to an end.
    pub ended: bool,
    /// Fined tokens.
    pub fines: Fines,
}

/// The return of each token (arXiv 2404.01911, section 3.2; discount 1).
///
/// `R(t_k) = sim + ref - noeos - Σ_{s >= k} bad(s) - Σ_{s >= k} repeat(s)`: terms of the sequence stand at every token, and a
/// token answers for the fines from it on.
pub fn returns(terms: &CaptionTerms, config: &A2cConfig) -> Vec<f32> {
    let whole = config.similarity_weight * terms.similarity
        + config.contrastive_weight * terms.contrast
        + config.reference_weight * terms.reference
        - if terms.ended {
            0.0
        } else {
            config.no_eos_penalty
        };
    let mut left = whole;
    let tokens = terms.fines.bad.iter().zip(&terms.fines.repeated);
    let mut returns: Vec<f32> = tokens
        .rev()
        .map(|(bad, repeated)| {
            left -= config.bad_phrase_penalty * f64::from(u8::from(*bad));
            left -= config.repeat_penalty * f64::from(u8::from(*repeated));
            left as f32
        })
        .collect();
    returns.reverse();
    returns
}

/// VLRM-RS's term: how far each caption stands out as the one of its photo, as a z-score over the batch.
///
/// `similarities[i][j]` is the cosine of photo i and caption j. `D_i` is the probability of photo i among all photos for
/// caption i times that of caption i among all captions for photo i; all of the batch, on all ranks, must be there.
/// A table that is not square gives nothing.
pub fn retrieval_term(similarities: &[Vec<f64>], config: &A2cConfig) -> Option<Vec<f64>> {
    let n = similarities.len();
    if n == 0 || similarities.iter().any(|row| row.len() != n) {
        return None;
    }
    let temperature = config.contrastive_temperature;
    let probability = |at: usize, values: &mut dyn Iterator<Item = f64>| {
        let values: Vec<f64> = values.map(|v| v / temperature).collect();
        let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = values.iter().map(|v| (v - top).exp()).sum();
        (values[at] - top).exp() / sum
    };
    let diagonal: Vec<f64> = (0..n)
        .map(|i| {
            let photos = probability(i, &mut similarities.iter().map(|row| row[i]));
            photos * probability(i, &mut similarities[i].iter().copied())
        })
        .collect();
    let all = vec![true; n];
    Some(whitened(&diagonal, &all, config.whiten_unbiased))
}

/// `values` less their mean over all that count, over their standard deviation (Eq. 3); 0 where they do not count or do not
/// differ.
///
/// The whole (batch, sequence) table of a step belongs in here: whitening row by row is another rule.
pub fn whitened(values: &[f64], mask: &[bool], unbiased: bool) -> Vec<f64> {
    let counted = || {
        values
            .iter()
            .zip(mask)
            .filter(|(_, m)| **m)
            .map(|(v, _)| *v)
    };
    let n = counted().count() as f64;
    let mean = counted().sum::<f64>() / n;
    let freedom = if unbiased { n - 1.0 } else { n };
    let variance = counted().map(|v| (v - mean).powi(2)).sum::<f64>() / freedom;
    let std = variance.sqrt();
    // Equal values have a deviation of rounding errors. Positive-phrased so that one that is NaN gives 0.
    let differ = std > 1e-9 * (1.0 + mean.abs());
    let one = |(value, counts): (&f64, &bool)| {
        if *counts && differ {
            (value - mean) / std
        } else {
            0.0
        }
    };
    values.iter().zip(mask).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rl::a2c_config::preset;
    use crate::rl::caption_fines::{BadPhrases, fines};

    #[test]
    fn the_papers_worked_table() {
        let text = "an image of a man in a green shirt and green shirt";
        let mut spans = Vec::new();
        let mut at = 0;
        for word in text.split(' ') {
            spans.push(at..at + word.len());
            at += word.len() + 1;
        }
        spans.push(text.len()..text.len());
        let phrases = BadPhrases::read("an image of").unwrap();
        let config = preset("vlrm").unwrap();
        let mut terms = CaptionTerms {
            similarity: 2.0,
            contrast: 0.0,
            reference: -3.0,
            ended: true,
            fines: fines(text, &spans, &phrases),
        };
        let mut want = vec![-5.0, -4.0, -3.0];
        want.extend([-2.0; 9]);
        want.push(-1.0);
        assert_eq!(returns(&terms, &config), want);
        terms.ended = false;
        let lower: Vec<f32> = want.iter().map(|r| r - 1.0).collect();
        assert_eq!(
            returns(&terms, &config),
            lower,
            "everything one lower without an end"
        );
        let rs = preset("vlrm-rs").unwrap();
        terms.contrast = 10.0;
        assert_eq!(
            returns(&terms, &rs)[12],
            2.0 + 3.0 - 1.0,
            "no reference, and the contrast"
        );
    }

    #[test]
    fn whitening_is_over_the_whole_table() {
        let values = [1.0, 2.0, 3.0, -2.0, 99.0];
        let mask = [true, true, true, true, false];
        for (unbiased, want) in [
            (true, [0.0, 0.462_91, 0.925_82, -1.388_73, 0.0]),
            (false, [0.0, 0.534_522, 1.069_045, -1.603_567, 0.0]),
        ] {
            for (got, want) in whitened(&values, &mask, unbiased).iter().zip(want) {
                // Given to five places.
                assert!((got - want).abs() < 1e-5, "{got} {want}");
            }
        }
        assert_eq!(whitened(&[3.0, 3.0], &[true; 2], true), [0.0, 0.0]);
        assert_eq!(whitened(&[3.0], &[true], true), [0.0]);
        assert_eq!(
            whitened(&[0.1; 3], &[true; 3], false),
            [0.0; 3],
            "no noise is blown up"
        );
        assert_eq!(
            whitened(&[f64::NAN, 1.0, 2.0], &[false, true, true], false),
            [0.0, -1.0, 1.0]
        );
    }

    #[test]
    fn the_contrast_is_a_score_over_the_batch() {
        let table = [vec![0.3, 0.1], vec![0.2, 0.4]];
        let mut config = preset("vlrm-rs").unwrap();
        let root = 0.5f64.sqrt();
        for (unbiased, want) in [(true, [-root, root]), (false, [-1.0, 1.0])] {
            config.whiten_unbiased = unbiased;
            for (got, want) in retrieval_term(&table, &config).unwrap().iter().zip(want) {
                assert!((got - want).abs() < 1e-9);
            }
        }
        assert_eq!(
            retrieval_term(&[vec![1.0, 2.0]], &config),
            None,
            "not square"
        );
        // Three: softmax over photos of a caption and over captions of a photo are not the same.
        let table = [
            vec![2.0, 0.0, 0.0],
            vec![1.0, 1.0, 0.0],
            vec![0.0, 0.0, 0.0],
        ];
        config.whiten_unbiased = false;
        let e = 1f64.exp();
        let d = [
            e * e / (e * e + e + 1.0) * (e * e / (e * e + 2.0)),
            e / (e + 2.0) * (e / (2.0 * e + 1.0)),
            1.0 / 3.0 / 3.0,
        ];
        let mean = d.iter().sum::<f64>() / 3.0;
        let std = (d.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
        for (got, d) in retrieval_term(&table, &config).unwrap().iter().zip(d) {
            assert!((got - (d - mean) / std).abs() < 1e-9);
        }
    }
}
