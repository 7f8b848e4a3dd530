//! The attribute loss of the vision tower: every patch predicts the attributes and the box of the thing it is on.
//!
//! From contrasts of pooled regions alone patches carry next to nothing: after 1,600 steps a linear probe
//! reads the category off a patch in 13 of 100 cases and the colour in 32. A captioner sees nothing but patches.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use namelens_engine::model::linear::Linear;
use playroom::Identity;

use super::batch::indices;

/// Classes of each attribute; the first has one more, for no thing at all.
const SIZES: [usize; 6] = [17, 12, 12, 6, 6, 4];
const NAMES: [&str; 6] = [
    "category",
    "body",
    "second",
    "pattern",
    "accessory",
    "marking",
];
/// Outputs of the head of attributes.
pub const CLASSES: usize = 57;
/// Outputs of the box head: left, top, right and bottom of the thing, on the photo rather than from the patch: the
/// tower then keeps where a patch is, which it forgets otherwise (a linear probe missed by 0.1 of the side) and which no
/// box can be written without.
pub const EDGES: usize = 4;
/// Weight of the edges' error, in shares of the side, beside the attributes.
const EDGES_WEIGHT: f32 = 8.0;

/// Patches of a batch and the classes they show.
#[derive(Debug, Default)]
pub struct Truth {
    /// Row of each patch in `[photos * patches]`: first those on things, then as many on nothing.
    places: Vec<usize>,
    /// Classes of the patches on things, attribute by attribute.
    classes: [Vec<i64>; 6],
    /// The four edges of the box of the thing each patch is on, in shares of the side.
    edges: Vec<f32>,
    /// How many patches are on things.
    on_things: usize,
}

/// The classes of an identity, in the order of [`NAMES`].
fn classes(identity: &Identity) -> [i64; 6] {
    [
        identity.category as i64,
        identity.body as i64,
        identity.second as i64,
        identity.pattern as i64,
        identity.accessory as i64,
        identity.marking as i64,
    ]
}

/// Which patch shows what. `photos` holds the things of each photo and their boxes in shares of the side.
pub fn truth(photos: &[Vec<([f32; 4], Identity)>], grid: usize) -> Truth {
    let mut truth = Truth::default();
    let mut empty = Vec::new();
    for (photo, things) in photos.iter().enumerate() {
        for cell in 0..grid * grid {
            let row = photo * grid * grid + cell;
            let boxes: Vec<[f32; 4]> = things.iter().map(|(place, _)| *place).collect();
            match thing_at(&boxes, cell, grid) {
                Some(at) => {
                    truth.places.push(row);
                    for (list, class) in truth.classes.iter_mut().zip(classes(&things[at].1)) {
                        list.push(class);
                    }
                    truth.edges.extend(boxes[at]);
                }
                None => empty.push(row),
            }
        }
    }
    truth.on_things = truth.places.len();
    let wanted = truth.on_things.min(empty.len());
    let spread = (0..wanted).map(|i| empty[i * empty.len() / wanted]);
    truth.places.extend(spread);
    truth
}

/// The middle of a cell, in shares of the side.
fn middle(cell: usize, grid: usize) -> (f32, f32) {
    let centre = |i: usize| (i as f32 + 0.5) / grid as f32;
    (centre(cell % grid), centre(cell / grid))
}

/// The box that the middle of `cell` lies in; of several the one whose middle is nearest.
pub fn thing_at(boxes: &[[f32; 4]], cell: usize, grid: usize) -> Option<usize> {
    let (x, y) = middle(cell, grid);
    let distance = |b: &[f32; 4]| {
        let (dx, dy) = (x - (b[0] + b[2]) / 2.0, y - (b[1] + b[3]) / 2.0);
        dx * dx + dy * dy
    };
    let inside = |b: &[f32; 4]| x >= b[0] && x <= b[2] && y >= b[1] && y <= b[3];
    (0..boxes.len())
        .filter(|&i| inside(&boxes[i]))
        .min_by(|&a, &b| distance(&boxes[a]).total_cmp(&distance(&boxes[b])))
}

/// Weighted mean distance between the edges `[photos, patches, 4]` that patches on things predict and the true ones,
/// and the distance.
pub fn edge_loss(predicted: Tensor<3>, truth: &Truth, device: &Device) -> (Tensor<1>, f64) {
    if truth.on_things == 0 {
        return (Tensor::zeros([1], device), 0.0);
    }
    let [photos, count, edges] = predicted.dims();
    let rows = predicted.reshape([photos * count, edges]);
    let predicted = rows.select(0, indices(&truth.places[..truth.on_things], device));
    let data = TensorData::new(truth.edges.clone(), [truth.on_things, EDGES]);
    let error = (predicted - Tensor::from_data(data, device)).abs().mean();
    let figure = f64::from(error.clone().into_scalar::<f32>());
    (error * EDGES_WEIGHT, figure)
}

/// Sum over the attributes of the mean cross-entropy of the patches, and the share that is right.
pub fn loss(
    head: &Linear,
    patches: &Tensor<3>,
    truth: &Truth,
    device: &Device,
) -> (Tensor<1>, Vec<(String, f64)>) {
    let [photos, count, width] = patches.dims();
    let rows = patches.clone().reshape([photos * count, width]);
    let logits = head.forward(rows.select(0, indices(&truth.places, device)));
    let mut total = Tensor::<1>::zeros([1], device);
    let mut figures = Vec::with_capacity(SIZES.len());
    let mut start = 0;
    for (attribute, &size) in SIZES.iter().enumerate() {
        let mut wanted = truth.classes[attribute].clone();
        if attribute == 0 {
            wanted.resize(truth.places.len(), size as i64 - 1);
        }
        let own = logits
            .clone()
            .narrow(1, start, size)
            .narrow(0, 0, wanted.len());
        start += size;
        let guesses = own.clone().argmax(1).into_data().convert::<i64>();
        let guesses = guesses.try_to_vec::<i64>().unwrap_or_default();
        let right = guesses
            .iter()
            .zip(&wanted)
            .take(truth.on_things)
            .filter(|(guess, wanted)| guess == wanted)
            .count();
        let share = right as f64 / truth.on_things.max(1) as f64;
        figures.push((format!("acc/{}", NAMES[attribute]), share));
        let shape = [wanted.len(), 1];
        let target = Tensor::<2, Int>::from_data(TensorData::new(wanted, shape), device);
        total = total - activation::log_softmax(own, 1).gather(1, target).mean();
    }
    (total, figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_show_the_thing_whose_middle_is_nearest() {
        let boxes = [[0.0, 0.0, 0.6, 1.0], [0.4, 0.0, 1.0, 1.0]];
        let row: Vec<_> = (0..4).map(|cell| thing_at(&boxes, cell, 4)).collect();
        assert_eq!(row, [Some(0), Some(0), Some(1), Some(1)]);
        assert_eq!(thing_at(&[[0.0, 0.0, 0.2, 0.2]], 3, 4), None);
    }

    #[test]
    fn the_head_has_an_output_a_class() {
        assert_eq!(SIZES.iter().sum::<usize>(), CLASSES);
        let identity = Identity::every().last();
        let highest = identity.as_ref().map(classes);
        let highest =
            highest.map(|all| all.iter().zip(SIZES).all(|(c, size)| (*c as usize) < size));
        assert_eq!(highest, Some(true));
    }
}
