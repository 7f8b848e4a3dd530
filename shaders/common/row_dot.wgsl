// A row of blocks times activations, shared by LANES invocations of which neighbours read neighbouring words.
//
// Depends on a layout of blocks (f32.wgsl, q4_0.wgsl, q8_0.wgsl, a4.wgsl or a8.wgsl), and of the including kernel on the binding
// `x: array<vec4<f32>>`, on LANES, and on `params.row_words`, `params.blocks` and `params.row_vec4s`.

// What lane `lane` has of the product of a row of the matrix with row `slice` of x.
fn row_dot(row: u32, lane: u32, slice: u32) -> f32 {
    var sum = 0.0;
    for (var unit = lane; unit < params.blocks * UNITS; unit += LANES) {
        sum += unit_dot(row * params.row_words, unit, slice * params.row_vec4s);
    }
    return sum;
}

// Products of a piece of a row with the activations that start at vec4 number `x_base`.
fn unit_dot(row_base: u32, unit: u32, x_base: u32) -> f32 {
    let weights = unit_weights(row_base, unit);
    let first = x_base + unit / UNITS * 8u + unit % UNITS;
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part++) {
        sum += dot(weights[part], x[first + part * UNITS]);
    }
    return sum;
}
