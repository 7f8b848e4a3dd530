//! How like the references of the library are to the regions of a photo: compared on the device, read back once.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::Result;
use crate::concepts::FlatIndex;
use crate::generate::read_back::read;
use crate::ops;

/// Most references of a block that are read back, unless more of them reach the threshold.
const MOST: usize = 512;
/// Most similarities computed at a time: 64 MiB of them.
const BLOCK: usize = 1 << 24;

/// The similarities that can matter.
#[derive(Debug, Default)]
pub(super) struct Likeness {
    /// Numbers of the index's rows, ascending.
    rows: Vec<usize>,
    /// Similarities of each row to every region, then to the photo as a whole: `[rows, regions + 1]`.
    scores: Vec<f32>,
    width: usize,
}

impl Likeness {
    /// The best similarity to each region, and to the whole, of any of the rows; none if these rows cannot matter.
    pub(super) fn best_of(&self, rows: Range<usize>) -> Option<Vec<f32>> {
        let at = |row| self.rows.partition_point(|&known| known < row);
        let mut own = self.scores[at(rows.start) * self.width..at(rows.end) * self.width]
            .chunks_exact(self.width.max(1));
        let mut best = own.next()?.to_vec();
        for scores in own {
            for (best, score) in best.iter_mut().zip(scores) {
                *best = best.max(*score);
            }
        }
        Some(best)
    }

    /// The rows among these that can matter, each with its similarities to every region.
    pub(super) fn rows(&self, rows: Range<usize>) -> impl Iterator<Item = (usize, &[f32])> {
        let at = |row| self.rows.partition_point(|&known| known < row);
        let (first, last) = (at(rows.start), at(rows.end));
        let scores = &self.scores[first * self.width..last * self.width];
        let numbers = self.rows[first..last].iter().copied();
        numbers.zip(scores.chunks_exact(self.width.max(1)))
    }

    fn add(&mut self, row: usize, scores: impl Iterator<Item = f32>) {
        self.rows.push(row);
        self.scores.extend(scores);
    }
}

/// Compares photos with an index that stays on the device from one photo to the next.
#[derive(Debug, Default)]
pub(super) struct Comparer {
    kept: Mutex<Option<(Arc<Vec<f32>>, Tensor<2>)>>,
}

impl Comparer {
    /// Compares a photo with every row of `index`. `score` gives the similarities `[regions + 1, rows]` of its `width` regions, the
    /// last one being the photo as a whole, to some rows `[rows, D]`.
    ///
    /// What comes back has every row that reaches `threshold` in a region, the one most like the whole photo, and the rows
    /// of `wanted` (ascending) whatever they score.
    pub(super) async fn compare(
        &self,
        (score, width, device): (&dyn Fn(Tensor<2>) -> Tensor<2>, usize, &Device),
        index: &FlatIndex,
        threshold: f32,
        wanted: &[usize],
    ) -> Result<Likeness> {
        let mut likeness = Likeness {
            width,
            ..Likeness::default()
        };
        let rows = index.len();
        let step = (BLOCK / width).max(1);
        for start in (0..rows).step_by(step) {
            let part = start..rows.min(start + step);
            let vectors = self.vectors(index, device);
            let scores = score(vectors.narrow(0, start, part.len()));
            let wanted = &wanted[wanted.partition_point(|&row| row < start)..];
            let wanted = &wanted[..wanted.partition_point(|&row| row < part.end)];
            let best = best_rows(scores.clone(), start, threshold, wanted, &mut likeness).await?;
            if !best {
                all_rows(scores, start, &mut likeness).await?;
            }
        }
        Ok(likeness)
    }

    /// The index on the device: the same numbers are sent there once.
    pub(super) fn vectors(&self, index: &FlatIndex, device: &Device) -> Tensor<2> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref() {
            // The copy that is held keeps the pointer from meaning other numbers.
            Some((known, tensor)) if Arc::ptr_eq(known, index.vectors()) => tensor.clone(),
            _ => {
                let data = TensorData::new(index.vectors().to_vec(), [index.len(), index.dim()]);
                let tensor = Tensor::from_data(data, device);
                *kept = Some((Arc::clone(index.vectors()), tensor.clone()));
                tensor
            }
        }
    }
}

/// Reads the rows of a block that matter, chosen on the device; false, and nothing, if there may be more of them.
async fn best_rows(
    scores: Tensor<2>,
    start: usize,
    threshold: f32,
    wanted: &[usize],
    likeness: &mut Likeness,
) -> Result<bool> {
    let [width, rows] = scores.dims();
    if rows <= MOST {
        return Ok(false);
    }
    let regions = width - 1;
    // [1, rows]: each row's best region; without one there is only the whole.
    let best = match regions {
        0 => scores.clone(),
        _ => scores.clone().narrow(0, 0, regions).max_dim(0),
    };
    let (_, ids) = ops::top_k(best, MOST);
    let (_, whole) = ops::top_k(scores.clone().narrow(0, regions, 1), 1);
    let mut chosen = vec![ids, whole];
    if !wanted.is_empty() {
        let local: Vec<i32> = wanted.iter().map(|&row| (row - start) as i32).collect();
        let data = TensorData::new(local, [1, wanted.len()]);
        chosen.push(Tensor::<2, Int>::from_data(data, &scores.device()));
    }
    let ids = Tensor::cat(chosen, 1);
    let count = ids.dims()[1];
    let picked = scores.select(1, ids.clone().reshape([count]));
    // Row numbers of a block are below 2^24: exact as floats, and so all is read at once.
    let all = read(Tensor::cat(vec![picked, ids.float()], 0)).await?;
    let (picked, ids) = all.split_at(width * count);
    let of = |column: usize| (0..width).map(move |q| picked[q * count + column]);
    // The last of the best rows: those behind it score no higher in any region.
    let last = of(MOST - 1).take(regions).fold(f32::MIN, f32::max);
    if regions > 0 && last >= threshold {
        return Ok(false);
    }
    let mut columns: Vec<(usize, usize)> = ids.iter().map(|&id| id as usize).zip(0..).collect();
    columns.sort_unstable();
    columns.dedup_by_key(|(row, _)| *row);
    for (row, column) in columns {
        likeness.add(start + row, of(column));
    }
    Ok(true)
}

/// Reads all rows of a block.
async fn all_rows(scores: Tensor<2>, start: usize, likeness: &mut Likeness) -> Result<()> {
    let [width, rows] = scores.dims();
    let all = read(scores).await?;
    for row in 0..rows {
        likeness.add(start + row, (0..width).map(|q| all[q * rows + row]));
    }
    Ok(())
}
