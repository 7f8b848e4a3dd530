//! Settings of A2C as VLRM uses it (arXiv 2404.01911), and its presets.

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::near_miss;

/// All settings; [`super::settings`] reads them by name. Where the paper is silent, the field says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct A2cConfig {
    /// Seed of prompts' order and sampling.
    pub seed: u64,
    /// Learning rate after the warm-up; constant.
    pub learning_rate: f64,
    /// That of the value head and its adapter; the paper names one rate.
    pub value_learning_rate: f64,
    /// Steps in which the rate rises from zero.
    pub warmup_steps: u64,
    /// Optimiser steps.
    pub max_steps: u64,
    /// Captions of a step, each used once.
    pub batch_size: usize,
    /// Largest global gradient norm. The paper clamps "with threshold 1" and does not say whether norm or values.
    pub max_grad_norm: f64,
    /// Sampling temperature.
    pub temperature: f64,
    /// Only that many likeliest tokens are sampled.
    pub top_k: usize,
    /// Most tokens of a caption.
    pub max_completion_length: usize,
    /// Temperature of the probabilities in the policy loss; the paper does not say whether they are tempered.
    pub policy_temperature: f64,
    /// Whether advantages are divided by the unbiased deviation; the paper does not say.
    pub whiten_unbiased: bool,
    /// Weight of the similarity of caption and photo.
    pub similarity_weight: f64,
    /// Weight of the contrastive term over the batch (VLRM-RS).
    pub contrastive_weight: f64,
    /// Temperature of that term's softmax; as written there is none.
    pub contrastive_temperature: f64,
    /// Weight of the mean log-probability under the reference language model; 0 needs no reference (VLRM-RS).
    pub reference_weight: f64,
    /// Fine of a caption without an end.
    pub no_eos_penalty: f64,
    /// Fine of a token inside a bad phrase.
    pub bad_phrase_penalty: f64,
    /// Fine of a token of a word that occurred before.
    pub repeat_penalty: f64,
    /// Hidden layers of the value head; 0 is a single linear layer, with which the paper's training collapses.
    pub value_head_layers: usize,
    /// Width of these layers.
    pub value_head_hidden: usize,
    /// Rank of the adapter that the language model wears when values are asked for; 0 is none.
    pub value_lora_r: usize,
}

impl Default for A2cConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            learning_rate: 1e-5,
            value_learning_rate: 1e-5,
            warmup_steps: 20,
            // About three million captions: where people liked them best.
            max_steps: 700,
            batch_size: 4096,
            max_grad_norm: 1.0,
            temperature: 2.0,
            top_k: 6,
            max_completion_length: 60,
            policy_temperature: 1.0,
            whiten_unbiased: true,
            similarity_weight: 1.0,
            contrastive_weight: 0.0,
            contrastive_temperature: 1.0,
            reference_weight: 1.0,
            no_eos_penalty: 1.0,
            bad_phrase_penalty: 1.0,
            repeat_penalty: 1.0,
            value_head_layers: 2,
            value_head_hidden: 1024,
            value_lora_r: 16,
        }
    }
}

/// Every preset of A2C.
pub const A2C: &[(&str, &str)] = &[
    (
        "vlrm",
        "VLRM (arXiv 2404.01911): similarity, naturalness under a reference, fines",
    ),
    (
        "vlrm-rs",
        "VLRM for retrieval: no reference, and a contrast over the batch",
    ),
];

/// The settings of a preset.
///
/// # Errors
/// When there is none of that name; the near miss is named.
pub fn preset(name: &str) -> Result<A2cConfig> {
    Ok(match name {
        "vlrm" => A2cConfig::default(),
        "vlrm-rs" => A2cConfig {
            reference_weight: 0.0,
            contrastive_weight: 0.3,
            ..A2cConfig::default()
        },
        _ => {
            let known: Vec<&str> = A2C.iter().map(|(name, _)| *name).collect();
            bail!(near_miss::unknown("preset", name, &known))
        }
    })
}

impl A2cConfig {
    /// Checks the settings.
    ///
    /// # Errors
    /// The first that cannot be, in words.
    pub fn validate(&self) -> Result<()> {
        ensure!(
            self.batch_size >= 2,
            "batch_size is {}: advantages are whitened over the batch",
            self.batch_size
        );
        ensure!(
            self.max_completion_length > 0,
            "max_completion_length must be at least 1"
        );
        ensure!(
            self.value_head_layers == 0 || self.value_head_hidden > 0,
            "value_head_hidden must be at least 1"
        );
        for (name, value) in [
            ("max_grad_norm", self.max_grad_norm),
            ("temperature", self.temperature),
            ("policy_temperature", self.policy_temperature),
            ("contrastive_temperature", self.contrastive_temperature),
        ] {
            ensure!(
                value > 0.0 && value.is_finite(),
                "{name} is {value}; it must be above 0"
            );
        }
        for (name, value) in [
            ("learning_rate", self.learning_rate),
            ("value_learning_rate", self.value_learning_rate),
            ("similarity_weight", self.similarity_weight),
            ("contrastive_weight", self.contrastive_weight),
            ("reference_weight", self.reference_weight),
            ("no_eos_penalty", self.no_eos_penalty),
            ("bad_phrase_penalty", self.bad_phrase_penalty),
            ("repeat_penalty", self.repeat_penalty),
        ] {
            ensure!(
                value >= 0.0 && value.is_finite(),
                "{name} is {value}; it must be 0 or more"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rl::settings;

    #[test]
    fn presets_are_valid_and_differ_where_the_paper_says() {
        for (name, _) in A2C {
            preset(name).unwrap().validate().unwrap();
        }
        let rs = preset("vlrm-rs").unwrap();
        assert_eq!((rs.reference_weight, rs.contrastive_weight), (0.0, 0.3));
        assert!(preset("vlmr").unwrap_err().to_string().contains("'vlrm'"));
        let changes = settings::from_toml("top_k = 4\ntempreature = 1").unwrap();
        let said = settings::with(&rs, &changes).unwrap_err().to_string();
        assert!(said.contains("did you mean 'temperature'"), "{said}");
        let lone = A2cConfig {
            batch_size: 1,
            ..rs
        };
        assert!(
            lone.validate()
                .unwrap_err()
                .to_string()
                .contains("batch_size")
        );
    }
}
