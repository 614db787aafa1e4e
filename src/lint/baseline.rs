//! A file of findings that were there before the first check: what an old repository has isn't told again, what is new is.
//!
//! A finding is known by rule, file and key path, never by anything made from a value; so is how many there are of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Finding;
use crate::error::{Error, Kind, Result};

const VERSION: u64 = 1;

/// Findings that are known.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Baseline(BTreeMap<Known, u64>);

type Known = (String, String, String);

fn known(finding: &Finding) -> Known {
    (finding.file.clone(), finding.rule.id.to_owned(), finding.key_path.clone().unwrap_or_default())
}

impl Baseline {
    /// Of these findings.
    pub fn of(findings: &[Finding]) -> Baseline {
        let mut baseline = Baseline::default();
        findings.iter().for_each(|finding| *baseline.0.entry(known(finding)).or_default() += 1);
        baseline
    }

    /// Reads one.
    ///
    /// # Errors
    /// `Unreadable` (2): not one, or of a later version.
    pub fn read(text: &str) -> Result<Baseline> {
        let wrong =
            |what: &str| Error::new(Kind::Unreadable, format!("no baseline: {what}")).hint("kveil check --write-baseline FILE writes one");
        let file: Value = serde_json::from_str(text).map_err(|why| wrong(&format!("line {} isn't JSON", why.line())))?;
        if file["version"].as_u64() != Some(VERSION) {
            return Err(wrong("its version isn't 1"));
        }
        let list = file["findings"].as_array().ok_or_else(|| wrong("it has no findings"))?;
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let one = |row: &Value| ((text(row, "file"), text(row, "rule"), text(row, "key")), row["count"].as_u64().unwrap_or(1));
        let mut baseline = Baseline::default();
        baseline.0.extend(list.iter().map(one));
        Ok(baseline)
    }

    /// As text: a finding a line, in order, so that changes to it are readable.
    pub fn text(&self) -> String {
        let row =
            |((file, rule, key), count): (&Known, &u64)| format!("  {}", json!({"file": file, "rule": rule, "key": key, "count": count}));
        let rows: Vec<String> = self.0.iter().map(row).collect();
        format!("{{\"version\": {VERSION}, \"findings\": [\n{}\n]}}\n", rows.join(",\n"))
    }

    /// Takes out what is known, and says how much that was.
    pub fn apply(mut self, findings: &mut Vec<Finding>) -> usize {
        let before = findings.len();
        findings.retain(|finding| match self.0.get_mut(&known(finding)) {
            Some(left) if *left > 0 => {
                *left -= 1;
                false
            }
            _ => true,
        });
        before - findings.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_told_once_more_only_if_there_is_more_of_it() {
        let finding = |file: &str| Finding::of_file(&super::super::clear::PLAINTEXT_SECRET, file, "m", "n");
        let baseline = Baseline::of(&[finding("a"), finding("a"), finding("b")]);
        assert_eq!(Baseline::read(&baseline.text()).unwrap(), baseline);
        let mut now = vec![finding("a"), finding("a"), finding("a"), finding("c")];
        assert_eq!(baseline.apply(&mut now), 2);
        assert_eq!(now.iter().map(|finding| finding.file.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(Baseline::read("{}").is_err() && Baseline::read("[").is_err());
    }
}
