// Attention of one query position over the key/value cache; one workgroup a (batch, head).
// Softmax is taken online, a tile of WORKGROUP positions at a time; nothing before a row's begin or
// at or after their end is read. Where rows begin and end is a common/ file.

struct Params {
    heads: u32,    // H
    kv_heads: u32, // Hkv, divides H
    capacity: u32, // T, positions the cache holds
    len: u32,      // positions that are valid, where that is known when the kernel is launched
    vec4s: u32,    // D / 4, at most WORKGROUP
    scale: f32,    // 1 / sqrt(D)
}

@group(0) @binding(0) var<storage, read_write> q: array<vec4<f32>>;        // [B, H, 1, D] f32
@group(0) @binding(1) var<storage, read_write> k: array<vec4<f32>>;        // [B, Hkv, T, D] f32
@group(0) @binding(2) var<storage, read_write> v: array<vec4<f32>>;        // [B, Hkv, T, D] f32
@group(0) @binding(3) var<storage, read_write> attended: array<vec4<f32>>; // [B, H, 1, D] f32

const WORKGROUP: u32 = 128u;
const LANES: u32 = WORKGROUP;
const LOWEST: f32 = -3.4028234e38;

var<workgroup> query: array<vec4<f32>, WORKGROUP>;   // the scaled query, first vec4s entries
var<workgroup> weight: array<f32, WORKGROUP>;        // softmax numerators of the tile
var<workgroup> partial_sum: array<vec4<f32>, WORKGROUP>; // weighted values, [slices, vec4s]

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let head = group.x % params.heads;
    let kv_head = (group.x / params.heads) * params.kv_heads + head / (params.heads / params.kv_heads);
    let cache = kv_head * params.capacity * params.vec4s;
    if local < params.vec4s {
        query[local] = q[group.x * params.vec4s + local] * params.scale;
    }
    workgroupBarrier();

    // For the values an invocation owns one vec4 column and every slices-th position of the tile.
    let slices = WORKGROUP / params.vec4s;
    let slice = local / params.vec4s;
    let column = local % params.vec4s;
    var largest = LOWEST;
    var total = 0.0;
    var sum = vec4<f32>();
    let end = end_of(local);
    for (var tile = begin_of(group.x / params.heads, local); tile < end; tile += WORKGROUP) {
        let count = min(WORKGROUP, end - tile);
        var score = LOWEST;
        if local < count {
            score = key_dot(cache + (tile + local) * params.vec4s);
        }
        let new_largest = max(largest, lane_max(local, score));
        let numerator = select(0.0, exp(score - new_largest), local < count);
        weight[local] = numerator;
        // The barriers of the reduction also publish `weight`.
        let tile_total = lane_sum(local, numerator);
        let rescale = exp(largest - new_largest);
        total = total * rescale + tile_total;
        sum *= rescale;
        largest = new_largest;
        if slice < slices {
            for (var i = slice; i < count; i += slices) {
                sum += weight[i] * v[cache + (tile + i) * params.vec4s + column];
            }
        }
    }

    partial_sum[local] = sum;
    workgroupBarrier();
    if local < params.vec4s {
        var value = vec4<f32>();
        for (var s = 0u; s < slices; s++) {
            value += partial_sum[s * params.vec4s + local];
        }
        attended[group.x * params.vec4s + local] = value / total;
    }
}

// Product of the scaled query with the key that starts at vec4 number `first`.
fn key_dot(first: u32) -> f32 {
    var sum = vec4<f32>();
    for (var i = 0u; i < params.vec4s; i++) {
        sum += query[i] * k[first + i];
    }
    return sum.x + sum.y + sum.z + sum.w;
}
