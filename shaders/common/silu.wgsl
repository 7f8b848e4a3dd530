// x sigmoid(x), and sigmoid(x).

fn silu(x: f32) -> f32 {
    return x * sigmoid(x);
}

fn sigmoid(x: f32) -> f32 {
    // The exponential of what is not positive cannot overflow.
    let fall = exp(-abs(x));
    return select(fall, 1.0, x > 0.0) / (1.0 + fall);
}
