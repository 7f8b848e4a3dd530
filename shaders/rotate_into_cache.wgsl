// Turns new queries, turns new keys into their columns of a cache, and puts the new values beside them; one invocation a number.
// Turns are rotary positions in the half-split layout: x cos + swapped(x) sin. Where they and the first column come from is a common/ file.

struct Params {
    queries: u32,  // B * H * T * D, numbers of q
    keys: u32,     // B * Hkv * T * D, numbers of k and of v
    q_own: u32,    // H * T * D, numbers of q of a row of the batch
    k_own: u32,    // Hkv * T * D, numbers of k of a row of the batch
    turns: u32,    // T * D, numbers of a head and of a table
    width: u32,    // D
    tables: u32,   // 1, or one a row
    capacity: u32, // columns of the cache
    column: u32,   // the first that is written, where it is known when the kernel is launched
    q_head: u32,   // numbers from a head of q to the next
    q_token: u32,  // numbers from a token of q to the next
    k_head: u32,   // the same of k and v
    k_token: u32,
}

@group(0) @binding(0) var<storage, read_write> q: array<f32>;       // [B, H, T, D], as the parameters say
@group(0) @binding(1) var<storage, read_write> k: array<f32>;       // [B, Hkv, T, D], as they say
@group(0) @binding(2) var<storage, read_write> v: array<f32>;       // [B, Hkv, T, D], as they say
@group(0) @binding(3) var<storage, read_write> keys: array<f32>;    // [B, Hkv, capacity, D]
@group(0) @binding(4) var<storage, read_write> values: array<f32>;  // [B, Hkv, capacity, D]
@group(0) @binding(5) var<storage, read_write> turned: array<f32>;  // [B, H, T, D]

const WORKGROUP: u32 = 64u;

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = flat_group(group, groups) * WORKGROUP + local;
    if at < params.queries {
        let turn = turn_of(at, params.q_own);
        let own = lying(at, params.q_own, params.q_head, params.q_token);
        turned[at] = q[own] * cosine(turn) + q[other(own)] * sine(turn);
    } else if at < params.queries + params.keys {
        let key = at - params.queries;
        let turn = turn_of(key, params.k_own);
        let own = lying(key, params.k_own, params.k_head, params.k_token);
        keys[place(key)] = k[own] * cosine(turn) + k[other(own)] * sine(turn);
    } else if at < params.queries + 2u * params.keys {
        let value = at - params.queries - params.keys;
        values[place(value)] = v[lying(value, params.k_own, params.k_head, params.k_token)];
    }
}

// Where a number of new heads lies, of which a row of the batch has `own`: steps between heads and tokens are whole heads.
fn lying(at: u32, own: u32, of_head: u32, of_token: u32) -> u32 {
    let inside = at % own;
    let turn = inside % params.turns;
    return at - inside + inside / params.turns * of_head + turn / params.width * of_token + turn % params.width;
}

// Where a number of k or v goes.
fn place(at: u32) -> u32 {
    let head = at / params.turns;
    return (head * params.capacity + first_column()) * params.width + at % params.turns;
}
