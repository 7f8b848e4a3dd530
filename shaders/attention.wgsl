// Attention of many queries over keys and values, tile by tile; one workgroup a tile of QUERIES queries of one head.
// Softmax is taken online, KEYS positions at a time: no more scores are held than of one tile.

struct Params {
    heads: u32,    // H
    kv_heads: u32, // Hkv, divides H
    queries: u32,  // T
    capacity: u32, // positions the keys and values have room for
    len: u32,      // positions that are valid, at least T
    vec4s: u32,    // D / 4, at most MOST_VEC4S
    causal: u32,   // 1: query t sees positions up to len - T + t; 0: all
    scale: f32,    // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read_write> q: array<vec4<f32>>;        // [B, H, T, D] f32
@group(0) @binding(1) var<storage, read_write> k: array<vec4<f32>>;        // [B, Hkv, capacity, D] f32
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;        // [B, Hkv, capacity, D] f32
@group(0) @binding(3) var<storage, read_write> attended: array<vec4<f32>>; // [B, H, T, D] f32
@group(0) @binding(4) var<uniform> params: Params;

const QUERIES: u32 = 8u;
const LANES: u32 = 8u;
const WORKGROUP: u32 = QUERIES * LANES;
const KEYS: u32 = 16u;
const MOST_VEC4S: u32 = 32u;
// vec4 columns of the output an invocation owns.
const COLUMNS: u32 = MOST_VEC4S / LANES;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> query: array<vec4<f32>, QUERIES * MOST_VEC4S>; // scaled
var<workgroup> tile: array<vec4<f32>, KEYS * MOST_VEC4S>;     // keys, then values
var<workgroup> weight: array<f32, QUERIES * KEYS>;            // scores, then softmax numerators

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
    let kv_head = (group.z / params.heads) * params.kv_heads + head / (params.heads / params.kv_heads);
    let cache = kv_head * params.capacity * params.vec4s;
    let rows = min(QUERIES, params.queries - first);
    let queries = (group.z * params.queries + first) * params.vec4s;
    for (var i = local; i < rows * params.vec4s; i += WORKGROUP) {
        query[i] = q[queries + i] * params.scale;
    }

    let row = local / LANES;
    let lane = local % LANES;
    // The last position that a query of this tile sees, and one behind.
    let own = select(params.len - 1u, params.len - params.queries + first + row, params.causal == 1u);
    let end = select(params.len, params.len - params.queries + first + rows, params.causal == 1u);
    var largest = LOWEST;
    var total = 0.0;
    var sum = array<vec4<f32>, COLUMNS>();
    for (var start = 0u; start < end; start += KEYS) {
        let count = min(KEYS, end - start);
        // Everybody is done with the values of the tile before.
        workgroupBarrier();
        load_keys(cache + start * params.vec4s, count, local);
        workgroupBarrier();
        var scores = vec2<f32>(LOWEST);
        if row < rows {
            for (var i = 0u; i < 2u; i++) {
                let key = lane + i * LANES;
                if key < count && start + key <= own {
                    scores[i] = score(row, key);
                }
            }
        }
        weight[row * KEYS + lane] = scores.x;
        weight[row * KEYS + lane + LANES] = scores.y;
        workgroupBarrier();
        var most = largest;
        for (var key = 0u; key < KEYS; key++) {
            most = max(most, weight[row * KEYS + key]);
        }
        // Everybody has seen the scores, and is done with the keys.
        workgroupBarrier();
        weight[row * KEYS + lane] = numerator(scores.x, most);
        weight[row * KEYS + lane + LANES] = numerator(scores.y, most);
        load_values(cache + start * params.vec4s, count, local);
        workgroupBarrier();
        let rescale = exp(largest - most);
        largest = most;
        total *= rescale;
        for (var i = 0u; i < COLUMNS; i++) {
            sum[i] *= rescale;
        }
        for (var key = 0u; key < count; key++) {
            let share = weight[row * KEYS + key];
            total += share;
            for (var i = 0u; i < COLUMNS; i++) {
                let column = lane + i * LANES;
                if column < params.vec4s {
                    sum[i] += share * tile[key * params.vec4s + column];
                }
            }
        }
    }
    if row < rows {
        for (var i = 0u; i < COLUMNS; i++) {
            let column = lane + i * LANES;
            if column < params.vec4s {
                attended[queries + row * params.vec4s + column] = sum[i] / total;
            }
        }
    }
}

fn load_keys(from_vec4: u32, count: u32, local: u32) {
    for (var i = local; i < count * params.vec4s; i += WORKGROUP) {
        tile[i] = k[from_vec4 + i];
    }
}

fn load_values(from_vec4: u32, count: u32, local: u32) {
    for (var i = local; i < count * params.vec4s; i += WORKGROUP) {
        tile[i] = v[from_vec4 + i];
    }
}

// Product of a scaled query with a key of the tile.
fn score(row: u32, key: u32) -> f32 {
    var sum = vec4<f32>();
    for (var i = 0u; i < params.vec4s; i++) {
        sum += query[row * params.vec4s + i] * tile[key * params.vec4s + i];
    }
    return sum.x + sum.y + sum.z + sum.w;
}

// What is hidden weighs nothing, even where all so far is.
fn numerator(score: f32, most: f32) -> f32 {
    return select(0.0, exp(score - most), score > LOWEST);
}
