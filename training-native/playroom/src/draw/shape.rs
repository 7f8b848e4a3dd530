//! Path makers in unit coordinates. `None` is a path without an area, which the pen leaves out.

use tiny_skia::{Path, PathBuilder, Rect, Transform};

/// Sine and cosine of degrees. The platform's own differ in the last bit; a sum of products does not.
pub(crate) fn sin_cos(degrees: f32) -> (f32, f32) {
    fn sine(degrees: f64) -> f64 {
        // Folded to -90..90, where seven terms of the series leave less than 1e-9.
        let turn = degrees - 360.0 * (degrees / 360.0).round();
        let fold = if turn > 90.0 {
            180.0 - turn
        } else if turn < -90.0 {
            -180.0 - turn
        } else {
            turn
        };
        let x = fold * std::f64::consts::PI / 180.0;
        let square = x * x;
        let mut term = x;
        let mut sum = x;
        for n in 1..8 {
            let k = f64::from(2 * n);
            term *= -square / (k * (k + 1.0));
            sum += term;
        }
        sum
    }
    let angle = f64::from(degrees);
    (sine(angle) as f32, sine(angle + 90.0) as f32)
}

/// A turn by degrees clockwise about the origin.
pub(crate) fn turn(degrees: f32) -> Transform {
    let (sin, cos) = sin_cos(degrees);
    Transform::from_row(cos, sin, -sin, cos, 0.0, 0.0)
}

/// An axis-aligned ellipse by centre and radii.
pub(crate) fn oval(x: f32, y: f32, rx: f32, ry: f32) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry)?)
}

/// An ellipse turned about its centre.
pub(crate) fn tilted(x: f32, y: f32, rx: f32, ry: f32, degrees: f32) -> Option<Path> {
    oval(0.0, 0.0, rx, ry)?.transform(turn(degrees).post_translate(x, y))
}

/// A circle.
pub(crate) fn disc(x: f32, y: f32, r: f32) -> Option<Path> {
    oval(x, y, r, r)
}

/// A rectangle from corner to corner with rounded corners of radius `r`.
pub(crate) fn slab(x0: f32, y0: f32, x1: f32, y1: f32, r: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(x0 + r, y0);
    path.line_to(x1 - r, y0);
    path.quad_to(x1, y0, x1, y0 + r);
    path.line_to(x1, y1 - r);
    path.quad_to(x1, y1, x1 - r, y1);
    path.line_to(x0 + r, y1);
    path.quad_to(x0, y1, x0, y1 - r);
    path.line_to(x0, y0 + r);
    path.quad_to(x0, y0, x0 + r, y0);
    path.close();
    path.finish()
}

/// A closed polygon.
pub(crate) fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.close();
    path.finish()
}

/// A closed smooth curve that stays near a polygon: its edges' midpoints joined by quadratics.
pub(crate) fn blob(points: &[(f32, f32)]) -> Option<Path> {
    let middle = |a: (f32, f32), b: (f32, f32)| ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
    let (first, last) = (*points.first()?, *points.last()?);
    let start = middle(last, first);
    let mut path = PathBuilder::new();
    path.move_to(start.0, start.1);
    for (index, &corner) in points.iter().enumerate() {
        let next = points.get(index + 1).copied().unwrap_or(first);
        let end = middle(corner, next);
        path.quad_to(corner.0, corner.1, end.0, end.1);
    }
    path.close();
    path.finish()
}

/// An open smooth line from the first point to the last, bent by those between.
pub(crate) fn curve(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (&(x, y), rest) = points.split_first()?;
    path.move_to(x, y);
    match rest {
        [end] => path.line_to(end.0, end.1),
        [bend, end] => path.quad_to(bend.0, bend.1, end.0, end.1),
        [a, b, end, ..] => path.cubic_to(a.0, a.1, b.0, b.1, end.0, end.1),
        [] => {}
    }
    path.finish()
}

/// A straight-edged open line.
pub(crate) fn track(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 {
            path.move_to(x, y);
        } else {
            path.line_to(x, y);
        }
    }
    path.finish()
}

/// A five-pointed star.
pub(crate) fn star(x: f32, y: f32, r: f32) -> Option<Path> {
    let mut points = [(0.0, 0.0); 10];
    for (index, point) in points.iter_mut().enumerate() {
        let reach = if index % 2 == 0 { r } else { r * 0.46 };
        let (sin, cos) = sin_cos(36.0 * index as f32);
        *point = (x + reach * sin, y - reach * cos);
    }
    polygon(&points)
}

/// A heart as high and wide as `2 r`.
pub(crate) fn heart(x: f32, y: f32, r: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.move_to(x, y + r);
    path.cubic_to(
        x - r * 1.7,
        y - r * 0.1,
        x - r * 0.9,
        y - r * 1.5,
        x,
        y - r * 0.45,
    );
    path.cubic_to(x + r * 0.9, y - r * 1.5, x + r * 1.7, y - r * 0.1, x, y + r);
    path.close();
    path.finish()
}
