// The approximate GELU: x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2.
//
// Depends on silu.wgsl.

// (1 + tanh t) / 2 is sigmoid(2 t), which has a form that cannot overflow.
const TWO_SQRT_2_OVER_PI: f32 = 1.5957691216057308;

fn activated(x: f32) -> f32 {
    return x * sigmoid(TWO_SQRT_2_OVER_PI * (x + 0.044715 * x * x * x));
}
