//! Cosines of queries with the rows of an index, and the rows most like each query, in one pass over the index.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use crate::lanes::Reals;
use crate::level::{Kind, Level};
use crate::portable::{LANES as PORTABLE, Portable};

/// Registers of sums, which need not wait for each other.
const APART: usize = 4;

/// What a row that has no cosine scores, as one with a number that is not finite: below every cosine.
const NOT_COMPARABLE: f32 = -2.0;

/// Queries `[Q, D]`, ready to be compared.
#[derive(Debug, Clone)]
pub struct Queries<'a> {
    level: Level,
    numbers: &'a [f32],
    width: usize,
    norms: Vec<f32>,
}

impl<'a> Queries<'a> {
    /// Takes queries of `width` numbers each, to be compared at the best level.
    ///
    /// # Panics
    /// When `width` is 0, or the numbers are not whole queries.
    pub fn new(numbers: &'a [f32], width: usize) -> Self {
        Self::at(Level::best(), numbers, width)
    }

    /// [`Queries::new`] at a level of one's choice.
    ///
    /// # Panics
    /// As there.
    pub fn at(level: Level, numbers: &'a [f32], width: usize) -> Self {
        assert!(
            width > 0 && numbers.len().is_multiple_of(width),
            "queries: {} numbers of width {width}",
            numbers.len()
        );
        let norms = numbers.chunks_exact(width);
        let norms = norms.map(|query| dot::<Portable, PORTABLE>(query, query).sqrt());
        Self {
            level,
            numbers,
            width,
            norms: norms.collect(),
        }
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.norms.len()
    }

    /// Writes the cosine of every query with every row `[N, D]` to `scores` `[Q, N]`: 0 where a vector is zero, -2 where there is no
    /// cosine.
    ///
    /// # Panics
    /// When the rows are not whole, or `scores` is not as long as these are.
    pub fn cosines(&self, rows: &[f32], scores: &mut [f32]) {
        let count = self.rows(rows);
        assert_eq!(scores.len(), self.count() * count, "cosines: scores");
        self.compare(rows, |query, row, score| {
            scores[query * count + row] = score
        });
    }

    /// The `k` rows of `[N, D]` most like each query; fewer where there are fewer.
    ///
    /// # Panics
    /// When the rows are not whole.
    pub fn nearest(&self, rows: &[f32], k: usize) -> Nearest {
        self.rows(rows);
        let mut nearest = Nearest::new(self.count(), k);
        self.compare(rows, |query, row, score| nearest.offer(query, row, score));
        nearest
    }

    fn rows(&self, rows: &[f32]) -> usize {
        assert!(
            rows.len().is_multiple_of(self.width),
            "an index of {} numbers of width {}",
            rows.len(),
            self.width
        );
        rows.len() / self.width
    }

    /// Calls `put` with the number of each query, that of each row, and their cosine.
    fn compare(&self, rows: &[f32], put: impl FnMut(usize, usize, f32)) {
        match self.level.0 {
            Kind::Portable => self.each::<Portable, PORTABLE>(rows, put),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => crate::simd_x86::cosines(self, rows, put),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => crate::simd_x86_wide::cosines(self, rows, put),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Kind::Simd128 => crate::simd_wasm::cosines(self, rows, put),
        }
    }

    /// The same in an instruction set.
    #[inline(always)]
    pub(crate) fn each<L: Reals<W>, const W: usize>(
        &self,
        rows: &[f32],
        mut put: impl FnMut(usize, usize, f32),
    ) {
        for (at, row) in rows.chunks_exact(self.width).enumerate() {
            // All queries pass while the row is in the nearest cache.
            let row_norm = dot::<L, W>(row, row).sqrt();
            let queries = self.numbers.chunks_exact(self.width);
            for (query, (numbers, &norm)) in queries.zip(&self.norms).enumerate() {
                let score = cosine(dot::<L, W>(numbers, row), norm * row_norm);
                put(query, at, score);
            }
        }
    }
}

/// The sum of products; sums of lanes apart are as exact as any order.
#[inline(always)]
fn dot<L: Reals<W>, const W: usize>(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<W>(), b.as_chunks::<W>());
    let ((a, a_last), (b, b_last)) = (a.as_chunks::<APART>(), b.as_chunks::<APART>());
    let mut sums = [L::splat(0.0); APART];
    for (a, b) in a.iter().zip(b) {
        for at in 0..APART {
            sums[at] = L::mul_add(L::load(&a[at]), L::load(&b[at]), sums[at]);
        }
    }
    for (a, b) in a_last.iter().zip(b_last) {
        sums[0] = L::mul_add(L::load(a), L::load(b), sums[0]);
    }
    let [c, d, e, f] = sums;
    let mut lanes = [0.0; W];
    L::store(L::add(L::add(c, d), L::add(e, f)), &mut lanes);
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn cosine(product: f32, norms: f32) -> f32 {
    let cosine = product / norms;
    match cosine.abs() <= 1.5 {
        _ if norms == 0.0 => 0.0,
        true => cosine,
        false => NOT_COMPARABLE,
    }
}

/// The best rows of each query so far.
#[derive(Debug, Clone)]
pub struct Nearest {
    k: usize,
    best: Vec<BinaryHeap<Candidate>>,
}

impl Nearest {
    fn new(queries: usize, k: usize) -> Self {
        Self {
            k,
            best: vec![BinaryHeap::new(); queries],
        }
    }

    #[inline(always)]
    fn offer(&mut self, query: usize, row: usize, score: f32) {
        let best = &mut self.best[query];
        // The quick way out of nearly every row: later rows lose a tie.
        if best.len() == self.k && best.peek().is_none_or(|worst| score <= worst.score) {
            return;
        }
        put(best, self.k, Candidate { score, row });
    }

    /// Takes over what was found in rows that begin `offset` rows behind those of this one.
    ///
    /// # Panics
    /// When it was found for another number of queries.
    pub fn merge(&mut self, other: Self, offset: usize) {
        assert_eq!(self.best.len(), other.best.len(), "merge: queries");
        for (best, other) in self.best.iter_mut().zip(other.best) {
            for candidate in other {
                let row = candidate.row + offset;
                put(best, self.k, Candidate { row, ..candidate });
            }
        }
    }

    /// For each query its rows and their cosines, best first; of equal cosines the lower row comes first.
    pub fn into_ranked(self) -> impl Iterator<Item = Vec<(usize, f32)>> {
        self.best.into_iter().map(|best| {
            let ranked = best.into_sorted_vec().into_iter();
            ranked.map(|found| (found.row, found.score)).collect()
        })
    }
}

#[inline(never)]
fn put(best: &mut BinaryHeap<Candidate>, k: usize, candidate: Candidate) {
    best.push(candidate);
    if best.len() > k {
        best.pop();
    }
}

/// A row and its cosine. The larger is the worse, so that a heap gives the worst away first.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    score: f32,
    row: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // Adding nothing makes minus zero zero: they are equal, and this order would tell them apart.
        let scores = (other.score + 0.0).total_cmp(&(self.score + 0.0));
        scores.then(self.row.cmp(&other.row))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Candidate {}
