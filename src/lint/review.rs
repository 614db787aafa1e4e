//! What a change does to the things that checks rely on: rules, exceptions, data keys.

use std::collections::HashSet;

use super::{Finding, Level, Rule, Subject, count, tampering};
use crate::document::Document;
use crate::error::printable;
use crate::metadata::SelectorKind;

/// A change to rules, baseline or exceptions.
pub static POLICY_CHANGED: Rule = Rule::new("KV325", "policy-changed", Level::Warning);
/// A file whose values are all under another data key.
pub static DATA_KEY_REPLACED: Rule = Rule::new("KV326", "data-key-replaced", Level::Warning);

/// A file whose own selection is another one.
pub static SELECTION_CHANGED: Rule = Rule::new("KV329", "selection-changed", Level::Warning);

pub(super) const RULES: &[&Rule] = &[&POLICY_CHANGED, &DATA_KEY_REPLACED, &SELECTION_CHANGED];

/// A file with rules or a baseline that is another one than in `revision`.
pub fn changed(file: &str, revision: &str) -> Finding {
    let message = format!("it differs from the one in {revision}, by which this check went");
    Finding::of_file(&POLICY_CHANGED, file, message, "look at this change first: it decides what later checks find")
}

/// Exceptions that `revision` doesn't have.
pub fn new_ignores(file: &str, number: usize, revision: &str) -> Finding {
    let message = format!("{} added since {revision}, which this check didn't heed", count(number, "kveil-ignore comment"));
    Finding::of_file(&POLICY_CHANGED, file, message, "agree with the reason, or have it taken out")
}

/// Whether no value kept its ciphertext since the older version: then the data key may be another one, one that the author
/// of the change knows. A rotation does the same.
pub fn data_key(old: &Subject<'_>, new: &Subject<'_>, revision: &str) -> Option<Finding> {
    let (before, after) = (tokens(old)?, tokens(new)?);
    if before.is_empty() || after.is_empty() || !before.is_disjoint(&after) {
        return None;
    }
    let message = format!("no value kept its ciphertext since {revision}: the data key was replaced");
    Some(Finding::of_file(
        &DATA_KEY_REPLACED,
        new.name,
        message,
        "fine after a rotation or when a recipient was removed; else ask its author",
    ))
}

/// Whether other values are encrypted than in the older version. The MAC doesn't cover that: who has no key can have later
/// values come out in clear.
pub fn selection(old: &Subject<'_>, new: &Subject<'_>, revision: &str) -> Option<Finding> {
    let (before, after) = (old.encrypted.as_ref()?.metadata.selector(), new.encrypted.as_ref()?.metadata.selector());
    if before == after {
        return None;
    }
    let name = |(kind, text): (SelectorKind, &str)| printable(&format!("{} {text}", kind.name()));
    let message = format!("which values are encrypted was changed: {}, in {revision} {}", name(after), name(before));
    Some(Finding::of_file(&SELECTION_CHANGED, new.name, message, "see that it is meant: the MAC covers values, and not the selection"))
}

fn tokens<'s>(subject: &'s Subject<'_>) -> Option<HashSet<(&'s str, &'s str)>> {
    let (document, encrypted): (&Document<'_>, _) = (subject.document?, subject.encrypted.as_ref()?);
    Some(tampering::tokens(document, encrypted).map(|(_, _, token)| (token.iv(), token.data())).collect())
}
