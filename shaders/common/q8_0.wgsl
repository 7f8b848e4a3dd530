// Q8_0: 34 bytes hold 32 weights: a half scale, then 32 signed bytes.
//
// Depends on ggml.wgsl.

// Pieces of work in a block: one a word of quants.
const UNITS: u32 = 8u;
// vec4s in a piece; part p of piece u are the weights from 4 (u + UNITS p) on.
const PARTS: u32 = 1u;

// Weights of a piece of the row that starts at word `row_base`, counted over all its blocks.
fn unit_weights(row_base: u32, unit: u32) -> array<vec4<f32>, PARTS> {
    let block = unit / UNITS * 17u;
    let scale = f32_from_half(half_at(row_base, block));
    let word = vec4<u32>(word_at(row_base, block + 1u + unit % UNITS * 2u));
    // Each byte moves to the top of its lane, then an arithmetic shift brings its sign down.
    let quants = bitcast<vec4<i32>>(word << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    return array<vec4<f32>, PARTS>(scale * vec4<f32>(quants));
}
