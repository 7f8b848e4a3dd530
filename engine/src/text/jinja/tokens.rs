//! The tokens of one tag, read one after the other.

use super::token::Token;

/// Reads the tokens of one tag.
pub(super) struct Tokens<'a> {
    pub(super) tokens: &'a [Token],
    pub(super) at: usize,
    /// How deep the expression being read is nested.
    pub(super) depth: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
        Self {
            tokens,
            at: 0,
            depth: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub(super) fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), Some(Token::Name(found)) if found == name)
    }

    pub(super) fn is_operator(&self, operator: &str) -> bool {
        matches!(self.peek(), Some(Token::Operator(found)) if *found == operator)
    }

    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let found = self.is_name(name);
        self.at += usize::from(found);
        found
    }

    pub(super) fn skip(&mut self, operator: &str) -> bool {
        let found = self.is_operator(operator);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, operator: &str) -> Result<(), String> {
        if self.skip(operator) {
            return Ok(());
        }
        Err(format!("`{operator}` is expected, not {}", self.here()))
    }

    pub(super) fn name(&mut self) -> Result<&'a str, String> {
        match self.peek() {
            Some(Token::Name(name)) => {
                self.at += 1;
                Ok(name)
            }
            _ => Err(format!("a name is expected, not {}", self.here())),
        }
    }

    pub(super) fn end(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(format!("{} is not expected here", self.here())),
        }
    }

    /// What is next, for messages.
    pub(super) fn here(&self) -> String {
        match self.peek() {
            None => "the end of the tag".into(),
            Some(Token::Name(name)) => format!("`{name}`"),
            Some(Token::Text(text)) => format!("{text:?}"),
            Some(Token::Integer(digits)) => format!("`{digits}`"),
            Some(Token::Float(value)) => format!("`{value}`"),
            Some(Token::Operator(operator)) => format!("`{operator}`"),
        }
    }
}
