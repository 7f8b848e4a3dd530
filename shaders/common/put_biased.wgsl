// What becomes of a sum: its column's bias is added, and it goes to its place.

@group(0) @binding(2) var<storage, read_write> bias: array<f32>; // [N] f32
@group(0) @binding(3) var<storage, read_write> y: array<f32>;    // [M, N] f32, row-major
@group(0) @binding(4) var<uniform> params: Params;

fn put(at: u32, column: u32, sum: f32) {
    y[at] = sum + bias[column];
}
