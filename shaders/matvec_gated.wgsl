// y = silu(x G^T) (x U^T) for a few rows of x and a matrix in blocks of 32 that holds the rows of G, then those of U; the layout
// of the blocks is a common/ file. LANES invocations share a row of either; a row of x is a z slice.

struct Params {
    n: u32,         // N, rows of G and of U
    row_words: u32, // words a row of them is padded to
    blocks: u32,    // K / 32, blocks a row
    row_vec4s: u32, // K / 4, vec4s a row of x
}

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>; // [M, K] f32, row-major
@group(0) @binding(1) var<storage, read_write> blocks: array<u32>;  // [2 N, row_words] blocks
@group(0) @binding(2) var<storage, read_write> y: array<f32>;       // [M, N] f32, row-major
@group(0) @binding(3) var<uniform> params: Params;

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
    var gate = 0.0;
    var up = 0.0;
    // No early return: the reductions below need every invocation.
    if row < params.n {
        gate = row_dot(row, lane, group.z);
        up = row_dot(params.n + row, lane, group.z);
    }
    let gates = lane_sum(local, gate);
    let ups = lane_sum(local, up);
    if row < params.n && lane == 0u {
        y[group.z * params.n + row] = silu(gates) * ups;
    }
}
