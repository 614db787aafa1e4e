//! How findings are told. A form is its own file and a row in [`FORMS`]. Names come from files: every form escapes them in
//! its own way.

mod github;
mod json;
mod sarif;
mod text;

use super::{Finding, Level};

/// What a check came to.
#[derive(Default)]
pub struct Report {
    /// Findings, file by file.
    pub findings: Vec<Finding>,
    /// How many files were looked at.
    pub files: usize,
    /// How many of them are encrypted.
    pub encrypted: usize,
    /// How many findings exceptions took out.
    pub ignored: usize,
    /// How many the baseline took out.
    pub known: usize,
}

impl Report {
    /// How many findings are of this level.
    pub fn count(&self, level: Level) -> usize {
        self.findings.iter().filter(|finding| finding.level == level).count()
    }

    /// The result in one line.
    pub fn summary(&self) -> String {
        let mut parts = vec![super::count(self.files, "file"), format!("{} encrypted", self.encrypted)];
        parts.extend([Level::Error, Level::Warning, Level::Note].map(|level| super::count(self.count(level), level.word())));
        parts.extend((self.ignored > 0).then(|| format!("{} ignored by comments", self.ignored)));
        parts.extend((self.known > 0).then(|| format!("{} in the baseline", self.known)));
        parts.join(", ")
    }
}

/// A form: its word for `--format`, and how it writes.
pub struct Form {
    /// The word.
    pub name: &'static str,
    /// Writes a report.
    pub write: fn(&Report) -> String,
    /// Whether files are named from the top of the repository, wherever the check ran.
    pub of_repository: bool,
}

/// All forms.
pub static FORMS: &[Form] = &[
    Form { name: "text", write: text::write, of_repository: false },
    Form { name: "json", write: json::write, of_repository: false },
    Form { name: "sarif", write: sarif::write, of_repository: true },
    Form { name: "github", write: github::write, of_repository: true },
];

/// Characters that move a cursor or turn the direction of text, written as JSON has them: they stand within strings only.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && crate::error::is_hidden(c) { out.push_str(&format!("\\u{:04x}", u32::from(c))) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests;
