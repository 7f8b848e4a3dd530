//! The retrieval order of RAP and RePIC, exactly as their code has it, for comparisons.
//!
//! No threshold, no whole-photo fallback, brackets required: keys in the question come first at
//! distance 0 and do not use up `top_k`; visual neighbours follow by distance until the total
//! reaches `top_k`. Our own retrieval is [`super::retrieval`].

/// How concepts are asked for by name.
#[derive(Debug, Clone, Copy)]
pub enum Ask<'a> {
    /// A question: every key that occurs in it, exactly, as a substring.
    Text(&'a str),
    /// Skip-retrieval: a list of keys.
    Keys(&'a [&'a str]),
}

/// Indices into `keys` with their distance, in the order the concepts enter the prompt.
///
/// `keys` are the database keys (`<anya>`) in database order. `crops` holds, for each detected
/// region, its neighbours as (index into `keys`, squared L2 distance), nearest first; the first
/// `neighbours` of each count (RePIC: `top_k`; RAP: always 2). Equal distances keep the order of
/// crop and rank.
pub fn retrieve(
    keys: &[&str],
    ask: Ask<'_>,
    crops: &[Vec<(usize, f32)>],
    neighbours: usize,
    top_k: usize,
) -> Vec<(usize, f32)> {
    let asked = |key: &str| match ask {
        Ask::Text(question) => question.contains(key),
        Ask::Keys(list) => list.contains(&key),
    };
    let mut found: Vec<(usize, f32)> = keys
        .iter()
        .enumerate()
        .filter(|(_, key)| asked(key))
        .map(|(at, _)| (at, 0.0))
        .collect();
    let mut pairs: Vec<(usize, f32)> = crops
        .iter()
        .flat_map(|crop| crop.iter().take(neighbours).copied())
        .collect();
    pairs.sort_by(|a, b| a.1.total_cmp(&b.1));
    for (at, distance) in pairs {
        if found.len() >= top_k {
            break;
        }
        if found.iter().all(|(seen, _)| *seen != at) {
            found.push((at, distance));
        }
    }
    found
}

/// Squared L2 distance of two unit vectors from their cosine similarity.
pub fn squared_l2(cosine: f32) -> f32 {
    2.0 - 2.0 * cosine
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 3] = ["<d0>", "<d1>", "<d2>"];

    fn golden(ask: Ask<'_>, top_k: usize) -> Vec<(usize, f32)> {
        let crops = [vec![(1, 0.10), (0, 0.40)], vec![(1, 0.05), (2, 0.30)]];
        retrieve(&KEYS, ask, &crops, top_k, top_k)
    }

    #[test]
    fn golden_order() {
        assert_eq!(golden(Ask::Text("Describe."), 2), [(1, 0.05), (2, 0.30)]);
        assert_eq!(
            golden(Ask::Text("What does <d0> do?"), 2),
            [(0, 0.0), (1, 0.05)]
        );
        assert_eq!(
            golden(Ask::Text("<d2> and <d0>"), 1),
            [(0, 0.0), (2, 0.0)],
            "database order"
        );
        assert_eq!(
            golden(Ask::Text("d0 <D0>"), 2),
            [(1, 0.05), (2, 0.30)],
            "brackets and case count"
        );
        assert_eq!(
            golden(Ask::Keys(&["<d1>", "<d2>"]), 1),
            [(1, 0.0), (2, 0.0)]
        );
        assert!(retrieve(&KEYS, Ask::Text("Describe."), &[], 2, 2).is_empty());
    }

    #[test]
    fn each_crop_gives_only_its_nearest() {
        let crops = [vec![(0, 0.1), (1, 0.2), (2, 0.3)]];
        assert_eq!(
            retrieve(&KEYS, Ask::Text(""), &crops, 2, 4),
            [(0, 0.1), (1, 0.2)]
        );
        assert_eq!(
            retrieve(
                &KEYS,
                Ask::Text(""),
                &[vec![(2, 0.5)], vec![(1, 0.5)]],
                1,
                1
            ),
            [(2, 0.5)],
            "stable ties"
        );
    }

    #[test]
    fn distances_follow_cosines() {
        let distances = [1.0, 0.9, 0.5, 0.0].map(squared_l2);
        for (got, want) in distances.iter().zip([0.0, 0.2, 1.0, 2.0]) {
            // One rounding of a number near 2.
            assert!((got - want).abs() < 3e-7, "{got} {want}");
        }
    }
}
