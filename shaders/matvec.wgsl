// x W^T for a few rows of x and a matrix W in blocks of 32; the layout of the blocks, and what becomes of a sum, are common/ files.
// LANES invocations share a row of W, neighbours read neighbouring words; a row of x is a z slice.

struct Params {
    n: u32,         // N, rows of W
    row_words: u32, // words a row of W is padded to
    blocks: u32,    // K / 32, blocks a row
    row_vec4s: u32, // K / 4, vec4s a row of x
}

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>; // [M, K] f32, row-major
@group(0) @binding(1) var<storage, read_write> blocks: array<u32>;  // [N, row_words] blocks

const WORKGROUP: u32 = 64u;
const LANES: u32 = 32u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * (WORKGROUP / LANES) + local / LANES;
    let lane = local % LANES;
    var sum = 0.0;
    // No early return: the reduction below needs every invocation.
    if row < params.n {
        sum = row_dot(row, lane, group.z);
    }
    let total = lane_sum(local, sum);
    if row < params.n && lane == 0u {
        put(group.z * params.n + row, row, total);
    }
}
