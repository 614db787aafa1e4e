//! Annotations of GitHub Actions: workflow commands, one a finding.

use super::Report;
use crate::error::printable;

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let word = if finding.level.word() == "note" { "notice" } else { finding.level.word() };
        let mut properties = vec![format!("file={}", property(&finding.file))];
        if let Some(position) = finding.position {
            properties.push(format!("line={},col={}", position.line, position.column));
        }
        properties.push(format!("title={}", property(&format!("{} {}", finding.rule.id, finding.rule.title))));
        let key = finding.key_path.as_ref().map_or_else(String::new, |key| format!(" (at {key})"));
        let message = format!("{}{key}\n{}", finding.message, finding.next);
        let lines: Vec<String> = message.split('\n').map(data).collect();
        out.push_str(&format!("::{word} {}::{}\n", properties.join(","), lines.join("%0A")));
    }
    out
}

/// The runner reads `##[command]` anywhere in a line.
fn data(text: &str) -> String {
    printable(text).replace('%', "%25").replace("##[", "# #[").replace("::", ":%3A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
