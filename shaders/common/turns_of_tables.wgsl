// Turns from tables, and the first column from the parameters.

@group(0) @binding(6) var<storage, read_write> cosines: array<f32>; // [tables, T, D]
@group(0) @binding(7) var<storage, read_write> sines: array<f32>;   // [tables, T, D], the sign of the lower half in them
@group(0) @binding(8) var<uniform> params: Params;

fn cosine(turn: u32) -> f32 {
    return cosines[turn];
}

fn sine(turn: u32) -> f32 {
    return sines[turn];
}

fn first_column() -> u32 {
    return params.column;
}
