//! Several of one thing: other windows that are about as like it, each with a box of its own.

use super::feature_search::place;
use super::feature_sighting::{SAME_PLACE, Sighting, overlap, weigh};
use super::look::Look;

/// How much less like the thing than its best window another one may be.
const ALIKE: f32 = 0.12;
/// Windows that share more than this of the smaller one see one thing.
const ONE_WINDOW: f32 = 0.25;
/// Most places of one thing.
const MOST: usize = 8;

/// Windows beside the best one, which is `first`, that are about as like the thing: similarity and number, best first.
pub(super) fn elsewhere(scores: &[f32], first: usize, windows: &[[f32; 4]]) -> Vec<(f32, usize)> {
    let least = scores[first] - ALIKE;
    let mut alike: Vec<(f32, usize)> = (scores.iter().copied().zip(0..))
        .filter(|(score, _)| *score >= least)
        .collect();
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut kept: Vec<(f32, usize)> = vec![(scores[first], first)];
    for (score, window) in alike {
        let is_apart =
            |(_, other): &(f32, usize)| overlap(&windows[window], &windows[*other]) <= ONE_WINDOW;
        if kept.len() < MOST && kept.iter().all(is_apart) {
            kept.push((score, window));
        }
    }
    kept.split_off(1)
}

/// Adds a sighting for every other place where something like what was found is; `least` is the sum of score and margin from which
/// on it was found.
pub(super) fn add_instances(found: &mut Vec<Sighting>, looks: &[Look], least: f32) {
    let mut more: Vec<Sighting> = Vec::new();
    for sighting in found.iter().filter(|sighting| sighting.sum() >= least) {
        let mut taken = vec![sighting.box_];
        for &(score, window) in &sighting.elsewhere {
            let box_ = place(&looks[sighting.look], window, &sighting.features);
            if taken
                .iter()
                .all(|other| overlap(other, &box_) <= SAME_PLACE)
            {
                taken.push(box_);
                more.push(Sighting {
                    score,
                    window,
                    box_,
                    elsewhere: Vec::new(),
                    ..sighting.clone()
                });
            }
        }
    }
    if !more.is_empty() {
        found.extend(more);
        weigh(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_one_thing_are_one_place() {
        let window = |left: f32| [left, 0.2, left + 0.3, 0.6];
        let windows = [
            window(0.0),
            window(0.05),
            window(0.5),
            window(0.6),
            window(0.25),
        ];
        let found = elsewhere(&[0.9, 0.88, 0.8, 0.85, 0.7], 0, &windows);
        // The second sees what the first sees, the third what the fourth sees, the last is too unlike.
        assert_eq!(found, [(0.85, 3)]);
        assert_eq!(elsewhere(&[0.9, f32::NAN], 0, &windows[..2]), []);
    }
}
