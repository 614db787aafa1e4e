//! For programs: `{"version", "findings": [{"rule", "title", "level", "file", "line", "column", "key", "message", "next",
//! "fixable", "history"}], "summary"}`. What isn't known is null.

use serde_json::json;

use super::{Report, escaped};
use crate::lint::Level;
use crate::lint::history::Source;

pub(super) fn write(report: &Report) -> String {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "rule": finding.rule.id,
                "title": finding.rule.title,
                "level": finding.level.word(),
                "file": finding.file,
                "line": finding.position.map(|position| position.line),
                "column": finding.position.map(|position| position.column),
                "key": finding.key_path,
                "message": finding.message,
                "next": finding.next,
                "fixable": finding.fixable,
                "history": finding.past.as_deref().map(past),
            })
        })
        .collect();
    let summary = json!({
        "files": report.files,
        "encrypted": report.encrypted,
        "errors": report.count(Level::Error),
        "warnings": report.count(Level::Warning),
        "notes": report.count(Level::Note),
        "ignored": report.ignored,
        "baseline": report.known,
    });
    escaped(&json!({"version": 1, "findings": findings, "summary": summary}).to_string()) + "\n"
}

fn past(source: &Source) -> serde_json::Value {
    json!({
        "commit": source.commit,
        "date": source.date,
        "path": source.path,
        "versions": source.versions,
        "current": source.current,
        "recipient": source.recipient,
        "keys": source.keys,
    })
}
