// x W^T for many rows of x and a matrix W in blocks of 32, tile by tile, or for each x and W of a batch; the layout of the blocks, and
// what becomes of a sum, are common/ files. A workgroup makes TILE rows by TILE columns; each of its invocations EACH by EACH of them,
// STEP apart.

struct Params {
    m: u32,         // rows of x
    n: u32,         // N, rows of W
    row_words: u32, // words a row of W is padded to
    blocks: u32,    // K / 32, blocks a row
}

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>; // [B, M, K] f32, row-major
@group(0) @binding(1) var<storage, read_write> blocks: array<u32>;  // [B, N, row_words] blocks

const WORKGROUP: u32 = STEP * STEP;
// Invocations along a side of a tile.
const STEP: u32 = 16u;
// Rows, and columns, of an invocation.
const EACH: u32 = 4u;
const TILE: u32 = STEP * EACH;
// vec4s a block of 32.
const DEPTH: u32 = 8u;

var<workgroup> rows: array<vec4<f32>, TILE * DEPTH>;
var<workgroup> weights: array<vec4<f32>, TILE * DEPTH>;

// Where a vec4 of a row lies. Several rows are read at once, and would all wait for the same bank of memory if they lay alike.
fn slot(row: u32, at: u32) -> u32 {
    return row * DEPTH + (at ^ (row % DEPTH));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first_column = flat_group(group, groups) * TILE;
    if first_column >= params.n {
        return;
    }
    let tiles = (params.m + TILE - 1u) / TILE;
    let batch = group.z / tiles;
    let first_row = (group.z % tiles) * TILE;
    let row = local / STEP;
    let column = local % STEP;
    var sums = array<array<f32, EACH>, EACH>();
    for (var block = 0u; block < params.blocks; block++) {
        for (var i = local; i < TILE * DEPTH; i += WORKGROUP) {
            let of_x = first_row + i / DEPTH;
            var value = vec4<f32>();
            if of_x < params.m {
                value = x[((batch * params.m + of_x) * params.blocks + block) * DEPTH + i % DEPTH];
            }
            rows[slot(i / DEPTH, i % DEPTH)] = value;
        }
        for (var i = local; i < TILE * UNITS; i += WORKGROUP) {
            let of_w = first_column + i / UNITS;
            let unit = i % UNITS;
            if of_w < params.n {
                let base = (batch * params.n + of_w) * params.row_words;
                let own = unit_weights(base, block * UNITS + unit);
                for (var part = 0u; part < PARTS; part++) {
                    weights[slot(i / UNITS, unit + part * UNITS)] = own[part];
                }
            }
        }
        workgroupBarrier();
        for (var at = 0u; at < DEPTH; at++) {
            var w = array<vec4<f32>, EACH>();
            for (var j = 0u; j < EACH; j++) {
                w[j] = weights[slot(column + j * STEP, at)];
            }
            for (var i = 0u; i < EACH; i++) {
                let a = rows[slot(row + i * STEP, at)];
                for (var j = 0u; j < EACH; j++) {
                    sums[i][j] += dot(a, w[j]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var i = 0u; i < EACH; i++) {
        let of_y = first_row + row + i * STEP;
        for (var j = 0u; j < EACH; j++) {
            let at = first_column + column + j * STEP;
            if of_y < params.m && at < params.n {
                put((batch * params.m + of_y) * params.n + at, at, sums[i][j]);
            }
        }
    }
}
