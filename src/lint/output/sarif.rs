//! SARIF 2.1.0, for code scanning. Without snippets: they would be lines of secret files.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Report, escaped};
use crate::lint::{Finding, rules};
use crate::sorting;

/// Code scanning takes no more.
const MOST: usize = 5_000;
/// Where a finding goes that has no place of its own: a result must have one.
const NOWHERE: &str = ".sops.yaml";

pub(super) fn write(report: &Report) -> String {
    let mut findings: Vec<&Finding> = report.findings.iter().collect();
    sorting::by_key(&mut findings, |finding| std::cmp::Reverse(finding.level));
    let rules: Vec<Value> = rules()
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "name": rule.title,
                "shortDescription": {"text": rule.title.replace('-', " ")},
                "help": {"text": crate::lint::explain(rule.id).unwrap_or(rule.title)},
                "defaultConfiguration": {"level": rule.level.word()},
                "properties": {"tags": ["security"]},
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "kveil", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": findings.iter().take(MOST).map(|finding| result(finding)).collect::<Vec<_>>(),
        }],
    });
    escaped(&log.to_string()) + "\n"
}

fn result(finding: &Finding) -> Value {
    let key = finding.key_path.as_deref().unwrap_or_default();
    let message = match key {
        "" => format!("{}. {}", finding.message, finding.next),
        key => format!("{} (at {key}). {}", finding.message, finding.next),
    };
    let file = if finding.file.is_empty() { NOWHERE } else { &finding.file };
    let (line, column) = finding.position.map_or((1, 1), |position| (position.line, position.column));
    // The same finding keeps its identity when lines move: nothing of a value goes into it.
    let recipient = finding.past.as_ref().and_then(|past| past.recipient.as_deref()).unwrap_or_default();
    let identity: String = Sha256::digest(format!("{}\0{file}\0{key}{recipient}", finding.rule.id))
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    json!({
        "ruleId": finding.rule.id,
        "level": finding.level.word(),
        "message": {"text": message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(file)},
            "region": {"startLine": line, "startColumn": column},
        }}],
        "partialFingerprints": {"kveil/v1": identity},
    })
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(byte as char)
        } else {
            out.push_str(&format!("%{byte:02X}"))
        }
    }
    out
}
