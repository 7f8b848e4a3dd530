// Q4_0: 18 bytes hold 32 weights: a half scale, then 16 bytes whose low nibbles are weights 0..15
// and whose high nibbles are weights 16..31, each offset by 8.
//
// Depends on ggml.wgsl.

// Pieces of work in a block: one a word of quants.
const UNITS: u32 = 4u;
// vec4s in a piece; part p of piece u are the weights from 4 (u + UNITS p) on.
const PARTS: u32 = 2u;

// Weights of a piece of the row that starts at word `row_base`, counted over all its blocks.
fn unit_weights(row_base: u32, unit: u32) -> array<vec4<f32>, PARTS> {
    let block = unit / UNITS * 9u;
    let scale = f32_from_half(half_at(row_base, block));
    let word = word_at(row_base, block + 1u + unit % UNITS * 2u);
    let bytes = vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u);
    let low = vec4<f32>(bytes & vec4<u32>(15u)) - vec4<f32>(8.0);
    let high = vec4<f32>((bytes >> vec4<u32>(4u)) & vec4<u32>(15u)) - vec4<f32>(8.0);
    return array<vec4<f32>, PARTS>(scale * low, scale * high);
}
