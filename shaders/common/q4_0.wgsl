// Q4_0: 18 bytes hold 32 weights: a half scale, then 16 bytes whose low nibbles are weights 0..15
// and whose high nibbles are weights 16..31, each offset by 8.
//
// Depends on ggml.wgsl and on the binding `x: array<vec4<f32>>` of the including kernel.

// Pieces of work in a block: one a word of quants.
const UNITS: u32 = 4u;

// Products of one word of quants with the activations that start at vec4 number `x_base`.
fn unit_dot(row_base: u32, unit: u32, x_base: u32) -> f32 {
    let block = unit / UNITS;
    let quad = unit % UNITS;
    let scale = f32_from_half(half_at(row_base, block * 9u));
    let bytes = vec4<u32>(word_at(row_base, block * 9u + 1u + quad * 2u)) >> vec4<u32>(0u, 8u, 16u, 24u);
    let low = vec4<f32>(bytes & vec4<u32>(15u)) - vec4<f32>(8.0);
    let high = vec4<f32>((bytes >> vec4<u32>(4u)) & vec4<u32>(15u)) - vec4<f32>(8.0);
    let first = x_base + block * 8u + quad;
    return scale * (dot(low, x[first]) + dot(high, x[first + 4u]));
}
