//! Random numbers by counter: the n-th of a stream is a function of the stream's key and n alone.
//!
//! So nothing has to be kept of a generator to go on where it was, and what is drawn for one row of a batch does not depend on the
//! other rows. SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) is of this kind: its state only counts.

/// Odd number nearest to 2^64 over the golden ratio: what SplitMix64 counts by.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// Random numbers of one key, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    key: u64,
    next: u64,
}

impl Stream {
    /// The stream of a seed.
    pub fn new(seed: u64) -> Self {
        Self { key: seed, next: 0 }
    }

    /// The stream of a key of several numbers, such as seed, step and row; each counts, and so does their order.
    pub fn keyed(parts: &[u64]) -> Self {
        let join =
            |key: u64, part: &u64| mix(key.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA)));
        Self::new(parts.iter().fold(0, join))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.next = self.next.wrapping_add(1);
        mix(self.key.wrapping_add(self.next.wrapping_mul(GAMMA)))
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal with mean 0 and deviation 1 (Box and Muller 1958).
    pub fn normal(&mut self) -> f64 {
        // 1 - u is never 0.
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// SplitMix64's finaliser: every bit of the input moves every bit of the output.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of seed 1234567, as the generator's published C code prints them.
    #[test]
    fn numbers_are_those_of_splitmix64() {
        let mut stream = Stream::new(1_234_567);
        let known = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(known.map(|_| stream.bits()), known);
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let keys: [&[u64]; 7] = [
            &[1, 2, 3],
            &[2, 1, 3],
            &[1, 2, 4],
            &[1, 2],
            &[0, 1, 2],
            &[0, 1],
            &[],
        ];
        let mut first: Vec<u64> = keys.iter().map(|key| Stream::keyed(key).bits()).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), keys.len());
    }

    /// Means and variances of neighbouring streams, within 5 standard errors of 20,000 numbers.
    #[test]
    fn streams_are_uniform_and_normal_across_neighbouring_keys() {
        let count = 20_000u64;
        let moments = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / count as f64;
            let square = |v: &f64| (v - mean).powi(2);
            (mean, values.iter().map(square).sum::<f64>() / count as f64)
        };
        let error = 5.0 / (count as f64).sqrt();
        let first = |row| Stream::keyed(&[7, 3, row]);
        let (mean, variance) = moments((0..count).map(|row| first(row).uniform()).collect());
        assert!((mean - 0.5).abs() < 0.3 * error && (variance - 1.0 / 12.0).abs() < 0.1 * error);
        let (mean, variance) = moments((0..count).map(|row| first(row).normal()).collect());
        assert!((mean).abs() < error && (variance - 1.0).abs() < 1.5 * error);
    }
}
