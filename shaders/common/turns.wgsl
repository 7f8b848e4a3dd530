// Rotary positions in the half-split layout: x cos + swapped(x) sin, of which the second has each head's halves swapped.
//
// Depends on `params.width`, `params.turns` and `params.tables` of the including kernel.

// The number of the same head half a head away.
fn other(at: u32) -> u32 {
    let column = at % params.width;
    return at - column + (column + params.width / 2u) % params.width;
}

// Where the turn of a number stands, of a tensor with `own` numbers a row of the batch.
fn turn_of(at: u32, own: u32) -> u32 {
    return min(at / own, params.tables - 1u) * params.turns + at % params.turns;
}
