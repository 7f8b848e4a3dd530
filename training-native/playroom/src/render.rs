//! Scenes to pixels, with the box of what is really visible of each thing.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Pixmap, PremultipliedColorU8, Rect, Shader, Stroke,
    Transform,
};

use crate::draw::backdrop::{Canvas, paint};
use crate::draw::pen::{Ink, Part, Pen};
use crate::draw::{figure, pattern, prop, shape};
use crate::post;
use crate::rng::Rng;
use crate::scene::{Actor, Scene};

/// A square photo, 8-bit RGB, rows from the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rgb {
    /// Width and height in pixels.
    pub size: u32,
    /// `size * size * 3` bytes, row-major.
    pub pixels: Vec<u8>,
}

/// A drawn scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    /// The pixels.
    pub image: Rgb,
    /// For each actor of the scene, the box `x0, y0, x1, y1` of its visible pixels in shares of the side.
    pub boxes: Vec<[f32; 4]>,
}

/// Alpha from which a pixel belongs to a thing.
const VISIBLE: u8 = 96;

/// Owner of pixels no thing shows on.
const NOBODY: u8 = u8::MAX;

/// Draws a scene at `side` pixels (at least 16).
pub fn photo(scene: &Scene, side: u32) -> Photo {
    let side = side.max(16);
    let Some(mut pixmap) = Pixmap::new(side, side) else {
        // Only a side whose square overflows memory arithmetic comes here.
        return Photo {
            image: Rgb {
                size: 0,
                pixels: Vec::new(),
            },
            boxes: Vec::new(),
        };
    };
    let mut rng = Rng::new(scene.seed, 1);
    match scene.place {
        Some(place) => paint(&mut Canvas::new(&mut pixmap), place, &mut rng),
        None => studio(&mut Canvas::new(&mut pixmap), &mut rng),
    }
    let mut owners = vec![NOBODY; (side * side) as usize];
    let mut order: Vec<usize> = (0..scene.actors.len()).collect();
    order.sort_by(|&a, &b| scene.actors[a].at.1.total_cmp(&scene.actors[b].at.1));
    for index in order {
        let actor = &scene.actors[index];
        let mut target = Target {
            pixmap: &mut pixmap,
            owners: &mut owners,
            side,
        };
        let Some(spot) = target.actor(actor, index as u8) else {
            continue;
        };
        if let (true, Some(place)) = (actor.hidden, scene.place) {
            target.screen(&prop::prop(place, &mut rng), spot, &mut rng);
        }
    }
    let boxes = (0..scene.actors.len())
        .map(|index| visible(&owners, side, index as u8))
        .collect();
    let image = Rgb {
        size: side,
        pixels: post::develop(&pixmap, scene.light, scene.blur),
    };
    Photo { image, boxes }
}

/// A plain wall and floor in one of a few pale colours.
fn studio(canvas: &mut Canvas<'_>, rng: &mut Rng) {
    let (wall, floor) = rng.pick(&[
        ([226, 234, 244], [204, 216, 232]),
        ([244, 234, 222], [228, 212, 194]),
        ([228, 240, 226], [206, 224, 202]),
        ([240, 228, 240], [222, 206, 224]),
        ([236, 236, 234], [214, 214, 212]),
    ]);
    let horizon = rng.range(0.6, 0.78);
    canvas.wash(0.0, horizon, wall, wall);
    canvas.wash(horizon, 1.0, floor, wall);
    canvas.glaze([255, 255, 255], 90, shape::disc(0.5, 0.48, 0.4));
}

struct Target<'a> {
    pixmap: &'a mut Pixmap,
    owners: &'a mut [u8],
    side: u32,
}

impl Target<'_> {
    /// Draws a thing and its shadow; gives the rectangle it fills, in pixels.
    fn actor(&mut self, actor: &Actor, owner: u8) -> Option<Rect> {
        let mut pen = figure(&actor.identity, actor.pose);
        let mirror = Transform::from_scale(if actor.flip { -1.0 } else { 1.0 }, 1.0);
        let angle = actor.angle + actor.pose.turn(actor.identity.category);
        // Mirrored after the turn, so that a mirrored photo is the mirror of the photo.
        let attitude = shape::turn(angle).post_concat(mirror);
        pen.transform(attitude);
        let bounds = pen.bounds()?;
        let side = self.side as f32;
        // Slim things get a little more length, or they would have far fewer pixels than round ones.
        let (longer, mean) = (
            bounds.width().max(bounds.height()),
            (bounds.width() * bounds.height()).sqrt(),
        );
        let scale = actor.size * side / (0.7 * longer + 0.3 * mean);
        let (wide, high) = (bounds.width() * scale, bounds.height() * scale);
        let lift = if actor.pose.airborne() {
            0.14 * actor.size * side
        } else {
            0.0
        };
        let ground = actor.at.1 * side;
        let left = (actor.at.0 * side - wide / 2.0)
            .min(side * 0.99 - wide)
            .max(side * 0.01);
        let top = (ground - lift - high)
            .min(side * 0.985 - high)
            .max(side * 0.01);
        let thin = if lift > 0.0 { 0.76 } else { 1.0 };
        let shadow = shape::oval(
            left + wide / 2.0,
            ground - 0.01 * side,
            wide * 0.46 * thin,
            wide * 0.09 * thin,
        );
        let mut dark = Paint::default();
        dark.set_color(Color::from_rgba8(30, 20, 50, 84));
        if let Some(path) = shadow {
            self.pixmap
                .fill_path(&path, &dark, FillRule::Winding, Transform::identity(), None);
        }
        let spot = Rect::from_xywh(left, top, wide, high)?;
        self.stamp(&pen, bounds, spot, scale, Some(attitude), owner)?;
        Some(spot)
    }

    /// Draws a prop over the lower part of a thing.
    fn screen(&mut self, pen: &Pen, spot: Rect, rng: &mut Rng) {
        let Some(bounds) = pen.bounds() else { return };
        let scale = spot.width() * rng.range(0.4, 0.55) / bounds.width();
        let (wide, high) = (bounds.width() * scale, bounds.height() * scale);
        let left = spot.left() + rng.range(-0.1, 0.7) * spot.width();
        // Never more than a quarter of the height: the thing must stay recognisable.
        let top = spot.bottom() - high.min(spot.height() * 0.24);
        if let Some(place) = Rect::from_xywh(left, top, wide, high) {
            self.stamp(pen, bounds, place, scale, None, NOBODY);
        }
    }

    /// Draws a pen's parts on a layer of their own and lays it over the photo.
    fn stamp(
        &mut self,
        pen: &Pen,
        bounds: Rect,
        spot: Rect,
        scale: f32,
        cloth: Option<Transform>,
        owner: u8,
    ) -> Option<()> {
        let (x, y) = (spot.left().floor() - 1.0, spot.top().floor() - 1.0);
        let (wide, high) = (
            spot.width().ceil() as u32 + 3,
            spot.height().ceil() as u32 + 3,
        );
        let frame = Transform::from_row(
            scale,
            0.0,
            0.0,
            scale,
            spot.left() - x - bounds.left() * scale,
            spot.top() - y - bounds.top() * scale,
        );
        let mut layer = Pixmap::new(wide, high)?;
        let mut weave = Pixmap::new(wide, high)?;
        pattern::weave(&mut weave, pen, frame.pre_concat(cloth.unwrap_or_default()));
        let shader = pattern::cloth(&weave, frame)?;
        ink(&mut layer, pen, &pen.parts, &shader, frame);
        let beside = frame.post_translate(x, y);
        ink(self.pixmap, pen, &pen.aura, &shader, beside);
        self.lay(&layer, x as i32, y as i32, owner);
        Some(())
    }

    /// Composites a layer at (`x`, `y`) and notes who owns which pixel.
    fn lay(&mut self, layer: &Pixmap, x: i32, y: i32, owner: u8) {
        let side = self.side as i32;
        let wide = layer.width() as i32;
        let target = self.pixmap.pixels_mut();
        for (row, line) in layer
            .pixels()
            .chunks_exact(layer.width() as usize)
            .enumerate()
        {
            let py = y + row as i32;
            if !(0..side).contains(&py) {
                continue;
            }
            let (from, to) = ((-x).clamp(0, wide), (side - x).clamp(0, wide));
            for column in from..to {
                let source = line[column as usize];
                if source.alpha() == 0 {
                    continue;
                }
                let at = (py * side + x + column) as usize;
                target[at] = over(source, target[at]);
                if source.alpha() >= VISIBLE {
                    self.owners[at] = owner;
                }
            }
        }
    }
}

/// Source-over of a premultiplied pixel on an opaque one.
fn over(source: PremultipliedColorU8, below: PremultipliedColorU8) -> PremultipliedColorU8 {
    let rest = 255 - u32::from(source.alpha());
    let blend = |s: u8, b: u8| (u32::from(s) + (u32::from(b) * rest + 127) / 255).min(255) as u8;
    PremultipliedColorU8::from_rgba(
        blend(source.red(), below.red()),
        blend(source.green(), below.green()),
        blend(source.blue(), below.blue()),
        255,
    )
    .unwrap_or(below)
}

/// Runs the display list.
fn ink(layer: &mut Pixmap, pen: &Pen, parts: &[Part], cloth: &Shader<'_>, frame: Transform) {
    let paint = |ink: Ink| {
        if ink == Ink::Cloth {
            return Paint {
                shader: cloth.clone(),
                ..Paint::default()
            };
        }
        let ([r, g, b], alpha) = pen.colour(ink);
        let mut paint = Paint::default();
        paint.set_color_rgba8(r, g, b, alpha);
        paint
    };
    for part in parts {
        if let Some(fill) = part.fill {
            layer.fill_path(&part.path, &paint(fill), FillRule::Winding, frame, None);
        }
        if let Some((line, width)) = part.stroke {
            let stroke = Stroke {
                width,
                line_cap: LineCap::Round,
                line_join: LineJoin::Round,
                ..Stroke::default()
            };
            layer.stroke_path(&part.path, &paint(line), &stroke, frame, None);
        }
    }
}

/// The tight box of the pixels somebody owns; a box of no area when there are none.
fn visible(owners: &[u8], side: u32, owner: u8) -> [f32; 4] {
    let (mut x0, mut y0, mut x1, mut y1) = (side, side, 0, 0);
    for (y, line) in (0..side).zip(owners.chunks_exact(side as usize)) {
        let Some(first) = line.iter().position(|&own| own == owner) else {
            continue;
        };
        let last = line.iter().rposition(|&own| own == owner).unwrap_or(first);
        x0 = x0.min(first as u32);
        x1 = x1.max(last as u32 + 1);
        y0 = y0.min(y);
        y1 = y1.max(y + 1);
    }
    if x0 >= x1 {
        return [0.0; 4];
    }
    [x0, y0, x1, y1].map(|edge| edge as f32 / side as f32)
}
