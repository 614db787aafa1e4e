//! What a clone and its tree lack for work with encrypted files.

use super::{Finding, Level, Rule, Sheet, Subject};

/// The git drivers aren't set up.
pub static DRIVERS: Rule = Rule::new("KV401", "git-drivers", Level::Warning).fixed();

pub(super) const RULES: &[&Rule] = &[&DRIVERS];

pub(super) fn look(_: &Subject<'_>, _: &mut Sheet<'_>) {}

/// What `git setup --check` would find lacking in a clone that has encrypted files.
pub fn drivers(lacking: &[String]) -> Option<Finding> {
    let first = lacking.first()?;
    let more = if lacking.len() > 1 { format!(", and {} more", lacking.len() - 1) } else { String::new() };
    let message = format!("git shows and merges ciphertext here: {first}{more}");
    Some(Finding::of_file(&DRIVERS, ".gitattributes", message, "kveil git setup"))
}
