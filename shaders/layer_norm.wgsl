// (x - mean) / sqrt(var + eps) * weight + bias over the last axis; one workgroup a row.

struct Params {
    rows: u32,
    width: u32,
    eps: f32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;      // [rows, width]
@group(0) @binding(1) var<storage, read_write> weight: array<f32>; // [width]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;   // [width]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;      // [rows, width]
@group(0) @binding(4) var<uniform> params: Params;

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
    var sum = 0.0;
    for (var i = local; i < params.width; i += LANES) {
        sum += x[first + i];
    }
    let mean = lane_sum(local, sum) / f32(params.width);
    var squares = 0.0;
    for (var i = local; i < params.width; i += LANES) {
        let off = x[first + i] - mean;
        squares += off * off;
    }
    let scale = 1.0 / sqrt(lane_sum(local, squares) / f32(params.width) + params.eps);
    for (var i = local; i < params.width; i += LANES) {
        y[first + i] = (x[first + i] - mean) * scale * weight[i] + bias[i];
    }
}
