// How like the windows of a feature map are to references: a workgroup a window and a block of references.
//
// A window's embedding is its summed features, or the square roots of those that are positive, of unit length; its sums come from
// four corners of the summed map. A reference has two templates side by side, whose similarities are blended by a share that belongs to the window.

struct Params {
    windows: u32,    // W
    references: u32, // N
    width: u32,      // D, features of a cell
    columns: u32,    // C + 1, columns of the summed map
    root: u32,       // 1 where square roots are compared
}

@group(0) @binding(0) var<storage, read_write> sums: array<f32>;             // [R + 1, C + 1, D]
@group(0) @binding(1) var<storage, read_write> windows: array<vec4<i32>>;    // [W, 4] left, top, right, bottom
@group(0) @binding(2) var<storage, read_write> templates: array<f32>;        // [N, 2 D] for large things, for small ones
@group(0) @binding(3) var<storage, read_write> large: array<f32>;            // [W] share of the template for large things
@group(0) @binding(4) var<storage, read_write> scores: array<f32>;           // [W, N]
@group(0) @binding(5) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;
const LANES: u32 = 64u;
// References of a block: a window's embedding is computed once for all of them.
const BLOCK: u32 = 4u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups);
    let first = group.z * BLOCK;
    var total = 0.0;
    var dots = vec4<f32>(0.0);
    // No early return: the reductions below need every invocation.
    if at < params.windows {
        let corners = vec4<u32>(windows[at]);
        let share = large[at];
        let left_top = (corners.y * params.columns + corners.x) * params.width;
        let right_top = (corners.y * params.columns + corners.z) * params.width;
        let left_bottom = (corners.w * params.columns + corners.x) * params.width;
        let right_bottom = (corners.w * params.columns + corners.z) * params.width;
        for (var d = local; d < params.width; d += WORKGROUP) {
            let sum = sums[right_bottom + d] + sums[left_top + d] - sums[right_top + d] - sums[left_bottom + d];
            var value = sum;
            if params.root == 1u {
                value = sqrt(max(sum, 0.0));
            }
            total += value * value;
            for (var i = 0u; i < BLOCK; i++) {
                if first + i < params.references {
                    let place = (first + i) * 2u * params.width + d;
                    let blend = share * templates[place] + (1.0 - share) * templates[place + params.width];
                    dots[i] += value * blend;
                }
            }
        }
    }
    total = lane_sum(local, total);
    for (var i = 0u; i < BLOCK; i++) {
        let dot = lane_sum(local, dots[i]);
        if at < params.windows && local == 0u && first + i < params.references {
            scores[at * params.references + first + i] = dot / sqrt(max(total, 1e-18));
        }
    }
}
