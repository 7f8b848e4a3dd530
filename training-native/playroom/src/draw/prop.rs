//! Things that stand in front of others: a tuft, a box, a pillow, a stone.

use super::pen::{Ink, Pen};
use super::shape::{blob, polygon, slab, track};
use crate::place::Place;
use crate::rng::Rng;

/// A prop that fits the place; it fills -1 to 1 across and 0 to 1 down.
pub(crate) fn prop(place: Place, rng: &mut Rng) -> Pen {
    match place {
        Place::Bedroom | Place::Library => pillow(rng),
        Place::Kitchen | Place::City => crate_box(),
        Place::Forest | Place::Garden | Place::Lake | Place::Night => tuft(rng),
        Place::Snow => mound([244, 250, 255]),
        Place::Beach | Place::Desert => mound([226, 186, 124]),
        Place::Moon => mound([158, 154, 176]),
    }
}

fn pillow(rng: &mut Rng) -> Pen {
    let mut pen = Pen::plain(rng.pick(&[[236, 200, 206], [204, 214, 236], [240, 226, 190]]));
    let edge = [
        (-1.1, 0.1),
        (0.0, 0.16),
        (1.1, 0.1),
        (1.0, 0.5),
        (1.1, 1.1),
        (0.0, 0.98),
        (-1.1, 1.1),
        (-1.0, 0.5),
    ];
    pen.cloth(blob(&edge));
    pen.line(Ink::Tint(0.6), 0.07, track(&[(-0.6, 0.4), (0.5, 0.36)]));
    pen
}

fn crate_box() -> Pen {
    let mut pen = Pen::plain([200, 164, 116]);
    pen.cloth(slab(-0.9, 0.05, 0.9, 1.0, 0.05));
    pen.line(Ink::Line, 0.05, track(&[(-0.9, 0.5), (0.9, 0.5)]));
    pen.fill(Ink::Shade(0.3), slab(-0.14, 0.05, 0.14, 0.5, 0.0));
    pen
}

fn tuft(rng: &mut Rng) -> Pen {
    let mut pen = Pen::plain([96, 152, 84]);
    let mut points = vec![(-0.95, 1.0)];
    for blade in 0..6 {
        let x = -0.8 + 0.32 * blade as f32;
        points.push((x - 0.02 + 0.1 * rng.swing(), rng.range(0.0, 0.25)));
        points.push((x + 0.16, 0.62));
    }
    points.push((0.95, 1.0));
    pen.cloth(polygon(&points));
    pen
}

fn mound(paint: [u8; 3]) -> Pen {
    let mut pen = Pen::plain(paint);
    pen.cloth(blob(&[
        (-1.1, 1.0),
        (-0.7, 0.1),
        (0.1, -0.05),
        (0.8, 0.2),
        (1.1, 1.0),
        (0.0, 1.02),
    ]));
    pen.fill(
        Ink::Tint(0.5),
        blob(&[(-0.7, 0.5), (-0.4, 0.2), (0.2, 0.14), (-0.2, 0.36)]),
    );
    pen
}
