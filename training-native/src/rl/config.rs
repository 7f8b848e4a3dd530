//! Settings of GRPO and its kin, under the names and with the defaults of TRL 1.16.0 where it has them.

use serde::{Deserialize, Serialize};

/// How the per-token loss is formed and what it is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// Clipped ratio, mean over the tokens of a row, then over rows (DeepSeekMath, arXiv 2402.03300).
    Grpo,
    /// Clipped ratio, mean over all tokens of the step.
    Bnpo,
    /// Clipped ratio, sum over tokens, divided by rows times `max_completion_length` (arXiv 2503.20783).
    DrGrpo,
    /// Clipped ratio, mean over all tokens of the generation batch (arXiv 2503.14476).
    Dapo,
    /// Ratio capped at `epsilon_high`, as a weight of the log-probability (MiniMax-M1, arXiv 2506.13585).
    Cispo,
    /// Sigmoid gate in place of clipping (Qwen, arXiv 2511.20347).
    Sapo,
    /// Clipped ratio, sum over the tokens of a row, mean over rows (arXiv 2602.05261).
    Luspo,
    /// Gamma-shaped weight of the whole sequence's ratio (arXiv 2602.10693).
    Vespo,
}

/// What a ratio belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceSamplingLevel {
    /// Each token has its ratio.
    Token,
    /// A sequence has one: the geometric mean of its tokens' (GSPO, arXiv 2507.18071).
    Sequence,
}

/// What advantages are divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleRewards {
    /// The standard deviation of the group.
    Group,
    /// The standard deviation of the whole batch.
    Batch,
    /// Nothing.
    None,
}

/// How several rewards become one advantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MultiObjectiveAggregation {
    /// Weighted sum, then normalised within the group.
    SumThenNormalize,
    /// Each normalised within the group, weighted sum, then normalised over the batch (GDPO, arXiv 2601.05242).
    NormalizeThenSum,
}

/// How the ratio between training and rollout distribution is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportanceSamplingMode {
    /// A ratio a token, clamped.
    TokenTruncate,
    /// A ratio a token, zero beyond the bounds.
    TokenMask,
    /// One ratio a sequence (the product of its tokens'), clamped.
    SequenceTruncate,
    /// One ratio a sequence, zero beyond the bounds.
    SequenceMask,
}

/// Whose completions are learned from. Not in TRL: all but the first are supervised learning in the same loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teacher {
    /// The policy's own, compared with each other: reinforcement learning.
    Policy,
    /// The first `reference` of each row.
    Gold,
    /// The same, spoiled as captions of a large model are: each name is left out with probability 0.2, and the notes on each
    /// thing are copied with probability 0.2.
    NoisyGold,
    /// The best of `num_generations` of the model as it was, where its first reward is 1: rejection sampling.
    BestOfReference,
}

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LrSchedulerType {
    /// Down to zero in a line.
    Linear,
    /// Down to zero in half a cosine.
    Cosine,
    /// As it is.
    #[serde(alias = "constant_with_warmup")]
    Constant,
}

/// All settings. [`super::settings`] reads them by name, [`super::presets`] has those of papers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpoConfig {
    /// Seed of prompts' order, sampling and dropout.
    pub seed: u64,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Shape of the schedule after the warm-up.
    pub lr_scheduler_type: LrSchedulerType,
    /// Steps in which the rate rises from zero.
    pub warmup_steps: u64,
    /// Optimiser steps; where absent, `num_train_epochs` decides.
    pub max_steps: Option<u64>,
    /// Passes over the prompts.
    pub num_train_epochs: f64,
    /// AdamW: decay of the first moment.
    pub adam_beta1: f64,
    /// AdamW: decay of the second moment.
    pub adam_beta2: f64,
    /// AdamW: what is added to the root of the second moment.
    pub adam_epsilon: f64,
    /// Decay of matrices.
    pub weight_decay: f64,
    /// Largest global gradient norm.
    pub max_grad_norm: f64,
    /// Completions of one micro-batch.
    pub per_device_train_batch_size: usize,
    /// Micro-batches of an optimiser step.
    pub gradient_accumulation_steps: usize,
    /// Micro-batches of one generation; where absent, as many as accumulate.
    pub steps_per_generation: Option<usize>,
    /// Passes over one generation's completions.
    pub num_iterations: usize,
    /// Completions of a prompt: the group.
    pub num_generations: usize,
    /// The same in evaluation, which completes each prompt once, with the likeliest tokens: anything but 1 is refused.
    pub num_generations_eval: Option<usize>,
    /// Most tokens of a completion.
    pub max_completion_length: usize,
    /// Whose completions are learned from. Not in TRL.
    pub teacher: Teacher,
    /// Whether prompts are shuffled.
    pub shuffle_dataset: bool,
    /// Sampling temperature; the log-probabilities of training are those of the tempered distribution, too, where the policy draws
    /// what it learns from.
    pub temperature: f64,
    /// Smallest set of tokens with this much probability; 1 is off.
    pub top_p: f64,
    /// Only that many likeliest tokens; 0 is off.
    pub top_k: usize,
    /// Only tokens with this share of the likeliest one's probability.
    pub min_p: Option<f64>,
    /// Divides the logits of tokens that occurred; 1 is off.
    pub repetition_penalty: f64,
    /// The objective.
    pub loss_type: LossType,
    /// What a ratio belongs to.
    pub importance_sampling_level: ImportanceSamplingLevel,
    /// How far a ratio may fall below 1.
    pub epsilon: f64,
    /// How far it may rise above 1; where absent, `epsilon`. For `cispo` the cap itself.
    pub epsilon_high: Option<f64>,
    /// Cap of the unclipped ratio (INTELLECT-2's two-sided clipping).
    pub delta: Option<f64>,
    /// Weight of the KL divergence to the reference; 0 needs no reference.
    pub beta: f64,
    /// Multiplies the KL estimate by the ratio, which makes its gradient that of the reverse KL.
    pub use_bias_correction_kl: bool,
    /// `sapo`: temperature of the gate where the advantage is above zero.
    pub sapo_temperature_pos: f64,
    /// `sapo`: and where it is not.
    pub sapo_temperature_neg: f64,
    /// `vespo`: power of the ratio where the advantage is not below zero.
    pub vespo_k_pos: f64,
    /// `vespo`: decay there.
    pub vespo_lambda_pos: f64,
    /// `vespo`: power where it is below zero.
    pub vespo_k_neg: f64,
    /// `vespo`: decay there.
    pub vespo_lambda_neg: f64,
    /// Names of the rewards; see [`crate::rewards`].
    pub reward_funcs: Vec<String>,
    /// Weight of each, 0 for one that is only logged; where absent, 1.
    pub reward_weights: Option<Vec<f64>>,
    /// What advantages are divided by.
    pub scale_rewards: ScaleRewards,
    /// How several rewards become one advantage.
    pub multi_objective_aggregation: MultiObjectiveAggregation,
    /// Whether completions without an end are left out of the loss.
    pub mask_truncated_completions: bool,
    /// Share of the tokens, those of highest entropy, whose policy loss counts; 1 is all (arXiv 2506.01939).
    pub top_entropy_quantile: f64,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Whether that weight is steered towards `entropy_target`.
    pub use_adaptive_entropy: bool,
    /// Adaptive: least weight.
    pub entropy_coef_min: f64,
    /// Adaptive: largest weight.
    pub entropy_coef_max: f64,
    /// Adaptive: change of the weight after each step.
    pub entropy_coef_delta: f64,
    /// Adaptive: entropy below which the bonus acts, nats.
    pub entropy_target: f64,
    /// Rows with a negative advantage are left out where their mean log-ratio to the policy that sampled them is
    /// above this (DeepSeek-V3.2).
    pub off_policy_mask_threshold: Option<f64>,
    /// Whether the loss is corrected for rollouts of another distribution (truncated sampling, quantised weights).
    #[serde(alias = "vllm_importance_sampling_correction")]
    pub importance_sampling_correction: bool,
    /// What is corrected, and how the ratio is bounded.
    #[serde(alias = "vllm_importance_sampling_mode")]
    pub importance_sampling_mode: ImportanceSamplingMode,
    /// Upper bound of the ratio.
    #[serde(alias = "vllm_importance_sampling_clip_max")]
    pub importance_sampling_clip_max: Option<f64>,
    /// Lower bound of the ratio.
    #[serde(alias = "vllm_importance_sampling_clip_min")]
    pub importance_sampling_clip_min: Option<f64>,
    /// Most tries to draw prompts again whose group has no variance; 0 is off. Not in TRL; DAPO's dynamic sampling.
    pub dynamic_sampling_max_tries: usize,
    /// The reward whose variance decides, best the outcome itself: filtering on a shaped one collapses the policy.
    pub dynamic_sampling_reward: Option<String>,
    /// Whether a group's rows share a prompt. False makes a group of that many different prompts, as RePIC's
    /// released trainer does on several devices. Not in TRL.
    pub groups_share_prompt: bool,
    /// Whether dropout is on while sampling, as in RePIC's released trainer; there it leaves out other inputs at every token, here
    /// the same ones at all tokens of a completion, by its place among the rows drawn side by side. Not in TRL.
    pub rollout_dropout: bool,
    /// Whether dropout is off in training.
    pub disable_dropout: bool,
    /// Whether the vision tower and the connector stay as they are.
    pub freeze_vision: bool,
    /// Whether products of many rows are made in bf16, all but the head's; weights and their moments stay f32. Worth it on a GPU
    /// and for models of some size. TRL has it on where nothing is said; here it is off.
    pub bf16: bool,
    /// Whether a LoRA adapter is trained rather than all weights.
    pub use_peft: bool,
    /// Rank of the adapter.
    pub lora_r: usize,
    /// Its scale is this over the rank.
    pub lora_alpha: f64,
    /// Dropout of the adapter's input.
    pub lora_dropout: f64,
    /// Names of the layers that get one; `all-linear` is each linear layer outside the vision tower.
    pub lora_target_modules: Vec<String>,
    /// Whether the scale is alpha over the root of the rank (arXiv 2312.03732).
    pub use_rslora: bool,
}

impl Default for GrpoConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            learning_rate: 1e-6,
            lr_scheduler_type: LrSchedulerType::Linear,
            warmup_steps: 0,
            max_steps: None,
            num_train_epochs: 3.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            weight_decay: 0.0,
            max_grad_norm: 1.0,
            per_device_train_batch_size: 8,
            gradient_accumulation_steps: 1,
            steps_per_generation: None,
            num_iterations: 1,
            num_generations: 8,
            num_generations_eval: None,
            max_completion_length: 512,
            teacher: Teacher::Policy,
            shuffle_dataset: true,
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            min_p: None,
            repetition_penalty: 1.0,
            loss_type: LossType::Dapo,
            importance_sampling_level: ImportanceSamplingLevel::Token,
            epsilon: 0.2,
            epsilon_high: None,
            delta: None,
            beta: 0.0,
            use_bias_correction_kl: true,
            sapo_temperature_pos: 1.0,
            sapo_temperature_neg: 1.05,
            vespo_k_pos: 2.0,
            vespo_lambda_pos: 3.0,
            vespo_k_neg: 3.0,
            vespo_lambda_neg: 2.0,
            reward_funcs: Vec::new(),
            reward_weights: None,
            scale_rewards: ScaleRewards::Group,
            multi_objective_aggregation: MultiObjectiveAggregation::SumThenNormalize,
            mask_truncated_completions: false,
            top_entropy_quantile: 1.0,
            entropy_coef: 0.0,
            use_adaptive_entropy: false,
            entropy_coef_min: 0.0,
            entropy_coef_max: 1.0,
            entropy_coef_delta: 0.005,
            entropy_target: 0.2,
            off_policy_mask_threshold: None,
            importance_sampling_correction: false,
            importance_sampling_mode: ImportanceSamplingMode::SequenceMask,
            importance_sampling_clip_max: Some(3.0),
            importance_sampling_clip_min: None,
            dynamic_sampling_max_tries: 0,
            dynamic_sampling_reward: None,
            groups_share_prompt: true,
            rollout_dropout: false,
            disable_dropout: false,
            freeze_vision: true,
            bf16: false,
            use_peft: false,
            lora_r: 16,
            lora_alpha: 32.0,
            lora_dropout: 0.05,
            lora_target_modules: vec!["all-linear".into()],
            use_rslora: false,
        }
    }
}

impl GrpoConfig {
    /// How far a ratio may rise above 1, or `cispo`'s cap.
    pub fn upper_epsilon(&self) -> f64 {
        self.epsilon_high.unwrap_or(self.epsilon)
    }

    /// Micro-batches of one generation.
    pub fn generation_steps(&self) -> usize {
        self.steps_per_generation
            .unwrap_or(self.gradient_accumulation_steps)
    }

    /// Temperature of the log-probabilities that are learned from: that of sampling; and 1 where the policy did not draw, so that it is
    /// the likelihood that rises.
    pub fn learned_temperature(&self) -> f64 {
        match self.teacher {
            Teacher::Policy => self.temperature,
            _ => 1.0,
        }
    }

    /// Whether something is left out of an adapter's inputs in training.
    pub fn has_dropout(&self) -> bool {
        self.use_peft && !self.disable_dropout && self.lora_dropout > 0.0
    }

    /// Whether an entropy bonus can act: a weight that was steered to zero may come back.
    pub fn has_entropy_bonus(&self) -> bool {
        self.entropy_coef != 0.0 || self.use_adaptive_entropy
    }
}
