// Rows of a quantised matrix as numbers, such as the embeddings of tokens; the layout of its blocks is a common/ file.
// One invocation a piece of a block.

struct Params {
    pieces: u32,    // rows asked for * blocks a row * UNITS
    row_words: u32, // words a row of the matrix is padded to
    blocks: u32,    // K / 32, blocks a row
}

@group(0) @binding(0) var<storage, read_write> blocks: array<u32>;  // [N, row_words] blocks
@group(0) @binding(1) var<storage, read_write> numbers: array<u32>; // [count] of rows, each below N
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>; // [count, K] f32, row-major
@group(0) @binding(3) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + local;
    if at >= params.pieces {
        return;
    }
    let unit = at % (params.blocks * UNITS);
    let row = at / (params.blocks * UNITS);
    let base = numbers[row] * params.row_words;
    let weights = unit_weights(base, unit);
    let first = (row * params.blocks + unit / UNITS) * 8u + unit % UNITS;
    for (var part = 0u; part < PARTS; part++) {
        y[first + part * UNITS] = weights[part];
    }
}
