// The largest finite numbers of each row with their columns, and the sum of exp(number - largest) over all finite ones: the likeliest
// tokens and how likely each is. One workgroup a row; an invocation looks at every 256th number.
//
// One that is asked for is the lowest column of the largest. More are all that are not below a bound: the k-th largest of the largest
// number each invocation saw, so that k are not below it, and seldom many more.

struct Params {
    columns: u32, // numbers a row
    k: u32,       // numbers asked for, 1 to 128
    room: u32,    // numbers a row of `front` has room for, at least k
}

@group(0) @binding(0) var<storage, read_write> logits: array<f32>; // [rows, columns]
// [rows, 2 + 2 room]: how many were found, which may be more than there is room for; sum; column and number of each, in no order
@group(0) @binding(1) var<storage, read_write> front: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

const WORKGROUP: u32 = 256u;
const LOWEST: f32 = -3.4028234e38;
const NO_COLUMN: u32 = 0xffffffffu;
const EXPONENT: u32 = 0x7f800000u;

var<workgroup> tops: array<f32, WORKGROUP>;
var<workgroup> columns: array<u32, WORKGROUP>;
var<workgroup> sums: array<f32, WORKGROUP>;
var<workgroup> bound: f32;
var<workgroup> found: atomic<u32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let row = group.x * params.columns;
    let slot = group.x * (2u + 2u * params.room);
    var top = LOWEST;
    var column = NO_COLUMN;
    var sum = 0.0;
    for (var c = local; c < params.columns; c += WORKGROUP) {
        let v = logits[row + c];
        if !is_finite(v) {
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
    // Drivers need not clear it.
    if local == 0u {
        atomicStore(&found, 0u);
    }
    workgroupBarrier();
    if params.k > 1u {
        if rank(local) == params.k - 1u {
            bound = top;
        }
        workgroupBarrier();
        // Where all an invocation saw is below the bound, it need not look again.
        if column != NO_COLUMN && top >= bound {
            put_found(local, row, slot + 2u);
        }
    }
    for (var stride = WORKGROUP / 2u; stride > 0u; stride /= 2u) {
        if local < stride {
            join_pair(local, local + stride);
        }
        workgroupBarrier();
    }
    if local == 0u {
        front[slot + 1u] = sums[0];
        if params.k > 1u {
            front[slot] = f32(atomicLoad(&found));
        } else {
            front[slot] = select(1.0, 0.0, columns[0] == NO_COLUMN);
            front[slot + 2u] = f32(columns[0]);
            front[slot + 3u] = tops[0];
        }
    }
}

// By its bits: compilers may take for granted that nothing is infinite.
fn is_finite(v: f32) -> bool {
    return (bitcast<u32>(v) & EXPONENT) != EXPONENT;
}

// How many invocations saw a larger number; among equals those before this one count.
fn rank(local: u32) -> u32 {
    let own = tops[local];
    var before = 0u;
    for (var i = 0u; i < WORKGROUP; i++) {
        before += u32(tops[i] > own || (tops[i] == own && i < local));
    }
    return before;
}

// Writes this invocation's numbers that are not below the bound, from `first` on, wherever there is room.
fn put_found(local: u32, row: u32, first: u32) {
    for (var c = local; c < params.columns; c += WORKGROUP) {
        let v = logits[row + c];
        if is_finite(v) && v >= bound {
            let at = atomicAdd(&found, 1u);
            if at < params.room {
                front[first + 2u * at] = f32(c);
                front[first + 2u * at + 1u] = v;
            }
        }
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
