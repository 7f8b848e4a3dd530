//! The cloth of a body: its colour, few large pattern elements, and soft light from the upper left.

use tiny_skia::{
    Color, FillRule, GradientStop, LinearGradient, Paint, Path, PathBuilder, Pixmap, Point, Rect,
    Shader, SpreadMode, Stroke, Transform,
};

use super::pen::Pen;
use super::shape::{disc, track};
use crate::identity::Pattern;

/// Paints the cloth over a whole layer. `frame` maps unit coordinates to the layer's pixels.
pub(crate) fn weave(layer: &mut Pixmap, pen: &Pen, frame: Transform) {
    let [r, g, b] = pen.body;
    layer.fill(Color::from_rgba8(r, g, b, 255));
    let mut paint = Paint::default();
    let [r, g, b] = pen.second;
    paint.set_color_rgba8(r, g, b, 255);
    match pen.pattern {
        Pattern::Plain => {}
        Pattern::Zigzag => {
            let stroke = Stroke {
                width: 0.19,
                ..Stroke::default()
            };
            for path in [zigzag(-0.62), zigzag(0.1), zigzag(0.82)]
                .into_iter()
                .flatten()
            {
                layer.stroke_path(&path, &paint, &stroke, frame, None);
            }
        }
        pattern => {
            if let Some(path) = elements(pattern) {
                layer.fill_path(&path, &paint, FillRule::Winding, frame, None);
            }
        }
    }
    shade(layer);
}

fn zigzag(y: f32) -> Option<Path> {
    let mut points = [(0.0, 0.0); 9];
    for (index, point) in points.iter_mut().enumerate() {
        let up = if index % 2 == 0 { 0.19 } else { -0.19 };
        *point = (-1.44 + 0.36 * index as f32, y + up);
    }
    track(&points)
}

fn elements(pattern: Pattern) -> Option<Path> {
    let mut path = PathBuilder::new();
    let mut rect = |x: f32, y: f32, w: f32, h: f32| {
        if let Some(rect) = Rect::from_xywh(x, y, w, h) {
            path.push_rect(rect);
        }
    };
    match pattern {
        Pattern::Striped => {
            for band in 0..6 {
                rect(-1.5, -1.32 + 0.48 * band as f32, 3.0, 0.21);
            }
        }
        Pattern::Checked => {
            for row in 0..9 {
                // Smaller than their cells: the body colour must keep the larger share.
                for column in (row % 2..9).step_by(2) {
                    rect(
                        -1.6 + 0.36 * column as f32,
                        -1.6 + 0.36 * row as f32,
                        0.31,
                        0.31,
                    );
                }
            }
        }
        Pattern::TwoTone => rect(0.12, -1.6, 1.6, 3.2),
        _ => {
            for row in 0..6 {
                for column in 0..5 {
                    let shift = if row % 2 == 0 { 0.0 } else { 0.31 };
                    let (x, y) = (
                        -1.2 + 0.62 * column as f32 + shift,
                        -1.2 + 0.46 * row as f32,
                    );
                    if let Some(spot) = disc(x, y, 0.165) {
                        path.push_path(&spot);
                    }
                }
            }
        }
    }
    path.finish()
}

/// Light at the upper left, shadow at the lower right of the layer.
fn shade(layer: &mut Pixmap) {
    let (w, h) = (layer.width() as f32, layer.height() as f32);
    let stops = vec![
        GradientStop::new(0.0, Color::from_rgba8(255, 255, 255, 64)),
        GradientStop::new(0.5, Color::from_rgba8(255, 255, 255, 0)),
        GradientStop::new(0.5, Color::from_rgba8(30, 10, 60, 0)),
        GradientStop::new(1.0, Color::from_rgba8(30, 10, 60, 72)),
    ];
    let ends = (Point::from_xy(w * 0.1, 0.0), Point::from_xy(w * 0.9, h));
    let gradient = LinearGradient::new(
        ends.0,
        ends.1,
        stops,
        SpreadMode::Pad,
        Transform::identity(),
    );
    if let (Some(shader), Some(rect)) = (gradient, Rect::from_xywh(0.0, 0.0, w, h)) {
        let paint = Paint {
            shader,
            ..Paint::default()
        };
        layer.fill_rect(rect, &paint, Transform::identity(), None);
    }
}

/// The cloth as a shader for the body's parts, which are filled through `frame`.
pub(crate) fn cloth(layer: &Pixmap, frame: Transform) -> Option<Shader<'_>> {
    // A fill moves its shader along with its path; the cloth is already in pixels and must stay.
    let back = frame.invert()?;

    let quality = tiny_skia::FilterQuality::Nearest;
    Some(tiny_skia::Pattern::new(
        layer.as_ref(),
        SpreadMode::Pad,
        quality,
        1.0,
        back,
    ))
}
