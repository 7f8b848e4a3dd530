//! Rollouts that another distribution drew: rows that strayed are left out, and ratios put the rest right.

use anyhow::{Result, ensure};
use burn::tensor::{Bool, Tensor};

use super::config::{GrpoConfig, ImportanceSamplingMode};
use super::metrics::Pending;
use super::policy_loss::LOG_RATIO_LIMIT;

/// 1 for rows that are kept, `[rows, 1]`: their advantage (`[rows, 1]`) is not negative, or their mean log-ratio from
/// the policy that sampled (`sampling`) to the present one (`logps`) is at most `threshold` (DeepSeek-V3.2,
/// arXiv 2512.02556). A token without a sampling log-probability (NaN) is no evidence.
///
/// `logps` and `sampling` are `[rows, tokens]`, 0 outside `mask` (1 or 0).
pub fn kept_rows(
    logps: Tensor<2>,
    sampling: Tensor<2>,
    mask: Tensor<2>,
    advantages: Tensor<2>,
    threshold: f64,
) -> Tensor<2> {
    let drift = sampling.detach() - logps.detach();
    let unknown = drift.clone().is_nan();
    let drift = drift.mask_fill(unknown, 0.0) * mask.clone();
    let mean = drift.sum_dim(1) / mask.sum_dim(1).clamp_min(1.0);
    let near = mean.lower_equal_elem(threshold);
    advantages.greater_equal_elem(0.0).bool_or(near).float()
}

/// Ratio of the training distribution (`old`) to the one that sampled (`sampling`), both `[rows, tokens]`, bounded as
/// the settings say: `[rows, tokens]`, or `[rows, 1]` of sequences (the product over tokens, not their mean).
///
/// A token without a sampling log-probability (NaN) has ratio 1. Rows and tokens outside `mask` do not matter. Where
/// ratios leave the bounds, "mask" modes drop the token or the row and "truncate" modes hold it at the bound.
///
/// # Errors
/// When shapes differ.
pub fn importance_ratio(
    old: Tensor<2>,
    sampling: Tensor<2>,
    mask: Tensor<2, Bool>,
    config: &GrpoConfig,
) -> Result<(Tensor<2>, Pending)> {
    ensure!(
        old.dims() == sampling.dims() && old.dims() == mask.dims(),
        "log-probabilities {:?}, those of sampling {:?} and mask {:?} differ in shape",
        old.dims(),
        sampling.dims(),
        mask.dims()
    );
    let difference = old.detach() - sampling.detach();
    let unknown = difference.clone().is_nan().bool_or(mask.clone().bool_not());
    let known = unknown.clone().bool_not().float();
    let difference = difference.mask_fill(unknown, 0.0);
    let mut figures = Pending::default();
    let apart = difference.clone().abs();
    figures.mean(
        "sampling/sampling_logp_difference/mean",
        apart.clone().sum(),
        known.sum(),
    );
    figures.max("sampling/sampling_logp_difference/max", apart.max());
    let sequence = matches!(
        config.importance_sampling_mode,
        ImportanceSamplingMode::SequenceMask | ImportanceSamplingMode::SequenceTruncate
    );
    let exponent = if sequence {
        difference.sum_dim(1)
    } else {
        difference
    };
    let ratio = exponent.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp();
    let ratio = bounded(ratio, config);
    // Where a figure is of tokens, those outside the mask are none.
    let (low, high, counted) = if sequence {
        let counted = ratio.ones_like();
        (ratio.clone(), ratio.clone(), counted)
    } else {
        let outside = mask.clone().bool_not();
        (
            ratio.clone().mask_fill(outside.clone(), f32::INFINITY),
            ratio.clone().mask_fill(outside, f32::NEG_INFINITY),
            mask.float(),
        )
    };
    figures.min("sampling/importance_sampling_ratio/min", low.min());
    figures.max("sampling/importance_sampling_ratio/max", high.max());
    figures.mean(
        "sampling/importance_sampling_ratio/mean",
        (ratio.clone() * counted.clone()).sum(),
        counted.sum(),
    );
    Ok((ratio, figures))
}

fn bounded(ratio: Tensor<2>, config: &GrpoConfig) -> Tensor<2> {
    let low = config.importance_sampling_clip_min.unwrap_or(0.0);
    let high = config
        .importance_sampling_clip_max
        .unwrap_or(f64::from(f32::MAX));
    match config.importance_sampling_mode {
        ImportanceSamplingMode::TokenTruncate | ImportanceSamplingMode::SequenceTruncate => {
            ratio.clamp(low, high)
        }
        ImportanceSamplingMode::TokenMask | ImportanceSamplingMode::SequenceMask => {
            let below = ratio.clone().lower_elem(low);
            let beyond = below.bool_or(ratio.clone().greater_elem(high));
            ratio.mask_fill(beyond, 0.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn ratio(mode: ImportanceSamplingMode) -> (Vec<f32>, crate::rl::metrics::Metrics) {
        let device = Device::flex();
        let config = GrpoConfig {
            importance_sampling_mode: mode,
            importance_sampling_clip_max: Some(2.0),
            importance_sampling_clip_min: Some(0.5),
            ..GrpoConfig::default()
        };
        let ln2 = 2f32.ln();
        let old = Tensor::from_data([[ln2, ln2, f32::NAN], [-2.0 * ln2, 0.0, 9.0]], &device);
        let sampling = Tensor::from_data([[0.0, f32::NAN, 5.0], [0.0, 0.1f32.ln(), 9.0]], &device);
        let mask =
            Tensor::<2, Bool>::from_data([[true, true, false], [true, true, false]], &device);
        let (ratio, figures) = importance_ratio(old, sampling, mask, &config).unwrap();
        (
            ratio.into_data().try_to_vec().unwrap(),
            figures.read().unwrap(),
        )
    }

    #[test]
    fn each_mode_bounds_in_its_way() {
        use ImportanceSamplingMode as Mode;
        for (mode, want) in [
            (Mode::TokenTruncate, vec![2.0, 1.0, 1.0, 0.5, 2.0, 1.0]),
            (Mode::TokenMask, vec![2.0, 1.0, 1.0, 0.0, 0.0, 1.0]),
            (Mode::SequenceTruncate, vec![2.0, 2.0]),
            (Mode::SequenceMask, vec![2.0, 0.0]),
        ] {
            let (got, _) = ratio(mode);
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(&want) {
                // An exponential of a logarithm.
                assert!((got - want).abs() < 1e-5, "{mode:?}: {got} {want}");
            }
        }
        let (_, metrics) = ratio(Mode::TokenTruncate);
        let mean = metrics
            .get("sampling/importance_sampling_ratio/mean")
            .unwrap();
        assert!((mean - 5.5 / 4.0).abs() < 1e-5);
        assert_eq!(
            metrics.get("sampling/importance_sampling_ratio/min"),
            Some(0.5)
        );
        let apart = metrics
            .get("sampling/sampling_logp_difference/mean")
            .unwrap();
        let want = f64::from(2f32.ln() * 3.0 + 10f32.ln()) / 3.0;
        assert!((apart - want).abs() < 1e-5, "three tokens are known");
    }

    #[test]
    fn strayed_rows_are_dropped_only_where_they_were_bad() {
        let device = Device::flex();
        let zeros = Tensor::<2>::zeros([3, 2], &device);
        let sampling = Tensor::from_data([[1.0, 1.0], [1.0, 1.0], [f32::NAN, 0.2]], &device);
        let advantages = Tensor::from_data([[1.0], [-1.0], [-1.0]], &device);
        let kept = kept_rows(zeros.clone(), sampling, zeros.ones_like(), advantages, 0.5);
        let kept: Vec<f32> = kept.into_data().try_to_vec().unwrap();
        assert_eq!(kept, [1.0, 0.0, 1.0]);
    }
}
