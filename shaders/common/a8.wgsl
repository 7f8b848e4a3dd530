// A8: 44 bytes hold 32 weights: what a step is worth in each half and the weight of code 0, all f32, then 32 signed bytes.
//
// Depends on the binding `blocks: array<u32>` of the including kernel.

// Pieces of work in a block: one a word of codes.
const UNITS: u32 = 8u;
// vec4s in a piece; part p of piece u are the weights from 4 (u + UNITS p) on.
const PARTS: u32 = 1u;

// Weights of a piece of the row that starts at word `row_base`, counted over all its blocks.
fn unit_weights(row_base: u32, unit: u32) -> array<vec4<f32>, PARTS> {
    let block = row_base + unit / UNITS * 11u;
    let own = unit % UNITS;
    let scale = bitcast<f32>(blocks[block + own / (UNITS / 2u)]);
    let least = vec4<f32>(bitcast<f32>(blocks[block + 2u]));
    // Each byte moves to the top of its lane, then an arithmetic shift brings its sign down.
    let word = vec4<u32>(blocks[block + 3u + own]);
    let codes = bitcast<vec4<i32>>(word << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
    return array<vec4<f32>, PARTS>(scale * vec4<f32>(codes) + least);
}
