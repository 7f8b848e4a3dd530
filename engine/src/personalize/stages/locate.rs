//! Stage 8: where each mentioned thing is: the box the model writes, or the region retrieval found.

use super::caller::Caller;
use super::generate_answer::Answer;
use super::prefill::Read;
use super::prompt::Prompt;
use super::vision_pass::EncodedPhotos;
use crate::Result;
use crate::concepts::Retrieved;
use crate::concepts::regions::iou;
use crate::generate::generate_greedy;
use crate::personalize::answer::parse_box;
use crate::personalize::captioner::Captioner;
use crate::personalize::refusal::refusal_class;
use crate::personalize::sanitize;
use crate::personalize::types::{Kind, MentionView, Request, Stage};

/// Longest answer to "Where is it?", tokens.
const MAX_BOX_TOKENS: usize = 24;
/// Probability a token of a box must have, on average, for the box to stand against a region elsewhere.
const SURE: f32 = 0.9;
/// Overlap from which a box and a region mean the same place.
const SAME_PLACE: f32 = 0.5;

/// A box, and how sure its source is of it.
type Placed = ([f32; 4], f32);

/// The mentions of the answer with their boxes.
///
/// Where the regions of the retriever are `exact` they count; else the model is asked where each mentioned concept is, and
/// its box is weighed against the region. A refusal mentions things that are not there: they have no box.
pub(super) async fn locate(
    (captioner, exact): (&Captioner, bool),
    request: &Request,
    (prompt, photos): (&Prompt<'_>, &EncodedPhotos),
    answer: &Answer,
    read: &mut Read<'_>,
    caller: &mut Caller<'_>,
) -> Result<Vec<MentionView>> {
    let mut mentions = answer.mentions.clone();
    let asks_for_names = matches!(request.kind, Kind::Caption | Kind::Ask);
    if !asks_for_names || refusal_class(&answer.generated.text).is_some() {
        return Ok(mentions);
    }
    let mut ids: Vec<String> = mentions.iter().map(|m| m.id.clone()).collect();
    ids.sort();
    ids.dedup();
    let total = ids.len();
    for (done, id) in ids.into_iter().enumerate() {
        let chosen = prompt.chosen.iter().find(|chosen| chosen.concept.id == id);
        let region = chosen.and_then(|c| Some((c.retrieved.box_?, sureness(&c.retrieved))));
        let found = match (region, chosen) {
            (Some(region), _) if exact => Some(region),
            (_, Some(chosen)) => {
                let name = sanitize::name(&chosen.concept.name);
                let written = ask(captioner, (prompt, photos), &name, read, caller).await?;
                surer(written, region)
            }
            (region, None) => region,
        };
        if let Some((box_, confidence)) = found {
            for mention in mentions.iter_mut().filter(|m| m.id == id) {
                (mention.box_, mention.confidence) = (Some(box_), confidence);
            }
        }
        caller.progress(Stage::Locate, done + 1, total);
    }
    Ok(mentions)
}

/// How sure the retriever is of a region, 0 to 1.
fn sureness(found: &Retrieved) -> f32 {
    found.confidence.unwrap_or(found.score.max(0.0))
}

/// Asks the model where the thing of this name is.
async fn ask(
    captioner: &Captioner,
    (prompt, photos): (&Prompt<'_>, &EncodedPhotos),
    name: &str,
    read: &mut Read<'_>,
    caller: &mut Caller<'_>,
) -> Result<Option<Placed>> {
    let question = prompt.with_question(format!("Where is <{name}>?"));
    let tokens = question.tokens(captioner, photos)?;
    let logits = read
        .session
        .prefill(&tokens.ids, tokens.visual(), caller.host, &mut |_, _| ())
        .await?;
    let room = captioner.context_length().saturating_sub(tokens.ids.len());
    let max_tokens = MAX_BOX_TOKENS.min(room);
    let answer = generate_greedy(
        &mut read.session,
        logits,
        max_tokens,
        &captioner.chat,
        caller.host,
    )
    .await?;
    let scale = captioner.box_scale(photos.size());
    Ok(parse_box(&answer.text, scale).map(|box_| (box_, answer.confidence())))
}

/// The model's box where it is sure or where the region is in the same place, else the region.
///
/// Without a box head regions are windows of a grid, and coarse, but what is in them was compared with the reference.
fn surer(written: Option<Placed>, region: Option<Placed>) -> Option<Placed> {
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
