// What becomes of a sum: it goes to its place, on top of what another tensor has there.

@group(0) @binding(2) var<storage, read_write> onto: array<f32>; // [M, N] f32, row-major
@group(0) @binding(3) var<storage, read_write> y: array<f32>;    // [M, N] f32, row-major
@group(0) @binding(4) var<uniform> params: Params;

fn put(at: u32, column: u32, sum: f32) {
    y[at] = onto[at] + sum;
}
