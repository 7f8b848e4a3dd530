// The turns and the column of one token, told on the device: a launch that is recorded finds them anew each time.

@group(0) @binding(6) var<storage, read_write> step: array<f32>; // [2 D + 1]: cosines, sines with the sign of the lower half, column
@group(0) @binding(7) var<uniform> params: Params;

fn cosine(turn: u32) -> f32 {
    return step[turn];
}

fn sine(turn: u32) -> f32 {
    return step[params.width + turn];
}

fn first_column() -> u32 {
    // Never beyond the cache, whatever was told.
    return min(u32(step[2u * params.width]), params.capacity - 1u);
}
