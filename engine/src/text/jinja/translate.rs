//! A template of Jinja 2 with what `transformers` adds, in the words of the template library.
//!
//! White space around tags is taken out here and text is printed like any value, so that one place bounds all that a
//! template prints ([`super::budget`]).

use super::expression::quoted;
use super::lexer::{Piece, pieces};
use super::token::Token;
use super::tokens::Tokens;

/// Translates a whole template.
///
/// # Errors
/// What is wrong with it.
pub(in crate::text) fn translate(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len() * 2);
    // What has begun and not ended.
    let mut open: Vec<&'static str> = Vec::new();
    let mut elifs = 0;
    for piece in pieces(source)? {
        match piece {
            Piece::Text(text) => {
                out.push_str("{{");
                out.push_str(&quoted(&text));
                out.push_str("}}");
            }
            Piece::Print(tokens) => {
                let mut tokens = Tokens::new(&tokens);
                let value = tokens.tuple()?;
                tokens.end()?;
                out.push_str(&format!("{{{{ {value} }}}}"));
            }
            Piece::Block(tokens) => {
                // The library reads each within the one before.
                elifs += usize::from(Tokens::new(&tokens).is_name("elif"));
                if elifs > MOST_ELIFS {
                    return Err(format!("it has more than {MOST_ELIFS} `elif`"));
                }
                let statement = statement(&tokens, &mut open)?;
                out.push_str(&format!("{{% {statement} %}}"));
            }
        }
    }
    match open.pop() {
        Some(name) => Err(format!("`{name}` has no end")),
        None => Ok(out),
    }
}

/// Most `elif` of a template.
const MOST_ELIFS: usize = 200;
/// Most parentheses round a target.
const DEEPEST_TARGET: usize = 16;

/// Statements that go on to an end of their own.
const BLOCKS: [&str; 9] = [
    "if",
    "for",
    "macro",
    "call",
    "filter",
    "set",
    "with",
    "block",
    "generation",
];

fn statement(tokens: &[Token], open: &mut Vec<&'static str>) -> Result<String, String> {
    let mut tokens = Tokens::new(tokens);
    let name = tokens.name().map_err(|_| "a tag has no name")?.to_owned();
    if let Some(ended) = name.strip_prefix("end") {
        let begun = open.pop();
        if begun != Some(ended) {
            return Err(format!("`{name}` ends nothing that was begun"));
        }
        if ended == "block" && tokens.peek().is_some() {
            tokens.name()?;
        }
        tokens.end()?;
        return Ok(match ended {
            "generation" => "endwith".into(),
            _ => name,
        });
    }
    let (text, begins) = begin(&name, &mut tokens)?;
    tokens.end()?;
    if begins {
        open.extend(BLOCKS.iter().find(|block| **block == name));
    }
    Ok(text)
}

/// A statement, and whether it goes on to an end.
fn begin(name: &str, tokens: &mut Tokens<'_>) -> Result<(String, bool), String> {
    let text = match name {
        "if" => return Ok((format!("if {}", tokens.tuple()?), true)),
        "elif" => format!("elif {}", tokens.tuple()?),
        "else" | "break" | "continue" => name.to_owned(),
        "for" => return Ok((for_loop(tokens)?, true)),
        "set" => return set(tokens),
        "macro" => {
            let name = tokens.name()?;
            return Ok((format!("macro {name}{}", parameters(tokens)?), true));
        }
        "call" => {
            let parameters = match tokens.is_operator("(") {
                true => parameters(tokens)?,
                false => String::new(),
            };
            return Ok((format!("call{parameters} {}", tokens.expression()?), true));
        }
        "filter" => {
            let mut all = Vec::new();
            loop {
                let (name, arguments) = tokens.filter()?;
                all.push(format!("{name}({arguments})"));
                if !tokens.skip("|") {
                    break;
                }
            }
            return Ok((format!("filter {}", all.join(" | ")), true));
        }
        "with" => {
            let mut all = Vec::new();
            while tokens.peek().is_some() {
                if !all.is_empty() {
                    tokens.expect(",")?;
                }
                let name = tokens.name()?;
                tokens.expect("=")?;
                all.push(format!("{name}=__store({})", tokens.expression()?));
            }
            return Ok((format!("with {}", all.join(", ")), true));
        }
        "block" => return Ok((format!("block {}", tokens.name()?), true)),
        // Marks what the model is to learn; its text is printed like any other, in a scope of its own.
        "generation" => return Ok(("with".into(), true)),
        _ => return Err(format!("there is no statement `{name}` in chat templates")),
    };
    Ok((text, false))
}

fn for_loop(tokens: &mut Tokens<'_>) -> Result<String, String> {
    let target = targets(tokens, 0)?;
    if !tokens.skip_name("in") {
        return Err("`for` has no `in`".into());
    }
    let mut items = tokens.or()?;
    if tokens.is_operator(",") {
        let mut all = vec![items];
        while tokens.skip(",") {
            if tokens.peek().is_none() {
                break;
            }
            all.push(tokens.or()?);
        }
        items = format!("[{}]", all.join(", "));
    }
    let mut text = format!("for {target} in __iterate({items})");
    if tokens.skip_name("if") {
        text.push_str(&format!(" if {}", tokens.expression()?));
    }
    if tokens.skip_name("recursive") {
        text.push_str(" recursive");
    }
    Ok(text)
}

/// Names between commas, in parentheses or not.
fn targets(tokens: &mut Tokens<'_>, depth: usize) -> Result<String, String> {
    if depth > DEEPEST_TARGET {
        return Err("a target is nested too deep".into());
    }
    let mut all = Vec::new();
    loop {
        all.push(if tokens.skip("(") {
            let inner = targets(tokens, depth + 1)?;
            tokens.expect(")")?;
            format!("({inner})")
        } else {
            let name = tokens.name()?;
            if name.starts_with("__") {
                return Err(format!("the name `{name}` is not allowed"));
            }
            name.to_owned()
        });
        if !tokens.skip(",") || tokens.is_name("in") || tokens.is_operator("=") {
            break;
        }
    }
    Ok(all.join(", "))
}

fn set(tokens: &mut Tokens<'_>) -> Result<(String, bool), String> {
    let mut target = targets(tokens, 0)?;
    let attribute = tokens.skip(".");
    if attribute {
        target = format!("{target}.{}", tokens.name()?);
    }
    if tokens.skip("=") {
        let store = if attribute { "__keep" } else { "__store" };
        let value = tokens.tuple()?;
        return Ok((format!("set {target} = {store}({value})"), false));
    }
    while tokens.skip("|") {
        let (name, arguments) = tokens.filter()?;
        target.push_str(&format!(" | {name}({arguments})"));
    }
    Ok((format!("set {target}"), true))
}

fn parameters(tokens: &mut Tokens<'_>) -> Result<String, String> {
    tokens.expect("(")?;
    let mut all = Vec::new();
    while !tokens.skip(")") {
        if !all.is_empty() {
            tokens.expect(",")?;
            if tokens.skip(")") {
                break;
            }
        }
        let name = tokens.name()?.to_owned();
        all.push(match tokens.skip("=") {
            true => format!("{name}={}", tokens.expression()?),
            false => name,
        });
    }
    Ok(format!("({})", all.join(", ")))
}
