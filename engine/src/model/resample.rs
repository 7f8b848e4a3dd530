//! Weights that bring the points of a line to another number, as `torch.nn.functional.interpolate` has them
//! (`align_corners=False`), in its f32 arithmetic.

/// The sharpness of torch's cubic, the curve's slope where it first crosses zero: without and with smoothing.
const SHARPNESS: f32 = -0.75;
const SHARPNESS_SMOOTHED: f32 = -0.5;

/// `mode="bicubic"` along one axis: `[to, from]`, row-major; beyond the ends the last point counts on.
pub fn bicubic(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    lines(from, to, |at, line| {
        let place = scale * (at as f32 + 0.5) - 0.5;
        let floor = place.floor();
        let share = place - floor;
        let weights = [
            far(share + 1.0, SHARPNESS),
            near(share, SHARPNESS),
            near(1.0 - share, SHARPNESS),
            far(2.0 - share, SHARPNESS),
        ];
        for (tap, weight) in weights.into_iter().enumerate() {
            let point = floor as i64 + tap as i64 - 1;
            line[point.clamp(0, from as i64 - 1) as usize] += weight;
        }
    })
}

/// `mode="bilinear", antialias=True` along one axis: `[to, from]`, row-major; where the line shrinks each new point is a
/// mean of all that it stands for.
pub fn smoothed(from: usize, to: usize) -> Vec<f32> {
    averaged(from, to, 1.0, |x| (1.0 - x).max(0.0))
}

/// `mode="bicubic", antialias=True` along one axis: `[to, from]`, row-major.
pub fn bicubic_smoothed(from: usize, to: usize) -> Vec<f32> {
    averaged(from, to, 2.0, |x| match x {
        x if x < 1.0 => near(x, SHARPNESS_SMOOTHED),
        x if x < 2.0 => far(x, SHARPNESS_SMOOTHED),
        _ => 0.0,
    })
}

/// The cubic up to 1 from its middle.
fn near(x: f32, sharpness: f32) -> f32 {
    ((sharpness + 2.0) * x - (sharpness + 3.0)) * x * x + 1.0
}

/// The cubic from 1 to 2.
fn far(x: f32, sharpness: f32) -> f32 {
    ((sharpness * x - 5.0 * sharpness) * x + 8.0 * sharpness) * x - 4.0 * sharpness
}

/// Means by a filter of the distance from the new point, which is zero from `support` on and widens where the line shrinks.
fn averaged(from: usize, to: usize, support: f32, filter: impl Fn(f32) -> f32) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    let widening = scale.max(1.0);
    let reach = support * widening;
    lines(from, to, |at, line| {
        let centre = scale * (at as f32 + 0.5);
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(from);
        for (point, weight) in line.iter_mut().enumerate().take(end).skip(first) {
            *weight = filter(((point as f32 - centre + 0.5) / widening).abs());
        }
        let sum: f32 = line.iter().sum();
        line.iter_mut().for_each(|weight| *weight /= sum);
    })
}

/// `to` lines of `from` weights; `fill` says one. None where a side is zero.
fn lines(from: usize, to: usize, fill: impl Fn(usize, &mut [f32])) -> Vec<f32> {
    let mut weights = vec![0.0; from.saturating_mul(to)];
    if from > 0 {
        for (at, line) in weights.chunks_exact_mut(from).enumerate() {
            fill(at, line);
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What torch 2.15 gives on a CPU, itself 2e-7 off; a few roundings of f32 are allowed for another order of its sums.
    fn assert_close(found: &[f32], torch: &[f32]) {
        assert_eq!(found.len(), torch.len());
        for (at, (found, torch)) in found.iter().zip(torch).enumerate() {
            assert!((found - torch).abs() < 1e-6, "{at}: {found} for {torch}");
        }
    }

    #[test]
    fn bicubic_is_torchs() {
        let longer = [
            [1.086_805_8, -0.086_805_58, 0.0, 0.0],
            [0.5, 0.593_75, -0.093_75, 0.0],
            [-0.086_805_34, 0.943_287, 0.160_879_61, -0.017_361_164],
            [-0.017_360_926, 0.160_879_61, 0.943_287_1, -0.086_805_58],
            [0.0, -0.093_75, 0.593_75, 0.5],
            [0.0, 0.0, -0.086_805_34, 1.086_805_5],
        ];
        assert_close(&bicubic(4, 6), longer.as_flattened());
        let shorter = [
            [0.856_481_7, 0.160_879_67, -0.017_361_164, 0.0],
            [-0.093_75, 0.593_75, 0.593_75, -0.093_75],
            [0.0, -0.017_360_687, 0.160_879_5, 0.856_481_55],
        ];
        assert_close(&bicubic(4, 3), shorter.as_flattened());
        assert_close(&bicubic(1, 3), &[1.0; 3]);
    }

    #[test]
    fn smoothing_is_torchs() {
        let longer = [
            [1.0, 0.0, 0.0, 0.0],
            [0.642_857_1, 0.357_142_9, 0.0, 0.0],
            [0.071_428_54, 0.928_571_46, 0.0, 0.0],
            [0.0, 0.5, 0.5, 0.0],
            [0.0, 0.0, 0.928_571_2, 0.071_428_776],
            [0.0, 0.0, 0.357_142_7, 0.642_857_3],
            [0.0, 0.0, 0.0, 1.0],
        ];
        assert_close(&smoothed(4, 7), longer.as_flattened());
        let shorter = [
            [0.357_142_87, 0.428_571_4, 0.214_285_7, 0.0, 0.0, 0.0, 0.0],
            [
                0.0,
                0.058_823_53,
                0.235_294_12,
                0.411_764_7,
                0.235_294_12,
                0.058_823_53,
                0.0,
            ],
            [
                0.0,
                0.0,
                0.0,
                5.960_464e-8,
                0.214_285_76,
                0.428_571_43,
                0.357_142_78,
            ],
        ];
        assert_close(&smoothed(7, 3), shorter.as_flattened());
        let mean = [0.208_333_33, 0.291_666_66, 0.291_666_66, 0.208_333_33];
        assert_close(&smoothed(4, 1), &mean);
        assert_close(&smoothed(1, 3), &[1.0; 3]);
    }

    #[test]
    fn smoothing_by_the_cubic_is_torchs() {
        let longer = [
            [1.065_789_3, -0.065_789_32, 0.0, 0.0],
            [0.529_411_8, 0.529_411_8, -0.058_823_53, 0.0],
            [-0.057_870_46, 0.937_500_1, 0.131_944_6, -0.011_574_183],
            [-0.011_574_005, 0.131_944_3, 0.937_5, -0.057_870_3],
            [0.0, -0.058_823_53, 0.529_411_8, 0.529_411_8],
            [0.0, 0.0, -0.065_789_57, 1.065_789_6],
        ];
        assert_close(&bicubic_smoothed(4, 6), longer.as_flattened());
        let shorter = [
            [0.752_860_4, 0.304_347_8, -0.057_208_236, 0.0],
            [-0.035_201_15, 0.535_201_1, 0.535_201_1, -0.035_201_15],
            [0.0, -0.057_208_12, 0.304_347_7, 0.752_860_5],
        ];
        assert_close(&bicubic_smoothed(4, 3), shorter.as_flattened());
        let mean = [0.215_069_28, 0.284_930_7, 0.284_930_7, 0.215_069_28];
        assert_close(&bicubic_smoothed(4, 1), &mean);
        assert_close(&bicubic_smoothed(1, 3), &[1.0; 3]);
    }

    #[test]
    fn a_line_of_its_own_length_stays() {
        for line in [bicubic(5, 5), smoothed(5, 5), bicubic_smoothed(5, 5)] {
            for (at, weight) in line.into_iter().enumerate() {
                assert_eq!(weight, if at % 6 == 0 { 1.0 } else { 0.0 });
            }
        }
        assert!(smoothed(0, 3).is_empty() && bicubic(3, 0).is_empty());
    }
}
