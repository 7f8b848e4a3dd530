//! Expressions of Jinja 2 in the words of the template library: the same grammar, with Python's operators as functions.
//!
//! The library's own operators differ from Python's (`%` formats no text, `~` prints `true` for `True`, slices step
//! backwards wrongly) and know no bounds; [`super::operators`] has those that are called instead.

use std::fmt::Write as _;

use super::token::Token;
use super::tokens::Tokens;

/// How deep expressions may be nested; the library has a bound of its own not far above.
const DEEPEST: usize = 40;

type Parsed<T = String> = Result<T, String>;

impl Tokens<'_> {
    /// An expression, or several between commas: a tuple.
    pub(super) fn tuple(&mut self) -> Parsed {
        let first = self.expression()?;
        if !self.is_operator(",") {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.skip(",") {
            let over = matches!(self.peek(), None | Some(Token::Operator(")" | "=")));
            if over {
                break;
            }
            all.push(self.expression()?);
        }
        Ok(format!("__tuple({})", all.join(", ")))
    }

    /// An expression with `a if b else c`.
    pub(super) fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("an expression is nested too deep".into());
        }
        let mut value = self.or()?;
        while self.skip_name("if") {
            let test = self.or()?;
            value = match self.skip_name("else") {
                true => format!("({value} if {test} else {})", self.expression()?),
                false => format!("({value} if {test})"),
            };
        }
        self.depth -= 1;
        Ok(value)
    }

    /// An expression without a condition behind it.
    pub(super) fn or(&mut self) -> Parsed {
        let mut all = vec![self.and()?];
        while self.skip_name("or") {
            all.push(self.and()?);
        }
        Ok(joined(all, " or "))
    }

    fn and(&mut self) -> Parsed {
        let mut all = vec![self.not()?];
        while self.skip_name("and") {
            all.push(self.not()?);
        }
        Ok(joined(all, " and "))
    }

    fn not(&mut self) -> Parsed {
        let mut times = 0;
        while self.skip_name("not") {
            times += 1;
        }
        let value = self.compare()?;
        Ok(match times {
            0 => value,
            odd if odd % 2 == 1 => format!("(not {value})"),
            _ => format!("(not (not {value}))"),
        })
    }

    fn compare(&mut self) -> Parsed {
        let mut left = self.sum()?;
        let mut all = Vec::new();
        loop {
            let not_in = self.is_name("not")
                && matches!(self.tokens.get(self.at + 1), Some(Token::Name(name)) if name == "in");
            let operator = match self.peek() {
                Some(Token::Operator(operator @ ("==" | "!=" | "<" | "<=" | ">" | ">="))) => {
                    operator
                }
                Some(Token::Name(name)) if name == "in" => "in",
                _ if not_in => "not in",
                _ => break,
            };
            self.at += 1 + usize::from(not_in);
            let right = self.sum()?;
            // The library walks through both sides and counts nothing.
            let (one, other) = (format!("__walked({left})"), format!("__walked({right})"));
            all.push(match operator {
                "not in" => format!("(not ({one} in {other}))"),
                _ => format!("({one} {operator} {other})"),
            });
            left = right;
        }
        Ok(if all.is_empty() {
            left
        } else {
            joined(all, " and ")
        })
    }

    fn sum(&mut self) -> Parsed {
        self.chain(&[("+", "+"), ("-", "-")], Self::concat)
    }

    fn concat(&mut self) -> Parsed {
        let mut all = vec![self.product()?];
        while self.skip("~") {
            all.push(self.product()?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => format!("__concat({})", all.join(", ")),
        })
    }

    fn product(&mut self) -> Parsed {
        self.chain(
            &[("*", "*"), ("/", "/"), ("//", "f"), ("%", "%")],
            Self::power,
        )
    }

    fn power(&mut self) -> Parsed {
        self.chain(&[("**", "^")], Self::unary)
    }

    /// Operators of one rank, from left to right, as one call: a nested one for each would soon be too deep.
    fn chain(&mut self, ranks: &[(&str, &str)], part: fn(&mut Self) -> Parsed) -> Parsed {
        let mut all = vec![part(self)?];
        let mut operators = String::new();
        while let Some((_, letter)) = ranks
            .iter()
            .find(|(operator, _)| self.is_operator(operator))
        {
            self.at += 1;
            operators.push_str(letter);
            all.push(part(self)?);
        }
        Ok(match all.len() {
            1 => all.remove(0),
            _ => format!("__math(\"{operators}\", {})", all.join(", ")),
        })
    }

    fn unary(&mut self) -> Parsed {
        let value = self.signed()?;
        self.filters(value)
    }

    /// A value with its signs, before any filter.
    fn signed(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("an expression is nested too deep".into());
        }
        let value = if self.skip("-") {
            format!("__math(\"-\", 0, {})", self.signed()?)
        } else if self.skip("+") {
            self.signed()?
        } else {
            self.primary()?
        };
        self.depth -= 1;
        self.postfix(value)
    }

    fn primary(&mut self) -> Parsed {
        match self.next() {
            Some(Token::Name(name)) => Ok(match name.as_str() {
                "True" | "true" => "true".into(),
                "False" | "false" => "false".into(),
                "None" | "none" => "none".into(),
                name if name.starts_with("__") => {
                    return Err(format!("the name `{name}` is not allowed"));
                }
                name => name.to_owned(),
            }),
            Some(Token::Text(text)) => {
                let mut text = text.clone();
                while let Some(Token::Text(more)) = self.peek() {
                    text.push_str(more);
                    self.at += 1;
                }
                Ok(quoted(&text))
            }
            Some(Token::Integer(digits)) => Ok(digits.clone()),
            Some(Token::Float(value)) => Ok(float(*value)),
            Some(Token::Operator("(")) => {
                if self.skip(")") {
                    return Ok("__tuple()".into());
                }
                let value = self.tuple()?;
                self.expect(")")?;
                Ok(format!("({value})"))
            }
            Some(Token::Operator("[")) => {
                let items = self.list("]", Self::expression)?;
                Ok(format!("[{}]", items.join(", ")))
            }
            Some(Token::Operator("{")) => {
                let items = self.list("}", |tokens| {
                    let key = tokens.expression()?;
                    tokens.expect(":")?;
                    Ok(format!("{key}: {}", tokens.expression()?))
                })?;
                Ok(format!("{{ {} }}", items.join(", ")))
            }
            _ => {
                self.at = self.at.saturating_sub(1);
                Err(format!("a value is expected, not {}", self.here()))
            }
        }
    }

    /// Parts between commas up to `end`, which is passed.
    fn list(&mut self, end: &str, part: impl Fn(&mut Self) -> Parsed) -> Parsed<Vec<String>> {
        let mut all = Vec::new();
        while !self.skip(end) {
            if !all.is_empty() {
                self.expect(",")?;
                if self.skip(end) {
                    break;
                }
            }
            all.push(part(self)?);
        }
        Ok(all)
    }

    fn postfix(&mut self, mut value: String) -> Parsed {
        loop {
            if self.skip(".") {
                match self.next() {
                    Some(Token::Name(name)) if !name.starts_with("__") => {
                        let _ = write!(value, ".{name}");
                    }
                    Some(Token::Integer(index)) => {
                        let _ = write!(value, "[{index}]");
                    }
                    _ => return Err("a name is expected behind `.`".into()),
                }
            } else if self.skip("[") {
                value = self.subscript(value)?;
            } else if self.is_operator("(") {
                let arguments = self.arguments()?;
                value = format!("{value}({arguments})");
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, value: String) -> Parsed {
        let mut parts: Vec<Option<String>> = Vec::new();
        loop {
            let empty = self.is_operator(":") || self.is_operator("]");
            parts.push(match empty {
                true => None,
                false => Some(self.expression()?),
            });
            if !self.skip(":") {
                break;
            }
        }
        self.expect("]")?;
        let part = |at: usize| parts.get(at).cloned().flatten();
        let or_none = |at: usize| part(at).unwrap_or_else(|| "none".into());
        match parts.len() {
            1 => match part(0) {
                Some(index) => Ok(format!("{value}[{index}]")),
                None => Err("an index is expected in `[]`".into()),
            },
            2 | 3 => Ok(format!(
                "__slice({value}, {}, {}, {})",
                or_none(0),
                or_none(1),
                or_none(2)
            )),
            _ => Err("a slice has more than three parts".into()),
        }
    }

    /// Arguments in parentheses.
    pub(super) fn arguments(&mut self) -> Parsed {
        self.expect("(")?;
        let all = self.list(")", |tokens| {
            if tokens.skip("**") {
                return Ok(format!("**{}", tokens.expression()?));
            }
            if tokens.skip("*") {
                return Ok(format!("*{}", tokens.expression()?));
            }
            let named = matches!(tokens.peek(), Some(Token::Name(_)))
                && tokens.tokens.get(tokens.at + 1) == Some(&Token::Operator("="));
            if !named {
                return tokens.expression();
            }
            let name = tokens.name()?;
            tokens.expect("=")?;
            Ok(format!("{name}={}", tokens.expression()?))
        })?;
        Ok(all.join(", "))
    }

    /// Filters, tests and calls behind a value.
    fn filters(&mut self, mut value: String) -> Parsed {
        loop {
            if self.skip("|") {
                let (name, arguments) = self.filter()?;
                let comma = if arguments.is_empty() { "" } else { ", " };
                value = format!("__filter(\"{name}\", {value}{comma}{arguments})");
            } else if self.skip_name("is") {
                value = self.test(&value)?;
            } else if self.is_operator("(") {
                let arguments = self.arguments()?;
                value = format!("{value}({arguments})");
            } else {
                return Ok(value);
            }
        }
    }

    /// The name of a filter and its arguments.
    pub(super) fn filter(&mut self) -> Parsed<(String, String)> {
        let name = self.name()?.to_owned();
        let arguments = match self.is_operator("(") {
            true => self.arguments()?,
            false => String::new(),
        };
        Ok((name, arguments))
    }

    fn test(&mut self, value: &str) -> Parsed {
        let not = self.skip_name("not");
        let name = self.name()?.to_owned();
        let starts_value = match self.peek() {
            Some(Token::Name(name)) => !matches!(
                name.as_str(),
                "else" | "or" | "and" | "if" | "is" | "in" | "not" | "recursive"
            ),
            Some(Token::Operator(operator)) => matches!(*operator, "[" | "{"),
            Some(_) => true,
            None => false,
        };
        let arguments = if self.is_operator("(") {
            self.arguments()?
        } else if starts_value {
            let value = self.primary()?;
            self.postfix(value)?
        } else {
            String::new()
        };
        let comma = if arguments.is_empty() { "" } else { ", " };
        let test = format!("__test(\"{name}\", {value}{comma}{arguments})");
        Ok(if not { format!("(not {test})") } else { test })
    }
}

fn joined(mut all: Vec<String>, operator: &str) -> String {
    match all.len() {
        1 => all.remove(0),
        _ => format!("({})", all.join(operator)),
    }
}

/// A text as the library reads it back.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn float(value: f64) -> String {
    if value.is_infinite() {
        // `1e999`: the library has no word for it.
        return "__math(\"*\", 1e300, 1e300)".into();
    }
    let digits = format!("{value}");
    match digits.contains('.') {
        true => digits,
        false => format!("{digits}.0"),
    }
}
