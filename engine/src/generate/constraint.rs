//! Names spelled right: inside an opened name, only tokens that continue a known one may follow.

use std::collections::{BTreeMap, BTreeSet};

/// One place in the tree of names: the tokens that may follow, and where they lead.
#[derive(Debug, Clone, Default)]
struct Node {
    next: BTreeMap<u32, usize>,
    /// Whether a name ends here.
    end: bool,
}

/// Follows the tokens of an answer and says which may come next.
///
/// Outside a name anything may. A bracket opens a name, the last token of a name closes it. Names
/// that begin alike share their first tokens; a name that is the beginning of another ends at its
/// closing token.
///
/// A question may hold a bracketed name that is no concept ("Who is `<Zorro>`?"); add its tokens
/// too, or the model cannot repeat it in its refusal.
#[derive(Debug, Clone)]
pub struct NameConstraint {
    nodes: Vec<Node>,
    open: BTreeSet<u32>,
    /// The place inside a name, or `None` outside.
    at: Option<usize>,
}

impl NameConstraint {
    /// `names`: tokens of each name after the bracket, up to and with the closing one. `open`: the
    /// tokens that open a name. Without names nothing is constrained.
    pub fn new(names: &[Vec<u32>], open: &[u32]) -> Self {
        let mut nodes = vec![Node::default()];
        for name in names {
            let mut at = 0;
            for &token in name {
                let fresh = nodes.len();
                let child = *nodes[at].next.entry(token).or_insert(fresh);
                if child == fresh {
                    nodes.push(Node::default());
                }
                at = child;
            }
            nodes[at].end = true;
        }
        Self {
            nodes,
            open: open.iter().copied().collect(),
            at: None,
        }
    }

    /// The tokens that may come next, ascending; `None` where anything may.
    pub fn allowed(&self) -> Option<Vec<u32>> {
        let node = self.nodes.get(self.at?)?;
        // Where a name could end here or go on, neither may be forbidden.
        if node.end || node.next.is_empty() {
            None
        } else {
            Some(node.next.keys().copied().collect())
        }
    }

    /// Takes notice of the token that was chosen. One that continues no name leaves the name.
    pub fn advance(&mut self, token: u32) {
        let inside = self
            .at
            .and_then(|at| self.nodes.get(at))
            .and_then(|node| node.next.get(&token).copied());
        self.at = match inside {
            Some(next) if self.nodes[next].next.is_empty() => None,
            Some(next) => Some(next),
            None if self.open.contains(&token) && !self.nodes[0].next.is_empty() => Some(0),
            None => None,
        };
    }

    /// Forgets the tokens seen: the next one starts an answer.
    pub fn reset(&mut self) {
        self.at = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: u32 = 60;
    const OPEN_SPACED: u32 = 160;
    const CLOSE: u32 = 62;

    fn constraint(names: &[&[u32]]) -> NameConstraint {
        let names: Vec<Vec<u32>> = names
            .iter()
            .map(|n| n.iter().copied().chain([CLOSE]).collect())
            .collect();
        NameConstraint::new(&names, &[OPEN, OPEN_SPACED])
    }

    #[test]
    fn only_names_follow_a_bracket() {
        // 1 = "An", 2 = "na", 3 = "Bo": An, Anna, Bo.
        let mut c = constraint(&[&[1], &[1, 2], &[3]]);
        assert_eq!(c.allowed(), None);
        c.advance(9);
        assert_eq!(
            c.allowed(),
            None,
            "outside a name anything goes, also a name without brackets"
        );
        c.advance(OPEN_SPACED);
        assert_eq!(c.allowed(), Some(vec![1, 3]));
        c.advance(1);
        assert_eq!(
            c.allowed(),
            Some(vec![2, CLOSE]),
            "a name that begins another may end"
        );
        c.advance(2);
        assert_eq!(c.allowed(), Some(vec![CLOSE]));
        c.advance(CLOSE);
        assert_eq!(c.allowed(), None);
        c.advance(OPEN);
        c.advance(3);
        assert_eq!(
            c.allowed(),
            Some(vec![CLOSE]),
            "a second name works like the first"
        );
        c.reset();
        assert_eq!(c.allowed(), None);
    }

    #[test]
    fn odd_input_never_locks_the_answer() {
        let mut none = constraint(&[]);
        none.advance(OPEN);
        assert_eq!(none.allowed(), None, "no names, no constraint");
        let mut empty = NameConstraint::new(&[vec![]], &[OPEN]);
        empty.advance(OPEN);
        assert_eq!(empty.allowed(), None);
        let mut nested = NameConstraint::new(&[vec![1], vec![1, 2]], &[OPEN]);
        nested.advance(OPEN);
        nested.advance(1);
        assert_eq!(
            nested.allowed(),
            None,
            "the end of one name in the middle of another"
        );
        nested.advance(OPEN);
        assert_eq!(nested.allowed(), Some(vec![1]));
        nested.advance(99);
        assert_eq!(
            nested.allowed(),
            None,
            "a token that was forced from outside leaves the name"
        );
    }

    #[test]
    fn every_walk_spells_a_name() {
        let names: [&[u32]; 4] = [&[1, 2, 3], &[1, 2], &[4], &[1, 5, 2]];
        let mut todo = vec![(constraint(&names), Vec::new())];
        todo[0].0.advance(OPEN);
        let mut spelled = Vec::new();
        while let Some((c, path)) = todo.pop() {
            match c.allowed() {
                None => spelled.push(path),
                Some(tokens) => todo.extend(tokens.into_iter().map(|t| {
                    let (mut c, mut path) = (c.clone(), path.clone());
                    c.advance(t);
                    path.push(t);
                    (c, path)
                })),
            }
        }
        spelled.sort();
        let mut want: Vec<Vec<u32>> = names
            .iter()
            .map(|n| n.iter().copied().chain([CLOSE]).collect())
            .collect();
        want.sort();
        assert_eq!(spelled, want);
    }
}
