//! Data key and recipients, merged three ways. A side that replaced the data key wins, if it shows that it knew the old
//! values; where a reader went on either side, or nobody's data key can be trusted, there is a new one.

use zeroize::Zeroizing;

use super::weave::Side;
use crate::datakey::{self, DataKey, rewrap};
use crate::document::resolve::Type;
use crate::error::{Error, Kind, Result};
use crate::metadata::{self, Group, Metadata, SelectorKind};
use crate::pipeline::next::Opened;
use crate::recipient::{Identities, RecipientSpec, kind_by_field};

/// What re-wrapping needs.
pub struct Wrapping<'w> {
    /// Where identities are found.
    pub identities: &'w Identities,
    /// Refuses recipients who aren't to read the file: those of its rule are, and nobody else (see [`super::merge`]).
    pub consent: &'w dyn Fn(&[RecipientSpec]) -> Result<()>,
}

/// Under which data key, and for whom, the result is encrypted.
pub(super) struct Settled {
    /// The side whose encrypted version the result goes on from.
    pub anchor: Side,
    /// The block of the result, without its MAC.
    pub metadata: Metadata,
    /// A new data key, for which `metadata` is.
    pub data_key: Option<DataKey>,
    /// What to tell.
    pub notes: Vec<String>,
}

/// The opened versions; one that is in clear is none.
#[derive(Clone, Copy)]
pub(super) struct Sides<'o, 't> {
    /// The ancestor, if it could be opened.
    pub base: Option<&'o Opened<'t>>,
    /// Its block, in either case.
    pub before: Option<&'o Metadata>,
    /// Ours.
    pub ours: Option<&'o Opened<'t>>,
    /// Theirs.
    pub theirs: Option<&'o Opened<'t>>,
}

/// Merges the blocks of both sides.
///
/// # Errors
/// `Generic` (1): they don't go together, or a recipient would be added that nobody agreed to.
pub(super) fn settle(sides: Sides<'_, '_>, now: &str, wrapping: &Wrapping<'_>) -> Result<Settled> {
    match (sides.ours, sides.theirs) {
        (Some(ours), Some(theirs)) => both((sides.base, sides.before), ours, theirs, now, wrapping),
        (Some(only), None) => alone(Side::Ours, only, sides.before.is_some(), now, wrapping),
        (None, Some(only)) => alone(Side::Theirs, only, sides.before.is_some(), now, wrapping),
        (None, None) => Err(Error::new(Kind::Generic, "no side is encrypted")),
    }
}

/// Only one side is encrypted. If the ancestor `was`, too, what the other has in clear may be guesses, of which the right ones
/// would keep their ciphertext: everything is encrypted anew.
fn alone(anchor: Side, only: &Opened<'_>, was: bool, now: &str, wrapping: &Wrapping<'_>) -> Result<Settled> {
    let (side, other) = if anchor == Side::Ours { ("ours", "theirs") } else { ("theirs", "ours") };
    let mut notes = vec![format!("only {side} is encrypted: what {other} has in clear is encrypted for its recipients")];
    let metadata = Metadata { last_modified: now.to_owned(), ..only.metadata.clone() };
    if !was {
        return Ok(Settled { anchor, metadata, data_key: None, notes });
    }
    notes.push(format!(
        "{other} put into clear what was encrypted: the result has a new data key, and values of {other} are known to others"
    ));
    let (metadata, data_key) = renewed(metadata, &rewrap::recipients(&only.metadata), wrapping)?;
    Ok(Settled { anchor, metadata, data_key, notes })
}

/// Of the ancestor: what was opened, and its block.
type Before<'b, 't> = (Option<&'b Opened<'t>>, Option<&'b Metadata>);

fn both((base, before): Before<'_, '_>, ours: &Opened<'_>, theirs: &Opened<'_>, now: &str, wrapping: &Wrapping<'_>) -> Result<Settled> {
    let mut notes = Vec::new();
    let anchor = anchor(base, ours, theirs, &mut notes);
    let (first, second) = if anchor == Some(Side::Theirs) { (theirs, ours) } else { (ours, theirs) };
    let same_key = first.data_key.bytes() == second.data_key.bytes();
    let metadata = fields(before, &first.metadata, &second.metadata, now)?;
    let wanted = recipients(before, &first.metadata, &second.metadata)?;
    let knew = if same_key { joined(&first.metadata, &second.metadata) } else { rewrap::recipients(&first.metadata) };
    if metadata.selector() != ours.metadata.selector() {
        let rule = |(kind, text): (SelectorKind, &str)| format!("{} {text}", kind.name());
        let (new, old) = (rule(metadata.selector()), rule(ours.metadata.selector()));
        notes.push(format!("theirs changed which values are encrypted: {new}, before {old}; no MAC covers that, look whether it is meant"));
    }
    let gone = missing(&knew, &wanted);
    if !gone.is_empty() {
        notes.push(format!("{} went on one side: the result has a new data key", names(&gone)));
    }
    let (metadata, data_key) = match anchor {
        Some(_) if gone.is_empty() => (kept(first, second, same_key, metadata, &wanted, wrapping)?, None),
        _ => renewed(metadata, &wanted, wrapping)?,
    };
    Ok(Settled { anchor: anchor.unwrap_or(Side::Ours), metadata, data_key, notes })
}

/// The side whose data key is the result's; [`None`] if neither's can be.
fn anchor(base: Option<&Opened<'_>>, ours: &Opened<'_>, theirs: &Opened<'_>, notes: &mut Vec<String>) -> Option<Side> {
    let (our, their) = (ours.data_key.bytes(), theirs.data_key.bytes());
    if our == their {
        return Some(Side::Ours);
    }
    let base_key = base.map(|base| base.data_key.bytes());
    let replaced = match base_key {
        Some(base) if base == our => Some((Side::Theirs, theirs)),
        Some(base) if base == their => Some((Side::Ours, ours)),
        _ => None,
    };
    let Some((side, opened)) = replaced else {
        notes.push("both sides have a data key of their own: the result has a new one".to_owned());
        return None;
    };
    // Whoever knows none of the old values may have made the data key up; who knows but some of them may have guessed.
    let who = if side == Side::Ours { "ours" } else { "theirs" };
    let (same, all) = base.map_or((0, 0), |base| values_in_common(base, opened));
    if same > 0 {
        if same < all {
            notes
                .push(format!("{who} replaced the data key, which the result has, and keeps {same} of {all} old values: ask who did that"));
        }
        return Some(side);
    }
    notes.push(format!("{who} replaced the data key, and none of its values is an old one: the result has a new data key"));
    None
}

/// How many encrypted values are what they were, and of how many.
fn values_in_common(base: &Opened<'_>, other: &Opened<'_>) -> (usize, usize) {
    let known: std::collections::HashMap<String, (Type, Zeroizing<Vec<u8>>)> = base.encrypted_values().collect();
    let same = other.encrypted_values().filter(|(path, value)| known.get(path).is_some_and(|old| old == value)).count();
    (same, known.len())
}

/// What the block says beside recipients, three ways.
fn fields(base: Option<&Metadata>, first: &Metadata, second: &Metadata, now: &str) -> Result<Metadata> {
    let choose = |what: &str, same: &dyn Fn(&Metadata, &Metadata) -> bool| {
        let kept = base.is_some_and(|base| same(base, first)) && !same(first, second);
        match base.is_some_and(|base| same(base, second)) || same(first, second) {
            true => Ok(first),
            false if kept => Ok(second),
            false => Err(Error::new(Kind::Generic, format!("both sides changed {what} of the sops block, each in its way"))),
        }
    };
    let selector = choose("the rule about values", &|a, b| a.selector() == b.selector())?;
    let only_encrypted = choose("mac_only_encrypted", &|a, b| a.mac_only_encrypted == b.mac_only_encrypted)?;
    let threshold = choose("the threshold", &|a, b| a.threshold == b.threshold)?;
    let unknown = choose("a field that isn't known here", &|a, b| a.unknown == b.unknown)?;
    let ours_is_higher = metadata::written_version(Some(&second.version)) != second.version;
    Ok(Metadata {
        groups: Vec::new(),
        threshold: threshold.threshold,
        last_modified: now.to_owned(),
        mac: None,
        version: metadata::written_version(Some(if ours_is_higher { &first.version } else { &second.version })),
        selector: selector.selector.clone(),
        mac_only_encrypted: only_encrypted.mac_only_encrypted,
        layout: None,
        unknown: unknown.unknown.clone(),
    })
}

type Recipients = Vec<Vec<RecipientSpec>>;

/// The recipients of the result: those whom neither side took out, and those whom either put in.
fn recipients(base: Option<&Metadata>, first: &Metadata, second: &Metadata) -> Result<Recipients> {
    let (first, second) = (rewrap::recipients(first), rewrap::recipients(second));
    let none = vec![Vec::new(); first.len()];
    let base = base.map_or(none, rewrap::recipients);
    if first.len() == second.len() && first.len() == base.len() {
        let groups = base.iter().zip(&first).zip(&second);
        return Ok(groups.map(|((base, first), second)| merged(base, first, second)).collect());
    }
    let same = |a: &Recipients, b: &Recipients| a.len() == b.len() && missing(a, b).is_empty() && missing(b, a).is_empty();
    match (same(&first, &base), same(&second, &base) || same(&first, &second)) {
        (_, true) => Ok(first),
        (true, false) => Ok(second),
        _ => Err(Error::new(Kind::Generic, "both sides changed the key groups, each in its way")),
    }
}

fn merged(base: &[RecipientSpec], first: &[RecipientSpec], second: &[RecipientSpec]) -> Vec<RecipientSpec> {
    let kept = first.iter().filter(|spec| has(second, spec) || !has(base, spec));
    let added = second.iter().filter(|spec| !has(first, spec) && !has(base, spec));
    kept.chain(added).cloned().collect()
}

fn has(group: &[RecipientSpec], spec: &RecipientSpec) -> bool {
    group.iter().any(|other| rewrap::same(other, spec))
}

/// Those of `all` that `there` lacks, group by group.
fn missing(all: &Recipients, there: &Recipients) -> Vec<RecipientSpec> {
    let none = Vec::new();
    let groups = all.iter().enumerate().map(|(at, group)| (group, there.get(at).unwrap_or(&none)));
    groups.flat_map(|(group, there)| group.iter().filter(|spec| !has(there, spec)).cloned().collect::<Vec<_>>()).collect()
}

/// All who can open either version.
fn joined(first: &Metadata, second: &Metadata) -> Recipients {
    let mut groups = rewrap::recipients(first);
    for (at, more) in rewrap::recipients(second).into_iter().enumerate() {
        match groups.get_mut(at) {
            Some(group) => group.extend(more),
            None => groups.push(more),
        }
    }
    groups
}

fn names(specs: &[RecipientSpec]) -> String {
    let short = |spec: &RecipientSpec| kind_by_field(spec.kind).map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text));
    specs.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// The data key stays: entries keep their bytes, also those that the other side added; what is missing is wrapped.
fn kept(
    first: &Opened<'_>,
    second: &Opened<'_>,
    same_key: bool,
    metadata: Metadata,
    wanted: &Recipients,
    wrapping: &Wrapping<'_>,
) -> Result<Metadata> {
    let mut there = first.metadata.clone();
    if let (true, [group], [other]) = (same_key, there.groups.as_mut_slice(), second.metadata.groups.as_slice()) {
        for entry in &other.entries {
            let alone = |entries: &[crate::metadata::Entry]| {
                let group = Group { entries: entries.to_vec(), unknown: Vec::new() };
                rewrap::recipients(&Metadata { groups: vec![group], ..first.metadata.clone() }).concat()
            };
            if missing(&vec![alone(std::slice::from_ref(entry))], &vec![alone(&group.entries)]).is_empty() {
                continue;
            }
            group.entries.push(entry.clone());
        }
    }
    let known = rewrap::recipients(&there);
    let unchanged = known.len() == wanted.len() && missing(wanted, &known).is_empty() && missing(&known, wanted).is_empty();
    if unchanged && there.threshold == metadata.threshold {
        return Ok(Metadata { groups: there.groups, ..metadata });
    }
    // Shares of several groups are all made anew.
    let new = if wanted.len() > 1 { wanted.concat() } else { missing(wanted, &known) };
    consented(wrapping, &new)?;
    let wrapped = rewrap::rewrap(&first.data_key, &there, wanted, metadata.threshold, wrapping.identities)?;
    Ok(Metadata { groups: wrapped.groups, threshold: wrapped.threshold, ..metadata })
}

/// A new data key, wrapped for all.
fn renewed(metadata: Metadata, wanted: &Recipients, wrapping: &Wrapping<'_>) -> Result<(Metadata, Option<DataKey>)> {
    consented(wrapping, &wanted.concat())?;
    let data_key = DataKey::generate()?;
    let groups = datakey::wrap(&data_key, wanted, metadata.threshold, wrapping.identities)?;
    let threshold = datakey::threshold(groups.len(), metadata.threshold)?;
    Ok((Metadata { groups, threshold, ..metadata }, Some(data_key)))
}

fn consented(wrapping: &Wrapping<'_>, recipients: &[RecipientSpec]) -> Result<()> {
    if recipients.is_empty() {
        return Ok(());
    }
    let remote = |spec: &&RecipientSpec| kind_by_field(spec.kind).is_none_or(|kind| !kind.is_local());
    if let Some(spec) = recipients.iter().find(remote).filter(|_| wrapping.identities.is_offline()) {
        let message =
            format!("the data key would have to be wrapped for {} {}, over the network", spec.kind, names(std::slice::from_ref(spec)));
        return Err(Error::new(Kind::Generic, message).hint("git config kveil.network merge lets merges ask key services"));
    }
    (wrapping.consent)(recipients)
}
