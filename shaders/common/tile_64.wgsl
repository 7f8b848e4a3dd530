// A large tile of a product: what an invocation reads serves twice as many sums as in a small one.

const TILE: u32 = 64u;
// Rows, and columns, of an invocation.
const EACH: u32 = 8u;
