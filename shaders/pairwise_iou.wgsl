// Intersection over union of every pair of boxes; one invocation a pair.

struct Params {
    a_count: u32, // N
    b_count: u32, // M
}

@group(0) @binding(0) var<storage, read_write> a_boxes: array<vec4<f32>>; // [N, 4] x0 y0 x1 y1
@group(0) @binding(1) var<storage, read_write> b_boxes: array<vec4<f32>>; // [M, 4] x0 y0 x1 y1
@group(0) @binding(2) var<storage, read_write> iou: array<f32>;           // [N, M] 0..=1
@group(0) @binding(3) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let pair = flat_group(group, groups) * WORKGROUP + local;
    if pair < params.a_count * params.b_count {
        iou[pair] = box_iou(a_boxes[pair / params.b_count], b_boxes[pair % params.b_count]);
    }
}
