// Rows of a cache that begin at columns of their own: batches are padded on the left.

@group(0) @binding(4) var<storage, read_write> begins: array<u32>; // [B], first columns of the rows
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> row_begin: u32;

// First column of the row of a whole workgroup. A loop with barriers must have one begin, and what is read from a buffer
// that could be written counts as another one for each invocation: compilers refuse it, so one reads for all.
fn begin_of(row: u32, local: u32) -> u32 {
    if local == 0u {
        row_begin = begins[row];
    }
    return workgroupUniformLoad(&row_begin);
}

fn end_of(local: u32) -> u32 {
    return params.len;
}
