//! The soft animals: cat, dog, rabbit and bear.

use super::face::{cheeks, eyes, face, smile};
use super::pen::{Ink, Pen};
use super::shape::{blob, curve, disc, oval, polygon, tilted};
use super::{Anchors, Legs, Stance};

const NOSE: [u8; 3] = [58, 38, 48];

/// Proportions of an upright animal seen from the front.
struct Build {
    /// Middle, half width and half height of the head.
    head: (f32, f32, f32),
    /// Middle, half width and half height of the body.
    body: (f32, f32, f32),
    /// Width of arms and legs.
    limb: f32,
}

impl Build {
    fn anchors(&self) -> Anchors {
        let (hy, hx, hh) = self.head;
        let (by, bx, bh) = self.body;
        let neck = (hy + hh + by - bh) / 2.0;
        Anchors {
            top: (0.0, hy - hh),
            head: 2.0 * hx,
            eyes: (0.0, hy + 0.02),
            gap: hx * 0.85,
            neck: (0.0, neck + 0.03),
            collar: bx * 1.5,
            chest: (0.0, by + bh * 0.15),
            mark: bx * 0.52,
        }
    }
}

/// Arms, legs, body and belly.
fn trunk(pen: &mut Pen, stance: Stance, build: &Build) {
    let (y, w, h) = build.body;
    let limb = build.limb;
    for side in [-1.0, 1.0] {
        let hip = (side * w * 0.5, y + h * 0.5);
        let shoulder = (side * w * 0.6, y - h * 0.5);
        let (knee, hand) = match stance.legs {
            Legs::Stand => (
                (side * w * 0.6, y + h + 0.26),
                (side * (w + 0.16), y + h * 0.15),
            ),
            Legs::Sit => (hip, (side * w * 0.95, y + h * 0.3)),
            Legs::Leap => (
                (side * (w + 0.3), y + h + 0.02),
                (side * (w + 0.36), y - h * 1.05),
            ),
        };
        pen.limb(Ink::Cloth, limb, curve(&[hip, knee]));
        pen.limb(Ink::Cloth, limb * 0.9, curve(&[shoulder, hand]));
    }
    pen.cloth(oval(0.0, y, w, h));
    pen.fill(Ink::Tint(0.5), oval(0.0, y + h * 0.24, w * 0.48, h * 0.54));
    if stance.legs == Legs::Sit {
        for side in [-1.0, 1.0] {
            pen.cloth(tilted(
                side * w * 0.86,
                y + h * 0.86,
                limb * 0.95,
                limb * 0.66,
                side * -14.0,
            ));
        }
    }
}

/// Sharp ears, whiskers and a tail that curls up.
pub(super) fn cat(pen: &mut Pen, stance: Stance) -> Anchors {
    let build = Build {
        head: (-0.38, 0.6, 0.46),
        body: (0.42, 0.4, 0.44),
        limb: 0.22,
    };
    let tail = [(0.28, 0.66), (1.25, 0.9), (0.55, 0.1), (1.0, -0.3)];
    pen.limb(Ink::Cloth, 0.22, curve(&tail));
    trunk(pen, stance, &build);
    for side in [-1.0, 1.0] {
        pen.cloth(polygon(&[
            (side * 0.6, -0.36),
            (side * 0.62, -1.14),
            (side * 0.06, -0.74),
        ]));
        let inner = [
            (side * 0.5, -0.6),
            (side * 0.53, -0.96),
            (side * 0.26, -0.74),
        ];
        pen.fill(Ink::Solid([255, 170, 180]), polygon(&inner));
    }
    pen.cloth(oval(0.0, -0.38, 0.6, 0.46));
    pen.fill(Ink::Tint(0.75), oval(0.0, -0.14, 0.24, 0.17));
    eyes(pen, 0.0, -0.4, 0.5, 0.14, stance.asleep);
    cheeks(pen, 0.0, -0.16, 0.86, 0.1);
    pen.fill(
        Ink::Solid([240, 100, 120]),
        blob(&[(-0.1, -0.24), (0.1, -0.24), (0.0, -0.1)]),
    );
    smile(pen, -0.07, -0.11, 0.07);
    smile(pen, 0.07, -0.11, 0.07);
    for side in [-1.0, 1.0] {
        for dy in [-0.06, 0.06] {
            let whisker = [
                (side * 0.42, -0.18 + dy * 0.4),
                (side * 0.8, -0.2 + dy * 2.0),
            ];
            pen.line(Ink::Line, 0.04, curve(&whisker));
        }
    }
    build.anchors()
}

/// From the side on four legs, with a muzzle and a hanging ear.
pub(super) fn dog(pen: &mut Pen, stance: Stance) -> Anchors {
    // The rump sinks when it sits; everything lies low when it sleeps.
    let (rump, drop) = match (stance.legs, stance.asleep) {
        (_, true) => (0.06, 0.26),
        (Legs::Sit, _) => (0.3, 0.0),
        _ => (0.0, 0.0),
    };
    let floor = 0.92;
    let wag = [
        (0.78, 0.2 + rump + drop),
        (1.2, 0.1 + rump + drop),
        (1.02, -0.42 + rump + drop),
    ];
    pen.limb(Ink::Cloth, 0.2, curve(&wag));
    if !stance.asleep {
        let reach = if stance.legs == Legs::Leap { 0.3 } else { 0.0 };
        for (x, lean) in [(-0.3, -reach), (-0.02, -reach)] {
            let leg = [(x, 0.45), (x + lean, floor - reach * 0.6)];
            pen.limb(Ink::Cloth, 0.25, curve(&leg));
        }
        for x in [0.5, 0.76] {
            let leg = [(x, 0.4 + rump), (x + reach, floor - reach * 0.6)];
            pen.limb(Ink::Cloth, 0.25, curve(&leg));
        }
    }
    let back = [
        (-0.66, -0.1 + drop),
        (0.1, 0.02 + drop),
        (1.0, 0.0 + rump + drop),
        (1.02, 0.74 + rump * 0.6 + drop * 0.8),
        (0.2, 0.8 + drop * 0.8),
        (-0.62, 0.76 + drop * 0.8),
    ];
    pen.cloth(blob(&back));
    if stance.asleep {
        pen.cloth(tilted(-0.5, 0.88, 0.3, 0.12, 0.0));
        pen.cloth(tilted(0.66, 0.88, 0.3, 0.13, 0.0));
    }
    let y = if stance.asleep { 0.34 } else { -0.38 };
    pen.cloth(oval(-0.42, y, 0.5, 0.46));
    pen.piece(Ink::Tint(0.6), oval(-0.72, y + 0.2, 0.36, 0.24));
    pen.fill(Ink::Solid(NOSE), oval(-0.98, y + 0.1, 0.13, 0.1));
    smile(pen, -0.78, y + 0.27, 0.12);
    eyes(pen, -0.52, y - 0.14, 0.38, 0.125, stance.asleep);
    let ear = [
        (-0.24, y - 0.5),
        (0.16, y - 0.4),
        (0.3, y + 0.5),
        (-0.1, y + 0.56),
        (-0.12, y),
    ];
    pen.piece(Ink::Shade(0.38), blob(&ear));
    Anchors {
        top: (-0.46, y - 0.44),
        head: 0.86,
        eyes: (-0.52, y - 0.14),
        gap: 0.4,
        neck: (-0.3, y + 0.5),
        collar: 0.56,
        chest: (0.38, 0.4 + rump * 0.4 + drop),
        mark: 0.25,
    }
}

/// Two long ears and a cotton tail.
pub(super) fn rabbit(pen: &mut Pen, stance: Stance) -> Anchors {
    let build = Build {
        head: (-0.14, 0.46, 0.38),
        body: (0.54, 0.38, 0.4),
        limb: 0.22,
    };
    pen.piece(Ink::Tint(0.8), disc(0.42, 0.72, 0.17));
    trunk(pen, stance, &build);
    for side in [-1.0, 1.0] {
        pen.cloth(tilted(side * 0.3, -0.82, 0.16, 0.56, side * 11.0));
        pen.fill(
            Ink::Solid([255, 175, 185]),
            tilted(side * 0.3, -0.8, 0.075, 0.4, side * 11.0),
        );
    }
    pen.cloth(oval(0.0, -0.14, 0.46, 0.38));
    eyes(pen, 0.0, -0.18, 0.4, 0.125, stance.asleep);
    cheeks(pen, 0.0, 0.03, 0.62, 0.1);
    pen.fill(Ink::Solid([240, 100, 120]), oval(0.0, -0.02, 0.075, 0.05));
    pen.piece(
        Ink::Solid([255, 255, 255]),
        polygon(&[(-0.07, 0.08), (0.07, 0.08), (0.06, 0.2), (-0.06, 0.2)]),
    );
    Anchors {
        gap: 0.4,
        eyes: (0.0, -0.18),
        ..build.anchors()
    }
}

/// Broad, round ears, a big muzzle.
pub(super) fn bear(pen: &mut Pen, stance: Stance) -> Anchors {
    let build = Build {
        head: (-0.36, 0.56, 0.48),
        body: (0.44, 0.62, 0.5),
        limb: 0.32,
    };
    trunk(pen, stance, &build);
    for side in [-1.0, 1.0] {
        pen.cloth(disc(side * 0.46, -0.76, 0.23));
        pen.fill(Ink::Tint(0.55), disc(side * 0.46, -0.76, 0.12));
    }
    pen.cloth(oval(0.0, -0.36, 0.56, 0.48));
    pen.piece(Ink::Tint(0.7), oval(0.0, -0.16, 0.28, 0.22));
    pen.fill(Ink::Solid(NOSE), oval(0.0, -0.26, 0.12, 0.085));
    face(pen, 0.0, -0.45, 0.46, stance.asleep);
    Anchors {
        eyes: (0.0, -0.45),
        ..build.anchors()
    }
}
