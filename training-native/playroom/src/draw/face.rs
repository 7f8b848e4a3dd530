//! Eyes, cheeks and smiles: what makes a mug somebody.

use super::pen::{Ink, Pen};
use super::shape::{curve, disc, oval};

const WHITE: [u8; 3] = [255, 255, 255];
const PUPIL: [u8; 3] = [34, 26, 46];
const BLUSH: [u8; 3] = [255, 110, 130];

/// Two eyes `gap` apart around (`x`, `y`), each of radius `r`.
pub(super) fn eyes(pen: &mut Pen, x: f32, y: f32, gap: f32, r: f32, asleep: bool) {
    for side in [-1.0, 1.0] {
        let at = x + side * gap / 2.0;
        if asleep {
            // A pale lid under the lash keeps a closed eye visible on any cloth.
            pen.fill(Ink::Tint(0.55), oval(at, y, r, r * 0.8));
            let lash = curve(&[(at - r, y), (at, y + r * 1.1), (at + r, y)]);
            pen.line(Ink::Solid(PUPIL), r * 0.5, lash);
            continue;
        }
        pen.piece(Ink::Solid(WHITE), oval(at, y, r, r * 1.15));
        pen.fill(Ink::Solid(PUPIL), oval(at, y + r * 0.1, r * 0.66, r * 0.85));
        pen.fill(
            Ink::Solid(WHITE),
            disc(at - r * 0.22, y - r * 0.3, r * 0.28),
        );
    }
}

/// Pink cheeks `gap` apart.
pub(super) fn cheeks(pen: &mut Pen, x: f32, y: f32, gap: f32, r: f32) {
    for side in [-1.0, 1.0] {
        pen.fill(
            Ink::Glaze(BLUSH, 150),
            oval(x + side * gap / 2.0, y, r, r * 0.65),
        );
    }
}

/// A small smile of half-width `w`.
pub(super) fn smile(pen: &mut Pen, x: f32, y: f32, w: f32) {
    let path = curve(&[(x - w, y), (x, y + w * 1.2), (x + w, y)]);
    pen.line(Ink::Solid(PUPIL), 0.055, path);
}

/// Eyes, cheeks and smile together, sized by the distance between the eyes.
pub(super) fn face(pen: &mut Pen, x: f32, y: f32, gap: f32, asleep: bool) {
    eyes(pen, x, y, gap, gap * 0.27, asleep);
    cheeks(pen, x, y + gap * 0.5, gap * 1.65, gap * 0.2);
    smile(pen, x, y + gap * 0.45, gap * 0.22);
}
