//! Completions of a step for eyes and for programs: a page with photos, texts, rewards and advantages, and JSON lines.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::buffer::Generation;
use crate::rewards::row::Photo;

/// Writes `step-00000010.html` and `.jsonl` into `folder`; `rewards` are the names of the rewards.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, step: u64, found: &Generation, rewards: &[String]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let name = |kind: &str| folder.join(format!("step-{step:08}.{kind}"));
    let put = |kind: &str, text: String| {
        fs::write(name(kind), text)
            .with_context(|| format!("cannot write {}", name(kind).display()))
    };
    put("jsonl", lines(step, found, rewards)?)?;
    put("html", page(step, found, rewards))
}

fn lines(step: u64, found: &Generation, rewards: &[String]) -> Result<String> {
    let mut text = String::new();
    for row in &found.rows {
        let prompt = &found.prompts[row.prompt].prompt;
        let given: serde_json::Map<_, _> = rewards
            .iter()
            .cloned()
            .zip(row.rewards.iter().map(|r| json!(r)))
            .collect();
        let line = json!({
            "step": step,
            "prompt": prompt.question(),
            "completion": row.text,
            "completion_ids": row.tokens,
            "terminated": row.ended,
            "rewards": given,
            "advantage": row.advantage,
            "solution": prompt.columns.get("solution"),
        });
        text += &serde_json::to_string(&line)?;
        text.push('\n');
    }
    Ok(text)
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#222;background:#fff}
section{border-top:1px solid #ccc;padding:1rem 0}figure{display:inline-block;margin:0 .5rem .5rem 0}img{height:96px;border-radius:4px}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;vertical-align:top;border-top:1px solid #eee}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.good{background:#e6f4ea}.bad{background:#fce8e6}
.cut::after{content:' \u{2026}';color:#b06000}
@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}.good{background:#173d24}.bad{background:#4a1f1c}td,th{border-color:#333}}";

fn page(step: u64, found: &Generation, rewards: &[String]) -> String {
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Completions of step {step}</title><style>{STYLE}</style>\
         <h1>Completions of step {step}</h1>\n"
    );
    let heads: String = rewards
        .iter()
        .map(|r| format!("<th>{}</th>", escaped(r)))
        .collect();
    for group in found.rows.chunk_by(|a, b| a.prompt == b.prompt) {
        let prompt = &found.prompts[group[0].prompt].prompt;
        html += "<section>";
        for photo in &prompt.photos {
            let _ = write!(
                html,
                "<figure><img alt=\"\" src=\"{}\"></figure>",
                source(photo)
            );
        }
        let solution = prompt
            .columns
            .get("solution")
            .map(|s| s.as_str().map_or_else(|| s.to_string(), str::to_owned));
        let _ = write!(
            html,
            "<p>{}</p><p>Solution: <b>{}</b></p><table><tr><th>Completion</th>{heads}<th>Advantage</th></tr>",
            escaped(&prompt.question()),
            escaped(&solution.unwrap_or_default())
        );
        for row in group {
            let class = match row.advantage {
                a if a > 0.0 => "good",
                a if a < 0.0 => "bad",
                _ => "",
            };
            let cut = if row.ended { "" } else { " class=\"cut\"" };
            let _ = write!(
                html,
                "<tr class=\"{class}\"><td{cut}>{}</td>",
                escaped(&row.text)
            );
            for reward in &row.rewards {
                let shown = reward.map_or_else(|| "\u{2013}".to_owned(), |r| format!("{r:.3}"));
                let _ = write!(html, "<td class=\"n\">{shown}</td>");
            }
            let _ = write!(html, "<td class=\"n\">{:+.3}</td></tr>", row.advantage);
        }
        html += "</table></section>\n";
    }
    html
}

/// Where a page finds a photo.
fn source(photo: &Photo) -> String {
    match photo {
        Photo::Bytes(bytes) => format!("data:image/png;base64,{}", STANDARD.encode(bytes)),
        Photo::File(path) => {
            let whole = path.canonicalize().unwrap_or_else(|_| path.clone());
            escaped(&whole.display().to_string())
        }
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::buffer::Rolled;
    use super::super::metrics::Metrics;
    use super::super::policy::Prepared;
    use super::super::prompt::Prompt;
    use super::*;

    #[test]
    fn names_in_brackets_are_shown_and_run_nothing() {
        let prompt = Prompt {
            messages: Vec::new(),
            photos: vec![Photo::Bytes(Arc::from([1u8, 2]))],
            columns: serde_json::Map::from_iter([("solution".to_owned(), json!("<Bo>"))]),
        };
        let row = Rolled {
            prompt: 0,
            tokens: vec![1],
            text: "<Bo> & <script>".into(),
            ended: false,
            counts: true,
            sampled: vec![0.0],
            tempered: vec![0.0],
            reference: None,
            old: None,
            rewards: vec![None],
            advantage: -0.5,
        };
        let found = Generation {
            prompts: vec![Prepared::without_photos(prompt, vec![1])],
            rows: vec![row],
            metrics: Metrics::default(),
        };
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 3, &found, &["repic".into()]).unwrap();
        let html = fs::read_to_string(folder.path().join("step-00000003.html")).unwrap();
        assert!(html.contains("&lt;Bo&gt; &amp; &lt;script&gt;") && !html.contains("<script>"));
        assert!(html.contains("-0.500") && html.contains("data:image/png;base64,AQI="));
        let line = fs::read_to_string(folder.path().join("step-00000003.jsonl")).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&line["completion"], &line["rewards"]["repic"]),
            (&json!("<Bo> & <script>"), &json!(null))
        );
    }
}
