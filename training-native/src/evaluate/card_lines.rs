//! The lines of a model card's tables: what each says, and which figure of which row it is.

/// One line of a table: what it says, and where the figure is.
pub(super) struct Line {
    pub(super) label: &'static str,
    pub(super) row: &'static str,
    pub(super) figure: &'static str,
    /// What a model of this size should reach.
    pub(super) aim: Option<f64>,
}

const fn line(
    label: &'static str,
    row: &'static str,
    figure: &'static str,
    aim: Option<f64>,
) -> Line {
    Line {
        label,
        row,
        figure,
        aim,
    }
}

/// Names in captions.
pub(super) const CAPTIONS: [Line; 9] = [
    line(
        "1 named thing, handed over",
        "caption/1/skip",
        F1,
        Some(0.95),
    ),
    line(
        "2 named things, handed over",
        "caption/2/skip",
        F1,
        Some(0.90),
    ),
    line(
        "4 named things, handed over",
        "caption/4/skip",
        F1,
        Some(0.75),
    ),
    line("1 named thing, retrieved", "caption/1/retrieval", F1, None),
    line("2 named things, retrieved", "caption/2/retrieval", F1, None),
    line("4 named things, retrieved", "caption/4/retrieval", F1, None),
    line("1 named thing, unaided", "caption/1/unaided", F1, None),
    line("2 named things, unaided", "caption/2/unaided", F1, None),
    line("4 named things, unaided", "caption/4/unaided", F1, None),
];
const F1: &str = "strict F1";

/// Captions of photos with as many concepts in the prompt that are not there: who is who, and who is here at all.
pub(super) const BINDING: [Line; 9] = [
    line(
        "1 named thing and 1 absent",
        "caption/1/unaided-all",
        BOUND,
        Some(0.85),
    ),
    line(
        "2 named things and 2 absent",
        "caption/2/unaided-all",
        BOUND,
        Some(0.80),
    ),
    line(
        "4 named things and 4 absent",
        "caption/4/unaided-all",
        BOUND,
        Some(0.70),
    ),
    line("strict F1, 1 and 1", "caption/1/unaided-all", F1, None),
    line("strict F1, 2 and 2", "caption/2/unaided-all", F1, None),
    line("strict F1, 4 and 4", "caption/4/unaided-all", F1, None),
    line(
        "rule: everything given is named, 1 and 1",
        "caption/1/name-all",
        BOUND,
        None,
    ),
    line("the same, 2 and 2", "caption/2/name-all", BOUND, None),
    line("the same, 4 and 4", "caption/4/name-all", BOUND, None),
];
const BOUND: &str = "binding F1";

/// Everything else that is asked.
pub(super) const ANSWERS: [Line; 10] = [
    line(
        "\"Is it here?\", balanced accuracy",
        "recognize",
        "balanced accuracy",
        Some(0.95),
    ),
    line(
        "the same, unaided",
        "recognize/unaided",
        "balanced accuracy",
        None,
    ),
    line(
        "\"Where is it?\", boxes with IoU >= 0.5",
        "locate",
        "IoU >= 0.5",
        Some(0.85),
    ),
    line("no box given", "locate", "without a box", None),
    line(
        "\"Where is it?\", unaided",
        "locate/unaided",
        "IoU >= 0.5",
        None,
    ),
    line(
        "refused: not in the photo",
        "refuse/absent",
        "refused rightly",
        Some(0.95),
    ),
    line(
        "refused: unknown name",
        "refuse/unknown",
        "refused rightly",
        Some(0.95),
    ),
    line(
        "answerable questions answered",
        "answer",
        "answered",
        Some(0.95),
    ),
    line(
        "answered word for word right",
        "answer",
        "word for word right",
        None,
    ),
    line(
        "colour and kind words of plain captions",
        "plain",
        "words found",
        None,
    ),
];

/// Where names and boxes of captions come from and get lost.
pub(super) const PARTS: [Line; 11] = [
    line(
        "boxes of names, IoU >= 0.5, 1 thing handed over",
        "caption/1/skip",
        NAMES,
        None,
    ),
    line("the same, 2 things", "caption/2/skip", NAMES, None),
    line("the same, 4 things", "caption/4/skip", NAMES, None),
    line(
        "regions of retrieval, IoU >= 0.5, 1 thing",
        "caption/1/retrieval",
        REGIONS,
        None,
    ),
    line("the same, 2 things", "caption/2/retrieval", REGIONS, None),
    line("the same, 4 things", "caption/4/retrieval", REGIONS, None),
    line(
        "names lost in writing, 4 things handed over",
        "caption/4/skip",
        "lost in generation",
        None,
    ),
    line(
        "names lost in retrieval, 4 things",
        "caption/4/retrieval",
        "lost in retrieval",
        None,
    ),
    line(
        "captions with a concept retrieved wrongly, 1 thing",
        "caption/1/retrieval",
        STRAYS,
        None,
    ),
    line("the same, 2 things", "caption/2/retrieval", STRAYS, None),
    line("the same, 4 things", "caption/4/retrieval", STRAYS, None),
];
const NAMES: &str = "names: IoU >= 0.5";
const REGIONS: &str = "regions: IoU >= 0.5";
const STRAYS: &str = "with a concept handed over wrongly";

/// Other papers' methods, with our model.
pub(super) const COMPARED: [Line; 9] = [
    line(
        "1 thing, RePIC's retrieval rule",
        "caption/1/repic-retrieval",
        F1,
        None,
    ),
    line(
        "2 things, RePIC's retrieval rule",
        "caption/2/repic-retrieval",
        F1,
        None,
    ),
    line(
        "4 things, RePIC's retrieval rule",
        "caption/4/repic-retrieval",
        F1,
        None,
    ),
    line(
        "1 thing, RePIC's prompt",
        "caption/1/repic-prompt",
        F1,
        None,
    ),
    line(
        "2 things, RePIC's prompt",
        "caption/2/repic-prompt",
        F1,
        None,
    ),
    line(
        "4 things, RePIC's prompt",
        "caption/4/repic-prompt",
        F1,
        None,
    ),
    line("1 thing, RAP's prompt", "caption/1/rap-prompt", F1, None),
    line("2 things, RAP's prompt", "caption/2/rap-prompt", F1, None),
    line("4 things, RAP's prompt", "caption/4/rap-prompt", F1, None),
];
