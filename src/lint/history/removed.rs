//! Values that a recipient could read who was removed since, and that nobody seems to have changed.
//!
//! Without a key, ciphertext tells: as long as the data key stays, a value that was changed has another one. Where the data
//! key was replaced all have another one, and a value counts as carried over if its length and type stayed. Only versions
//! that HEAD leads to count: whoever is a recipient on some other branch wasn't removed from this one.

use std::collections::{BTreeMap, BTreeSet};

use super::lineage::{Lineage, Old, Owner};
use super::version::{Block, Sealed, State, Today};
use super::{Past, STILL_KNOWN, Seen, Source, named};
use crate::datakey::rewrap;
use crate::lint::{Finding, configuration};
use crate::recipient::RecipientSpec;

/// An encrypted version of a file.
struct Version<'p> {
    seen: &'p Seen,
    block: &'p Block,
    /// Its parts, by the parts of today's version.
    parts: BTreeMap<usize, Old<'p>>,
}

/// What removed recipients still know.
pub fn find(past: &Past<'_>, lineage: &Lineage<'_>) -> Vec<Finding> {
    let mut files: BTreeMap<usize, BTreeMap<(usize, usize), Version<'_>>> = BTreeMap::new();
    for (owner, olds) in &lineage.traces {
        let Owner::Today { file, part } = owner else { continue };
        for old in olds.iter().filter(|old| past.trunk.get(old.seen.commit).copied().unwrap_or_default()) {
            let Some(block) = &old.version.block else { continue };
            let new = || Version { seen: old.seen, block, parts: BTreeMap::new() };
            let versions = files.entry(*file).or_default();
            versions.entry((old.seen.commit, old.seen.version)).or_insert_with(new).parts.insert(*part, *old);
        }
    }
    files
        .into_iter()
        .filter_map(|(file, versions)| Some((past.todays.get(file)?, versions.into_values().collect::<Vec<_>>())))
        .flat_map(|(today, versions)| of_file(past, today, &versions))
        .collect()
}

fn of_file(past: &Past<'_>, today: &Today, versions: &[Version<'_>]) -> Vec<Finding> {
    let Some(block) = &today.version.block else { return Vec::new() };
    let has = |recipients: &[RecipientSpec], wanted: &RecipientSpec| recipients.iter().any(|spec| rewrap::same(spec, wanted));
    let mut removed: Vec<&RecipientSpec> = Vec::new();
    for spec in versions.iter().flat_map(|version| &version.block.recipients).filter(|spec| !has(&block.recipients, spec)) {
        if !removed.iter().any(|other| rewrap::same(other, spec)) {
            removed.push(spec);
        }
    }
    let one = |spec| {
        let last = versions.iter().rposition(|version| has(&version.block.recipients, spec))?;
        let kept = versions.iter().any(|version| has(&version.block.recipients, spec) && version.block.shares_key(block));
        finding(past, today, spec, versions.get(last..)?, kept)
    };
    removed.into_iter().filter_map(one).collect()
}

/// What is known to `spec`, who is in the first of `versions` and in no later one; `kept` says that today's data key is one
/// that it had.
fn finding(past: &Past<'_>, today: &Today, spec: &RecipientSpec, versions: &[Version<'_>], kept: bool) -> Option<Finding> {
    let keys: BTreeSet<String> = values(today)
        .filter(|(part, pairing, now)| kept || is_unchanged(today, (*part, pairing, now), versions))
        .filter_map(|(part, pairing, _)| Some(today.find(part, &pairing)?.0.to_owned()))
        .collect();
    if keys.is_empty() {
        return None;
    }
    let keys: Vec<String> = keys.into_iter().collect();
    let who = configuration::named_by(spec, &today.labels);
    let after = versions.get(1).map(|version| version.seen);
    let since = after.map_or_else(|| "is no recipient any more".to_owned(), |seen| format!("was removed in {}", past.when(seen)));
    let (what, next) = match kept {
        true => (
            "but the data key is one that it had: it opens the file as it is",
            "kveil rotate -i the file, and change these values at their source, then here with kveil set",
        ),
        false => ("and nothing shows that these values have changed since", "change them at their source, then here with kveil set"),
    };
    let mut finding = Finding::of_file(&STILL_KNOWN, &today.name, format!("{who} {since}, {what}: {}", named(&keys)), next);
    let source = after.map(|seen| Source::of(past, seen)).unwrap_or_default();
    finding.past = Some(Box::new(Source { versions: versions.len(), recipient: Some(spec.text.clone()), keys, ..source }));
    Some(finding)
}

/// The encrypted values of today: part, pairing, ciphertext.
fn values(today: &Today) -> impl Iterator<Item = (usize, String, &Sealed)> {
    today.version.parts.iter().enumerate().flat_map(|(at, part)| {
        part.values.iter().filter_map(move |value| match &value.state {
            State::Sealed(sealed) => Some((at, part.pairing(value), sealed)),
            State::Clear(_) => None,
        })
    })
}

/// Whether nothing shows that a value was changed since the first of `versions`, in which it was encrypted.
fn is_unchanged(today: &Today, (part, pairing, now): (usize, &str, &Sealed), versions: &[Version<'_>]) -> bool {
    let sealed = |version: &Version<'_>| version.parts.get(&part).and_then(|old| old.part.sealed(pairing)).copied();
    if versions.first().and_then(sealed).is_none() {
        return false;
    }
    let olds = versions.iter().filter_map(|version| Some((version.block, sealed(version)?)));
    let all: Vec<(&Block, Sealed)> = olds.chain(today.version.block.as_ref().map(|block| (block, *now))).collect();
    all.iter().enumerate().all(|(at, (block, value))| {
        // Of each data key the first one counts for all under it.
        let first = all.iter().take(at).find(|(other, _)| other.shares_key(block)).map(|(_, value)| value);
        value.shape == now.shape && first.is_none_or(|first| is_same(first, value))
    })
}

/// Whether two ciphertexts under one data key hide the same value, as far as that is known.
fn is_same(one: &Sealed, other: &Sealed) -> bool {
    one.hash == other.hash || one.print.is_some() && one.print == other.print
}
