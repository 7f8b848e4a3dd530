//! Pages with parts that a command writes: what stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.

use std::path::Path;

use anyhow::{Context, Result, bail};

/// Puts `body` between the lines of `name` in a page.
///
/// # Errors
/// When the page cannot be read or written, or has no such lines.
pub fn put(page: &Path, name: &str, body: &str) -> Result<()> {
    let shown = page.display();
    let text = std::fs::read_to_string(page).with_context(|| format!("cannot read {shown}"))?;
    let text = replaced(&text, name, body).with_context(|| shown.to_string())?;
    std::fs::write(page, text).with_context(|| format!("cannot write {shown}"))
}

fn replaced(text: &str, name: &str, body: &str) -> Result<String> {
    let [begin, end] = ["begin", "end"].map(|part| format!("<!-- {name}:{part} -->"));
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some((before, after))
    });
    let Some((before, after)) = parts else {
        bail!("has no lines {begin} and {end} to put the tables between");
    };
    Ok(format!("{before}{begin}\n\n{body}\n{end}{after}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_lines_is_replaced() {
        let page = "a <!-- x:begin --> old <!-- x:end --> b";
        let text = replaced(page, "x", "new\n").unwrap();
        assert_eq!(text, "a <!-- x:begin -->\n\nnew\n\n<!-- x:end --> b");
        assert_eq!(replaced(&text, "x", "new\n").unwrap(), text);
        let said = replaced(page, "y", "").unwrap_err().to_string();
        assert!(said.contains("<!-- y:begin -->"), "{said}");
    }
}
