// Reading ggml blocks, which are aligned to two bytes only, out of 32-bit words.
//
// Depends on the binding `blocks: array<u32>` of the including kernel.

// f32 of a finite half given as its 16 bits. By hand, because unpack2x16float may flush
// subnormals, and scales of small weights are subnormal.
fn f32_from_half(bits: u32) -> f32 {
    let exponent = (bits >> 10u) & 31u;
    let mantissa = bits & 1023u;
    var magnitude = bitcast<f32>(((exponent + 112u) << 23u) | (mantissa << 13u));
    if exponent == 0u {
        // A subnormal half counts steps of 2^-24.
        magnitude = f32(mantissa) * 5.9604644775390625e-8;
    }
    return select(magnitude, -magnitude, (bits & 0x8000u) != 0u);
}

// The 16 bits number `half` counted from word `base`.
fn half_at(base: u32, half: u32) -> u32 {
    return (blocks[base + half / 2u] >> (16u * (half % 2u))) & 0xffffu;
}

// The 32 bits that start at 16-bit position `half` counted from word `base`.
fn word_at(base: u32, half: u32) -> u32 {
    let index = base + half / 2u;
    let word = blocks[index];
    if half % 2u == 0u {
        return word;
    }
    return (word >> 16u) | (blocks[index + 1u] << 16u);
}
