//! A display list: shapes with inks, drawn later at any size by `render`.

use tiny_skia::{Path, Rect, Transform};

use crate::identity::{Colour, Identity, Pattern};

/// What a shape is painted with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ink {
    /// The body's cloth: body colour, pattern and soft shading.
    Cloth,
    /// The second colour.
    Second,
    /// The body colour, mixed with white by the share given.
    Tint(f32),
    /// The body colour, mixed with the outline colour by the share given.
    Shade(f32),
    /// The outline colour of the body.
    Line,
    /// A fixed colour.
    Solid([u8; 3]),
    /// A fixed colour with an alpha.
    Glaze([u8; 3], u8),
}

/// One step: fill the path, then draw its outline.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) path: Path,
    pub(crate) fill: Option<Ink>,
    /// Ink and width of the stroke.
    pub(crate) stroke: Option<(Ink, f32)>,
}

/// Width of the contour of a figure: a pixel when the figure is 30 pixels high.
pub(crate) const CONTOUR: f32 = 0.065;

/// Collects the parts of one figure.
#[derive(Debug, Clone)]
pub(crate) struct Pen {
    pub(crate) body: [u8; 3],
    pub(crate) second: [u8; 3],
    pub(crate) line: [u8; 3],
    pub(crate) pattern: Pattern,
    pub(crate) parts: Vec<Part>,
    /// Bubbles, steam, wind: drawn with the figure, but no part of it or of its box.
    pub(crate) aura: Vec<Part>,
}

impl Pen {
    /// An empty list in the colours of an identity.
    pub(crate) fn new(identity: &Identity) -> Self {
        let body = identity.body.rgb();
        let line = match identity.body {
            // A dark outline would swallow a black figure's limbs; a deeper black still shows.
            Colour::Black => [12, 11, 18],
            _ => mix(body, [36, 26, 44], 0.74),
        };
        let parts = Vec::with_capacity(40);
        Self {
            body,
            second: identity.second.rgb(),
            line,
            pattern: identity.pattern,
            parts,
            aura: Vec::new(),
        }
    }

    /// An empty list for a prop, in fixed colours.
    pub(crate) fn plain(body: [u8; 3]) -> Self {
        let line = mix(body, [36, 26, 44], 0.7);
        Self {
            body,
            second: body,
            line,
            pattern: Pattern::Plain,
            parts: Vec::new(),
            aura: Vec::new(),
        }
    }

    /// A piece of the body: cloth with a contour.
    pub(crate) fn cloth(&mut self, path: Option<Path>) {
        self.piece(Ink::Cloth, path);
    }

    /// A filled piece with a contour.
    pub(crate) fn piece(&mut self, ink: Ink, path: Option<Path>) {
        self.push(path, Some(ink), Some((Ink::Line, CONTOUR)));
    }

    /// A filled piece without a contour.
    pub(crate) fn fill(&mut self, ink: Ink, path: Option<Path>) {
        self.push(path, Some(ink), None);
    }

    /// A line of an ink.
    pub(crate) fn line(&mut self, ink: Ink, width: f32, path: Option<Path>) {
        self.push(path, None, Some((ink, width)));
    }

    /// A thick round limb of an ink with a contour on both sides.
    pub(crate) fn limb(&mut self, ink: Ink, width: f32, path: Option<Path>) {
        self.push(path.clone(), None, Some((Ink::Line, width + CONTOUR)));
        self.push(path, None, Some((ink, width - CONTOUR)));
    }

    fn push(&mut self, path: Option<Path>, fill: Option<Ink>, stroke: Option<(Ink, f32)>) {
        if let Some(path) = path {
            self.parts.push(Part { path, fill, stroke });
        }
    }

    /// Declares everything drawn so far to be no part of the figure.
    pub(crate) fn aside(&mut self) {
        self.aura.append(&mut self.parts);
    }

    /// Moves every part by a transform that keeps widths (a turn or a mirror).
    pub(crate) fn transform(&mut self, transform: Transform) {
        let parts = std::mem::take(&mut self.parts);
        self.parts = parts
            .into_iter()
            .filter_map(|part| {
                Some(Part {
                    path: part.path.transform(transform)?,
                    ..part
                })
            })
            .collect();
    }

    /// The rectangle all parts lie in, outlines included; `None` when there are no parts.
    pub(crate) fn bounds(&self) -> Option<Rect> {
        let mut sides: Option<(f32, f32, f32, f32)> = None;
        for part in &self.parts {
            let rect = part.path.compute_tight_bounds()?;
            let pad = part.stroke.map_or(0.0, |(_, width)| width / 2.0);
            let own = (
                rect.left() - pad,
                rect.top() - pad,
                rect.right() + pad,
                rect.bottom() + pad,
            );
            sides = Some(sides.map_or(own, |all| {
                (
                    all.0.min(own.0),
                    all.1.min(own.1),
                    all.2.max(own.2),
                    all.3.max(own.3),
                )
            }));
        }
        let (left, top, right, bottom) = sides?;
        Rect::from_ltrb(left, top, right, bottom)
    }

    /// The plain colour and alpha of an ink; cloth gives the body colour.
    pub(crate) fn colour(&self, ink: Ink) -> ([u8; 3], u8) {
        match ink {
            Ink::Cloth => (self.body, 255),
            Ink::Second => (self.second, 255),
            Ink::Tint(share) => (mix(self.body, [255, 252, 246], share), 255),
            Ink::Shade(share) => (mix(self.body, self.line, share), 255),
            Ink::Line => (self.line, 255),
            Ink::Solid(rgb) => (rgb, 255),
            Ink::Glaze(rgb, alpha) => (rgb, alpha),
        }
    }
}

/// `a` and `b` in the shares `1 - t` and `t`.
pub(crate) fn mix(a: [u8; 3], b: [u8; 3], t: f32) -> [u8; 3] {
    let blend = |x: u8, y: u8| (f32::from(x) * (1.0 - t) + f32::from(y) * t + 0.5) as u8;
    [blend(a[0], b[0]), blend(a[1], b[1]), blend(a[2], b[2])]
}
