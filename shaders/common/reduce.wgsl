// Tree reductions in a fixed order, so a sum has the same bits on every run of a device.
//
// Depends on the constants of the including kernel:
//   * WORKGROUP: invocations a workgroup, a power of two
//   * LANES: invocations that share one result, a power of two dividing WORKGROUP
// Every invocation of the workgroup must make the call: both contain barriers.

var<workgroup> reduce_scratch: array<f32, WORKGROUP>;

// Sum of `value` over the LANES neighbours of invocation `local`; all of them receive it.
fn lane_sum(local: u32, value: f32) -> f32 {
    reduce_scratch[local] = value;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        if local % LANES < stride {
            reduce_scratch[local] += reduce_scratch[local + stride];
        }
        workgroupBarrier();
    }
    let total = reduce_scratch[local - local % LANES];
    workgroupBarrier();
    return total;
}
