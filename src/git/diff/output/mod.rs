//! The forms in which differences are shown. All of them escape what comes from files: names, key paths, recipients.

pub mod json;
pub mod markdown;
pub mod text;

use super::version::View;
use super::{Change, Differences, FileChange, Seen, What};

/// A form.
pub struct Output {
    /// The word for `--format`.
    pub name: &'static str,
    /// Whether it may show values.
    pub reveals: bool,
    /// Writes it, with colours if asked to.
    pub write: fn(&Differences, bool) -> String,
}

/// All forms: a new one is its own file and a row here.
pub static OUTPUTS: [Output; 3] = [
    Output { name: "text", reveals: true, write: text::write },
    Output { name: "json", reveals: false, write: json::write },
    Output { name: "markdown", reveals: false, write: markdown::write },
];

/// The form of this name.
pub fn output(name: &str) -> Option<&'static Output> {
    OUTPUTS.iter().find(|output| output.name == name)
}

/// Whether a value's change is the data key's, or none: it is counted rather than listed, unless there is more to say of it.
fn is_bulk(change: &Change) -> bool {
    let revealed = change.new.as_ref().is_some_and(|seen| seen.value.is_some());
    match change.what {
        What::Reencrypted => true,
        What::Replaced => change.inner.is_empty() && !revealed,
        _ => false,
    }
}

/// The lines that stand for many values each: what, and the key paths.
fn bulk(changes: &[Change]) -> impl Iterator<Item = (What, Vec<&str>)> {
    [What::Replaced, What::Reencrypted].into_iter().filter_map(|what| {
        let alike = changes.iter().filter(|change| change.what == what && is_bulk(change));
        let paths: Vec<&str> = alike.map(|change| change.path.as_str()).collect();
        (!paths.is_empty()).then_some((what, paths))
    })
}

/// The changes that are listed one by one.
fn single(changes: &[Change]) -> impl Iterator<Item = &Change> {
    changes.iter().filter(|change| !is_bulk(change))
}

/// Why the values of a file aren't seen.
fn why(view: &View) -> Option<&'static str> {
    match view {
        View::Clear | View::Opened => None,
        View::Keyless => Some("keyless view: structure only"),
        View::NoIdentity => Some("keyless view: no identity opens it, structure only"),
        View::Damaged(_) => Some("keyless view: a value can't be decrypted, structure only"),
    }
}

/// Type and length: `str, 8 to 15 bytes`.
fn shape(seen: &Seen) -> String {
    let clear = if seen.encrypted { "" } else { ", in clear" };
    format!("{}, {}{clear}", seen.kind.name(), seen.length)
}

/// Types and lengths at both sides, as far as they differ.
fn shapes(change: &Change) -> String {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) if shape(old) != shape(new) => format!("{}, was {}", shape(new), shape(old)),
        (_, Some(seen)) | (Some(seen), None) => shape(seen),
        (None, None) => String::new(),
    }
}

/// What happened, in words, with the key path that it came from.
fn happened(change: &Change) -> String {
    match &change.from {
        Some(from) => format!("moved from {from}"),
        None => change.what.text().to_owned(),
    }
}

/// What says who an object is, at both sides; never a secret.
fn public(change: &Change) -> Option<String> {
    let shown = |seen: &Option<Seen>| {
        let seen = seen.as_ref()?;
        let value = seen.value.as_ref().filter(|_| !seen.encrypted)?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    match (shown(&change.old), shown(&change.new)) {
        (Some(old), Some(new)) => Some(format!("{old} → {new}")),
        (None, Some(one)) | (Some(one), None) => Some(one),
        (None, None) => None,
    }
}

/// How many values differ.
fn values(files: &[FileChange]) -> usize {
    files.iter().flat_map(|file| &file.objects).map(|object| object.changes.len()).sum()
}

fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
