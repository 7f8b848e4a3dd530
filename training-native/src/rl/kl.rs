//! The KL divergence to the reference policy, estimated token by token.

use burn::tensor::Tensor;

use super::policy_loss::LOG_RATIO_LIMIT;

/// The k3 estimate `exp(d) - d - 1` of the KL divergence, `d = ref_logps - logps`, `[rows, tokens]`.
///
/// Never below zero, small where the policies are close (Schulman, "Approximating KL divergence"). Its gradient is
/// `1 - exp(d)`, which is not that of the divergence; times `ratio` (`use_bias_correction_kl`) it is, on policy:
/// `logps - ref_logps` (arXiv 2512.21852). `ratio` is `[rows, tokens]` or `[rows, 1]` and differentiated, too.
pub fn k3(logps: Tensor<2>, ref_logps: Tensor<2>, ratio: Option<Tensor<2>>) -> Tensor<2> {
    let d = (ref_logps.detach() - logps).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT);
    let estimate = d.clone().exp() - d - 1.0;
    match ratio {
        Some(ratio) => estimate * ratio,
        None => estimate,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn values_and_gradients_in_closed_form() {
        let device = Device::flex().autodiff();
        let reference = [[-1.5f32, -0.5, -1.0, -300.0]];
        for corrected in [false, true] {
            let logps = Tensor::<2>::from_data([[-1.0f32; 4]], &device).require_grad();
            let old = logps.clone().detach();
            let ratio = corrected.then(|| (logps.clone() - old).exp());
            let kl = k3(logps.clone(), Tensor::from_data(reference, &device), ratio);
            let values: Vec<f32> = kl.clone().into_data().try_to_vec().unwrap();
            for (got, want) in values.iter().zip([0.106_530_7, 0.148_721_3, 0.0]) {
                // Given to seven places.
                assert!((got - want).abs() < 1e-6);
            }
            let gradient = logps.grad(&kl.sum().backward()).unwrap();
            let gradient: Vec<f32> = gradient.into_data().try_to_vec().unwrap();
            for (got, reference) in gradient.iter().zip([-1.5f32, -0.5, -1.0]) {
                let d = reference + 1.0;
                let want = if corrected { -d } else { 1.0 - d.exp() };
                assert!((got - want).abs() < 1e-6, "{got} {want}");
            }
            assert!(gradient[3].is_finite(), "far apart is still a number");
        }
    }
}
