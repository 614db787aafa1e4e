//! What a reviewer looks at first: who can read a file, what isn't encrypted any more, what breaks a deployment.

use std::collections::HashMap;

use super::block::BlockChange;
use super::version::View;
use super::{Change, FileChange, ObjectChange, Presence, What};
use crate::error::Error;
use crate::sorting;

/// Something to look at first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call {
    /// The word for machines, one of [`ORDER`].
    pub id: &'static str,
    /// The words for people.
    pub text: String,
    /// The files that it is said of.
    pub files: Vec<String>,
}

/// All ids, in the order in which they are called out.
pub const ORDER: [&str; 18] = [
    "unreadable",
    "recipient-added",
    "recipient-removed",
    "key-groups-changed",
    "file-in-clear",
    "now-in-clear",
    "secret-in-clear",
    "damaged",
    "mac-wrong",
    "mac-unchanged",
    "selection-changed",
    "mac-only-encrypted-changed",
    "data-key-replaced",
    "data-key-wrapped-anew",
    "name-changed",
    "namespace-changed",
    "type-changed",
    "still-read",
];

/// Key paths that are named in a line.
const PATHS: usize = 5;

/// What is to be called out of these files.
pub fn of(files: &[FileChange]) -> Vec<Call> {
    let mut calls = Vec::new();
    for file in files {
        let mut add = |id: &'static str, text: String| calls.push(Call { id, text, files: vec![file.path.clone()] });
        if let View::Damaged(why) = &file.view {
            add("damaged", format!("a value can't be decrypted: {why}"));
        }
        for change in file.block.iter().filter(|change| ORDER.contains(&change.id()) && is_grave(change)) {
            add(change.id(), change.text());
        }
        for object in &file.objects {
            bared(object, &mut add);
            identity(object, &mut add);
        }
    }
    gathered(calls)
}

/// The call-out for a file that can't be compared.
pub fn unreadable(error: &Error) -> Call {
    let place = error.position.map(|position| format!("line {}: ", position.line)).unwrap_or_default();
    Call { id: "unreadable", text: format!("can't be read: {place}{}", error.message), files: error.file.clone().into_iter().collect() }
}

/// One line for what is said of several files; in the order of [`ORDER`].
pub fn gathered(calls: Vec<Call>) -> Vec<Call> {
    let mut found: Vec<Call> = Vec::new();
    let mut known: HashMap<(&str, String), usize> = HashMap::new();
    for call in calls {
        let at = *known.entry((call.id, call.text.clone())).or_insert(found.len());
        match found.get_mut(at) {
            Some(same) => same.files.extend(call.files),
            None => found.push(call),
        }
    }
    sorting::by_key(&mut found, |call| ORDER.iter().position(|id| *id == call.id));
    found
}

/// More values under the MAC than before are no loss.
fn is_grave(change: &BlockChange) -> bool {
    *change != BlockChange::MacOnlyEncrypted(false)
}

fn bared(object: &ObjectChange, add: &mut impl FnMut(&'static str, String)) {
    let bared: Vec<&str> = object.changes.iter().filter(|change| change.what == What::Bared).map(|change| change.path.as_str()).collect();
    match bared.as_slice() {
        [] => {}
        [path] => add("now-in-clear", format!("{}: {path} was encrypted, and is in clear now", object.title())),
        paths => add(
            "now-in-clear",
            format!("{}: {} values were encrypted, and are in clear now: {}", object.title(), paths.len(), first(paths)),
        ),
    }
    let put = object.changes.iter().filter(|change| object.is_secret && is_put_in_clear(change)).count();
    if put > 0 {
        let values = if put == 1 { "a value".to_owned() } else { format!("{put} values") };
        add("secret-in-clear", format!("{}: {values} in clear", object.title()));
    }
}

fn first(paths: &[&str]) -> String {
    let more = paths.len().saturating_sub(PATHS);
    let named: Vec<&str> = paths.iter().take(PATHS).copied().collect();
    if more > 0 { format!("{} and {more} more", named.join(", ")) } else { named.join(", ") }
}

/// A new value of a Secret that isn't encrypted.
fn is_put_in_clear(change: &Change) -> bool {
    let clear = change.new.as_ref().is_some_and(|seen| !seen.encrypted && seen.length != "empty");
    secret_key(&change.path).is_some() && clear && matches!(change.what, What::Added | What::Changed | What::Retyped | What::Moved)
}

/// The key of a Secret that a key path stands for.
pub fn secret_key(path: &str) -> Option<&str> {
    path.strip_prefix("data.").or_else(|| path.strip_prefix("stringData."))
}

/// What Kubernetes doesn't let change, or what makes it another object.
fn identity(object: &ObjectChange, add: &mut impl FnMut(&'static str, String)) {
    if !object.is_secret || object.presence != Presence::Both {
        return;
    }
    if let (Some(was), Some(is)) = (&object.renamed_from, &object.identity) {
        if was.name != is.name {
            add("name-changed", format!("{} is called {} now", was.title(), is.title()));
        }
        if was.namespace != is.namespace {
            let namespace = |namespace: &Option<String>| namespace.clone().unwrap_or_else(|| "(none)".to_owned());
            add("namespace-changed", format!("{}: namespace {}, now {}", was.title(), namespace(&was.namespace), namespace(&is.namespace)));
        }
    }
    for change in object.changes.iter().filter(|change| change.path == "type") {
        let shown = |seen: &Option<super::Seen>| match seen.as_ref().and_then(|seen| seen.value.as_ref()) {
            Some(value) => String::from_utf8_lossy(value).into_owned(),
            None => "(none)".to_owned(),
        };
        add("type-changed", format!("{}: type {}, now {}", object.title(), shown(&change.old), shown(&change.new)));
    }
}
