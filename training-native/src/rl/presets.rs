//! Settings of papers and of released trainers, by name.

use anyhow::{Result, bail};

use super::config::{
    GrpoConfig, ImportanceSamplingLevel, LossType, LrSchedulerType, ScaleRewards, Teacher,
};
use crate::near_miss;

/// Every preset of GRPO and its kin, and where its numbers are from.
pub const GRPO: &[(&str, &str)] = &[
    ("repic", "RePIC as its paper says (arXiv 2506.18369)"),
    (
        "repic-released",
        "RePIC as its released trainer runs on several devices: top-k 50, dropout while sampling, groups of different prompts",
    ),
    (
        "covip",
        "CoViP (ICML 2026), from the code of its repository's history",
    ),
    (
        "dapo",
        "DAPO (arXiv 2503.14476): clip higher, mean over tokens, groups without variance drawn again",
    ),
    ("gspo", "GSPO (arXiv 2507.18071): one ratio a sequence"),
    (
        "cispo",
        "CISPO (arXiv 2506.13585): capped ratio as a weight",
    ),
    (
        "sapo",
        "SAPO (arXiv 2511.20347): a gate in place of clipping",
    ),
    (
        "luspo",
        "LUSPO (arXiv 2602.05261): one ratio a sequence, longer ones count more",
    ),
    (
        "dr_grpo",
        "Dr. GRPO (arXiv 2503.20783): no division by length or deviation",
    ),
    ("trl", "the defaults of TRL 1.16.0"),
    (
        "sft",
        "supervised: the references of the prompts, mean over tokens; nothing is drawn or rewarded",
    ),
];

/// The settings of a preset.
///
/// # Errors
/// When there is none of that name; the near miss is named.
pub fn grpo(name: &str) -> Result<GrpoConfig> {
    let base = GrpoConfig::default();
    Ok(match name {
        "repic" => repic(),
        "repic-released" => GrpoConfig {
            // The default of `GenerationConfig` in the pinned transformers 4.49, which inherits special tokens only.
            top_k: 50,
            // Nothing calls `eval()` before generation.
            rollout_dropout: true,
            // Ranks shuffle on their own, so the eight rows that are normalised together are eight prompts.
            groups_share_prompt: false,
            ..repic()
        },
        "covip" => GrpoConfig {
            loss_type: LossType::Grpo,
            importance_sampling_level: ImportanceSamplingLevel::Sequence,
            epsilon: 3e-4,
            epsilon_high: Some(4e-4),
            learning_rate: 5e-6,
            num_generations: 4,
            // More than 511 tokens are fined; sampling must be able to get there.
            max_completion_length: 512,
            reward_funcs: vec!["covip".into()],
            ..base
        },
        "dapo" => GrpoConfig {
            loss_type: LossType::Dapo,
            epsilon: 0.2,
            epsilon_high: Some(0.28),
            // As EasyR1 tries; the paper has no limit.
            dynamic_sampling_max_tries: 20,
            mask_truncated_completions: true,
            ..base
        },
        "gspo" => GrpoConfig {
            loss_type: LossType::Grpo,
            importance_sampling_level: ImportanceSamplingLevel::Sequence,
            epsilon: 3e-4,
            epsilon_high: Some(4e-4),
            // A rollout is cut into four updates.
            steps_per_generation: Some(4),
            ..base
        },
        "cispo" => GrpoConfig {
            loss_type: LossType::Cispo,
            epsilon_high: Some(5.0),
            ..base
        },
        "sapo" => GrpoConfig {
            loss_type: LossType::Sapo,
            ..base
        },
        "luspo" => GrpoConfig {
            loss_type: LossType::Luspo,
            importance_sampling_level: ImportanceSamplingLevel::Sequence,
            epsilon: 2e-3,
            epsilon_high: Some(2.5e-3),
            ..base
        },
        "dr_grpo" => GrpoConfig {
            loss_type: LossType::DrGrpo,
            scale_rewards: ScaleRewards::None,
            ..base
        },
        "trl" => base,
        // Batch and rate are those of TRL's SFT trainer.
        "sft" => GrpoConfig {
            teacher: Teacher::Gold,
            loss_type: LossType::Dapo,
            beta: 0.0,
            learning_rate: 2e-5,
            per_device_train_batch_size: 8,
            gradient_accumulation_steps: 1,
            // Measured on held-out prompts; nothing is learned from it.
            reward_funcs: vec!["set-f1".into()],
            ..base
        },
        _ => {
            let known: Vec<&str> = GRPO.iter().map(|(name, _)| *name).collect();
            bail!(near_miss::unknown("preset", name, &known))
        }
    })
}

/// The paper's section on training and the released scripts: early-2025 TRL, not TRL of today.
fn repic() -> GrpoConfig {
    GrpoConfig {
        loss_type: LossType::Grpo,
        beta: 0.04,
        use_bias_correction_kl: false,
        epsilon: 0.2,
        learning_rate: 1e-5,
        lr_scheduler_type: LrSchedulerType::Linear,
        num_generations: 8,
        // Eight devices of one row, two rounds: 16 completions a step, of two prompts.
        per_device_train_batch_size: 8,
        gradient_accumulation_steps: 2,
        num_train_epochs: 2.0,
        max_completion_length: 256,
        reward_funcs: vec!["repic".into()],
        use_peft: true,
        lora_r: 64,
        lora_alpha: 128.0,
        lora_dropout: 0.05,
        ..GrpoConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_a_near_miss_is_named() {
        for (name, _) in GRPO {
            let config = grpo(name).unwrap();
            config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
        let said = grpo("repick").unwrap_err().to_string();
        assert!(said.contains("did you mean 'repic'"), "{said}");
    }

    #[test]
    fn repic_is_not_todays_trl() {
        let (repic, trl) = (grpo("repic").unwrap(), grpo("trl").unwrap());
        assert_eq!(
            (repic.loss_type, trl.loss_type),
            (LossType::Grpo, LossType::Dapo)
        );
        assert_eq!((repic.beta, repic.use_bias_correction_kl), (0.04, false));
        assert_eq!(
            (repic.top_k, grpo("repic-released").unwrap().top_k),
            (0, 50)
        );
        assert_eq!(trl, GrpoConfig::default());
    }
}
