// Q8_0: 34 bytes hold 32 weights: a half scale, then 32 signed bytes.
//
// Depends on ggml.wgsl and on the binding `x: array<vec4<f32>>` of the including kernel.

// Pieces of work in a block: one a word of quants.
const UNITS: u32 = 8u;

// Products of one word of quants with the activations that start at vec4 number `x_base`.
fn unit_dot(row_base: u32, unit: u32, x_base: u32) -> f32 {
    let block = unit / UNITS;
    let quad = unit % UNITS;
    let scale = f32_from_half(half_at(row_base, block * 17u));
    let word = vec4<u32>(word_at(row_base, block * 17u + 1u + quad * 2u));
    // Each byte moves to the top of its lane, then an arithmetic shift brings its sign down.
    let quants = bitcast<vec4<i32>>(word << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    return scale * dot(vec4<f32>(quants), x[x_base + block * 8u + quad]);
}
