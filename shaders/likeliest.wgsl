// The largest finite number of each row, the lowest column among equals, and the sum of exp(number - largest) over the finite ones: the
// likeliest token and how likely it is. One workgroup a row; an invocation looks at every 256th number.

struct Params {
    columns: u32, // numbers a row
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // [rows, columns]
@group(0) @binding(1) var<storage, read_write> best: array<f32>;   // [rows, 2]: column, -1 where no number is finite; sum
@group(0) @binding(2) var<uniform> params: Params;

const WORKGROUP: u32 = 256u;
const LOWEST: f32 = -3.4028234e38;
const NO_COLUMN: u32 = 0xffffffffu;
const EXPONENT: u32 = 0x7f800000u;

var<workgroup> tops: array<f32, WORKGROUP>;
var<workgroup> columns: array<u32, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = group.x * params.columns;
    var top = LOWEST;
    var column = NO_COLUMN;
    var sum = 0.0;
    for (var c = local; c < params.columns; c += WORKGROUP) {
        let v = logits[row + c];
        // By its bits: compilers may take for granted that nothing is infinite.
        if (bitcast<u32>(v) & EXPONENT) == EXPONENT {
            continue;
        }
        // An invocation sees its columns in order, so a strict comparison keeps the lowest of equals.
        if v > top || column == NO_COLUMN {
            sum = sum * exp(top - v) + 1.0;
            top = v;
            column = c;
        } else {
            sum += exp(v - top);
        }
    }
    tops[local] = top;
    columns[local] = column;
    sums[local] = sum;
    workgroupBarrier();
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if local < stride {
            join_pair(local, local + stride);
        }
        workgroupBarrier();
    }
    if local == 0u {
        best[2u * group.x] = select(f32(columns[0]), -1.0, columns[0] == NO_COLUMN);
        best[2u * group.x + 1u] = sums[0];
    }
}

// Makes the better of two the first, with the sum of both.
fn join_pair(a: u32, b: u32) {
    if columns[b] == NO_COLUMN {
        return;
    }
    let is_first = columns[a] != NO_COLUMN && (tops[a] > tops[b] || (tops[a] == tops[b] && columns[a] < columns[b]));
    if is_first {
        sums[a] += sums[b] * exp(tops[b] - tops[a]);
    } else {
        // An empty one has a sum of 0.
        sums[a] = sums[b] + sums[a] * exp(min(tops[a] - tops[b], 0.0));
        tops[a] = tops[b];
        columns[a] = columns[b];
    }
}
