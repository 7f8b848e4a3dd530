// Greedy non-maximum suppression in one workgroup: order the boxes by score, then let each box that
// still stands strike out the later ones that overlap it too much.

struct Params {
    count: u32,         // N
    iou_threshold: f32, // strikes out above, not at, this overlap
}

@group(0) @binding(0) var<storage, read_write> boxes: array<vec4<f32>>; // [N, 4] x0 y0 x1 y1
@group(0) @binding(1) var<storage, read_write> scores: array<f32>;      // [N] f32
@group(0) @binding(2) var<storage, read_write> order: array<u32>;       // [N] scratch: boxes by rank
@group(0) @binding(3) var<storage, read_write> kept: array<i32>;        // [N] 1 kept, 0 struck out
@group(0) @binding(4) var<uniform> params: Params;

const WORKGROUP: u32 = 256u;
const LOWEST: f32 = -3.4028234e38;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) local: u32) {
    for (var i = local; i < params.count; i += WORKGROUP) {
        order[rank(i)] = i;
        // A score that is NaN or minus infinity fails the guard: its box is never kept.
        kept[i] = select(0, 1, scores[i] >= LOWEST);
    }
    storageBarrier();
    for (var r = 0u; r < params.count; r++) {
        let i = order[r];
        if kept[i] == 1 {
            strike_out(i, r + 1u + local);
        }
        storageBarrier();
    }
}

// Score to sort by: a NaN sorts last.
fn sort_key(i: u32) -> f32 {
    if scores[i] >= LOWEST {
        return scores[i];
    }
    return LOWEST;
}

// How many boxes come before box `i`: higher score, or equal score and lower number.
fn rank(i: u32) -> u32 {
    let key = sort_key(i);
    var before = 0u;
    for (var j = 0u; j < params.count; j++) {
        let other = sort_key(j);
        before += u32(other > key || (other == key && j < i));
    }
    return before;
}

// Strikes out the boxes from rank `first` on, every WORKGROUP-th, that overlap box `i` too much.
fn strike_out(i: u32, first: u32) {
    let winner = boxes[i];
    for (var r = first; r < params.count; r += WORKGROUP) {
        let j = order[r];
        if box_iou(winner, boxes[j]) > params.iou_threshold {
            kept[j] = 0;
        }
    }
}
