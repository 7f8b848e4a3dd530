// The one row of a cache that begins at its first column and ends at one told on the device.

@group(0) @binding(4) var<storage, read_write> step: array<f32>; // [2 D + 1], the column of the newest position behind its turns
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> row_end: u32;

fn begin_of(row: u32, local: u32) -> u32 {
    return 0u;
}

// Behind the newest position; one reads for all, as in rows_padded.wgsl.
fn end_of(local: u32) -> u32 {
    if local == 0u {
        row_end = min(u32(step[8u * params.vec4s]) + 1u, params.capacity);
    }
    return workgroupUniformLoad(&row_end);
}
