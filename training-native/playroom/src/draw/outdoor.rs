//! Places in the open country: beach, forest, garden, snow and desert.

use super::backdrop::{Canvas, HORIZON};
use super::shape::{blob, curve, disc, oval, polygon, slab, track};
use crate::rng::Rng;

fn cloud(canvas: &mut Canvas<'_>, x: f32, y: f32, size: f32) {
    let white = [255, 255, 255];
    canvas.fill(white, oval(x, y, size, size * 0.4));
    canvas.fill(white, disc(x - size * 0.3, y - size * 0.2, size * 0.42));
    canvas.fill(white, disc(x + size * 0.25, y - size * 0.3, size * 0.52));
}

fn clouds(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    cloud(
        canvas,
        rng.range(0.05, 0.4),
        rng.range(0.08, 0.18),
        rng.range(0.07, 0.11),
    );
    cloud(
        canvas,
        rng.range(0.55, 0.95),
        rng.range(0.06, 0.2),
        rng.range(0.07, 0.11),
    );
}

/// Sea and sand, a sun, an umbrella and shells.
pub(super) fn beach(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, 0.26, [150, 218, 250], [206, 240, 252]);
    canvas.fill([255, 240, 160], disc(rng.range(0.15, 0.85), 0.1, 0.07));
    clouds(canvas, rng);
    canvas.wash(0.26, HORIZON + 0.02, [70, 170, 206], [120, 208, 220]);
    canvas.wash(HORIZON, 1.0, [250, 228, 176], [240, 208, 146]);
    let foam = [
        (-0.2, 0.36),
        (0.2, 0.45),
        (0.5, 0.41),
        (0.8, 0.46),
        (1.2, 0.38),
        (1.2, 0.5),
        (-0.2, 0.5),
    ];
    canvas.fill([250, 253, 255], blob(&foam));
    let sand = [
        (-0.3, 0.4),
        (0.2, 0.475),
        (0.5, 0.44),
        (0.8, 0.485),
        (1.3, 0.41),
        (1.3, 1.3),
        (-0.3, 1.3),
    ];
    canvas.fill([249, 226, 172], blob(&sand));
    let x = rng.pick(&[0.1, 0.9]);
    canvas.line([150, 110, 80], 0.018, track(&[(x, 0.2), (x + 0.02, 0.56)]));
    canvas.fill(
        [244, 120, 110],
        blob(&[
            (x - 0.2, 0.28),
            (x - 0.12, 0.12),
            (x + 0.12, 0.12),
            (x + 0.2, 0.28),
        ]),
    );
    canvas.fill(
        [255, 244, 226],
        blob(&[
            (x - 0.06, 0.27),
            (x - 0.04, 0.14),
            (x + 0.04, 0.14),
            (x + 0.06, 0.27),
        ]),
    );
    for _ in 0..5 {
        canvas.glaze(
            [226, 190, 128],
            200,
            oval(rng.unit(), rng.range(0.55, 0.97), 0.03, 0.008),
        );
    }
}

/// Dark trunks and round crowns.
pub(super) fn forest(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [176, 214, 178], [206, 230, 190]);
    for tree in 0..7 {
        let x = 0.02 + 0.16 * tree as f32 + 0.04 * rng.swing();
        let far = tree % 2 == 0;
        let (bark, leaf, wide) = if far {
            ([138, 130, 104], [124, 176, 128], 0.03)
        } else {
            ([110, 84, 64], [72, 134, 88], 0.045)
        };
        canvas.fill(
            bark,
            slab(x - wide / 2.0, 0.1, x + wide / 2.0, HORIZON + 0.03, 0.0),
        );
        let y = rng.range(0.06, 0.14);
        canvas.fill(leaf, disc(x, y, 0.11));
        canvas.fill(leaf, disc(x - 0.07, y + 0.06, 0.08));
        canvas.fill(leaf, disc(x + 0.07, y + 0.06, 0.08));
    }
    canvas.wash(HORIZON, 1.0, [146, 186, 116], [122, 164, 96]);
    for _ in 0..6 {
        let (x, y) = (rng.unit(), rng.range(0.46, 0.95));
        canvas.fill(
            [98, 146, 82],
            polygon(&[
                (x - 0.03, y),
                (x - 0.02, y - 0.05),
                (x, y),
                (x + 0.02, y - 0.05),
                (x + 0.03, y),
            ]),
        );
    }
    let (x, y) = (rng.range(0.1, 0.9), rng.range(0.5, 0.6));
    canvas.fill(
        [250, 240, 226],
        slab(x - 0.012, y - 0.03, x + 0.012, y + 0.02, 0.005),
    );
    canvas.fill(
        [220, 92, 80],
        blob(&[
            (x - 0.06, y - 0.02),
            (x - 0.03, y - 0.08),
            (x + 0.03, y - 0.08),
            (x + 0.06, y - 0.02),
        ]),
    );
}

/// A white fence and flowers in the grass.
pub(super) fn garden(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [164, 214, 252], [222, 240, 250]);
    clouds(canvas, rng);
    canvas.fill(
        [132, 198, 112],
        blob(&[
            (-0.3, 0.5),
            (-0.1, 0.26),
            (0.3, 0.32),
            (0.7, 0.24),
            (1.2, 0.3),
            (1.3, 0.5),
        ]),
    );
    canvas.wash(HORIZON, 1.0, [168, 220, 122], [136, 196, 96]);
    canvas.line([255, 255, 255], 0.022, track(&[(0.0, 0.31), (1.0, 0.31)]));
    canvas.line([255, 255, 255], 0.022, track(&[(0.0, 0.38), (1.0, 0.38)]));
    for post in 0..9 {
        let x = 0.02 + 0.12 * post as f32;
        let board = [
            (x - 0.025, 0.44),
            (x - 0.025, 0.26),
            (x, 0.22),
            (x + 0.025, 0.26),
            (x + 0.025, 0.44),
        ];
        canvas.fill([255, 255, 255], polygon(&board));
    }
    for _ in 0..9 {
        let (x, y) = (rng.unit(), rng.range(0.47, 0.97));
        let petal = rng.pick(&[
            [255, 190, 210],
            [255, 255, 250],
            [255, 226, 130],
            [214, 190, 250],
        ]);
        for (dx, dy) in [(-0.014, 0.0), (0.014, 0.0), (0.0, -0.014), (0.0, 0.014)] {
            canvas.fill(petal, disc(x + dx, y + dy, 0.011));
        }
        canvas.fill([250, 180, 60], disc(x, y, 0.008));
    }
}

/// Hills, fir trees and flakes.
pub(super) fn snow(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [170, 196, 226], [214, 226, 240]);
    canvas.fill(
        [236, 243, 250],
        blob(&[(-0.4, 0.6), (-0.1, 0.24), (0.35, 0.26), (0.6, 0.6)]),
    );
    canvas.fill(
        [228, 237, 247],
        blob(&[(0.3, 0.6), (0.6, 0.22), (1.1, 0.26), (1.4, 0.6)]),
    );
    for fir in 0..4 {
        let (x, y) = (
            0.08 + 0.28 * fir as f32 + 0.06 * rng.swing(),
            rng.range(0.36, 0.44),
        );
        for level in 0..3 {
            let (up, wide) = (0.075 * level as f32, 0.085 - 0.02 * level as f32);
            let layer = [(x - wide, y - up), (x, y - up - 0.13), (x + wide, y - up)];
            canvas.fill([76, 128, 120], polygon(&layer));
            canvas.fill(
                [240, 248, 255],
                polygon(&[
                    (x - 0.025, y - up - 0.09),
                    (x, y - up - 0.13),
                    (x + 0.025, y - up - 0.09),
                ]),
            );
        }
    }
    canvas.wash(HORIZON, 1.0, [240, 246, 252], [216, 228, 243]);
    canvas.fill([226, 236, 247], oval(rng.unit(), 0.56, 0.4, 0.05));
    canvas.fill([228, 237, 248], oval(rng.unit(), 0.84, 0.5, 0.07));
    for _ in 0..12 {
        canvas.fill(
            [255, 255, 255],
            disc(rng.unit(), rng.range(0.0, 0.5), rng.range(0.007, 0.014)),
        );
    }
}

/// Dunes, cacti and a low sun.
pub(super) fn desert(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [250, 196, 140], [255, 232, 184]);
    canvas.fill([255, 248, 214], disc(rng.range(0.2, 0.8), 0.2, 0.09));
    canvas.fill(
        [226, 164, 112],
        polygon(&[(0.0, 0.46), (0.16, 0.24), (0.3, 0.24), (0.46, 0.46)]),
    );
    canvas.fill(
        [214, 150, 100],
        polygon(&[(0.56, 0.46), (0.72, 0.28), (0.9, 0.28), (1.1, 0.46)]),
    );
    canvas.wash(HORIZON, 1.0, [240, 196, 132], [226, 174, 108]);
    canvas.fill(
        [234, 184, 118],
        blob(&[
            (-0.4, 0.8),
            (0.0, 0.5),
            (0.5, 0.62),
            (1.4, 0.52),
            (1.4, 1.4),
            (-0.4, 1.4),
        ]),
    );
    canvas.line(
        [214, 160, 96],
        0.008,
        curve(&[(0.05, 0.78), (0.4, 0.72), (0.9, 0.8)]),
    );
    for x in [rng.range(0.04, 0.3), rng.range(0.7, 0.96)] {
        let green = [104, 158, 96];
        canvas.fill(green, slab(x - 0.028, 0.22, x + 0.028, 0.5, 0.028));
        canvas.line(
            green,
            0.032,
            track(&[(x, 0.4), (x - 0.085, 0.4), (x - 0.085, 0.3)]),
        );
        canvas.line(
            green,
            0.032,
            track(&[(x, 0.36), (x + 0.085, 0.36), (x + 0.085, 0.25)]),
        );
    }
}
