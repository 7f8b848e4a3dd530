// Tiles of attention for heads of at most 64 numbers.

const MOST_VEC4S: u32 = 16u;
// Queries, and keys, of an invocation.
const QUERIES_EACH: u32 = 4u;
const KEYS_EACH: u32 = 2u;
