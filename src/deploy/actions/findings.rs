//! Findings as SARIF has them (2.1.0): annotations for a log, a table for a summary.

use serde_json::Value;

use super::commands::{Annotation, Level};
use crate::error::{Error, Kind, Result, printable};

/// Rows of the table.
const ROWS: usize = 200;

/// The findings in a SARIF text.
///
/// # Errors
/// `Unreadable` (2) if it is none.
pub fn read(sarif: &str) -> Result<Vec<Annotation>> {
    let broken = || Error::new(Kind::Unreadable, "check gave no SARIF").hint("run kveil check --format sarif to see what it says");
    let value: Value = serde_json::from_str(sarif).map_err(|_| broken())?;
    let runs = value.get("runs").and_then(Value::as_array).ok_or_else(broken)?;
    let results = runs.iter().filter_map(|run| run.get("results")?.as_array()).flatten();
    Ok(results.map(finding).collect())
}

fn finding(result: &Value) -> Annotation {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let place = result.pointer("/locations/0/physicalLocation");
    let number = |name: &str| place?.pointer(&format!("/region/{name}"))?.as_u64();
    Annotation {
        level: match result.get("level").and_then(Value::as_str) {
            Some("error") => Level::Error,
            Some("note" | "none") => Level::Notice,
            _ => Level::Warning,
        },
        file: text(place.and_then(|place| place.pointer("/artifactLocation/uri"))).map(|uri| percent_decoded(&uri)),
        position: number("startLine").map(|line| (line, number("startColumn"))),
        title: text(result.get("ruleId")).unwrap_or_default(),
        message: text(result.pointer("/message/text")).unwrap_or_default(),
    }
}

/// A path of an URI: SARIF escapes spaces and the like.
fn percent_decoded(uri: &str) -> String {
    let mut bytes = Vec::with_capacity(uri.len());
    let mut rest = uri.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let digits = tail.get(..2).filter(|_| *first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| uri.to_owned())
}

/// The findings as Markdown: rule, place, message. Names stand in code spans.
pub fn summary(findings: &[Annotation]) -> String {
    let mut text = "### kveil check\n\n".to_owned();
    if findings.is_empty() {
        return text + "Nothing was found.\n";
    }
    text.push_str("| level | rule | place | what |\n|---|---|---|---|\n");
    for finding in findings.iter().take(ROWS) {
        let line = finding.position.map(|(line, _)| format!(":{line}")).unwrap_or_default();
        let place = finding.file.as_ref().map(|file| format!("{file}{line}")).unwrap_or_default();
        let cells = [finding.level.word().to_owned(), code(&finding.title), code(&place), code(&finding.message)];
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    if findings.len() > ROWS {
        text.push_str(&format!("\n{} more stand in the SARIF file.\n", findings.len() - ROWS));
    }
    text
}

/// A code span that nothing inside can end.
pub fn code(text: &str) -> String {
    let mut out = String::new();
    for c in printable(text).chars() {
        if matches!(c, '`' | '|' | '@' | '<' | '>') { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    if out.trim().is_empty() { String::new() } else { format!("`{out}`") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SARIF: &str = r#"{"version":"2.1.0","runs":[{"results":[
        {"ruleId":"KV101","level":"error","message":{"text":"a Secret in clear"},
         "locations":[{"physicalLocation":{"artifactLocation":{"uri":"a%20b.yaml"},"region":{"startLine":4,"startColumn":3}}}]},
        {"ruleId":"KV200","message":{"text":"x | `y` @z"}}]}]}"#;

    #[test]
    fn findings_become_annotations_and_a_table() {
        let findings = read(SARIF).unwrap();
        assert_eq!(findings[0].line(), "::error file=a b.yaml,line=4,col=3,title=KV101::a Secret in clear\n");
        assert_eq!(findings[1].level, Level::Warning);
        let table = summary(&findings);
        assert!(table.contains("| error | `KV101` | `a b.yaml:4` | `a Secret in clear` |"), "{table}");
        assert!(table.contains("x \\u{7c} \\u{60}y\\u{60} \\u{40}z"), "{table}");
    }

    #[test]
    fn what_is_no_sarif_is_trouble() {
        assert!(read("").is_err() && read("{}").is_err() && read("[1]").is_err());
        assert!(summary(&read(r#"{"runs":[{"results":[]}]}"#).unwrap()).contains("Nothing was found"));
    }
}
