//! Entropy: which tokens are uncertain enough to count, and how the bonus for it is steered.

use anyhow::{Result, ensure};

use super::config::GrpoConfig;

/// Which of the tokens under `mask` belong to the share `quantile` of highest entropy (arXiv 2506.01939).
///
/// `entropies` and `mask` hold the tokens of a whole step, in any order: a threshold of its own for each shard would
/// make the step depend on how it is cut. (TRL takes one for each micro-batch over all ranks.) The threshold lies
/// between two tokens as `torch.quantile` puts it, in a line.
///
/// # Errors
/// When the lengths differ.
pub fn high_entropy(entropies: &[f64], mask: &[bool], quantile: f64) -> Result<Vec<bool>> {
    ensure!(
        entropies.len() == mask.len(),
        "{} entropies for a mask of {}",
        entropies.len(),
        mask.len()
    );
    if quantile >= 1.0 {
        return Ok(mask.to_vec());
    }
    // The share and the threshold are f32 as there, the place between is not: where a token is the threshold itself,
    // rounding decides whether it counts.
    let mut sorted: Vec<f32> = entropies
        .iter()
        .zip(mask)
        .filter_map(|(h, counts)| counts.then_some(*h as f32))
        .collect();
    sorted.sort_by(f32::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else {
        return Ok(mask.to_vec());
    };
    let place = f64::from((1.0 - quantile) as f32) * last as f64;
    let (below, above) = (place.floor() as usize, (place.ceil() as usize).min(last));
    let share = (place - place.floor()) as f32;
    let between = sorted[below] + share * (sorted[above] - sorted[below]);
    let threshold = f64::from(between.min(sorted[above]));
    Ok(entropies
        .iter()
        .zip(mask)
        .map(|(h, counts)| *counts && *h >= threshold)
        .collect())
}

/// The weight of the entropy bonus from step to step (Skywork-OR1, arXiv 2505.22312).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EntropyControl {
    /// The weight, to be checkpointed.
    coef: f64,
    /// Mean entropy of the last step; none before the first.
    last: Option<f64>,
}

impl EntropyControl {
    /// Before the first step.
    pub fn new(config: &GrpoConfig) -> Self {
        Self {
            coef: config.entropy_coef,
            last: None,
        }
    }

    /// The weight that applies in the next step: if steered, only once the entropy has fallen to the target.
    pub fn coef(&self, config: &GrpoConfig) -> f64 {
        let applies = match (config.use_adaptive_entropy, self.last) {
            (false, _) => true,
            (true, Some(last)) => last <= config.entropy_target,
            (true, None) => false,
        };
        if applies { self.coef } else { 0.0 }
    }

    /// Takes note of a step's mean entropy over all tokens that count, on all ranks.
    pub fn update(&mut self, entropy: f64, config: &GrpoConfig) {
        if !config.use_adaptive_entropy || !entropy.is_finite() {
            return;
        }
        let delta = config.entropy_coef_delta;
        self.coef = if entropy <= config.entropy_target {
            (self.coef + delta).min(config.entropy_coef_max)
        } else {
            (self.coef - delta).max(config.entropy_coef_min)
        };
        self.last = Some(entropy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_share_counts_and_nothing_outside_the_mask() {
        let entropies = [0.1, 0.2, 0.3, 0.4, 0.5, 99.0, f64::NAN];
        let mask = [true, true, true, true, true, false, false];
        // torch.quantile([.1 .. .5], .8) = .42.
        let kept = high_entropy(&entropies, &mask, 0.2).unwrap();
        assert_eq!(kept, [false, false, false, false, true, false, false]);
        // The threshold is the third token itself, .3: in f32 that is above it, .5 is not.
        let kept = high_entropy(&entropies, &mask, 0.5).unwrap();
        assert_eq!(kept, [false, false, false, true, true, false, false]);
        let halves = [0.5, 1.0, 1.5, 2.0, 2.5, 99.0, f64::NAN];
        let kept = high_entropy(&halves, &mask, 0.5).unwrap();
        assert_eq!(kept, [false, false, true, true, true, false, false]);
        assert_eq!(high_entropy(&entropies, &mask, 1.0).unwrap(), mask);
        assert_eq!(high_entropy(&[1.0], &[false], 0.5).unwrap(), [false]);
        assert!(high_entropy(&[1.0], &[], 0.5).is_err());
    }

    #[test]
    fn the_weight_is_steered_to_the_target() {
        let config = GrpoConfig {
            use_adaptive_entropy: true,
            entropy_coef: 0.01,
            ..GrpoConfig::default()
        };
        let mut control = EntropyControl::new(&config);
        assert_eq!(control.coef(&config), 0.0, "nothing is known yet");
        control.update(0.1, &config);
        assert!((control.coef(&config) - 0.015).abs() < 1e-12);
        control.update(0.9, &config);
        assert_eq!(control.coef(&config), 0.0, "there is entropy enough");
        control.update(f64::NAN, &config);
        control.update(0.1, &config);
        assert!((control.coef(&config) - 0.015).abs() < 1e-12);
    }
}
