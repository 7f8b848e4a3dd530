// Rows of a cache that begin at columns of their own: batches are padded on the left.

@group(0) @binding(4) var<storage, read_write> begins: array<u32>; // [B], first columns of the rows
@group(0) @binding(5) var<uniform> params: Params;

fn begin_of(row: u32) -> u32 {
    return begins[row];
}
