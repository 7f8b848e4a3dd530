//! Names spelled right: inside an opened name, only tokens whose text continues a known one may follow.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::text::{Pieces, Tokenizer};

/// Which tokens may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed<'a> {
    /// These only, ascending; never none.
    Only(&'a [u32]),
    /// All but these, ascending.
    Except(&'a [u32]),
}

impl Allowed<'_> {
    /// Everything.
    pub const ANY: Self = Self::Except(&[]);
}

/// One place in the tree of names: the bytes that may follow a `<`, and where they lead.
#[derive(Debug, Clone, Default)]
struct Node {
    next: BTreeMap<u8, usize>,
    /// Whether the closing bracket has come.
    closed: bool,
    /// Tokens that may follow here, ascending; a place without any is never entered.
    tokens: Vec<u32>,
}

/// Follows the text of an answer and says which tokens may come next.
///
/// It knows no tokens by sight: what counts is the text each adds, whether a token is a part of a character, a bracket
/// together with the letters after it, or the end of one name and the beginning of the next. In that text every `<` opens a
/// name, and what follows is one of the names up to its `>`. Names that the tokens cannot spell are left out, and without
/// any name nothing is constrained.
///
/// A question may hold a bracketed name that is no concept ("Who is `<Zorro>`?"); add it too, or the model cannot repeat it
/// in its refusal.
#[derive(Debug, Clone)]
pub struct NameConstraint {
    pieces: Arc<Pieces>,
    nodes: Vec<Node>,
    /// Tokens that may not stand outside a name: they open one that is not known.
    barred: Vec<u32>,
    /// The place inside a name, or `None` outside.
    at: Option<usize>,
}

/// Behind the `<`.
const ROOT: usize = 0;

impl NameConstraint {
    /// `names` as they stand between the brackets; those that hold a bracket cannot be told and are left out. `ends`: tokens
    /// that end an answer and stay possible whatever their text.
    pub fn new<'n>(
        names: impl IntoIterator<Item = &'n str>,
        tokenizer: &Tokenizer,
        ends: &[u32],
    ) -> Self {
        let mut constraint = Self {
            pieces: tokenizer.pieces(),
            nodes: vec![Node::default()],
            barred: Vec::new(),
            at: None,
        };
        for name in names {
            if !name.is_empty() && !name.contains(['<', '>']) {
                constraint.add(name);
            }
        }
        constraint.find_tokens();
        if constraint.nodes[ROOT].tokens.is_empty() {
            return constraint;
        }
        let pieces = Arc::clone(&constraint.pieces);
        constraint.barred = pieces
            .sorted()
            .iter()
            .copied()
            .filter(|id| constraint.walk(None, pieces.get(*id)).is_none() && !ends.contains(id))
            .collect();
        constraint.barred.sort_unstable();
        constraint
    }

    /// Bars one token more outside of names.
    pub fn bar(&mut self, token: u32) {
        if let Err(at) = self.barred.binary_search(&token) {
            self.barred.insert(at, token);
        }
    }

    /// The tokens that may come next.
    pub fn allowed(&self) -> Allowed<'_> {
        match self.at.and_then(|at| self.nodes.get(at)) {
            Some(node) if !node.tokens.is_empty() => Allowed::Only(&node.tokens),
            _ => Allowed::Except(&self.barred),
        }
    }

    /// Takes notice of the token that was chosen. One that continues no name leaves the name.
    pub fn advance(&mut self, token: u32) {
        let pieces = Arc::clone(&self.pieces);
        for &byte in pieces.get(token) {
            self.at = self.step(self.at, byte).unwrap_or(match byte {
                b'<' => Some(ROOT),
                _ => None,
            });
        }
    }

    /// Forgets the tokens seen: the next one starts an answer.
    pub fn reset(&mut self) {
        self.at = None;
    }

    fn add(&mut self, name: &str) {
        let mut at = ROOT;
        for byte in name.bytes().chain([b'>']) {
            let fresh = self.nodes.len();
            let child = *self.nodes[at].next.entry(byte).or_insert(fresh);
            if child == fresh {
                self.nodes.push(Node::default());
            }
            at = child;
        }
        self.nodes[at].closed = true;
    }

    /// Finds for every place the tokens that lead on from it, the deepest places first: a token that ends at a place from
    /// which no token leads on is none.
    fn find_tokens(&mut self) {
        for node in (0..self.nodes.len()).rev() {
            self.nodes[node].tokens = self.tokens_from(node);
        }
        // Tokens that close a name and open another: whether that one can be spelled is known only now.
        let pieces = Arc::clone(&self.pieces);
        loop {
            let mut changed = false;
            for node in (0..self.nodes.len()).rev() {
                let mut tokens = self.nodes[node].tokens.clone();
                tokens.retain(|&id| self.walk(Some(node), pieces.get(id)).is_some());
                changed |= tokens.len() < self.nodes[node].tokens.len();
                self.nodes[node].tokens = tokens;
            }
            if !changed {
                break;
            }
        }
    }

    /// The tokens whose text leads from `node` to the end of a name, or to a place with tokens of its own.
    fn tokens_from(&self, node: usize) -> Vec<u32> {
        let mut found = Vec::new();
        let mut todo = vec![(node, 0, self.pieces.sorted())];
        while let Some((node, depth, range)) = todo.pop() {
            let here = &self.nodes[node];
            if here.closed {
                found.extend_from_slice(range);
                continue;
            }
            let longer = range.partition_point(|&id| self.pieces.get(id).len() <= depth);
            if depth > 0 && !here.tokens.is_empty() {
                found.extend_from_slice(&range[..longer]);
            }
            let range = &range[longer..];
            for (&byte, &child) in &here.next {
                let byte_of = |id: &u32| self.pieces.get(*id)[depth];
                let start = range.partition_point(|id| byte_of(id) < byte);
                let end = range.partition_point(|id| byte_of(id) <= byte);
                if start < end {
                    todo.push((child, depth + 1, &range[start..end]));
                }
            }
        }
        found.sort_unstable();
        found
    }

    /// Where `bytes` lead from a place; `None` if they are no part of a name there, or end where no token leads on.
    fn walk(&self, from: Option<usize>, bytes: &[u8]) -> Option<Option<usize>> {
        let mut at = from;
        for &byte in bytes {
            at = self.step(at, byte)?;
        }
        let open_end = at.is_some_and(|at| self.nodes[at].tokens.is_empty());
        (!open_end).then_some(at)
    }

    fn step(&self, at: Option<usize>, byte: u8) -> Option<Option<usize>> {
        match at {
            None if byte == b'<' => Some(Some(ROOT)),
            None => Some(None),
            Some(node) => {
                let next = *self.nodes[node].next.get(&byte)?;
                Some((!self.nodes[next].closed).then_some(next))
            }
        }
    }
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
