// A small tile of a product, for many workgroups where there is little to do.

const TILE: u32 = 32u;
// Rows, and columns, of an invocation.
const EACH: u32 = 4u;
