// Attention of many queries over keys and values, tile by tile; one workgroup a tile of QUERIES queries of one head.
// Softmax is taken online, KEYS positions at a time: no more scores are held than of one tile. How large tiles are,
// and where rows of the cache begin, are common/ files.

struct Params {
    heads: u32,     // H
    kv_heads: u32,  // Hkv, divides H
    queries: u32,   // T
    len: u32,       // positions that are valid, at least T
    vec4s: u32,     // D / 4, at most MOST_VEC4S
    causal: u32,    // 1: query t sees positions up to len - T + t; 0: all
    scale: f32,     // 1 / sqrt(D)
    q_head: u32,    // vec4s from a head of q to the next
    q_token: u32,   // vec4s from a query to the next
    kv_batch: u32,  // vec4s of keys, and of values, a row of the batch
    kv_head: u32,   // vec4s from a head of them to the next
    kv_token: u32,  // vec4s from a position to the next
}

@group(0) @binding(0) var<storage, read_write> q: array<vec4<f32>>;        // [B, H, T, D] f32, as the parameters say
@group(0) @binding(1) var<storage, read_write> k: array<vec4<f32>>;        // [B, Hkv, at least len, D] f32, as they say
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;        // as k
@group(0) @binding(3) var<storage, read_write> attended: array<vec4<f32>>; // [B, T, H, D] f32

// Invocations that share a query; invocation `lane` has keys lane, lane + LANES, .. of a tile, and such columns of the output.
const LANES: u32 = 8u;
// Queries between two of an invocation's.
const STEP: u32 = 8u;
const WORKGROUP: u32 = STEP * LANES;
const QUERIES: u32 = STEP * QUERIES_EACH;
const KEYS: u32 = LANES * KEYS_EACH;
const COLUMNS: u32 = MOST_VEC4S / LANES;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> query: array<vec4<f32>, QUERIES * MOST_VEC4S>; // scaled
var<workgroup> tile: array<vec4<f32>, KEYS * MOST_VEC4S>;     // keys, then values
var<workgroup> weight: array<f32, QUERIES * KEYS>;            // softmax numerators
var<workgroup> shared_by: array<f32, QUERIES * LANES>;        // of each lane: its largest score, at the end its sum

// Where a vec4 of a row lies. Eight rows are read at once, and would all wait for the same bank of memory if they lay alike.
fn slot(row: u32, at: u32) -> u32 {
    return row * MOST_VEC4S + (at ^ (row % STEP));
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let first = flat_group(group, groups) * QUERIES;
    if first >= params.queries {
        return;
    }
    let head = group.z % params.heads;
    let batch = group.z / params.heads;
    let cache = batch * params.kv_batch + head / (params.heads / params.kv_heads) * params.kv_head;
    let rows = min(QUERIES, params.queries - first);
    let queries = batch * params.heads * params.queries * params.vec4s + head * params.q_head + first * params.q_token;
    for (var i = local; i < rows * params.vec4s; i += WORKGROUP) {
        let row = i / params.vec4s;
        let at = i % params.vec4s;
        query[slot(row, at)] = q[queries + row * params.q_token + at] * params.scale;
    }

    let row = local / LANES;
    let lane = local % LANES;
    // Behind the last position that a query of this tile sees.
    let end = select(params.len, params.len - params.queries + first + rows, params.causal == 1u);
    var largest = array<f32, QUERIES_EACH>();
    var total = array<f32, QUERIES_EACH>();
    var sums = array<array<vec4<f32>, COLUMNS>, QUERIES_EACH>();
    for (var i = 0u; i < QUERIES_EACH; i++) {
        largest[i] = LOWEST;
    }
    for (var start = begin_of(batch, local); start < end; start += KEYS) {
        let count = min(KEYS, end - start);
        // Everybody is done with the values of the tile before.
        workgroupBarrier();
        for (var i = local; i < count * params.vec4s; i += WORKGROUP) {
            let key = i / params.vec4s;
            let at = i % params.vec4s;
            tile[slot(key, at)] = k[cache + (start + key) * params.kv_token + at];
        }
        workgroupBarrier();
        var scores = scores_of(row, lane);
        for (var i = 0u; i < QUERIES_EACH; i++) {
            let own = select(params.len - 1u, params.len - params.queries + first + row + i * STEP, params.causal == 1u);
            var most = LOWEST;
            for (var j = 0u; j < KEYS_EACH; j++) {
                let key = lane + j * LANES;
                if key >= count || start + key > own {
                    scores[i][j] = LOWEST;
                }
                most = max(most, scores[i][j]);
            }
            shared_by[(row + i * STEP) * LANES + lane] = most;
        }
        // Everybody has found the scores, and is done with the keys.
        workgroupBarrier();
        for (var i = 0u; i < QUERIES_EACH; i++) {
            var most = largest[i];
            for (var j = 0u; j < LANES; j++) {
                most = max(most, shared_by[(row + i * STEP) * LANES + j]);
            }
            let rescale = exp(largest[i] - most);
            largest[i] = most;
            total[i] *= rescale;
            for (var column = 0u; column < COLUMNS; column++) {
                sums[i][column] *= rescale;
            }
            for (var j = 0u; j < KEYS_EACH; j++) {
                let share = numerator(scores[i][j], most);
                total[i] += share;
                weight[(row + i * STEP) * KEYS + lane + j * LANES] = share;
            }
        }
        for (var i = local; i < count * params.vec4s; i += WORKGROUP) {
            let key = i / params.vec4s;
            let at = i % params.vec4s;
            tile[slot(key, at)] = v[cache + (start + key) * params.kv_token + at];
        }
        workgroupBarrier();
        for (var key = 0u; key < count; key++) {
            var values = array<vec4<f32>, COLUMNS>();
            for (var column = 0u; column < COLUMNS; column++) {
                values[column] = tile[slot(key, lane + column * LANES)];
            }
            for (var i = 0u; i < QUERIES_EACH; i++) {
                let share = weight[(row + i * STEP) * KEYS + key];
                for (var column = 0u; column < COLUMNS; column++) {
                    sums[i][column] += share * values[column];
                }
            }
        }
    }
    // Everybody has seen the last tile's largest scores.
    workgroupBarrier();
    for (var i = 0u; i < QUERIES_EACH; i++) {
        shared_by[(row + i * STEP) * LANES + lane] = total[i];
    }
    workgroupBarrier();
    for (var i = 0u; i < QUERIES_EACH; i++) {
        if row + i * STEP < rows {
            var all = 0.0;
            for (var j = 0u; j < LANES; j++) {
                all += shared_by[(row + i * STEP) * LANES + j];
            }
            for (var column = 0u; column < COLUMNS; column++) {
                let at = lane + column * LANES;
                if at < params.vec4s {
                    // A query before its row's begin has seen nothing, and gets zeros.
                    let place = (batch * params.queries + first + row + i * STEP) * params.heads + head;
                    attended[place * params.vec4s + at] = sums[i][column] / select(1.0, all, all > 0.0);
                }
            }
        }
    }
}

// Products of an invocation's scaled queries with its keys of the tile.
fn scores_of(row: u32, lane: u32) -> array<array<f32, KEYS_EACH>, QUERIES_EACH> {
    var scores = array<array<f32, KEYS_EACH>, QUERIES_EACH>();
    for (var at = 0u; at < params.vec4s; at++) {
        var keys = array<vec4<f32>, KEYS_EACH>();
        for (var j = 0u; j < KEYS_EACH; j++) {
            keys[j] = tile[slot(lane + j * LANES, at)];
        }
        for (var i = 0u; i < QUERIES_EACH; i++) {
            let own = query[slot(row + i * STEP, at)];
            for (var j = 0u; j < KEYS_EACH; j++) {
                scores[i][j] += dot(own, keys[j]);
            }
        }
    }
    return scores;
}

// What is hidden weighs nothing, even where all so far is.
fn numerator(score: f32, most: f32) -> f32 {
    return select(0.0, exp(score - most), score > LOWEST);
}
