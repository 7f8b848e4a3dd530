//! Learning rate over the steps of a run: linear warm-up, then down to a floor.

use serde::{Deserialize, Serialize};

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Half a cosine wave.
    #[default]
    Cosine,
    /// A straight line.
    Linear,
    /// Not at all.
    Constant,
}

impl Decay {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Warm-up and decay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Highest learning rate.
    pub peak: f64,
    /// Steps from zero to the peak.
    pub warmup: u64,
    /// Step at which the floor is reached.
    pub total: u64,
    /// Fraction of the peak that remains at the end.
    pub floor: f64,
    /// How it falls. Left out of what is written where it is the usual one, so that runs from before there was a choice resume.
    #[serde(default, skip_serializing_if = "Decay::is_default")]
    pub decay: Decay,
}

impl Schedule {
    /// Learning rate of `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = self.total.saturating_sub(self.warmup).max(1);
        let progress = ((step - self.warmup) as f64 / span as f64).min(1.0);
        let left = match self.decay {
            Decay::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
            Decay::Linear => 1.0 - progress,
            Decay::Constant => 1.0,
        };
        self.peak * (self.floor + (1.0 - self.floor) * left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_the_floor() {
        let schedule = Schedule {
            peak: 1.0,
            warmup: 10,
            total: 110,
            floor: 0.1,
            decay: Decay::Cosine,
        };
        assert!((schedule.rate(0) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(9) - 1.0).abs() < 1e-12);
        assert!((schedule.rate(60) - 0.55).abs() < 1e-12);
        assert!((schedule.rate(110) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(10_000) - 0.1).abs() < 1e-12);
        let at = |decay, step| Schedule { decay, ..schedule }.rate(step);
        assert!((at(Decay::Linear, 35) - 0.775).abs() < 1e-12);
        assert!((at(Decay::Linear, 110) - 0.1).abs() < 1e-12);
        assert_eq!(
            (at(Decay::Constant, 10), at(Decay::Constant, 110)),
            (1.0, 1.0)
        );
        assert!((at(Decay::Constant, 0) - 0.1).abs() < 1e-12);
    }

    /// The digest of options a checkpoint was made with must not change where nothing was changed.
    #[test]
    fn the_usual_decay_is_not_written_down() {
        let schedule = Schedule {
            peak: 1.0,
            warmup: 1,
            total: 2,
            floor: 0.5,
            decay: Decay::Cosine,
        };
        let text = serde_json::to_string(&schedule).unwrap_or_default();
        assert_eq!(text, r#"{"peak":1.0,"warmup":1,"total":2,"floor":0.5}"#);
        let linear = Schedule {
            decay: Decay::Linear,
            ..schedule
        };
        let text = serde_json::to_string(&linear).unwrap_or_default();
        assert!(text.contains(r#""decay":"linear""#), "{text}");
    }
}
