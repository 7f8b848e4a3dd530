// A piece of a row of ggml blocks times activations.
//
// Depends on a block format (q8_0.wgsl or q4_0.wgsl) and on the binding `x: array<vec4<f32>>` of the including kernel.

// Products of a piece of a row with the activations that start at vec4 number `x_base`.
fn unit_dot(row_base: u32, unit: u32, x_base: u32) -> f32 {
    let block = unit / UNITS;
    let quants = unit_quants(row_base, unit);
    var sum = 0.0;
    for (var part = 0u; part < PARTS; part++) {
        sum += dot(quants[part], x[x_base + block * 8u + unit % UNITS + part * UNITS]);
    }
    return block_scale(row_base, block) * sum;
}
