//! Which instruction sets there are, found out when asked.

// The portable loops would do, many times as slowly, and nobody would be told.
#[cfg(all(target_arch = "wasm32", not(target_feature = "simd128")))]
compile_error!(
    "WebAssembly is built with -C target-feature=+simd128, as .cargo/config.toml says; RUSTFLAGS and CARGO_ENCODED_RUSTFLAGS \
     take its place, so unset them or add the feature there"
);

/// An instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

impl Level {
    /// Plain Rust.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The quickest there is here.
    #[allow(
        unreachable_code,
        reason = "of the lines each target keeps those that are for it"
    )]
    pub fn best() -> Self {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return Self(Kind::Simd128);
        #[cfg(target_arch = "x86_64")]
        if has_avx512() {
            return Self(Kind::Avx512);
        }
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            return Self(Kind::Avx2);
        }
        Self::PORTABLE
    }

    /// All that there are here, the quickest last.
    pub fn all() -> impl Iterator<Item = Self> {
        [
            Some(Self::PORTABLE),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Some(Self(Kind::Simd128)),
            #[cfg(target_arch = "x86_64")]
            has_avx2().then_some(Self(Kind::Avx2)),
            #[cfg(target_arch = "x86_64")]
            has_avx512().then_some(Self(Kind::Avx512)),
        ]
        .into_iter()
        .flatten()
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => "simd128",
        }
    }
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    #[cfg(feature = "std")]
    return std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    #[cfg(not(feature = "std"))]
    return cfg!(all(target_feature = "avx2", target_feature = "fma"));
}

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx512() -> bool {
    #[cfg(feature = "std")]
    return has_avx2()
        && std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vnni");
    #[cfg(not(feature = "std"))]
    return cfg!(all(
        target_feature = "avx2",
        target_feature = "fma",
        target_feature = "avx512f",
        target_feature = "avx512bw",
        target_feature = "avx512vnni"
    ));
}
