// x / sqrt(mean(x²) + eps) * weight over the last axis; one workgroup a row.

struct Params {
    rows: u32,
    width: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;      // [rows, width]
@group(0) @binding(1) var<storage, read_write> weight: array<f32>; // [width]
@group(0) @binding(2) var<storage, read_write> y: array<f32>;      // [rows, width]
@group(0) @binding(3) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;
const LANES: u32 = WORKGROUP;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups);
    if row >= params.rows {
        return;
    }
    let first = row * params.width;
    var squares = 0.0;
    for (var i = local; i < params.width; i += LANES) {
        squares += x[first + i] * x[first + i];
    }
    let scale = 1.0 / sqrt(lane_sum(local, squares) / f32(params.width) + params.eps);
    for (var i = local; i < params.width; i += LANES) {
        y[first + i] = x[first + i] * scale * weight[i];
    }
}
