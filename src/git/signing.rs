//! What differs between a version of a file that is signed and one whose MAC doesn't fit: what a person has to see before
//! it is signed. Secret values are never said, only what became of them.

use std::collections::HashMap;

use crate::datakey::rewrap;
use crate::metadata::Metadata;
use crate::pipeline::next::{Held, Opened};
use crate::recipient::{RecipientSpec, kind_by_field};

/// Characters of a clear value that are shown.
const SHOWN: usize = 60;

/// The differences, a line each. `older` says where an earlier version of the file holds a token.
pub fn differences(signed: &Opened<'_>, now: &Opened<'_>, older: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let several = signed.document.parts.len().max(now.document.parts.len()) > 1;
    let mut lines = changes(signed, now, several, &|token| Some(origin(older(token))));
    lines.extend(order(signed, now, several));
    lines.extend(metadata(&signed.metadata, &now.metadata));
    if signed.data_key.bytes() != now.data_key.bytes() {
        lines.push("the data key is another one".to_owned());
    }
    lines
}

/// What became of the values alone.
pub fn values(before: &Opened<'_>, now: &Opened<'_>) -> Vec<String> {
    let several = before.document.parts.len().max(now.document.parts.len()) > 1;
    changes(before, now, several, &|_| None)
}

/// Values by what they are called, in the order of the text. Of two with one name the second has a number.
fn named<'o>(opened: &'o Opened<'_>, several: bool) -> Vec<(String, Held<'o>)> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let name = |held: Held<'o>| {
        let path = if held.path.is_empty() { "the whole file" } else { &held.path };
        let name = if several { format!("document {}: {path}", held.document + 1) } else { path.to_owned() };
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        (if *count > 1 { format!("{name} ({count})") } else { name }, held)
    };
    opened.values().map(name).collect()
}

/// `note` adds to a new token what is known of it.
fn changes(signed: &Opened<'_>, now: &Opened<'_>, several: bool, note: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let (before, after) = (named(signed, several), named(now, several));
    let known: HashMap<&str, &Held<'_>> = before.iter().map(|(name, held)| (name.as_str(), held)).collect();
    let there: HashMap<&str, &Held<'_>> = after.iter().map(|(name, held)| (name.as_str(), held)).collect();
    let mut lines = Vec::new();
    for (name, old) in &before {
        let what = match there.get(name.as_str()) {
            Some(new) => changed(old, new, note),
            None if old.token.is_some() => Some("removed; it was encrypted".to_owned()),
            None => Some(format!("removed; it was {}", clear(old))),
        };
        lines.extend(what.map(|what| format!("{name}: {what}")));
    }
    for (name, new) in after.iter().filter(|(name, _)| !known.contains_key(name.as_str())) {
        lines.push(match new.token {
            Some(token) => format!("{name}: added, encrypted{}", note(token).unwrap_or_default()),
            None => format!("{name}: added, {}", clear(new)),
        });
    }
    lines
}

fn changed(old: &Held<'_>, new: &Held<'_>, note: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let same = old.kind == new.kind && old.plaintext == new.plaintext;
    match (old.token, new.token) {
        (Some(was), Some(is)) if was == is => None,
        (Some(_), Some(_)) if same => Some("encrypted anew, the value is the same".to_owned()),
        (Some(_), Some(token)) => Some(format!("another value{}", note(token).unwrap_or_default())),
        (Some(_), None) if new.plaintext.is_empty() => Some("emptied; it was encrypted".to_owned()),
        (Some(_), None) => Some("in clear now; it was encrypted".to_owned()),
        (None, Some(token)) => Some(format!("encrypted now, it was {}{}", clear(old), note(token).unwrap_or_default())),
        (None, None) if same => None,
        (None, None) => Some(format!("{} became {}", clear(old), clear(new))),
    }
}

fn origin(commit: Option<String>) -> String {
    match commit {
        Some(commit) => format!("; an older version has this ciphertext: {commit}"),
        None => "; no earlier version here has this ciphertext".to_owned(),
    }
}

/// A value that is in clear anyway.
fn clear(held: &Held<'_>) -> String {
    let text = String::from_utf8_lossy(held.plaintext);
    let short: String = text.chars().take(SHOWN).collect();
    let rest = if short.len() < text.len() { "…" } else { "" };
    format!("{} {short:?}{rest}", held.kind.name())
}

/// The MAC goes over values in their order.
fn order(signed: &Opened<'_>, now: &Opened<'_>, several: bool) -> Option<String> {
    let (before, after) = (named(signed, several), named(now, several));
    let places: HashMap<&str, usize> = before.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect();
    let mut last = 0;
    for (name, _) in &after {
        let Some(at) = places.get(name.as_str()) else { continue };
        if *at < last {
            return Some(format!("reordered: {name} stands behind what it stood before"));
        }
        last = *at;
    }
    None
}

fn metadata(signed: &Metadata, now: &Metadata) -> Vec<String> {
    let mut lines = Vec::new();
    let (old, new) = (rewrap::recipients(signed), rewrap::recipients(now));
    for at in 0..old.len().max(new.len()) {
        let none = Vec::new();
        let (old_group, new_group) = (old.get(at).unwrap_or(&none), new.get(at).unwrap_or(&none));
        let group = if old.len().max(new.len()) > 1 { format!(" of group {}", at + 1) } else { String::new() };
        let lacks = |group: &[RecipientSpec], spec: &RecipientSpec| !group.iter().any(|other| rewrap::same(other, spec));
        lines.extend(new_group.iter().filter(|spec| lacks(old_group, spec)).map(|spec| format!("recipient{group} added: {}", shown(spec))));
        lines.extend(old_group.iter().filter(|spec| lacks(new_group, spec)).map(|spec| format!("recipient{group} gone: {}", shown(spec))));
    }
    if signed.selector() != now.selector() {
        let rule = |metadata: &Metadata| format!("{}: {}", metadata.selector().0.name(), metadata.selector().1);
        lines.push(format!("the rule about values: {} became {}", rule(signed), rule(now)));
    }
    if signed.mac_only_encrypted != now.mac_only_encrypted {
        lines.push(format!("mac_only_encrypted: {} became {}", signed.mac_only_encrypted, now.mac_only_encrypted));
    }
    if signed.threshold != now.threshold {
        lines.push("the threshold of key groups is another one".to_owned());
    }
    if signed.unknown != now.unknown {
        lines.push("fields of the sops block that aren't known here".to_owned());
    }
    lines
}

fn shown(spec: &RecipientSpec) -> String {
    format!("{} {}", spec.kind, kind_by_field(spec.kind).map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text)))
}
