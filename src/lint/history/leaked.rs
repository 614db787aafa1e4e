//! Values that are encrypted today, or were before they went away, and stood in clear in an older version.
//!
//! With a key it can be said whether such a value is still today's. Who can write to a repository without a key must not
//! learn from it whether a guess is right, so that two things are asked for: every version in which the object is encrypted
//! comes after the one in clear, since what was put into history later may be a guess; and the data key is still the one of
//! the first of them.

use std::collections::{BTreeMap, HashSet};

use super::lineage::{Lineage, Old, Owner};
use super::version::{Clear, Part, Print, State, Today, Value};
use super::{IN_CLEAR_ONCE, Past, Seen, Source};
use crate::lint::{Finding, Level};
use crate::select::Selection;

const ROTATE: &str = "change it at its source, then here with kveil set: who has a clone has it, and rewriting history doesn't reach them";
const CHANGED: &str = "make sure that the old one was revoked at its source";

/// A key that stood in clear.
struct Leak<'p> {
    first: &'p Seen,
    /// Its key path then.
    path: &'p str,
    level: Level,
    versions: Vec<(&'p Seen, Option<Print>)>,
}

/// What was in clear.
pub fn find(past: &Past<'_>, lineage: &Lineage<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (owner, olds) in &lineage.traces {
        match owner {
            Owner::Today { file, part } => {
                let Some((today, own)) = past.todays.get(*file).and_then(|today| Some((today, today.version.parts.get(*part)?))) else {
                    continue;
                };
                let compared = Compared::of(past, today, own, olds);
                let leaks = leaks(olds, own, &today.selection);
                findings.extend(leaks.iter().map(|(pairing, leak)| of_today(past, (today, *part), pairing, leak, &compared)));
            }
            Owner::Gone { .. } => findings.extend(gone(past, olds)),
        }
    }
    findings
}

/// The values in clear that the selection, or what is encrypted now, says are secret; by pairing.
fn leaks<'p>(olds: &[Old<'p>], now: &Part, selection: &Selection) -> BTreeMap<String, Leak<'p>> {
    let sealed: HashSet<String> =
        now.values.iter().filter(|value| matches!(value.state, State::Sealed(_))).map(|value| now.pairing(value)).collect();
    let selects = |clear: &Clear| !selection.by_comment() && selection.encrypts(clear.keys.iter().any(|key| selection.matches_key(key)));
    let mut leaks: BTreeMap<String, Leak<'p>> = BTreeMap::new();
    for old in olds {
        for (value, clear) in old.part.values.iter().filter_map(in_clear) {
            let pairing = old.part.pairing(value);
            if !sealed.contains(&pairing) && !selects(clear) {
                continue;
            }
            let new = || Leak { first: old.seen, path: &value.path, level: clear.level, versions: Vec::new() };
            let leak = leaks.entry(pairing).or_insert_with(new);
            leak.level = leak.level.max(clear.level);
            leak.versions.push((old.seen, clear.print));
        }
    }
    leaks
}

fn in_clear(value: &Value) -> Option<(&Value, &Clear)> {
    match &value.state {
        State::Clear(clear) => Some((value, clear)),
        State::Sealed(_) => None,
    }
}

/// What may be compared with today's values of an object.
struct Compared<'p> {
    now: &'p Part,
    /// For each commit whether a value in clear in it was there before any encrypted one; none where nothing is compared.
    before: Option<Vec<bool>>,
}

impl<'p> Compared<'p> {
    fn of(past: &Past<'_>, today: &'p Today, now: &'p Part, olds: &[Old<'_>]) -> Compared<'p> {
        let opened = now.values.iter().any(|value| matches!(&value.state, State::Sealed(sealed) if sealed.print.is_some()));
        let sealed: Vec<&Old<'_>> = olds.iter().filter(|old| old.version.block.is_some()).collect();
        let first = sealed.first().and_then(|old| old.version.block.as_ref());
        let replaced = first.zip(today.version.block.as_ref()).is_some_and(|(first, block)| !first.shares_key(block));
        let before = (opened && !replaced).then(|| before(past, &sealed, olds));
        Compared { now, before }
    }

    /// Whether the value is still today's; none where that isn't said.
    fn current(&self, pairing: &str, leak: &Leak<'_>) -> Option<bool> {
        let (before, now) = (self.before.as_ref()?, self.now.sealed(pairing)?.print?);
        let comparable = |seen: &Seen| before.get(seen.commit).copied().unwrap_or_default();
        let same = |(seen, print): &(&Seen, Option<Print>)| comparable(seen) && *print == Some(now);
        if leak.versions.iter().any(same) {
            return Some(true);
        }
        leak.versions.iter().all(|(seen, print)| comparable(seen) && print.is_some()).then_some(false)
    }
}

/// Which commits come before all in which the object is encrypted; of those only that have it in clear.
fn before(past: &Past<'_>, sealed: &[&Old<'_>], olds: &[Old<'_>]) -> Vec<bool> {
    let mut before = vec![false; past.commits.len()];
    let clear: HashSet<usize> = olds.iter().filter(|old| old.version.block.is_none()).map(|old| old.seen.commit).collect();
    for commit in clear {
        let after = (past.descendants)(commit);
        before[commit] = sealed.iter().all(|old| old.seen.commit != commit && after.get(old.seen.commit).copied().unwrap_or_default());
    }
    before
}

fn of_today(past: &Past<'_>, (today, part): (&Today, usize), pairing: &str, leak: &Leak<'_>, compared: &Compared<'_>) -> Finding {
    let current = compared.current(pairing, leak);
    let now = match current {
        Some(true) => "; it is still today's value",
        Some(false) => "; today's value is another one",
        None => "",
    };
    let then = if past.place(leak.first) == today.name { String::new() } else { format!(", as {}", past.place(leak.first)) };
    let message = format!("{}this value was in clear in {}{then}{now}", title(compared.now), versions(past, leak));
    let mut finding = Finding::of_file(&IN_CLEAR_ONCE, &today.name, message, if current == Some(false) { CHANGED } else { ROTATE });
    finding.level = if current == Some(false) { Level::Note } else { leak.level };
    let place = today.find(part, pairing);
    finding.position = place.map(|(_, position)| position);
    finding.key_path = Some(place.map_or(leak.path, |(path, _)| path).to_owned());
    finding.past = Some(Box::new(Source { versions: leak.versions.len(), current, ..Source::of(past, leak.first) }));
    finding
}

/// What was encrypted once, and isn't there any more: its values may well be in use.
fn gone(past: &Past<'_>, olds: &[Old<'_>]) -> Vec<Finding> {
    let sealed = olds.iter().rev().find_map(|old| Some((old, old.version.block.as_ref()?)));
    let Some((latest, block)) = sealed.filter(|(old, _)| past.places.get(old.seen.place).is_some_and(|place| place.meant)) else {
        return Vec::new();
    };
    if !latest.part.values.iter().any(|value| matches!(value.state, State::Sealed(_))) {
        return Vec::new();
    }
    let selection = Selection::of_metadata(block.selector.as_ref());
    let one = |leak: Leak<'_>| {
        let message =
            format!("{}this value was in clear in {}; it was encrypted later, and is gone", title(latest.part), versions(past, &leak));
        let next = "if it is still used anywhere, change it at its source: who has a clone has it";
        let mut finding = Finding::of_file(&IN_CLEAR_ONCE, past.place(latest.seen), message, next);
        finding.level = leak.level.min(Level::Warning);
        finding.key_path = Some(leak.path.to_owned());
        finding.past = Some(Box::new(Source { versions: leak.versions.len(), ..Source::of(past, leak.first) }));
        finding
    };
    leaks(olds, latest.part, &selection).into_values().map(one).collect()
}

fn title(part: &Part) -> String {
    part.identity.as_ref().map_or_else(String::new, |identity| format!("{}: ", crate::error::printable(&identity.title())))
}

/// `2 versions, the first in 1a2b3c4d5e of 2024-05-02`.
fn versions(past: &Past<'_>, leak: &Leak<'_>) -> String {
    match leak.versions.len() {
        1 => past.when(leak.first),
        many => format!("{many} versions, the first in {}", past.when(leak.first)),
    }
}
