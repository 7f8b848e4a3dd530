// A4: 24 bytes hold 32 weights: what a step is worth and the weight of code 0, both f32, then 16 bytes whose low nibbles are the codes
// of weights 0..15 and whose high nibbles those of 16..31.
//
// Depends on the binding `blocks: array<u32>` of the including kernel.

// Pieces of work in a block: one a word of codes.
const UNITS: u32 = 4u;
// vec4s in a piece; part p of piece u are the weights from 4 (u + UNITS p) on.
const PARTS: u32 = 2u;

// Weights of a piece of the row that starts at word `row_base`, counted over all its blocks.
fn unit_weights(row_base: u32, unit: u32) -> array<vec4<f32>, PARTS> {
    let block = row_base + unit / UNITS * 6u;
    let scale = bitcast<f32>(blocks[block]);
    let least = vec4<f32>(bitcast<f32>(blocks[block + 1u]));
    let bytes = vec4<u32>(blocks[block + 2u + unit % UNITS]) >> vec4<u32>(0u, 8u, 16u, 24u);
    let low = vec4<f32>(bytes & vec4<u32>(15u));
    let high = vec4<f32>((bytes >> vec4<u32>(4u)) & vec4<u32>(15u));
    return array<vec4<f32>, PARTS>(scale * low + least, scale * high + least);
}
