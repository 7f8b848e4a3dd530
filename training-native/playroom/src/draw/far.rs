//! City, lake, and the two places under a dark sky: night and moon.

use super::backdrop::{Canvas, HORIZON};
use super::shape::{blob, disc, oval, polygon, slab, star, track};
use crate::rng::Rng;

/// Houses with lit windows and a road.
pub(super) fn city(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [186, 206, 234], [228, 232, 240]);
    let mut x = -0.03;
    while x < 1.0 {
        let (wide, top) = (rng.range(0.13, 0.2), rng.range(0.02, 0.2));
        let wall = rng.pick(&[
            [150, 156, 182],
            [178, 160, 168],
            [132, 150, 172],
            [190, 178, 170],
        ]);
        canvas.fill(wall, slab(x, top, x + wide, HORIZON + 0.01, 0.0));
        for row in 0..5 {
            for column in 0..2 {
                let (wx, wy) = (
                    x + wide * (0.18 + 0.4 * column as f32),
                    top + 0.04 + 0.08 * row as f32,
                );
                if wy < HORIZON - 0.06 && rng.chance(0.8) {
                    canvas.fill(
                        [252, 240, 190],
                        slab(wx, wy, wx + wide * 0.24, wy + 0.045, 0.0),
                    );
                }
            }
        }
        x += wide + 0.01;
    }
    canvas.wash(HORIZON, 0.52, [216, 214, 212], [206, 204, 204]);
    canvas.wash(0.52, 1.0, [150, 152, 162], [132, 134, 146]);
    canvas.fill([236, 234, 228], slab(-0.1, 0.51, 1.1, 0.53, 0.0));
    let shift = rng.range(0.0, 0.2);
    for dash in 0..5 {
        let x = -0.15 + 0.28 * dash as f32 + shift;
        canvas.fill(
            [250, 236, 170],
            polygon(&[
                (x, 0.7),
                (x + 0.15, 0.7),
                (x + 0.14, 0.725),
                (x - 0.01, 0.725),
            ]),
        );
    }
}

/// Mountains behind water, reeds and a meadow.
pub(super) fn lake(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, 0.3, [176, 220, 248], [230, 242, 246]);
    for (x, high) in [
        (rng.range(0.1, 0.3), 0.06),
        (rng.range(0.6, 0.8), 0.1),
        (0.98, 0.16),
    ] {
        canvas.fill(
            [130, 150, 182],
            polygon(&[(x - 0.34, 0.31), (x, high), (x + 0.34, 0.31)]),
        );
        canvas.fill(
            [246, 250, 255],
            polygon(&[
                (x - 0.07, high + 0.05),
                (x, high),
                (x + 0.07, high + 0.05),
                (x, high + 0.075),
            ]),
        );
    }
    canvas.wash(0.3, 0.52, [86, 160, 214], [128, 196, 232]);
    for _ in 0..6 {
        let (x, y) = (rng.unit(), rng.range(0.33, 0.46));
        canvas.line([190, 226, 246], 0.008, track(&[(x, y), (x + 0.12, y)]));
    }
    canvas.wash(0.5, 1.0, [158, 206, 124], [130, 184, 100]);
    canvas.fill(
        [166, 212, 130],
        blob(&[
            (-0.3, 0.46),
            (0.2, 0.52),
            (0.6, 0.47),
            (1.3, 0.53),
            (1.3, 0.7),
            (-0.3, 0.7),
        ]),
    );
    let x = rng.pick(&[0.07, 0.93]);
    for dx in [-0.04, 0.0, 0.045] {
        canvas.line(
            [92, 140, 84],
            0.012,
            track(&[(x + dx, 0.54), (x + dx * 1.6, 0.34)]),
        );
        canvas.fill([130, 88, 60], oval(x + dx * 1.6, 0.33, 0.014, 0.04));
    }
}

/// A dark blue sky with a moon over a hill.
pub(super) fn night(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON + 0.05, [46, 52, 112], [96, 96, 160]);
    for _ in 0..12 {
        let (x, y) = (rng.unit(), rng.range(0.02, 0.36));
        canvas.fill([255, 246, 196], star(x, y, rng.range(0.012, 0.024)));
    }
    let x = rng.range(0.15, 0.85);
    canvas.fill([255, 246, 206], disc(x, 0.13, 0.085));
    canvas.fill([60, 64, 126], disc(x + 0.04, 0.11, 0.07));
    canvas.wash(HORIZON, 1.0, [88, 118, 138], [74, 98, 126]);
    canvas.fill(
        [88, 122, 136],
        blob(&[
            (-0.4, 0.7),
            (0.0, 0.36),
            (0.5, 0.44),
            (0.9, 0.38),
            (1.4, 0.6),
            (1.4, 0.8),
            (-0.4, 0.8),
        ]),
    );
    for _ in 0..6 {
        let (x, y) = (rng.unit(), rng.range(0.5, 0.95));
        canvas.line(
            [70, 98, 116],
            0.012,
            track(&[(x - 0.02, y), (x, y - 0.05), (x + 0.02, y)]),
        );
    }
}

/// Craters under a black sky with the Earth in it.
pub(super) fn moon(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON + 0.05, [20, 18, 40], [44, 38, 74]);
    for _ in 0..16 {
        canvas.fill(
            [255, 255, 255],
            disc(rng.unit(), rng.range(0.0, 0.38), rng.range(0.004, 0.009)),
        );
    }
    let x = rng.range(0.15, 0.85);
    canvas.fill([80, 150, 230], disc(x, 0.15, 0.1));
    canvas.fill(
        [110, 190, 120],
        blob(&[
            (x - 0.09, 0.12),
            (x - 0.02, 0.07),
            (x + 0.02, 0.14),
            (x - 0.04, 0.2),
        ]),
    );
    canvas.fill([110, 190, 120], oval(x + 0.05, 0.19, 0.03, 0.02));
    canvas.wash(HORIZON, 1.0, [196, 194, 208], [172, 168, 188]);
    canvas.fill(
        [196, 194, 208],
        blob(&[
            (-0.4, 0.6),
            (0.1, 0.36),
            (0.6, 0.42),
            (1.4, 0.36),
            (1.4, 0.7),
            (-0.4, 0.7),
        ]),
    );
    for _ in 0..6 {
        let (x, y) = (rng.unit(), rng.range(0.5, 0.95));
        let r = rng.range(0.04, 0.08);
        canvas.fill([150, 146, 168], oval(x, y, r, r * 0.36));
        canvas.fill([166, 162, 182], oval(x, y + r * 0.07, r * 0.84, r * 0.27));
    }
}
