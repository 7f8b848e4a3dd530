//! Things one plays or travels with: robot, doll, car, ball and backpack.

use super::face::{cheeks, eyes, face, smile};
use super::pen::{Ink, Pen};
use super::shape::{blob, curve, disc, oval, polygon, slab, tilted, track};
use super::{Anchors, Legs, Stance};
use crate::pose::Pose;

const STEEL: [u8; 3] = [186, 194, 206];
const TYRE: [u8; 3] = [48, 46, 58];
const GLASS: [u8; 3] = [198, 234, 252];
const SKIN: [u8; 3] = [255, 214, 180];

/// A box on a box with an antenna.
pub(super) fn robot(pen: &mut Pen, stance: Stance) -> Anchors {
    for side in [-1.0, 1.0] {
        let (foot, hand) = match stance.legs {
            Legs::Stand => ((side * 0.28, 1.0), (side * 0.84, 0.5)),
            Legs::Sit => ((side * 0.62, 0.86), (side * 0.84, 0.44)),
            Legs::Leap => ((side * 0.56, 1.02), (side * 0.98, -0.28)),
        };
        pen.limb(Ink::Solid(STEEL), 0.2, track(&[(side * 0.26, 0.6), foot]));
        pen.limb(Ink::Solid(STEEL), 0.18, track(&[(side * 0.46, 0.1), hand]));
        pen.cloth(slab(
            foot.0 - 0.22,
            foot.1 - 0.1,
            foot.0 + 0.22,
            foot.1 + 0.12,
            0.08,
        ));
        pen.cloth(disc(hand.0, hand.1, 0.16));
    }
    pen.line(Ink::Line, 0.09, track(&[(0.0, -0.8), (0.0, -1.12)]));
    pen.piece(Ink::Solid([255, 80, 80]), disc(0.0, -1.16, 0.13));
    for side in [-1.0, 1.0] {
        pen.piece(
            Ink::Solid(STEEL),
            slab(side * 0.62 - 0.1, -0.6, side * 0.62 + 0.1, -0.26, 0.05),
        );
    }
    pen.cloth(slab(-0.52, 0.0, 0.52, 0.74, 0.1));
    pen.cloth(slab(-0.6, -0.84, 0.6, -0.02, 0.14));
    pen.piece(
        Ink::Solid([236, 242, 250]),
        slab(-0.46, -0.7, 0.46, -0.16, 0.1),
    );
    eyes(pen, 0.0, -0.5, 0.44, 0.14, stance.asleep);
    pen.line(Ink::Line, 0.05, track(&[(-0.2, -0.27), (0.2, -0.27)]));
    for x in [-0.1, 0.0, 0.1] {
        pen.line(Ink::Line, 0.035, track(&[(x, -0.32), (x, -0.22)]));
    }
    Anchors {
        top: (0.0, -0.84),
        head: 1.04,
        eyes: (0.0, -0.5),
        gap: 0.46,
        neck: (0.0, 0.02),
        collar: 0.9,
        chest: (0.0, 0.4),
        mark: 0.25,
    }
}

/// A rag doll: yarn hair, a wide dress.
pub(super) fn doll(pen: &mut Pen, stance: Stance) -> Anchors {
    for side in [-1.0, 1.0] {
        let (foot, hand) = match stance.legs {
            Legs::Stand => ((side * 0.22, 1.02), (side * 0.66, 0.36)),
            Legs::Sit => ((side * 0.66, 0.9), (side * 0.56, 0.5)),
            Legs::Leap => ((side * 0.6, 1.04), (side * 0.78, -0.26)),
        };
        pen.limb(Ink::Solid(SKIN), 0.19, curve(&[(side * 0.2, 0.6), foot]));
        pen.piece(Ink::Solid(TYRE), oval(foot.0, foot.1, 0.17, 0.11));
        pen.limb(Ink::Solid(SKIN), 0.17, curve(&[(side * 0.2, 0.14), hand]));
        pen.cloth(tilted(side * 0.62, -0.3, 0.2, 0.36, side * -14.0));
    }
    let hem = if stance.legs == Legs::Sit { 0.74 } else { 0.82 };
    let dress = [
        (-0.2, -0.05),
        (0.2, -0.05),
        (0.46, 0.4),
        (0.78, hem),
        (0.0, hem + 0.16),
        (-0.78, hem),
        (-0.46, 0.4),
    ];
    pen.cloth(polygon(&dress));
    pen.line(
        Ink::Tint(0.7),
        0.07,
        curve(&[(-0.68, hem - 0.06), (0.0, hem + 0.1), (0.68, hem - 0.06)]),
    );
    pen.cloth(disc(0.0, -0.5, 0.53));
    pen.piece(Ink::Solid(SKIN), oval(0.0, -0.4, 0.42, 0.38));
    pen.cloth(blob(&[
        (-0.52, -0.36),
        (-0.5, -1.06),
        (0.5, -1.06),
        (0.52, -0.36),
        (0.28, -0.66),
        (-0.2, -0.7),
    ]));
    face(pen, 0.0, -0.38, 0.38, stance.asleep);
    Anchors {
        top: (0.0, -0.98),
        head: 0.92,
        eyes: (0.0, -0.38),
        gap: 0.4,
        neck: (0.0, 0.02),
        collar: 0.5,
        chest: (0.0, 0.46),
        mark: 0.25,
    }
}

/// Two wheels, a cabin, and lines of wind when it drives.
pub(super) fn car(pen: &mut Pen, stance: Stance) -> Anchors {
    if stance.pose == Pose::Driving {
        for (y, long) in [(-0.1, 0.36), (0.14, 0.5), (0.38, 0.36)] {
            let wind = [(1.24, y), (1.24 + long, y)];
            pen.line(Ink::Solid([255, 255, 255]), 0.1, track(&wind));
        }
        pen.aside();
    }
    let cabin = [
        (-0.72, 0.1),
        (-0.56, -0.62),
        (-0.1, -0.74),
        (0.5, -0.7),
        (0.82, 0.1),
    ];
    pen.cloth(blob(&[
        cabin[0], cabin[1], cabin[1], cabin[2], cabin[3], cabin[3], cabin[4],
    ]));
    pen.cloth(slab(-1.1, -0.08, 1.12, 0.56, 0.24));
    pen.piece(Ink::Solid(GLASS), slab(-0.5, -0.5, 0.46, -0.04, 0.14));
    pen.fill(Ink::Solid([255, 236, 140]), oval(-1.0, 0.14, 0.12, 0.14));
    pen.fill(Ink::Solid([232, 60, 60]), slab(1.0, 0.04, 1.1, 0.28, 0.03));
    pen.limb(
        Ink::Solid(STEEL),
        0.14,
        track(&[(-1.06, 0.54), (1.06, 0.54)]),
    );
    for x in [-0.6, 0.62] {
        pen.piece(Ink::Solid(TYRE), disc(x, 0.56, 0.31));
        pen.fill(Ink::Solid(STEEL), disc(x, 0.56, 0.14));
    }
    eyes(pen, -0.02, -0.26, 0.42, 0.15, stance.asleep);
    smile(pen, -0.82, 0.28, 0.13);
    Anchors {
        top: (0.0, -0.68),
        head: 0.94,
        eyes: (-0.02, -0.26),
        gap: 0.46,
        neck: (0.0, 0.06),
        collar: 1.5,
        chest: (0.04, 0.3),
        mark: 0.24,
    }
}

/// A perfect circle with a shine.
pub(super) fn ball(pen: &mut Pen, stance: Stance) -> Anchors {
    pen.cloth(disc(0.0, 0.0, 0.94));
    pen.fill(
        Ink::Glaze([255, 255, 255], 190),
        tilted(-0.46, -0.58, 0.24, 0.13, -38.0),
    );
    face(pen, 0.0, -0.1, 0.58, stance.asleep);
    Anchors {
        top: (0.0, -0.9),
        head: 0.96,
        eyes: (0.0, -0.1),
        gap: 0.58,
        neck: (0.0, 0.5),
        collar: 1.5,
        chest: (0.0, -0.56),
        mark: 0.22,
    }
}

/// A high round bag with straps, a loop and a pocket.
pub(super) fn backpack(pen: &mut Pen, stance: Stance) -> Anchors {
    for side in [-1.0, 1.0] {
        let strap = [
            (side * 0.5, -0.5),
            (side * 1.26, -0.3),
            (side * 1.2, 0.7),
            (side * 0.6, 0.8),
        ];
        pen.limb(Ink::Shade(0.45), 0.18, curve(&strap));
    }
    pen.limb(
        Ink::Shade(0.45),
        0.14,
        curve(&[(-0.26, -0.84), (-0.3, -1.28), (0.3, -1.28), (0.26, -0.84)]),
    );
    pen.cloth(blob(&[
        (-0.76, 0.94),
        (-0.78, -0.3),
        (-0.56, -1.0),
        (0.56, -1.0),
        (0.78, -0.3),
        (0.76, 0.94),
        (0.0, 0.96),
    ]));
    pen.piece(Ink::Tint(0.28), slab(-0.5, 0.22, 0.5, 0.86, 0.16));
    pen.line(Ink::Line, 0.05, track(&[(-0.5, 0.4), (0.5, 0.4)]));
    pen.piece(
        Ink::Solid([255, 214, 90]),
        slab(-0.06, 0.32, 0.06, 0.5, 0.02),
    );
    eyes(pen, 0.0, -0.32, 0.5, 0.145, stance.asleep);
    cheeks(pen, 0.0, -0.08, 0.84, 0.1);
    smile(pen, 0.0, -0.1, 0.12);
    Anchors {
        top: (0.0, -0.9),
        head: 0.9,
        eyes: (0.0, -0.32),
        gap: 0.5,
        neck: (0.0, 0.12),
        collar: 1.3,
        chest: (0.0, 0.6),
        mark: 0.25,
    }
}
