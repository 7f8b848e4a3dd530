// A convolution of neighbours over a map with channels last, each channel by itself, kept in 0..=6; one invocation an output.

struct Params {
    outputs: u32,  // N * H' * W' * C
    height: u32,   // H
    width: u32,    // W
    channels: u32, // C
    rows: u32,     // H'
    columns: u32,  // W'
    kernel: u32,
    stride: u32,
    before: u32,   // rows of zeros above, columns of zeros on the left
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;       // [N, H, W, C]
@group(0) @binding(1) var<storage, read_write> weights: array<f32>; // [kernel * kernel, C]
@group(0) @binding(2) var<storage, read_write> bias: array<f32>;    // [C]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;       // [N, H', W', C]
@group(0) @binding(4) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + local;
    if at >= params.outputs {
        return;
    }
    // Neighbouring invocations have neighbouring channels, so their reads stand together.
    let channel = at % params.channels;
    let pixel = at / params.channels;
    let column = pixel % params.columns;
    let row = pixel / params.columns % params.rows;
    let image = pixel / params.columns / params.rows;
    var sum = bias[channel];
    for (var i = 0u; i < params.kernel; i++) {
        // Zeros above wrap round to large numbers, which the bound catches as well.
        let y_row = row * params.stride + i - params.before;
        if y_row >= params.height {
            continue;
        }
        for (var j = 0u; j < params.kernel; j++) {
            let x_column = column * params.stride + j - params.before;
            if x_column >= params.width {
                continue;
            }
            let source = (image * params.height + y_row) * params.width + x_column;
            let tap = i * params.kernel + j;
            sum += weights[tap * params.channels + channel] * x[source * params.channels + channel];
        }
    }
    y[at] = clamp(sum, 0.0, 6.0);
}
