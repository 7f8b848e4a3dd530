//! The three rooms: bedroom, kitchen, library. Pale walls, so that things stand out.

use super::backdrop::{Canvas, HORIZON};
use super::shape::{disc, oval, polygon, slab, track};
use crate::rng::Rng;

/// A wall with dots, a window, a wooden floor and a round rug.
pub(super) fn bedroom(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    let wall = rng.pick(&[[250, 226, 214], [232, 226, 246], [222, 238, 232]]);
    canvas.wash(0.0, HORIZON, wall, wall);
    for row in 0..4 {
        for column in 0..7 {
            let x = 0.04 + 0.155 * column as f32 + if row % 2 == 0 { 0.0 } else { 0.078 };
            canvas.glaze(
                [255, 255, 255],
                150,
                disc(x, 0.05 + 0.1 * row as f32, 0.014),
            );
        }
    }
    let x = rng.range(0.06, 0.62);
    canvas.fill([255, 255, 255], slab(x, 0.06, x + 0.3, 0.33, 0.02));
    canvas.fill(
        [168, 216, 246],
        slab(x + 0.025, 0.085, x + 0.275, 0.305, 0.01),
    );
    canvas.fill([240, 250, 255], oval(x + 0.11, 0.18, 0.06, 0.03));
    canvas.line(
        [255, 255, 255],
        0.018,
        track(&[(x + 0.15, 0.07), (x + 0.15, 0.32)]),
    );
    canvas.line(
        [255, 255, 255],
        0.018,
        track(&[(x, 0.195), (x + 0.3, 0.195)]),
    );
    for side in [x - 0.03, x + 0.25] {
        canvas.fill([244, 166, 176], slab(side, 0.04, side + 0.08, 0.36, 0.03));
    }
    canvas.wash(HORIZON, 1.0, [226, 190, 150], [204, 162, 120]);
    for y in [0.5, 0.62, 0.78] {
        canvas.line([190, 148, 108], 0.006, track(&[(0.0, y), (1.0, y)]));
    }
    canvas.fill(
        [255, 252, 246],
        slab(-0.1, HORIZON - 0.02, 1.1, HORIZON + 0.015, 0.0),
    );
    let x = rng.range(0.35, 0.65);
    canvas.fill([214, 226, 238], oval(x, 0.76, 0.4, 0.15));
    canvas.fill([238, 244, 250], oval(x, 0.76, 0.31, 0.11));
}

/// Tiles, a shelf with jars, a cupboard and a chequered floor.
pub(super) fn kitchen(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [238, 246, 246], [226, 238, 240]);
    for step in 1..9 {
        let at = 0.115 * step as f32;
        canvas.line([206, 222, 226], 0.006, track(&[(at, 0.0), (at, HORIZON)]));
        if at < HORIZON {
            canvas.line([206, 222, 226], 0.006, track(&[(0.0, at), (1.0, at)]));
        }
    }
    let x = rng.range(0.04, 0.5);
    canvas.fill([176, 128, 88], slab(x, 0.24, x + 0.46, 0.27, 0.0));
    for jar in 0..4 {
        let at = x + 0.03 + 0.11 * jar as f32;
        let paint = rng.pick(&[
            [244, 170, 120],
            [150, 196, 170],
            [238, 214, 130],
            [176, 180, 220],
        ]);
        canvas.fill(paint, slab(at, 0.12, at + 0.075, 0.24, 0.015));
        canvas.fill(
            [250, 250, 246],
            slab(at + 0.005, 0.1, at + 0.07, 0.13, 0.01),
        );
    }
    canvas.fill([148, 190, 190], slab(-0.1, 0.34, 1.1, HORIZON + 0.02, 0.0));
    canvas.fill([250, 244, 232], slab(-0.1, 0.32, 1.1, 0.36, 0.0));
    canvas.wash(HORIZON, 1.0, [246, 238, 226], [238, 226, 208]);
    let rows = [HORIZON, 0.5, 0.61, 0.77, 1.0];
    for (row, pair) in rows.windows(2).enumerate() {
        let &[y0, y1] = pair else { continue };
        // Tiles grow towards the viewer: columns fan out from a point above the photo.
        let fan = |at: f32, y: f32| 0.5 + (at - 0.5) * (0.55 + y);
        for column in (row % 2..10).step_by(2) {
            let (a, b) = (-0.1 + 0.12 * column as f32, 0.02 + 0.12 * column as f32);
            let tile = [
                (fan(a, y0), y0),
                (fan(b, y0), y0),
                (fan(b, y1), y1),
                (fan(a, y1), y1),
            ];
            canvas.fill([224, 204, 182], polygon(&tile));
        }
    }
}

/// Two shelves of books over a green carpet.
pub(super) fn library(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    canvas.wash(0.0, HORIZON, [122, 84, 58], [104, 70, 48]);
    for shelf in 0..2 {
        let floor = 0.19 + 0.21 * shelf as f32;
        canvas.fill([78, 50, 36], slab(-0.1, floor - 0.17, 1.1, floor, 0.0));
        let mut x = -0.01;
        while x < 1.0 {
            let (wide, high) = (rng.range(0.032, 0.06), rng.range(0.1, 0.155));
            let spine = rng.pick(&[
                [184, 110, 100],
                [112, 140, 162],
                [196, 172, 116],
                [120, 150, 118],
                [160, 128, 158],
                [212, 198, 176],
            ]);
            if rng.chance(0.88) {
                canvas.fill(spine, slab(x, floor - high, x + wide - 0.005, floor, 0.005));
            }
            x += wide;
        }
        canvas.fill([148, 104, 70], slab(-0.1, floor, 1.1, floor + 0.025, 0.0));
    }
    canvas.wash(HORIZON, 1.0, [150, 176, 150], [130, 158, 134]);
    canvas.fill([166, 192, 164], oval(0.5, 0.78, 0.46, 0.17));
    canvas.line([222, 216, 176], 0.012, oval(0.5, 0.78, 0.42, 0.145));
}
