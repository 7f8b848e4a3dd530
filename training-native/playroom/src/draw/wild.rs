//! Bird, fish and dragon.

use super::face::{cheeks, eyes, smile};
use super::pen::{Ink, Pen};
use super::shape::{blob, curve, disc, oval, polygon, tilted};
use super::{Anchors, Legs, Stance};
use crate::pose::Pose;

const BEAK: [u8; 3] = [255, 164, 30];
const BEAK_DARK: [u8; 3] = [214, 110, 20];

/// A round body on thin legs with a beak; wings up when it flies.
pub(super) fn bird(pen: &mut Pen, stance: Stance) -> Anchors {
    let flying = stance.legs == Legs::Leap;
    if !flying {
        for x in [-0.14, 0.22] {
            let leg = [(x, 0.5), (x, 0.94)];
            pen.line(Ink::Solid(BEAK_DARK), 0.1, curve(&leg));
            pen.line(
                Ink::Solid(BEAK_DARK),
                0.1,
                curve(&[(x - 0.2, 0.96), (x + 0.1, 0.96)]),
            );
        }
    }
    pen.cloth(blob(&[
        (0.3, 0.1),
        (1.3, -0.2),
        (1.24, 0.14),
        (1.1, 0.4),
        (0.4, 0.6),
    ]));
    if flying {
        pen.cloth(blob(&[
            (-0.3, 0.0),
            (-1.0, -0.5),
            (-1.1, -1.1),
            (-0.3, -0.8),
            (0.1, -0.1),
        ]));
    }
    for (dx, tilt) in [(-0.12, -20.0), (0.06, 8.0)] {
        pen.cloth(tilted(-0.1 + dx, -0.78, 0.09, 0.22, tilt));
    }
    pen.cloth(oval(0.0, -0.02, 0.66, 0.66));
    pen.fill(Ink::Tint(0.6), oval(-0.14, 0.28, 0.4, 0.3));
    if flying {
        pen.cloth(blob(&[
            (0.0, 0.1),
            (0.1, -0.7),
            (0.7, -1.24),
            (1.0, -0.6),
            (0.5, 0.2),
        ]));
    } else {
        pen.piece(
            Ink::Shade(0.22),
            blob(&[(0.08, -0.06), (0.62, -0.1), (0.84, 0.5), (0.3, 0.46)]),
        );
    }
    let beak = [(-0.56, -0.28), (-1.04, -0.06), (-0.54, 0.08)];
    pen.piece(Ink::Solid(BEAK), polygon(&beak));
    eyes(pen, -0.3, -0.26, 0.36, 0.13, stance.asleep);
    cheeks(pen, -0.28, -0.04, 0.5, 0.09);
    Anchors {
        top: (-0.08, -0.64),
        head: 0.86,
        eyes: (-0.3, -0.26),
        gap: 0.38,
        neck: (-0.08, 0.2),
        collar: 1.06,
        chest: (-0.12, 0.3),
        mark: 0.24,
    }
}

/// A long oval with fins; bubbles when it swims.
pub(super) fn fish(pen: &mut Pen, stance: Stance) -> Anchors {
    if stance.pose == Pose::Swimming {
        for (x, y, r) in [(-1.06, -0.26, 0.12), (-1.22, -0.58, 0.09)] {
            pen.piece(Ink::Solid([214, 240, 255]), disc(x, y, r));
        }
        pen.aside();
    }
    pen.cloth(blob(&[
        (0.4, 0.0),
        (1.0, -0.75),
        (1.26, -0.5),
        (0.98, 0.05),
        (1.26, 0.6),
        (1.0, 0.82),
    ]));
    pen.cloth(blob(&[
        (-0.5, -0.3),
        (-0.2, -0.98),
        (0.66, -0.72),
        (0.5, -0.2),
    ]));
    pen.cloth(blob(&[(-0.1, 0.4), (0.1, 0.86), (0.52, 0.78), (0.3, 0.3)]));
    pen.cloth(oval(-0.12, 0.02, 0.82, 0.54));
    pen.fill(Ink::Tint(0.5), oval(-0.2, 0.3, 0.5, 0.2));
    pen.piece(
        Ink::Shade(0.22),
        blob(&[(-0.02, 0.06), (0.4, -0.04), (0.46, 0.3), (0.04, 0.36)]),
    );
    eyes(pen, -0.5, -0.12, 0.36, 0.135, stance.asleep);
    cheeks(pen, -0.5, 0.1, 0.52, 0.09);
    smile(pen, -0.62, 0.14, 0.13);
    Anchors {
        top: (-0.32, -0.48),
        head: 0.8,
        eyes: (-0.5, -0.12),
        gap: 0.38,
        neck: (-0.1, 0.3),
        collar: 0.8,
        chest: (0.2, 0.0),
        mark: 0.24,
    }
}

/// Wings, horns, back spikes and a tail with an arrow.
pub(super) fn dragon(pen: &mut Pen, stance: Stance) -> Anchors {
    let lift = if stance.legs == Legs::Leap {
        -0.5
    } else {
        0.06
    };
    for side in [-1.0, 1.0] {
        let wing = [
            (side * 0.3, 0.1),
            (side * 0.72, -0.5 + lift),
            (side * 1.3, -0.46 + lift),
            (side * 1.12, -0.02 + lift * 0.4),
            (side * 0.9, 0.02),
            (side * 0.76, 0.34),
            (side * 0.5, 0.3),
        ];
        pen.piece(Ink::Shade(0.3), polygon(&wing));
        pen.line(
            Ink::Line,
            0.045,
            curve(&[(side * 0.4, 0.1), (side * 1.2, -0.4 + lift)]),
        );
    }
    pen.limb(
        Ink::Cloth,
        0.26,
        curve(&[(0.2, 0.7), (0.8, 1.04), (1.0, 0.6)]),
    );
    let arrow = [(0.82, 0.62), (1.0, 0.3), (1.2, 0.66)];
    pen.piece(Ink::Solid(BEAK), polygon(&arrow));
    for side in [-1.0, 1.0] {
        let foot = if stance.legs == Legs::Leap {
            (side * 0.42, 1.0)
        } else {
            (side * 0.32, 0.88)
        };
        pen.cloth(tilted(foot.0, foot.1, 0.24, 0.15, side * 8.0));
        pen.limb(
            Ink::Cloth,
            0.2,
            curve(&[(side * 0.34, 0.3), (side * 0.58, 0.5)]),
        );
    }
    pen.cloth(oval(0.0, 0.42, 0.46, 0.46));
    pen.fill(Ink::Solid([255, 236, 176]), oval(0.0, 0.5, 0.27, 0.34));
    for side in [-1.0, 1.0] {
        let horn = [
            (side * 0.12, -0.72),
            (side * 0.42, -1.14),
            (side * 0.44, -0.6),
        ];
        pen.piece(Ink::Solid([255, 240, 205]), polygon(&horn));
        pen.cloth(polygon(&[
            (side * 0.4, -0.44),
            (side * 0.82, -0.5),
            (side * 0.44, -0.12),
        ]));
    }
    pen.cloth(oval(0.0, -0.38, 0.5, 0.42));
    pen.piece(Ink::Tint(0.4), oval(0.0, -0.12, 0.38, 0.2));
    for side in [-1.0, 1.0] {
        pen.fill(Ink::Line, disc(side * 0.13, -0.18, 0.045));
    }
    eyes(pen, 0.0, -0.44, 0.44, 0.14, stance.asleep);
    smile(pen, 0.0, -0.07, 0.14);
    Anchors {
        top: (0.0, -0.78),
        head: 0.86,
        eyes: (0.0, -0.44),
        gap: 0.46,
        neck: (0.0, 0.08),
        collar: 0.62,
        chest: (0.0, 0.52),
        mark: 0.25,
    }
}
