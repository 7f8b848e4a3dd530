// Maximum over neighbouring invocations; shares the scratch memory and the rules of reduce.wgsl.

// Largest `value` among the LANES neighbours of invocation `local`; all of them receive it.
fn lane_max(local: u32, value: f32) -> f32 {
    reduce_scratch[local] = value;
    workgroupBarrier();
    for (var stride = LANES / 2u; stride > 0u; stride /= 2u) {
        if local % LANES < stride {
            reduce_scratch[local] = max(reduce_scratch[local], reduce_scratch[local + stride]);
        }
        workgroupBarrier();
    }
    let largest = reduce_scratch[local - local % LANES];
    workgroupBarrier();
    return largest;
}
