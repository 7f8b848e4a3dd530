// Tiles of attention for heads of at most 128 numbers: half as many queries and keys as of 64 fill a workgroup's memory.

const MOST_VEC4S: u32 = 32u;
// Queries, and keys, of an invocation.
const QUERIES_EACH: u32 = 2u;
const KEYS_EACH: u32 = 1u;
