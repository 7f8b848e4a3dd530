//! Accessories and markings, drawn boldly in the second colour.

use super::Anchors;
use super::pen::{CONTOUR, Ink, Pen};
use super::shape::{blob, curve, disc, heart, oval, polygon, slab, star, tilted, track};
use crate::identity::{Accessory, Marking};

const CREAM: [u8; 3] = [255, 250, 232];
const EDGE: [u8; 3] = [52, 38, 56];

/// A piece in the second colour with a dark edge that holds on any body.
fn piece(pen: &mut Pen, ink: Ink, path: Option<tiny_skia::Path>) {
    pen.fill(ink, path.clone());
    pen.line(Ink::Solid(EDGE), CONTOUR, path);
}

/// Puts the mark on the chest: cream border outside, second colour inside.
pub(super) fn marking(pen: &mut Pen, marking: Marking, anchors: &Anchors) {
    let ((x, y), r) = (anchors.chest, anchors.mark);
    let shape = match marking {
        Marking::None => return,
        Marking::Heart => heart(x, y, r * 1.06),
        Marking::Star => star(x, y + r * 0.06, r * 1.25),
        Marking::Patch => slab(x - r, y - r, x + r, y + r, r * 0.3),
    };
    pen.line(Ink::Solid(EDGE), r * 0.62, shape.clone());
    pen.line(Ink::Solid(CREAM), r * 0.36, shape.clone());
    pen.fill(Ink::Second, shape);
    if marking == Marking::Patch {
        let stitch = r * 0.5;
        pen.line(
            Ink::Solid(CREAM),
            r * 0.2,
            track(&[(x - stitch, y - stitch), (x + stitch, y + stitch)]),
        );
        pen.line(
            Ink::Solid(CREAM),
            r * 0.2,
            track(&[(x + stitch, y - stitch), (x - stitch, y + stitch)]),
        );
    }
}

/// Dresses the figure.
pub(super) fn accessory(pen: &mut Pen, accessory: Accessory, anchors: &Anchors) {
    match accessory {
        Accessory::None => {}
        Accessory::Hat => hat(pen, anchors),
        Accessory::Scarf => scarf(pen, anchors),
        Accessory::Bow => bow(pen, anchors),
        Accessory::Glasses => glasses(pen, anchors),
        Accessory::Crown => crown(pen, anchors),
    }
}

/// A top hat with a band.
fn hat(pen: &mut Pen, anchors: &Anchors) {
    let ((x, y), w) = (anchors.top, anchors.head);
    let high = y - 0.62;
    let tube = [
        (x - w * 0.36, high),
        (x + w * 0.36, high),
        (x + w * 0.31, y + 0.04),
        (x - w * 0.31, y + 0.04),
    ];
    piece(pen, Ink::Second, polygon(&tube));
    pen.fill(
        Ink::Solid(CREAM),
        slab(x - w * 0.32, y - 0.2, x + w * 0.32, y - 0.06, 0.02),
    );
    piece(pen, Ink::Second, oval(x, y + 0.04, w * 0.62, 0.12));
}

/// A thick band and a hanging end with fringes.
fn scarf(pen: &mut Pen, anchors: &Anchors) {
    let ((x, y), w) = (anchors.neck, anchors.collar.max(0.6));
    let end = [
        (x + w * 0.26, y),
        (x + w * 0.54, y),
        (x + w * 0.62, y + 0.58),
        (x + w * 0.3, y + 0.6),
    ];
    piece(pen, Ink::Second, polygon(&end));
    pen.fill(
        Ink::Solid(CREAM),
        polygon(&[
            (x + w * 0.29, y + 0.4),
            (x + w * 0.59, y + 0.38),
            (x + w * 0.6, y + 0.48),
            (x + w * 0.3, y + 0.5),
        ]),
    );
    let band = [
        (x - w * 0.6, y - 0.2),
        (x, y - 0.06),
        (x + w * 0.6, y - 0.2),
        (x + w * 0.6, y + 0.16),
        (x, y + 0.26),
        (x - w * 0.6, y + 0.16),
    ];
    piece(pen, Ink::Second, blob(&band));
    pen.line(
        Ink::Solid(CREAM),
        0.05,
        curve(&[
            (x - w * 0.4, y + 0.02),
            (x, y + 0.14),
            (x + w * 0.4, y + 0.02),
        ]),
    );
}

/// A big ribbon at the side of the head.
fn bow(pen: &mut Pen, anchors: &Anchors) {
    let (x, y) = (anchors.top.0 + anchors.head * 0.34, anchors.top.1 + 0.06);
    for side in [-1.0, 1.0] {
        let wing = [
            (x, y - 0.06),
            (x + side * 0.34, y - 0.4),
            (x + side * 0.6, y - 0.34),
            (x + side * 0.6, y + 0.32),
            (x + side * 0.34, y + 0.38),
            (x, y + 0.06),
        ];
        piece(pen, Ink::Second, blob(&wing));
    }
    piece(pen, Ink::Second, disc(x, y, 0.15));
    pen.fill(Ink::Solid(CREAM), disc(x - 0.03, y - 0.04, 0.05));
}

/// Round frames with clear lenses over the eyes.
fn glasses(pen: &mut Pen, anchors: &Anchors) {
    let ((x, y), gap) = (anchors.eyes, anchors.gap);
    let r = (gap * 0.46).max(0.2);
    let apart = (gap / 2.0).max(r + 0.03);
    for side in [-1.0, 1.0] {
        let lens = disc(x + side * apart, y, r);
        pen.fill(Ink::Glaze([255, 255, 255], 70), lens.clone());
        pen.line(Ink::Solid(EDGE), 0.19, lens.clone());
        pen.line(Ink::Second, 0.115, lens);
        let arm = [
            (x + side * (apart + r), y),
            (x + side * (apart + r + 0.14), y - 0.06),
        ];
        pen.line(Ink::Solid(EDGE), 0.13, track(&arm));
    }
    pen.line(
        Ink::Solid(EDGE),
        0.12,
        track(&[(x - apart + r, y), (x + apart - r, y)]),
    );
}

/// Three points with pearls.
fn crown(pen: &mut Pen, anchors: &Anchors) {
    let ((x, y), w) = (anchors.top, anchors.head * 0.46);
    let (low, dip, high) = (y + 0.1, y - 0.22, y - 0.52);
    let points = [
        (x - w, low),
        (x - w * 1.15, high + 0.08),
        (x - w * 0.5, dip),
        (x, high),
        (x + w * 0.5, dip),
        (x + w * 1.15, high + 0.08),
        (x + w, low),
    ];
    piece(pen, Ink::Second, polygon(&points));
    for (px, py) in [
        (x - w * 1.15, high + 0.06),
        (x, high - 0.04),
        (x + w * 1.15, high + 0.06),
    ] {
        piece(pen, Ink::Solid(CREAM), disc(px, py, 0.09));
    }
    pen.fill(Ink::Solid(CREAM), tilted(x, low - 0.1, w * 0.7, 0.05, 0.0));
}
