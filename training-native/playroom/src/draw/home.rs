//! Things on a shelf: mug, teapot, lamp and plant.

use super::face::face;
use super::pen::{Ink, Pen};
use super::shape::{blob, curve, disc, oval, polygon, slab, tilted};
use super::{Anchors, Stance};

/// A cup with a handle at the right, dark coffee and steam.
pub(super) fn mug(pen: &mut Pen, stance: Stance) -> Anchors {
    for x in [-0.32, 0.1] {
        let steam = [(x, -0.72), (x - 0.24, -0.94), (x + 0.24, -1.06), (x, -1.28)];
        pen.line(Ink::Solid([255, 255, 255]), 0.1, curve(&steam));
    }
    pen.aside();
    pen.limb(
        Ink::Cloth,
        0.24,
        curve(&[(0.5, -0.3), (1.4, -0.42), (1.24, 0.66), (0.46, 0.5)]),
    );
    pen.cloth(blob(&[
        (-0.74, -0.7),
        (0.74, -0.7),
        (0.72, 0.5),
        (0.6, 1.0),
        (-0.6, 1.0),
        (-0.72, 0.5),
    ]));
    pen.cloth(slab(-0.7, -0.6, 0.7, 0.6, 0.1));
    pen.fill(Ink::Cloth, slab(-0.66, 0.3, 0.66, 0.7, 0.1));
    pen.piece(Ink::Tint(0.55), oval(0.0, -0.58, 0.7, 0.2));
    pen.fill(Ink::Solid([96, 56, 34]), oval(0.0, -0.54, 0.56, 0.13));
    face(pen, 0.0, -0.06, 0.46, stance.asleep);
    Anchors {
        top: (0.0, -0.62),
        head: 0.92,
        eyes: (0.0, -0.06),
        gap: 0.48,
        neck: (0.0, 0.66),
        collar: 1.22,
        chest: (0.46, 0.34),
        mark: 0.21,
    }
}

/// Round, with a spout at the left, a handle at the right and a lid.
pub(super) fn teapot(pen: &mut Pen, stance: Stance) -> Anchors {
    pen.limb(
        Ink::Cloth,
        0.2,
        curve(&[(0.5, -0.2), (1.42, -0.46), (1.36, 0.74), (0.5, 0.6)]),
    );
    let spout = [
        (-0.4, 0.66),
        (-0.9, 0.34),
        (-1.3, -0.5),
        (-1.04, -0.56),
        (-0.76, -0.04),
        (-0.4, 0.0),
    ];
    pen.cloth(blob(&spout));
    pen.piece(Ink::Shade(0.2), slab(-0.4, 0.72, 0.4, 0.94, 0.08));
    pen.cloth(oval(0.0, 0.2, 0.82, 0.64));
    pen.cloth(blob(&[
        (-0.62, -0.28),
        (-0.5, -0.66),
        (0.5, -0.66),
        (0.62, -0.28),
        (0.0, -0.2),
    ]));
    pen.piece(Ink::Tint(0.4), disc(0.0, -0.66, 0.16));
    face(pen, 0.0, 0.1, 0.5, stance.asleep);
    Anchors {
        top: (0.0, -0.56),
        head: 0.86,
        eyes: (0.0, 0.1),
        gap: 0.52,
        neck: (0.0, 0.58),
        collar: 1.2,
        chest: (0.56, 0.22),
        mark: 0.2,
    }
}

/// A wide shade with a face on a thin foot.
pub(super) fn lamp(pen: &mut Pen, stance: Stance) -> Anchors {
    pen.limb(
        Ink::Solid([120, 108, 118]),
        0.15,
        curve(&[(0.0, 0.1), (0.0, 0.86)]),
    );
    pen.piece(Ink::Solid([255, 240, 150]), disc(0.0, 0.24, 0.24));
    pen.cloth(blob(&[
        (-0.5, 1.0),
        (-0.46, 0.78),
        (0.46, 0.78),
        (0.5, 1.0),
        (0.0, 1.02),
    ]));
    let shade = [(-0.46, -0.94), (0.46, -0.94), (0.94, 0.22), (-0.94, 0.22)];
    pen.cloth(polygon(&shade));
    pen.line(Ink::Tint(0.75), 0.09, curve(&[(-0.86, 0.13), (0.86, 0.13)]));
    pen.line(Ink::Line, 0.04, curve(&[(0.7, 0.24), (0.7, 0.52)]));
    pen.piece(Ink::Solid([255, 214, 90]), disc(0.7, 0.56, 0.08));
    face(pen, 0.0, -0.4, 0.46, stance.asleep);
    Anchors {
        top: (0.0, -0.92),
        head: 0.86,
        eyes: (0.0, -0.4),
        gap: 0.48,
        neck: (0.0, 0.4),
        collar: 0.7,
        chest: (0.46, -0.06),
        mark: 0.22,
    }
}

/// Green leaves out of a pot with a face.
pub(super) fn plant(pen: &mut Pen, stance: Stance) -> Anchors {
    const LEAF: [u8; 3] = [58, 176, 84];
    const VEIN: [u8; 3] = [34, 122, 62];
    for (x, y, tilt) in [
        (-0.62, -0.5, -58.0),
        (0.62, -0.5, 58.0),
        (-0.34, -0.78, -24.0),
        (0.34, -0.78, 24.0),
    ] {
        pen.piece(Ink::Solid(LEAF), tilted(x, y, 0.19, 0.46, tilt));
        pen.line(
            Ink::Solid(VEIN),
            0.045,
            curve(&[(x * 0.5, -0.3), (x * 1.2, y - 0.18)]),
        );
    }
    pen.cloth(polygon(&[
        (-0.66, -0.06),
        (0.66, -0.06),
        (0.48, 0.96),
        (-0.48, 0.96),
    ]));
    pen.cloth(slab(-0.78, -0.28, 0.78, 0.04, 0.08));
    face(pen, 0.0, 0.32, 0.44, stance.asleep);
    Anchors {
        top: (0.0, -0.66),
        head: 0.78,
        eyes: (0.0, 0.32),
        gap: 0.46,
        neck: (0.0, 0.02),
        collar: 1.36,
        chest: (0.0, 0.72),
        mark: 0.22,
    }
}
