// x (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, number by number; one invocation a number.

struct Params {
    numbers: u32,
}

@group(0) @binding(0) var<storage, read_write> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;
// (1 + tanh t) / 2 is sigmoid(2 t), which has a form that cannot overflow.
const TWO_SQRT_2_OVER_PI: f32 = 1.5957691216057308;

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
    let own = x[at];
    y[at] = own * sigmoid(TWO_SQRT_2_OVER_PI * (own + 0.044715 * own * own * own));
}
