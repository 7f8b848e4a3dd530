//! A Jinja source cut into text, tags and their tokens, with white space around tags removed as Jinja 2 does it.

use super::literal;
use super::token::Token;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Text that is printed as it is.
    Text(String),
    /// `{{ ... }}`.
    Print(Vec<Token>),
    /// `{% ... %}`.
    Block(Vec<Token>),
}

/// Longer ones first.
const OPERATORS: [&str; 24] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}",
    ">", "<", "=", ".", ":", "|",
];
const MORE_OPERATORS: [&str; 2] = [",", ";"];

/// What opens a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Print,
    Block,
    Comment,
}

/// Cuts a source into pieces.
///
/// # Errors
/// What is wrong with the source, and in which line.
pub(super) fn pieces(source: &str) -> Result<Vec<Piece>, String> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer {
        source,
        at: 0,
        line_start: true,
        pieces: Vec::new(),
    };
    lexer
        .run()
        .map_err(|problem| format!("{problem} (line {})", lexer.line()))?;
    Ok(lexer.pieces)
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    /// Whether what was read last ended a line.
    line_start: bool,
    pieces: Vec<Piece>,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        &self.source[self.at..]
    }

    fn line(&self) -> usize {
        self.source[..self.at].matches('\n').count() + 1
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let rest = &self.source[self.at..];
            let opening = rest.match_indices('{').find_map(|(at, _)| {
                let kind = match rest.as_bytes().get(at + 1)? {
                    b'{' => Kind::Print,
                    b'%' => Kind::Block,
                    b'#' => Kind::Comment,
                    _ => return None,
                };
                Some((at, kind))
            });
            let Some((length, kind)) = opening else {
                self.text(rest);
                return Ok(());
            };
            self.at += length + 2;
            let sign = self.sign(kind);
            self.text_before(&rest[..length], sign, kind);
            match kind {
                Kind::Comment => self.comment()?,
                Kind::Print => {
                    let tokens = self.tokens("}}")?;
                    self.pieces.push(Piece::Print(tokens));
                }
                Kind::Block if self.opens_raw() => self.raw()?,
                Kind::Block => {
                    let tokens = self.tokens("%}")?;
                    self.pieces.push(Piece::Block(tokens));
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    /// The sign behind the opening of a tag.
    fn sign(&mut self, kind: Kind) -> Option<char> {
        let sign = self.rest().chars().next();
        let sign = sign.filter(|c| *c == '-' || (*c == '+' && kind != Kind::Print));
        self.at += sign.map_or(0, char::len_utf8);
        sign
    }

    /// Text in front of a tag: without white space before `-`, and without the indentation of a block on its own line.
    fn text_before(&mut self, text: &str, sign: Option<char>, kind: Kind) {
        let line = text.rfind('\n').map_or(0, |at| at + 1);
        let kept = match sign {
            Some('-') => text.trim_end_matches(is_space),
            Some(_) => text,
            None if kind == Kind::Print => text,
            None if (line > 0 || self.line_start) && text[line..].chars().all(is_space) => {
                &text[..line]
            }
            None => text,
        };
        let kept = kept.to_owned();
        self.text(&kept);
    }

    /// Goes behind the end of a tag, `end` being next in the source, and behind the white space that belongs to it.
    fn close(&mut self, sign: Option<char>, end: &str) {
        self.at += end.len();
        let rest = self.rest();
        let blank = match sign {
            Some('-') => rest.len() - rest.trim_start_matches(is_space).len(),
            None if end != "}}" && rest.starts_with('\n') => 1,
            _ => 0,
        };
        self.at += blank;
        self.line_start = self.source[..self.at].ends_with('\n');
    }

    fn comment(&mut self) -> Result<(), String> {
        let end = self.rest().find("#}").ok_or("a comment has no end")?;
        let sign = self.rest()[..end].chars().next_back();
        self.at += end;
        self.close(sign.filter(|c| matches!(c, '-' | '+')), "#}");
        Ok(())
    }

    /// Whether the tag is `{% raw %}`, whose end has no `+`.
    fn opens_raw(&self) -> bool {
        let rest = self.rest().trim_start_matches(is_space);
        rest.strip_prefix("raw").is_some_and(|rest| {
            let rest = rest.trim_start_matches(is_space);
            rest.starts_with("%}") || rest.starts_with("-%}")
        })
    }

    fn raw(&mut self) -> Result<(), String> {
        let end = self.rest().find("%}").unwrap_or_default();
        let strips = self.rest()[..end].ends_with('-');
        self.at += end + 2;
        if strips {
            self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
        }
        self.line_start = self.source[..self.at].ends_with('\n');
        let rest = &self.source[self.at..];
        let found = rest.match_indices("{%").find_map(|(at, _)| {
            let inner = &rest[at + 2..];
            let sign = inner.chars().next().filter(|c| matches!(c, '-' | '+'));
            let inner = inner[sign.map_or(0, char::len_utf8)..].trim_start_matches(is_space);
            let inner = inner.strip_prefix("endraw")?.trim_start_matches(is_space);
            let last = inner.chars().next().filter(|c| matches!(c, '-' | '+'));
            let inner = &inner[last.map_or(0, char::len_utf8)..];
            inner
                .starts_with("%}")
                .then_some((at, sign, last, rest.len() - inner.len()))
        });
        let (length, sign, last, end) = found.ok_or("`raw` has no `endraw`")?;
        self.text_before(&rest[..length], sign, Kind::Block);
        self.at += end;
        self.close(last, "%}");
        Ok(())
    }

    /// The tokens up to `end`, which is passed.
    fn tokens(&mut self, end: &'static str) -> Result<Vec<Token>, String> {
        let mut tokens = Vec::new();
        let mut open = Vec::new();
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(is_space).len();
            self.at += blank;
            let rest = self.rest();
            if open.is_empty() {
                let sign = rest.chars().next();
                let sign = sign.filter(|c| *c == '-' || (*c == '+' && end == "%}"));
                let behind = &rest[sign.map_or(0, char::len_utf8)..];
                if behind.starts_with(end) {
                    self.at += sign.map_or(0, char::len_utf8);
                    self.close(sign, end);
                    return Ok(tokens);
                }
            }
            let (token, length) = token(rest, tokens.last())?;
            match &token {
                Token::Operator("(") => open.push(")"),
                Token::Operator("[") => open.push("]"),
                Token::Operator("{") => open.push("}"),
                Token::Operator(closing @ (")" | "]" | "}")) => {
                    let opened = open.pop();
                    if opened != Some(*closing) {
                        return Err(format!("`{closing}` closes nothing"));
                    }
                }
                _ => {}
            }
            tokens.push(token);
            self.at += length;
        }
    }
}

/// The token at the beginning of `rest`, and its length in bytes.
fn token(rest: &str, before: Option<&Token>) -> Result<(Token, usize), String> {
    let first = rest.chars().next().ok_or("a tag has no end")?;
    if first.is_ascii_digit() {
        // Behind a dot digits are an index: `parts.0.1`.
        let fraction = before != Some(&Token::Operator("."));
        return literal::number(rest, fraction);
    }
    if matches!(first, '"' | '\'') {
        let (text, length) = literal::text(rest, first)?;
        return Ok((Token::Text(text), length));
    }
    if first == '_' || first.is_alphabetic() {
        let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric());
        let end = end.unwrap_or(rest.len());
        return Ok((Token::Name(rest[..end].to_owned()), end));
    }
    OPERATORS
        .iter()
        .chain(&MORE_OPERATORS)
        .find(|operator| rest.starts_with(**operator))
        .map(|operator| (Token::Operator(operator), operator.len()))
        .ok_or_else(|| format!("{first:?} is not expected in a tag"))
}

/// White space as Python sees it.
pub(super) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}
