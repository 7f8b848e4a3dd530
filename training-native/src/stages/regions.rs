//! Regions of photos that the contrastive stage compares: things with shaken boxes, and background.

use playroom::{Identity, RegionSample, Rng};

/// One region: where, what it is (nothing: background), and the photo it is of.
#[derive(Debug)]
pub(super) struct Region {
    /// What is pooled, in shares of the side.
    pub place: [f32; 4],
    /// The box of the thing itself.
    pub tight: [f32; 4],
    /// What it shows; `None` is background.
    pub identity: Option<Identity>,
    /// Which photo of the batch.
    pub photo: usize,
}

/// The things of each photo and where they are.
pub(super) fn by_photo(regions: &[Region], photos: usize) -> Vec<Vec<([f32; 4], Identity)>> {
    let mut things = vec![Vec::new(); photos];
    for region in regions {
        if let Some(identity) = region.identity {
            things[region.photo].push((region.tight, identity));
        }
    }
    things
}

/// The things of a photo with shaken boxes, one stretch of background, and the texts not yet known.
pub(super) fn add(
    sample: &RegionSample,
    photo: usize,
    regions: &mut Vec<Region>,
    texts: &mut Vec<(Identity, String)>,
    rng: &mut Rng,
) {
    for (tight, text, identity) in &sample.regions {
        let place = if sample.regions.len() == 1 && rng.unit() < 0.5 {
            [0.0, 0.0, 1.0, 1.0]
        } else {
            shake(*tight, rng)
        };
        regions.push(Region {
            place,
            tight: *tight,
            identity: Some(*identity),
            photo,
        });
        if !texts.iter().any(|(known, _)| known == identity) {
            texts.push((*identity, text.clone()));
        }
    }
    for _ in 0..8 {
        let side = 0.2 + 0.25 * rng.unit();
        let (x, y) = (rng.unit() * (1.0 - side), rng.unit() * (1.0 - side));
        let place = [x, y, x + side, y + side];
        if sample
            .regions
            .iter()
            .all(|(other, ..)| overlap(place, *other) < 0.1)
        {
            regions.push(Region {
                place,
                tight: place,
                identity: None,
                photo,
            });
            return;
        }
    }
}

/// Moves every edge by up to 12 % of the size, as a window of a search grid would miss it.
fn shake([x0, y0, x1, y1]: [f32; 4], rng: &mut Rng) -> [f32; 4] {
    let (w, h) = (x1 - x0, y1 - y0);
    let mut jitter = |size: f32| (rng.unit() - 0.5) * 0.24 * size;
    [
        (x0 + jitter(w)).max(0.0),
        (y0 + jitter(h)).max(0.0),
        (x1 + jitter(w)).min(1.0),
        (y1 + jitter(h)).min(1.0),
    ]
}

/// Intersection as a fraction of the smaller box.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let w = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let h = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let area = |r: [f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    w * h / area(a).min(area(b)).max(1e-6)
}
