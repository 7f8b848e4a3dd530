//! What the camera does to the finished picture: light and blur, then 8-bit RGB.

use tiny_skia::Pixmap;

/// Drops alpha, applies the light per channel and the blur (0 sharp to 1).
pub(crate) fn develop(pixmap: &Pixmap, light: [f32; 3], blur: f32) -> Vec<u8> {
    let tables = light.map(|gain| {
        let mut table = [0_u8; 256];
        for (level, out) in table.iter_mut().enumerate() {
            *out = (level as f32 * gain + 0.5).clamp(0.0, 255.0) as u8;
        }
        table
    });
    let mut pixels: Vec<u8> = pixmap
        .data()
        .chunks_exact(4)
        .flat_map(|pixel| [0, 1, 2].map(|channel| tables[channel][usize::from(pixel[channel])]))
        .collect();
    if blur > 0.0 {
        let side = pixmap.width() as usize;
        // The spread of n passes grows with the root of n: as many as keep the blur's share of the side.
        let passes = ((side as f32 / 96.0).powi(2)).round().clamp(1.0, 16.0) as usize;
        let edge = (blur.min(1.0) * 80.0) as u32;
        for _ in 0..passes {
            soften(&mut pixels, side, edge);
        }
    }
    pixels
}

/// One pass along rows and one along columns of the kernel `edge, 256 - 2 edge, edge` (over 256).
fn soften(pixels: &mut [u8], side: usize, edge: u32) {
    let mut line = vec![0_u8; side];
    for step in [3, side * 3] {
        let across = if step == 3 { side * 3 } else { 3 };
        for lane in 0..side {
            for channel in 0..3 {
                let start = lane * across + channel;
                for (at, level) in line.iter_mut().enumerate() {
                    *level = pixels[start + at * step];
                }
                for at in 0..side {
                    let side_sum = u32::from(line[at.saturating_sub(1)])
                        + u32::from(line[(at + 1).min(side - 1)]);
                    let sum = side_sum * edge + u32::from(line[at]) * (256 - 2 * edge) + 128;
                    pixels[start + at * step] = (sum >> 8) as u8;
                }
            }
        }
    }
}
