//! For people.

use super::Report;
use crate::error::printable;

pub(super) fn write(report: &Report) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        let place = finding.position.map_or_else(String::new, |position| format!(":{}:{}", position.line, position.column));
        let key = finding.key_path.as_ref().map_or_else(String::new, |key| format!(" (at {})", printable(key)));
        let rule = finding.rule;
        out.push_str(&format!("{}{place}: {} {} {}: ", printable(&finding.file), finding.level.word(), rule.id, rule.title));
        out.push_str(&format!("{}{key}\n", printable(&finding.message)));
        if let (Some(line), Some(position)) = (&finding.line, finding.position) {
            let number = position.line.to_string();
            out.push_str(&format!("  {number} | {}\n", printable(&line.text)));
            out.push_str(&format!("  {} | {}^\n", " ".repeat(number.len()), " ".repeat(line.caret)));
        }
        out.push_str(&format!("  → {}\n", printable(&finding.next)));
    }
    out
}
