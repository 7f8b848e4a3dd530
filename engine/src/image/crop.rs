//! Parts of a photo, and its mirror image.

use super::Rgb8;

impl Rgb8 {
    /// The part from `left`, `top` to `right`, `bottom`, pixels; what lies outside the photo is cut off, and one pixel is left at
    /// the least.
    #[must_use]
    pub fn part(&self, [left, top, right, bottom]: [i64; 4]) -> Self {
        let bounds = |from: i64, to: i64, side: u32| {
            let from = from.clamp(0, i64::from(side).max(1) - 1);
            (
                from as usize,
                to.clamp(from + 1, i64::from(side).max(1)) as usize,
            )
        };
        let (left, right) = bounds(left, right, self.width);
        let (top, bottom) = bounds(top, bottom, self.height);
        let stride = self.width as usize * 3;
        let rows = self.pixels.chunks_exact(stride.max(1));
        let rows = rows.skip(top).take(bottom - top);
        Self {
            width: (right - left) as u32,
            height: (bottom - top) as u32,
            pixels: rows
                .flat_map(|row| &row[left * 3..right * 3])
                .copied()
                .collect(),
        }
    }

    /// What a box shows, left, top, right and bottom as fractions, in whole pixels that it touches.
    #[must_use]
    pub fn share(&self, [left, top, right, bottom]: [f32; 4]) -> Self {
        let at = |share: f32, side: u32| share * side as f32;
        self.part([
            at(left, self.width) as i64,
            at(top, self.height) as i64,
            at(right, self.width).ceil() as i64,
            at(bottom, self.height).ceil() as i64,
        ])
    }

    /// Left and right exchanged.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let stride = self.width as usize * 3;
        let rows = self.pixels.chunks_exact(stride.max(1));
        let pixels = rows.flat_map(|row| row.as_chunks::<3>().0.iter().rev().flatten());
        Self {
            width: self.width,
            height: self.height,
            pixels: pixels.copied().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_inside_and_a_mirror_undoes_itself() {
        let photo = Rgb8 {
            width: 3,
            height: 2,
            pixels: (0..18).collect(),
        };
        let part = photo.part([1, -4, 9, 1]);
        assert_eq!((part.width, part.height), (2, 1));
        assert_eq!(part.pixels, [3, 4, 5, 6, 7, 8]);
        let outside = photo.part([7, 7, 9, 9]);
        assert_eq!(outside.pixels, [15, 16, 17]);
        let mirrored = photo.mirrored();
        assert_eq!(mirrored.pixels[..3], [6, 7, 8]);
        assert_eq!(mirrored.mirrored().pixels, photo.pixels);
    }
}
