//! Products at every level against exact arithmetic, over shapes whole and ragged, within the error that is published.

mod numbers;

use namelens_cpu_kernels::{Activations, Bits, COLUMNS, Group, Level, Packed, product_at};
use numbers::Numbers;

fn groups(bits: Bits, count: usize, offsets: bool, numbers: &mut Numbers) -> Vec<Group> {
    let mut group = || Group {
        scales: match bits {
            Bits::Six => [0.01 * numbers.next(), 0.01 * numbers.next()],
            _ => [0.01 * numbers.next(); 2],
        },
        least: if offsets { 0.05 * numbers.next() } else { 0.0 },
        codes: core::array::from_fn(|_| match bits {
            Bits::Four => ((numbers.next() + 1.0) * 8.0).clamp(0.0, 15.0) as i8,
            Bits::Six => (numbers.next() * 32.0).clamp(-32.0, 31.0) as i8,
            Bits::Eight => (numbers.next() * 128.0).clamp(-128.0, 127.0) as i8,
        }),
    };
    (0..count).map(|_| group()).collect()
}

/// Activations with outliers, as real ones have.
fn activations(count: usize, numbers: &mut Numbers) -> Vec<f32> {
    (0..count)
        .map(|at| numbers.next() * if at % 97 == 13 { 300.0 } else { 1.0 })
        .collect()
}

#[test]
fn every_level_is_within_the_published_error_and_levels_agree() {
    let mut numbers = Numbers(7);
    for bits in [Bits::Four, Bits::Six, Bits::Eight] {
        for offsets in [false, true] {
            for (rows, cols) in [(1, 32), (8, 64), (7, 576), (33, 96), (203, 576)] {
                let groups = groups(bits, rows * cols / COLUMNS, offsets, &mut numbers);
                let w = Packed::new(bits, rows, cols, groups.clone()).expect("a shape of groups");
                let bytes = Packed::bytes_of(bits, rows, cols, offsets);
                assert_eq!(w.bytes(), bytes, "{bits:?} [{rows}, {cols}]");
                let mut weights = vec![0.0; cols];
                // A few rows, panels, and what is left over of their tiles.
                for m in [1, 2, 3, 4, 5, 8, 11, 27] {
                    let x = activations(m * cols, &mut numbers);
                    let rounded = Activations::new(&x, cols);
                    let mut found = vec![f32::NAN; m * rows];
                    for level in Level::all() {
                        found.fill(f32::NAN);
                        product_at(level, &w, &rounded, &mut found);
                        for row in 0..rows {
                            w.unpack_row(row, &mut weights);
                            for at in 0..m {
                                let x = &x[at * cols..][..cols];
                                let terms = weights.iter().zip(x);
                                let want: f64 =
                                    terms.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
                                let far = (f64::from(found[at * rows + row]) - want).abs();
                                let bound = w.error_bound(row, x);
                                assert!(
                                    far <= bound,
                                    "{bits:?} [{rows}, {cols}] x {m} at {level:?}: {far:e} of {bound:e}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Codes and offsets of weights that are all 0 still have terms that are rounded.
#[test]
fn zeros_made_of_codes_and_offsets_are_within_the_published_error() {
    let mut numbers = Numbers(23);
    for _ in 0..50 {
        let scale = 0.01 * numbers.next();
        let group = Group {
            scales: [scale; 2],
            least: -8.0 * scale,
            codes: [8; COLUMNS],
        };
        let w = Packed::new(Bits::Four, 1, COLUMNS, [group]).expect("a group");
        let x = activations(COLUMNS, &mut numbers);
        let mut found = [f32::NAN];
        for level in Level::all() {
            product_at(level, &w, &Activations::new(&x, COLUMNS), &mut found);
            let bound = w.error_bound(0, &x);
            assert!(f64::from(found[0]).abs() <= bound, "{found:?} of {bound:e}");
        }
    }
}

/// With scales of 1 all sums are whole numbers that f32 holds, so that no level may differ by a bit.
#[test]
fn whole_numbers_are_the_same_at_every_level() {
    let mut numbers = Numbers(17);
    // One column of each group holds the largest activation, which makes the step 1, and weights of code 0.
    let is_largest = |column: usize, group: usize| column == group % COLUMNS;
    for (bits, codes) in [
        (Bits::Four, 0..16),
        (Bits::Six, -32..32),
        (Bits::Eight, -128..128),
    ] {
        for (rows, cols) in [(1, 32), (15, 96), (40, 1536), (77, 608)] {
            let across = cols / COLUMNS;
            let groups: Vec<Group> = (0..rows * across)
                .map(|group| Group {
                    scales: [1.0; 2],
                    least: 0.0,
                    codes: core::array::from_fn(|column| {
                        let share = (numbers.next() + 1.0) / 2.0 * codes.len() as f32;
                        match is_largest(column, group % across) {
                            true => 0,
                            false => (codes.start + share as i32).min(codes.end - 1) as i8,
                        }
                    }),
                })
                .collect();
            let w = Packed::new(bits, rows, cols, groups.clone()).expect("a shape of groups");
            for m in [1, 2, 4, 6, 7, 13, 32] {
                let x: Vec<f32> = (0..m * cols)
                    .map(|at| match is_largest(at % COLUMNS, at % cols / COLUMNS) {
                        true => 32767.0,
                        false => (numbers.next() * 64.0).round(),
                    })
                    .collect();
                let want: Vec<f32> = x
                    .chunks_exact(cols)
                    .flat_map(|x| groups.chunks_exact(across).map(move |row| (x, row)))
                    .map(|(x, row)| {
                        let codes = row.iter().flat_map(|group| group.codes);
                        let terms = codes.zip(x).map(|(code, &x)| i64::from(code) * x as i64);
                        terms.sum::<i64>() as f32
                    })
                    .collect();
                for level in Level::all() {
                    let mut found = vec![f32::NAN; m * rows];
                    product_at(level, &w, &Activations::new(&x, cols), &mut found);
                    assert_eq!(found, want, "{bits:?} [{rows}, {cols}] x {m} at {level:?}");
                }
            }
        }
    }
}

/// The error is that of the activations' 16 bits: a few millionths of the result's size.
#[test]
fn results_are_exact_to_five_digits() {
    let mut numbers = Numbers(3);
    let (rows, cols) = (256, 576);
    let groups = groups(Bits::Four, rows * cols / COLUMNS, true, &mut numbers);
    let w = Packed::new(Bits::Four, rows, cols, groups).expect("a shape of groups");
    let x: Vec<f32> = (0..cols).map(|_| numbers.next()).collect();
    let mut found = vec![0.0; rows];
    product_at(Level::best(), &w, &Activations::new(&x, cols), &mut found);
    let mut weights = vec![0.0; cols];
    let (mut errors, mut squares) = (0.0, 0.0);
    for (row, found) in found.iter().enumerate() {
        w.unpack_row(row, &mut weights);
        let want: f64 = weights
            .iter()
            .zip(&x)
            .map(|(w, x)| f64::from(*w) * f64::from(*x))
            .sum();
        errors += (f64::from(*found) - want).powi(2);
        squares += want.powi(2);
    }
    // Measured: 1.0e-5. With 8 bits it is 256 times as much.
    assert!(
        (errors / squares).sqrt() <= 3e-5,
        "{:e}",
        (errors / squares).sqrt()
    );
}

#[test]
fn extremes_of_codes_and_activations_do_not_overflow() {
    for code in [-128, 127] {
        let group = Group {
            scales: [1.0; 2],
            least: 0.0,
            codes: [code; COLUMNS],
        };
        let w = Packed::new(Bits::Eight, 4, COLUMNS, [group; 4]).expect("a shape of groups");
        for (x, level) in [-3e4, 3e4f32]
            .map(|x| Level::all().map(move |level| (x, level)))
            .into_iter()
            .flatten()
        {
            // One row, and as many as make a panel.
            for m in [1, 9] {
                let x = vec![x; m * COLUMNS];
                let mut y = vec![0.0; 4 * m];
                product_at(level, &w, &Activations::new(&x, COLUMNS), &mut y);
                let want = f32::from(code) * x[0] * 32.0;
                assert!(
                    y.iter().all(|y| (y - want).abs() <= want.abs() * 1e-6),
                    "{level:?}: {y:?}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_none() {
    let group = Group {
        scales: [1.0; 2],
        least: -3.0,
        codes: [3; COLUMNS],
    };
    let w = Packed::new(Bits::Four, 4, 2 * COLUMNS, [group; 8]).expect("a shape of groups");
    // As many rows as make a panel.
    let mut x = [1.0; 9 * 2 * COLUMNS];
    x[3] = f32::NAN;
    for level in Level::all() {
        for m in [2, 9] {
            let x = Activations::new(&x[..m * 2 * COLUMNS], 2 * COLUMNS);
            let mut y = vec![0.0; 4 * m];
            product_at(level, &w, &x, &mut y);
            assert!(y[..4].iter().all(|y| y.is_nan()), "{level:?}: {y:?}");
            assert!(y[4..].iter().all(|y| y.is_finite()), "{level:?}: {y:?}");
        }
    }
}

#[test]
fn rows_are_unpacked_to_their_weights() {
    let mut numbers = Numbers(23);
    for bits in [Bits::Four, Bits::Six, Bits::Eight] {
        let (rows, cols) = (19, 160);
        let groups = groups(bits, rows * cols / COLUMNS, true, &mut numbers);
        let w = Packed::new(bits, rows, cols, groups.clone()).expect("a shape of groups");
        for (row, groups) in groups.chunks_exact(cols / COLUMNS).enumerate() {
            let want = groups.iter().flat_map(|group| {
                let codes = group.codes.into_iter().enumerate();
                codes.map(|(at, code)| group.scales[at / 16] * f32::from(code) + group.least)
            });
            let mut found = vec![f32::NAN; cols];
            w.unpack_row(row, &mut found);
            assert!(found.iter().copied().eq(want), "{bits:?} row {row}");
        }
    }
}

#[test]
fn what_cannot_be_packed_is_refused() {
    let group = |code| Group {
        scales: [1.0; 2],
        least: 0.0,
        codes: [code; COLUMNS],
    };
    assert!(Packed::new(Bits::Four, 1, 32, [group(16)]).is_none());
    assert!(Packed::new(Bits::Four, 1, 32, [group(-1)]).is_none());
    assert!(Packed::new(Bits::Six, 1, 32, [group(32)]).is_none());
    assert!(Packed::new(Bits::Six, 1, 32, [group(-33)]).is_none());
    let two = Group {
        scales: [1.0, 2.0],
        ..group(1)
    };
    assert!(Packed::new(Bits::Six, 1, 32, [two]).is_some());
    for bits in [Bits::Four, Bits::Eight] {
        assert!(Packed::new(bits, 1, 32, [two]).is_none());
    }
    assert!(Packed::new(Bits::Eight, 1, 32, [group(-1)]).is_some());
    assert!(Packed::new(Bits::Eight, 1, 33, [group(1)]).is_none());
    assert!(Packed::new(Bits::Eight, 0, 32, []).is_none());
    assert!(Packed::new(Bits::Eight, 2, 32, [group(1)]).is_none());
    assert!(Packed::new(Bits::Eight, 1, 32, [group(1); 2]).is_none());
    assert!(Packed::new(Bits::Eight, usize::MAX, 64, []).is_none());
}
