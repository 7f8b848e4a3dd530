// Cosine of every query with every row of the index; a query is a z slice, LANES invocations share
// a row. The norms are taken in the same pass: the index is read once.

struct Params {
    rows: u32,  // N, rows of the index
    width: u32, // D, components a row
}

@group(0) @binding(0) var<storage, read_write> queries: array<f32>; // [Q, D] f32, row-major
@group(0) @binding(1) var<storage, read_write> index: array<f32>;   // [N, D] f32, row-major
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;  // [Q, N] f32, row-major
@group(0) @binding(3) var<uniform> params: Params;

const WORKGROUP: u32 = 64u;
const LANES: u32 = 32u;
// What a row that has no cosine (a NaN in it) scores: below every cosine, so it comes last.
const NOT_COMPARABLE: f32 = -2.0;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = flat_group(group, groups) * (WORKGROUP / LANES) + local / LANES;
    let lane = local % LANES;
    var product = 0.0;
    var query_square = 0.0;
    var row_square = 0.0;
    // No early return: the reductions below need every invocation.
    if row < params.rows {
        for (var d = lane; d < params.width; d += LANES) {
            let q = queries[group.z * params.width + d];
            let r = index[row * params.width + d];
            product += q * r;
            query_square += q * q;
            row_square += r * r;
        }
    }
    product = lane_sum(local, product);
    query_square = lane_sum(local, query_square);
    row_square = lane_sum(local, row_square);
    if row < params.rows && lane == 0u {
        scores[group.z * params.rows + row] = cosine(product, query_square, row_square);
    }
}

// The cosine; 0 where a vector is zero, NOT_COMPARABLE where it is NaN (which fails every guard).
fn cosine(product: f32, query_square: f32, row_square: f32) -> f32 {
    // Of both, so that a zero vector has no cosine with what is no number.
    let sizes = sqrt(query_square) * sqrt(row_square);
    if sizes == 0.0 {
        return 0.0;
    }
    let score = product / sizes;
    if score >= -1.5 && score <= 1.5 {
        return score;
    }
    return NOT_COMPARABLE;
}
