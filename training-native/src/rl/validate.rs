//! Which settings make no sense, or none together; said before anything is loaded.

use anyhow::{Result, bail, ensure};

use super::config::{GrpoConfig, ImportanceSamplingLevel, LossType, Teacher};

impl GrpoConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first that cannot be, in words.
    pub fn validate(&self) -> Result<()> {
        self.check_sizes()?;
        self.check_ranges()?;
        self.check_rewards()?;
        self.check_teacher()?;
        self.check_objective()
    }

    /// What is learned from other completions than the policy's has no probability it was drawn with.
    fn check_teacher(&self) -> Result<()> {
        if self.teacher == Teacher::Policy {
            return Ok(());
        }
        let once =
            self.num_iterations == 1 && self.generation_steps() == self.gradient_accumulation_steps;
        ensure!(
            once,
            "teacher: completions that the policy did not draw are learned from once; set num_iterations = 1 and leave \
             steps_per_generation out"
        );
        ensure!(
            !self.importance_sampling_correction && self.off_policy_mask_threshold.is_none(),
            "teacher: importance_sampling_correction and off_policy_mask_threshold compare with the policy that drew, and here it \
             did not"
        );
        Ok(())
    }

    fn check_sizes(&self) -> Result<()> {
        for (name, value) in [
            (
                "per_device_train_batch_size",
                self.per_device_train_batch_size,
            ),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps,
            ),
            ("steps_per_generation", self.generation_steps()),
            ("num_iterations", self.num_iterations),
            ("max_completion_length", self.max_completion_length),
            ("lora_r", self.lora_r),
        ] {
            ensure!(value > 0, "{name} must be at least 1");
        }
        ensure!(
            self.num_generations_eval.is_none_or(|count| count == 1),
            "num_generations_eval: an evaluation completes each prompt once, with the likeliest tokens; leave it out"
        );
        if matches!(self.teacher, Teacher::Gold | Teacher::NoisyGold) {
            // References are no groups.
            return Ok(());
        }
        ensure!(
            self.num_generations >= 2,
            "num_generations is {}: an advantage compares at least 2 completions of a prompt",
            self.num_generations
        );
        let batch = self.per_device_train_batch_size * self.generation_steps();
        ensure!(
            batch.is_multiple_of(self.num_generations),
            "a generation makes {batch} completions (per_device_train_batch_size times steps_per_generation), \
             which is no multiple of num_generations {}: groups must be whole",
            self.num_generations
        );
        Ok(())
    }

    fn check_ranges(&self) -> Result<()> {
        let not_below_zero = [
            ("learning_rate", self.learning_rate),
            ("num_train_epochs", self.num_train_epochs),
            ("adam_epsilon", self.adam_epsilon),
            ("weight_decay", self.weight_decay),
            ("beta", self.beta),
            ("epsilon", self.epsilon),
            ("epsilon_high", self.upper_epsilon()),
            ("entropy_coef_delta", self.entropy_coef_delta),
            ("min_p", self.min_p.unwrap_or(0.0)),
            (
                "importance_sampling_clip_min",
                self.importance_sampling_clip_min.unwrap_or(0.0),
            ),
        ];
        for (name, value) in not_below_zero {
            ensure!(
                value >= 0.0 && value.is_finite(),
                "{name} is {value}; it must be 0 or more"
            );
        }
        let above_zero = [
            ("max_grad_norm", self.max_grad_norm),
            ("temperature", self.temperature),
            ("repetition_penalty", self.repetition_penalty),
            ("sapo_temperature_pos", self.sapo_temperature_pos),
            ("sapo_temperature_neg", self.sapo_temperature_neg),
            ("delta", self.delta.unwrap_or(1.0)),
            (
                "importance_sampling_clip_max",
                self.importance_sampling_clip_max.unwrap_or(1.0),
            ),
            ("lora_alpha", self.lora_alpha),
        ];
        for (name, value) in above_zero {
            ensure!(
                value > 0.0 && value.is_finite(),
                "{name} is {value}; it must be above 0"
            );
        }
        let shares = [
            ("adam_beta1", self.adam_beta1),
            ("adam_beta2", self.adam_beta2),
            ("lora_dropout", self.lora_dropout),
        ];
        for (name, value) in shares {
            ensure!(
                (0.0..1.0).contains(&value),
                "{name} is {value}; it must be from 0 to below 1"
            );
        }
        for (name, value) in [
            ("top_p", self.top_p),
            ("top_entropy_quantile", self.top_entropy_quantile),
        ] {
            ensure!(
                value > 0.0 && value <= 1.0,
                "{name} is {value}; it must be above 0, at most 1"
            );
        }
        Ok(())
    }

    fn check_rewards(&self) -> Result<()> {
        if let Some(weights) = &self.reward_weights {
            ensure!(
                weights.iter().all(|w| w.is_finite()),
                "reward_weights must be finite numbers"
            );
            ensure!(
                self.reward_funcs.is_empty() || weights.len() == self.reward_funcs.len(),
                "{} reward_weights for {} reward_funcs",
                weights.len(),
                self.reward_funcs.len()
            );
        }
        if let Some(name) = &self.dynamic_sampling_reward {
            ensure!(
                self.reward_funcs.contains(name),
                "dynamic_sampling_reward '{name}' is none of reward_funcs"
            );
        } else if self.dynamic_sampling_max_tries > 0 && self.reward_funcs.len() > 1 {
            bail!(
                "say with dynamic_sampling_reward whose variance decides: best the outcome itself, for groups \
                 filtered on a shaped reward collapse the policy"
            );
        }
        Ok(())
    }

    fn check_objective(&self) -> Result<()> {
        let clips = !matches!(
            self.loss_type,
            LossType::Cispo | LossType::Sapo | LossType::Vespo
        );
        ensure!(
            !clips || self.epsilon < 1.0,
            "epsilon is {}; a ratio cannot fall that far below 1",
            self.epsilon
        );
        if let Some(delta) = self.delta {
            ensure!(
                clips,
                "delta caps a clipped ratio, which this loss_type does not have"
            );
            ensure!(
                delta > 1.0 + self.upper_epsilon(),
                "delta {delta} must be above 1 + epsilon_high, or nothing is ever clipped above"
            );
        }
        ensure!(
            self.loss_type != LossType::Cispo || self.upper_epsilon() >= 1.0,
            "epsilon_high is {} but with cispo it is the cap of the ratio itself, usually 5",
            self.upper_epsilon()
        );
        let sequence = self.importance_sampling_level == ImportanceSamplingLevel::Sequence;
        ensure!(
            !(sequence && self.loss_type == LossType::Vespo),
            "vespo weighs whole sequences already; importance_sampling_level must be token"
        );
        if let (Some(low), Some(high)) = (
            self.importance_sampling_clip_min,
            self.importance_sampling_clip_max,
        ) {
            ensure!(
                low <= high,
                "importance_sampling_clip_min {low} is above clip_max {high}"
            );
        }
        ensure!(
            self.entropy_coef_min <= self.entropy_coef_max,
            "entropy_coef_min is above entropy_coef_max"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_fine_and_nonsense_is_named() {
        GrpoConfig::default().validate().unwrap();
        type Change = fn(&mut GrpoConfig);
        let wrong: [(Change, &str); 9] = [
            (|c| c.num_generations = 1, "at least 2"),
            (|c| c.num_generations = 3, "multiple"),
            (|c| c.temperature = 0.0, "temperature"),
            (|c| c.beta = f64::NAN, "beta"),
            (|c| c.top_p = 1.5, "top_p"),
            (|c| c.delta = Some(1.1), "delta"),
            (|c| c.loss_type = LossType::Cispo, "cap"),
            (
                |c| c.reward_weights = Some(vec![f64::INFINITY]),
                "reward_weights",
            ),
            (
                |c| {
                    c.reward_funcs = vec!["a".into(), "b".into()];
                    c.dynamic_sampling_max_tries = 2;
                },
                "dynamic_sampling_reward",
            ),
        ];
        for (change, word) in wrong {
            let mut config = GrpoConfig::default();
            change(&mut config);
            let said = config.validate().unwrap_err().to_string();
            assert!(said.contains(word), "{said}");
        }
    }
}
