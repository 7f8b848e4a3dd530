//! Where each mentioned thing is: the box the model writes, or the region retrieval found.

use super::answer::parse_box;
use super::lens::Lens;
use super::retriever::Retriever;
use super::sanitize;
use super::scene::Scene;
use super::types::{Event, MentionView, Stage};
use crate::Result;
use crate::concepts::regions::iou;
use crate::generate::generate_greedy;
use crate::host::Host;

/// Longest answer to "Where is it?", tokens.
const MAX_BOX_TOKENS: usize = 24;

impl Lens {
    /// The region where the retriever proposes boxes itself; else the model is asked where each mentioned concept is, and
    /// its box is weighed against the region.
    pub(super) async fn find_boxes(
        &self,
        scene: &mut Scene<'_>,
        mentions: &mut [MentionView],
        host: &dyn Host,
        on_event: &mut dyn FnMut(Event),
    ) -> Result<()> {
        let mut ids: Vec<String> = mentions.iter().map(|m| m.id.clone()).collect();
        ids.sort();
        ids.dedup();
        let total = ids.len();
        for (done, id) in ids.into_iter().enumerate() {
            let retrieved = scene.retrieved.iter().find(|r| r.id == id);
            let region = retrieved.and_then(|r| Some((r.box_?, r.score.max(0.0))));
            let exact = self.retriever.as_ref().is_some_and(Retriever::proposes);
            let found = match region {
                Some(region) if exact => Some(region),
                _ => surer(self.locate(scene, &id, host).await?, region),
            };
            if let Some((box_, confidence)) = found {
                for mention in mentions.iter_mut().filter(|m| m.id == id) {
                    (mention.box_, mention.confidence) = (Some(box_), confidence);
                }
            }
            on_event(Event::Stage {
                stage: Stage::Locate,
                done: done + 1,
                total,
            });
        }
        Ok(())
    }

    async fn locate(
        &self,
        scene: &mut Scene<'_>,
        id: &str,
        host: &dyn Host,
    ) -> Result<Option<([f32; 4], f32)>> {
        let Some(concept) = scene.concepts.iter().find(|c| c.id == id) else {
            return Ok(None);
        };
        let question = format!("Where is <{}>?", sanitize::name(&concept.name));
        let ids = self.prompt_ids(scene, &question)?;
        let logits = scene
            .session
            .prefill(&ids, Some(scene.pictures.photos()), host, &mut |_, _| ())
            .await?;
        let max_tokens = MAX_BOX_TOKENS.min(self.context_length().saturating_sub(ids.len()));
        let answer =
            generate_greedy(&mut scene.session, logits, max_tokens, &self.chat, host).await?;
        let scale = self.box_scale(scene.pictures.photo_size());
        Ok(parse_box(&answer.text, scale).map(|box_| (box_, answer.confidence())))
    }
}

/// Probability a token of a box must have, on average, for the box to stand against a region elsewhere.
const SURE: f32 = 0.9;
/// Overlap from which a box and a region mean the same place.
const SAME_PLACE: f32 = 0.5;

/// The model's box where it is sure or where the region is in the same place, else the region.
///
/// Without a box head regions are windows of a grid, and coarse, but what is in them was compared with the reference.
fn surer(
    written: Option<([f32; 4], f32)>,
    region: Option<([f32; 4], f32)>,
) -> Option<([f32; 4], f32)> {
    let (Some((box_, confidence)), Some((window, _))) = (written, region) else {
        return written.or(region);
    };
    if confidence >= SURE || iou(&box_, &window) >= SAME_PLACE {
        written
    } else {
        region
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsure_box_elsewhere_gives_way_to_the_region() {
        let (left, right) = ([0.0, 0.0, 0.4, 0.4], [0.6, 0.6, 1.0, 1.0]);
        let near = [0.05, 0.0, 0.45, 0.5];
        assert_eq!(
            surer(Some((left, 0.9)), Some((right, 0.8))),
            Some((left, 0.9))
        );
        assert_eq!(
            surer(Some((left, 0.3)), Some((right, 0.8))),
            Some((right, 0.8))
        );
        assert_eq!(
            surer(Some((left, 0.3)), Some((near, 0.8))),
            Some((left, 0.3))
        );
        assert_eq!(surer(Some((left, 0.1)), None), Some((left, 0.1)));
        assert_eq!(surer(None, Some((right, 0.8))), Some((right, 0.8)));
        assert_eq!(surer(None, None), None);
    }
}
