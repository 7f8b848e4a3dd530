//! What stands behind the options of `--help`, so that terminals of any width can wrap it.

use clap::Command;

/// Columns a line may have; examples that are wrapped cannot be copied, and the longest have about so many.
const WIDEST: usize = 132;

/// The command, and all below it, with paragraphs that are one line each, for the source breaks them at a width of its own.
pub(super) fn reflowed(command: Command) -> Command {
    let below: Vec<String> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let after = command
        .get_after_help()
        .map(|text| joined(&text.to_string()));
    let command = command.max_term_width(WIDEST);
    let command = match after {
        Some(text) => command.after_help(text),
        None => command,
    };
    below.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, reflowed)
    })
}

/// Joins the lines of paragraphs; what is indented is an example or a table and stays, and so does a title in front of it.
fn joined(text: &str) -> String {
    let is_prose = |line: &str| !line.is_empty() && !line.starts_with(' ');
    let mut joined = String::with_capacity(text.len());
    let mut before = "";
    for line in text.lines() {
        if is_prose(line) && is_prose(before) {
            joined.push(' ');
        } else if !joined.is_empty() {
            joined.push('\n');
        }
        joined.push_str(line);
        before = line;
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_joined_and_examples_stay() {
        let text =
            "Two lines\nof prose:\n  {\"a\":\n   1}\nMore\nof it.\n\nExamples:\n  one\n  two";
        assert_eq!(
            joined(text),
            "Two lines of prose:\n  {\"a\":\n   1}\nMore of it.\n\nExamples:\n  one\n  two"
        );
    }

    #[test]
    fn commands_below_commands_are_reflowed() {
        let inner = Command::new("inner").after_help("a\nb");
        let all = reflowed(Command::new("outer").after_help("c\nd").subcommand(inner));
        let of = |command: &Command| command.get_after_help().map(ToString::to_string);
        assert_eq!(of(&all).as_deref(), Some("c d"));
        let inner = all.find_subcommand("inner").and_then(of);
        assert_eq!(inner.as_deref(), Some("a b"));
    }
}
