// f32: the weights as they are, taken as blocks of 32.
//
// Depends on the binding `blocks: array<u32>` of the including kernel.

// Pieces of work in a block: one a vec4.
const UNITS: u32 = 8u;
// vec4s in a piece; part p of piece u are the weights from 4 (u + UNITS p) on.
const PARTS: u32 = 1u;

// Weights of a piece of the row that starts at word `row_base`, counted over all its blocks.
fn unit_weights(row_base: u32, unit: u32) -> array<vec4<f32>, PARTS> {
    let at = row_base + 4u * unit;
    let words = vec4<u32>(blocks[at], blocks[at + 1u], blocks[at + 2u], blocks[at + 3u]);
    return array<vec4<f32>, PARTS>(bitcast<vec4<f32>>(words));
}
