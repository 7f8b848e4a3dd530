// Rotary positions in the half-split layout: x cos + swapped(x) sin, of which the second has each head's halves swapped; one
// invocation a number.

struct Params {
    numbers: u32, // B * H * T * D
    own: u32,     // H * T * D, numbers a row of the batch
    turns: u32,   // T * D, numbers of a table
    width: u32,   // D
    tables: u32,  // 1, or one a row
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;   // [B, H, T, D]
@group(0) @binding(1) var<storage, read_write> cosines: array<f32>; // [tables, T, D]
@group(0) @binding(2) var<storage, read_write> sines: array<f32>;   // [tables, T, D], the sign of the lower half in them
@group(0) @binding(3) var<storage, read_write> y: array<f32>;   // [B, H, T, D]
@group(0) @binding(4) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + local;
    if at >= params.numbers {
        return;
    }
    let turn = turn_of(at, params.own);
    y[at] = x[at] * cosines[turn] + x[other(at)] * sines[turn];
}
