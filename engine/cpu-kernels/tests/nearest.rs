//! Cosines at every level against exact arithmetic, and the nearest rows against a sort of all.

mod numbers;

use namelens_cpu_kernels::{Level, Queries};
use numbers::Numbers;

fn vectors(count: usize, seed: u64) -> Vec<f32> {
    let mut numbers = Numbers(seed);
    (0..count).map(|_| numbers.next()).collect()
}

fn exact(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let terms = a.iter().zip(b);
        terms.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn cosines_are_exact_whatever_the_lengths() {
    for width in [1, 15, 16, 47, 83, 512] {
        let (queries, mut rows) = (vectors(3 * width, 1), vectors(29 * width, 2));
        rows[..width].iter_mut().for_each(|x| *x *= 1e-9);
        rows[width..2 * width].iter_mut().for_each(|x| *x *= 1e9);
        for level in Level::all() {
            let mut found = vec![f32::NAN; 3 * 29];
            Queries::at(level, &queries, width).cosines(&rows, &mut found);
            for (at, &found) in found.iter().enumerate() {
                let (query, row) = (&queries[at / 29 * width..], &rows[at % 29 * width..]);
                let want = exact(&query[..width], &row[..width]);
                // A few roundings of sums of terms of size 1 at most.
                let far = (f64::from(found) - want).abs();
                assert!(far < 2e-6, "{level:?}: {found} for {want}, {width}");
            }
        }
    }
}

#[test]
fn the_nearest_are_those_of_all_scores_in_order_however_the_rows_are_cut() {
    let (width, count) = (24, 301);
    let queries = vectors(4 * width, 3);
    let mut rows = vectors(count * width, 4);
    // Ties, far apart and beside each other.
    for (to, from) in [(17, 16), (250, 16), (90, 200), (300, 0)] {
        rows.copy_within(from * width..(from + 1) * width, to * width);
    }
    let index = Queries::new(&queries, width);
    let mut scores = vec![0.0; 4 * count];
    index.cosines(&rows, &mut scores);
    for k in [0, 1, 5, 300, 301, 500] {
        let want: Vec<Vec<(usize, f32)>> = scores
            .chunks_exact(count)
            .map(|scores| {
                let mut all: Vec<(usize, f32)> = scores.iter().copied().enumerate().collect();
                // Stable, so that of equals the lower row stays first.
                all.sort_by(|a, b| b.1.total_cmp(&a.1));
                all.truncate(k);
                all
            })
            .collect();
        let whole: Vec<_> = index.nearest(&rows, k).into_ranked().collect();
        assert_eq!(whole, want, "k {k}");
        for cut in [1, 90, 300] {
            let (first, second) = rows.split_at(cut * width);
            // The later part first: what order they come in must not matter.
            let mut all = index.nearest(&rows[..0], k);
            all.merge(index.nearest(second, k), cut);
            all.merge(index.nearest(first, k), 0);
            assert_eq!(
                all.into_ranked().collect::<Vec<_>>(),
                want,
                "k {k}, cut at {cut}"
            );
        }
    }
}

#[test]
fn what_has_no_cosine_comes_last_and_zeros_score_zero() {
    let rows = [
        1.0,
        0.0,
        f32::NAN,
        0.0,
        0.0,
        0.0,
        -1.0,
        0.0,
        f32::INFINITY,
        1.0,
    ];
    let mut found = [0.0; 5];
    let queries = [2.0, 0.0];
    Queries::new(&queries, 2).cosines(&rows, &mut found);
    assert_eq!(found, [1.0, -2.0, 0.0, -1.0, -2.0]);
    let ranked: Vec<_> = Queries::new(&queries, 2)
        .nearest(&rows, 5)
        .into_ranked()
        .collect();
    assert_eq!(
        ranked,
        [vec![(0, 1.0), (2, 0.0), (3, -1.0), (1, -2.0), (4, -2.0)]]
    );
}
