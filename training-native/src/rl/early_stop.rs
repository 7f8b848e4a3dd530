//! When a run is stopped before its end: the policy has strayed, is sure of everything, says nothing, or learns nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::metrics::Metrics;

/// Bounds; `None` never stops.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StopRules {
    /// Largest mean KL divergence to the reference, nats; it is measured only where the loss has it.
    pub max_kl: Option<f64>,
    /// Least mean entropy, nats.
    pub min_entropy: Option<f64>,
    /// Least mean length of completions, tokens.
    pub min_length: Option<f64>,
    /// Whether a run stops in which no group has any variance, or no completion any reward.
    pub dead_groups: bool,
    /// Steps in a row for which a bound must be broken.
    pub patience: u64,
}

impl Default for StopRules {
    fn default() -> Self {
        Self {
            max_kl: Some(10.0),
            min_entropy: Some(1e-4),
            min_length: Some(2.0),
            dead_groups: true,
            patience: 20,
        }
    }
}

/// How long each bound has been broken; kept in checkpoints.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch(BTreeMap<String, u64>);

impl Watch {
    /// Takes note of a step; the reason to stop, if there is one. A figure that the step does not have changes nothing.
    pub fn observe(&mut self, metrics: &Metrics, rules: &StopRules) -> Option<String> {
        let above = |name: &str, most: Option<f64>| Some(metrics.get(name)? > most?);
        let below = |name: &str, least: Option<f64>| Some(metrics.get(name)? < least?);
        let dead = rules.dead_groups.then_some(1.0);
        let checks = [
            (
                "kl",
                above("kl", rules.max_kl),
                "the policy has strayed from the reference",
            ),
            (
                "entropy",
                below("entropy", rules.min_entropy),
                "the policy is sure of every token",
            ),
            (
                "completions/mean_length",
                below("completions/mean_length", rules.min_length),
                "completions have become empty",
            ),
            (
                "frac_reward_zero_std",
                dead.and_then(|all| Some(metrics.get("frac_reward_zero_std")? >= all)),
                "all completions of a prompt are rewarded alike, so nothing can be learned",
            ),
            (
                "rewards/unscored_rows",
                dead.and_then(|_| {
                    let unscored = metrics.get("rewards/unscored_rows")?;
                    Some(unscored > 0.0 && metrics.get("reward").is_none())
                }),
                "no reward applies to any completion, so nothing can be learned",
            ),
        ];
        let mut reason = None;
        for (name, broken, words) in checks {
            let Some(broken) = broken else { continue };
            let times = self.0.entry(name.to_owned()).or_insert(0);
            *times = if broken { *times + 1 } else { 0 };
            if *times >= rules.patience.max(1) {
                let value = metrics.get(name).unwrap_or(f64::NAN);
                reason = Some(format!("{words}: {name} is {value:.4} for {times} steps"));
            }
        }
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::super::metrics::Figure;
    use super::*;

    fn step(kl: f64, entropy: f64) -> Metrics {
        let mut metrics = Metrics::default();
        metrics.add("kl", Figure::mean([kl]));
        metrics.add("entropy", Figure::mean([entropy]));
        metrics
    }

    #[test]
    fn only_what_lasts_stops_a_run() {
        let rules = StopRules {
            max_kl: Some(1.0),
            min_entropy: Some(0.1),
            patience: 2,
            ..StopRules::default()
        };
        let mut watch = Watch::default();
        assert_eq!(watch.observe(&step(3.0, 1.0), &rules), None);
        assert_eq!(watch.observe(&step(0.5, 1.0), &rules), None);
        assert_eq!(watch.observe(&step(3.0, 1.0), &rules), None);
        assert_eq!(
            watch.observe(&Metrics::default(), &rules),
            None,
            "nothing was measured"
        );
        assert!(
            watch
                .observe(&step(3.0, 1.0), &rules)
                .unwrap()
                .contains("kl is 3.0000")
        );
        let mut watch = Watch::default();
        watch.observe(&step(0.0, 0.05), &rules);
        assert!(
            watch
                .observe(&step(0.0, 0.05), &rules)
                .unwrap()
                .contains("sure")
        );
        let mut unscored = Metrics::default();
        unscored.add("rewards/unscored_rows", Figure::Sum(8.0));
        unscored.add("reward", Figure::mean([]));
        let mut watch = Watch::default();
        assert_eq!(watch.observe(&unscored, &rules), None);
        let said = watch.observe(&unscored, &rules).unwrap();
        assert!(said.contains("no reward applies"), "{said}");
        let mut some = Metrics::default();
        some.add("rewards/unscored_rows", Figure::Sum(8.0));
        some.add("reward", Figure::mean([0.5]));
        assert_eq!(watch.observe(&some, &rules), None);
        let never = StopRules {
            max_kl: None,
            min_entropy: None,
            ..rules
        };
        assert_eq!(watch.observe(&step(99.0, 0.0), &never), None);
    }
}
