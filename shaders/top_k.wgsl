// The k largest entries of a chunk of a row, largest first, equal entries in column order.
// One workgroup a (chunk, row); the host repeats over the winners until one chunk is left.
// Each pass takes the best entry that comes after the previous pick, so k has no upper bound here.

struct Params {
    columns: u32, // entries a row
    chunk: u32,   // entries a chunk
    k: u32,       // entries to keep of each chunk
    chunks: u32,  // chunks a row
}

@group(0) @binding(0) var<storage, read_write> scores: array<f32>;     // [rows, columns] f32, finite and above LOWEST
@group(0) @binding(1) var<storage, read_write> top_scores: array<f32>; // [rows, chunks, k] f32
@group(0) @binding(2) var<storage, read_write> top_columns: array<i32>; // [rows, chunks, k] columns of `scores`
@group(0) @binding(3) var<uniform> params: Params;

const WORKGROUP: u32 = 256u;
const HIGHEST: f32 = 3.4028234e38;
const LOWEST: f32 = -3.4028234e38;
const NO_COLUMN: u32 = 0xffffffffu;

var<workgroup> best_score: array<f32, WORKGROUP>;
var<workgroup> best_column: array<u32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let start = group.x * params.chunk;
    let end = min(start + params.chunk, params.columns);
    let row = group.z * params.columns;
    let slot = (group.z * params.chunks + group.x) * params.k;
    var last_score = HIGHEST;
    var last_column = NO_COLUMN;
    for (var pick = 0u; pick < params.k; pick++) {
        var score = LOWEST;
        var column = NO_COLUMN;
        for (var c = start + local; c < end; c += WORKGROUP) {
            let s = scores[row + c];
            let remains = pick == 0u || s < last_score || (s == last_score && c > last_column);
            // A lane sees its columns in order, so a strict comparison keeps the lowest of equals.
            if remains && (s > score || column == NO_COLUMN) {
                score = s;
                column = c;
            }
        }
        reduce_best(local, score, column);
        last_score = best_score[0];
        last_column = best_column[0];
        // Everyone must have read the winner before the next pass overwrites it.
        workgroupBarrier();
        if local == 0u {
            // A chunk shorter than k is filled with entries that lose against every real one.
            top_scores[slot + pick] = last_score;
            top_columns[slot + pick] = i32(select(last_column, 0u, last_column == NO_COLUMN));
        }
    }
}

// Leaves the best pair of the workgroup in slot 0: highest score, then lowest column.
fn reduce_best(local: u32, score: f32, column: u32) {
    best_score[local] = score;
    best_column[local] = column;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if local < stride {
            let s = best_score[local + stride];
            let c = best_column[local + stride];
            if s > best_score[local] || (s == best_score[local] && c < best_column[local]) {
                best_score[local] = s;
                best_column[local] = c;
            }
        }
        workgroupBarrier();
    }
}
