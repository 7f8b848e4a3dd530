//! Looking for known things in a photo by a dual encoder: regions of it against reference embeddings.

use burn::tensor::{Device, Tensor, TensorData};

use super::likeness::Comparer;
use super::photo_features::{features, frames};
use super::scan::Scan;
use super::thresholds::Thresholds;
use super::wanted::wanted_rows;
use super::windows::{self, mask};
use crate::concepts::regions::{Candidate, SAME_REGION};
use crate::concepts::retrieval::{Mode, Options, Scored};
use crate::concepts::{Concept, Library, Retrieved, repic, retrieval};
use crate::generate::read_back::read;
use crate::host::{Host, breathe};
use crate::image::{ImageProcessor, Rgb8};
use crate::model::dual::DualEncoder;
use crate::{Result, ops};

/// A dual encoder with what it needs to look at photos: its regions are boxes that patches propose, or windows of a grid.
#[derive(Debug)]
pub(super) struct DualSearch {
    dual: DualEncoder,
    processor: ImageProcessor,
    /// Patches along a side.
    grid: usize,
    pub(super) thresholds: Thresholds,
    windows: Vec<[f32; 4]>,
    pub(super) device: Device,
}

impl DualSearch {
    pub(super) fn new(
        dual: DualEncoder,
        processor: ImageProcessor,
        grid: usize,
        thresholds: Thresholds,
        device: &Device,
    ) -> Self {
        Self {
            dual,
            processor,
            grid,
            thresholds,
            windows: windows::grid(grid),
            device: device.clone(),
        }
    }

    /// Numbers in an embedding.
    pub(super) fn width(&self) -> usize {
        self.dual.width
    }

    /// Whether regions are boxes that patches propose.
    pub(super) fn proposes(&self) -> bool {
        self.dual.box_head.is_some()
    }

    /// The embedding of a photo as a whole.
    ///
    /// # Errors
    /// When the photo cannot be processed or the device fails.
    pub(super) async fn embed(&self, photo: &Rgb8, host: &dyn Host) -> Result<Vec<f32>> {
        let patches = self.patches(photo, host).await?;
        read(self.dual.embed_regions(patches, None)).await
    }

    /// Embeds every window of a photo, and the whole.
    ///
    /// # Errors
    /// When the photo cannot be processed, the device fails or the caller cancels.
    pub(super) async fn scan(&self, photo: &Rgb8, host: &dyn Host) -> Result<Scan> {
        let patches = self.patches(photo, host).await?;
        breathe(host).await?;
        let whole = self.dual.embed_regions(patches.clone(), None);
        breathe(host).await?;
        let windows = match self.dual.boxes(patches.clone()) {
            Some(boxes) => windows::proposed(&read(boxes).await?),
            None => self.windows.clone(),
        };
        let mask = mask(&windows, self.grid, &self.device);
        let regions = self.dual.embed_regions(patches, Some(mask));
        let [_, count, width] = regions.dims();
        let queries = Tensor::cat(vec![regions, whole], 1).reshape([count + 1, width]);
        let mut embeddings = read(queries.clone()).await?;
        let whole = embeddings.split_off(count * width);
        Ok(Scan {
            windows,
            embeddings,
            whole,
            queries,
            looks: Vec::new(),
            others: Vec::new(),
        })
    }

    /// The concepts of `library` that matter, of a photo that a dual encoder scanned.
    ///
    /// # Errors
    /// As [`retrieval::retrieve`]; when the device fails.
    pub(super) async fn retrieve(
        &self,
        comparer: &Comparer,
        scan: Option<&Scan>,
        question: &str,
        library: &Library,
        mode: Mode,
    ) -> Result<Vec<Retrieved>> {
        let thresholds = self.thresholds;
        let index = library.index();
        let wanted = wanted_rows(question, library, index, &mode);
        let compared = match scan.filter(|scan| scan.fits(index)) {
            Some(scan) => {
                let queries = &scan.queries;
                let score = |rows| ops::cosine_scores(queries.clone(), rows);
                let (width, device) = (queries.dims()[0], queries.device());
                let queries = (&score as &dyn Fn(Tensor<2>) -> Tensor<2>, width, &device);
                let likeness = comparer.compare(queries, index, thresholds.window, &wanted);
                Some((scan, likeness.await?))
            }
            None => None,
        };
        let is_wanted = |rows: &std::ops::Range<usize>| {
            let first = wanted.partition_point(|&row| row < rows.start);
            wanted.get(first).is_some_and(|row| rows.contains(row))
        };
        let scored: Vec<Scored<'_>> = library
            .list()
            .map(|concept| {
                let rows = index.rows_of(&concept.id);
                match &compared {
                    Some((scan, likeness)) => {
                        let always = is_wanted(&rows);
                        let scores = likeness.best_of(rows);
                        let least = if always { f32::MIN } else { thresholds.window };
                        scored(concept, scores, scan, least)
                    }
                    None => unscored(concept),
                }
            })
            .collect();
        let options = Options {
            mode,
            ..Options::auto(thresholds.window, thresholds.whole)
        };
        retrieval::retrieve(question, &scored, &options)
    }

    async fn patches(&self, photo: &Rgb8, host: &dyn Host) -> Result<Tensor<3>> {
        let (pixels, _) = frames(&self.processor, photo, &self.device)?;
        Ok(features(&self.dual.vision, pixels, host).await?.patches)
    }
}

/// The distinct regions of a photo, each with the `neighbours` references nearest to it as (row of the index, squared
/// L2 distance): what [`repic::retrieve`] takes. Of regions that overlap, the one most like any reference stands for all.
///
/// # Errors
/// When the device fails.
pub(super) async fn crops(
    comparer: &Comparer,
    scan: &Scan,
    library: &Library,
    neighbours: usize,
) -> Result<Vec<Vec<(usize, f32)>>> {
    let neighbours = neighbours.min(library.index().len());
    if neighbours == 0 || !scan.fits(library.index()) {
        return Ok(Vec::new());
    }
    let count = scan.windows.len();
    let regions = scan.queries.clone().narrow(0, 0, count);
    let device = scan.queries.device();
    let vectors = comparer.vectors(library.index(), &device);
    let (scores, rows) = ops::cosine_top_k(regions, vectors, neighbours);
    let data = TensorData::new(scan.windows.concat(), [count, 4]);
    let boxes = Tensor::<2>::from_data(data, &device);
    let best = scores.clone().narrow(1, 0, 1).reshape([count]);
    let kept = ops::nms(boxes, best, SAME_REGION)
        .float()
        .reshape([count, 1]);
    // Row numbers are below 2^24: exact as floats, and so all is read at once.
    let all = read(Tensor::cat(vec![kept, scores, rows.float()], 1)).await?;
    let crops = all.chunks_exact(2 * neighbours + 1);
    let nearest = |crop: &[f32]| {
        let (scores, rows) = crop[1..].split_at(neighbours);
        let pairs = rows.iter().zip(scores);
        pairs
            .map(|(row, score)| (*row as usize, repic::squared_l2(*score)))
            .collect()
    };
    Ok(crops.filter(|crop| crop[0] > 0.5).map(nearest).collect())
}

fn unscored(concept: &Concept) -> Scored<'_> {
    Scored {
        concept,
        windows: Vec::new(),
        whole: None,
    }
}

/// Similarities of one concept, its best reference at every window, unless all of them are below `least`.
fn scored<'a>(
    concept: &'a Concept,
    scores: Option<Vec<f32>>,
    scan: &Scan,
    least: f32,
) -> Scored<'a> {
    let Some((whole, regions)) = scores.as_deref().and_then(<[f32]>::split_last) else {
        return unscored(concept);
    };
    let matters = regions.iter().any(|score| *score >= least);
    let windows = scan.windows.iter().zip(regions);
    Scored {
        concept,
        windows: windows
            .filter(|_| matters)
            .map(|(&box_, &score)| Candidate { box_, score })
            .collect(),
        whole: Some(*whole),
    }
}
