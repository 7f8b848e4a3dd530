//! The names of parameters: ours, and those a checkpoint stores them under.
//!
//! Ours are the keys of SmolVLM checkpoints (`model.text_model.layers.0.self_attn.q_proj.weight`). A family whose
//! checkpoints say it otherwise lists the differences; nothing else in the engine knows them.

/// One of several equal blocks of rows that a checkpoint keeps as one tensor, such as `qkv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which block, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

/// Where a parameter is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Name of the tensor.
    pub name: String,
    /// Its block of the rows, when it is not the whole tensor.
    pub part: Option<Part>,
}

/// A piece of a name between dots: ours, the file's, and the block of rows it stands for.
pub type Piece = (&'static str, &'static str, Option<Part>);

/// How names with one beginning are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The beginning we use.
    pub ours: &'static str,
    /// Beginnings files have in its place, newest first.
    pub theirs: &'static [&'static str],
    /// Pieces behind the beginning that have another name; all that fit are exchanged, in this order.
    pub pieces: &'static [Piece],
}

/// How a family's checkpoints name what we call otherwise; of several groups that fit a key the first is the usual one.
pub type Names = &'static [Group];

/// Block `index` of three: queries, keys or values of a fused projection.
pub const fn third(index: usize) -> Option<Part> {
    Some(Part { index, of: 3 })
}

/// Block `index` of two: the gate or what it is multiplied with, of a fused projection.
pub const fn half(index: usize) -> Option<Part> {
    Some(Part { index, of: 2 })
}

/// Every place `key` may be stored at, the usual one first; a key of no group is stored under its own name.
pub fn stored(names: &[Group], key: &str) -> Vec<Stored> {
    let fit = names
        .iter()
        .filter_map(|group| Some((key.strip_prefix(group.ours)?, group)));
    let places: Vec<Stored> = fit
        .flat_map(|(rest, group)| in_group(group, rest))
        .collect();
    match places.is_empty() {
        true => vec![Stored {
            name: key.to_owned(),
            part: None,
        }],
        false => places,
    }
}

/// The places of what is `rest` behind the beginning of `group`.
fn in_group(group: &Group, rest: &str) -> Vec<Stored> {
    let mut rest = rest.to_owned();
    let mut part = None;
    for &(ours, theirs, block) in group.pieces {
        if let Some(at) = piece(&rest, ours) {
            rest.replace_range(at..at + ours.len(), theirs);
            part = part.or(block);
        }
    }
    let place = |prefix: &&str| Stored {
        name: format!("{prefix}{rest}"),
        part,
    };
    group.theirs.iter().map(place).collect()
}

/// A stored name as the newest files spell it, so that two spellings of one tensor can be told to be the same.
///
/// The name of a family whose files need no group may become one that no file has; it is for comparing only.
pub fn newest(names: Names, stored: &str) -> String {
    let respelt = |group: &Group| {
        let rest = group.theirs.iter().find_map(|p| stored.strip_prefix(p))?;
        Some(format!("{}{rest}", group.theirs.first()?))
    };
    names
        .iter()
        .find_map(respelt)
        .unwrap_or_else(|| stored.to_owned())
}

/// Where `piece` stands in `name`, whole between dots: `norm` is not found in `norm1`.
fn piece(name: &str, piece: &str) -> Option<usize> {
    name.match_indices(piece).map(|(at, _)| at).find(|&at| {
        let end = at + piece.len();
        (at == 0 || name[..at].ends_with('.'))
            && (end == name.len() || name[end..].starts_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = &[
        Group {
            ours: "model.vision_model.",
            theirs: &["model.visual.", "visual."],
            pieces: &[
                ("encoder.layers", "blocks", None),
                ("self_attn.k_proj", "attn.qkv", third(1)),
            ],
        },
        Group {
            ours: "model.text_model.",
            theirs: &["model.language_model.", "model."],
            pieces: &[],
        },
        Group {
            ours: "model.connector.",
            theirs: &["visual.merger."],
            pieces: &[("norm", "ln_q", None)],
        },
    ];

    fn names(key: &str) -> Vec<String> {
        stored(NAMES, key).into_iter().map(|s| s.name).collect()
    }

    #[test]
    fn beginnings_and_pieces_are_exchanged() {
        assert_eq!(
            names("model.text_model.norm.weight"),
            ["model.language_model.norm.weight", "model.norm.weight"]
        );
        let keys = stored(
            NAMES,
            "model.vision_model.encoder.layers.3.self_attn.k_proj.bias",
        );
        assert_eq!(keys[1].name, "visual.blocks.3.attn.qkv.bias");
        assert_eq!(keys[1].part, Some(Part { index: 1, of: 3 }));
        assert_eq!(names("lm_head.weight"), ["lm_head.weight"]);
    }

    #[test]
    fn every_spelling_of_a_tensor_has_one_newest_name() {
        for key in [
            "model.vision_model.encoder.layers.3.self_attn.k_proj.bias",
            "model.text_model.layers.0.mlp.up_proj.weight",
            "model.text_model.norm.weight",
            "lm_head.weight",
        ] {
            let spellings = stored(NAMES, key);
            for Stored { name, .. } in &spellings {
                assert_eq!(newest(NAMES, name), spellings[0].name, "{name}");
            }
        }
    }

    #[test]
    fn only_whole_pieces_count() {
        assert_eq!(
            names("model.connector.norm.weight"),
            ["visual.merger.ln_q.weight"]
        );
        assert_eq!(
            names("model.connector.norm1.weight"),
            ["visual.merger.norm1.weight"]
        );
        assert_eq!(
            names("model.connector.layer_norm.weight"),
            ["visual.merger.layer_norm.weight"]
        );
    }
}
