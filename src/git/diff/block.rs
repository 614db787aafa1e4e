//! What changed in the `sops` block of a file: who can read it, which values are encrypted, the data key, the MAC.

use std::collections::HashMap;

use super::version::{Version, View};
use crate::metadata::Metadata;
use crate::recipient;
use crate::seal::mac;

/// A change of the `sops` block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BlockChange {
    /// The file is encrypted now, for these.
    Encrypted(Vec<String>),
    /// The file isn't encrypted any more.
    Bared,
    /// A recipient that is new.
    RecipientAdded(String),
    /// A recipient that is gone.
    RecipientRemoved(String),
    /// Another number of key groups must be opened, or there is another number of them.
    Groups(String, String),
    /// Other values are encrypted.
    Selection(String, String),
    /// Whether the MAC covers encrypted values only.
    MacOnlyEncrypted(bool),
    /// Another data key.
    DataKeyReplaced,
    /// No wrapped data key is the one that was there: the same was wrapped anew, or it is another.
    Rewrapped,
    /// The MAC isn't that of the values.
    MacWrong,
    /// Ciphertext or clear values changed, and the MAC didn't.
    MacStale,
    /// The MAC changed, and that is all that can be seen of it.
    MacChanged,
    /// So many encrypted comments are new, so many gone.
    Comments(usize, usize),
}

impl BlockChange {
    /// The word for machines.
    pub fn id(&self) -> &'static str {
        match self {
            BlockChange::Encrypted(_) => "file-encrypted",
            BlockChange::Bared => "file-in-clear",
            BlockChange::RecipientAdded(_) => "recipient-added",
            BlockChange::RecipientRemoved(_) => "recipient-removed",
            BlockChange::Groups(..) => "key-groups-changed",
            BlockChange::Selection(..) => "selection-changed",
            BlockChange::MacOnlyEncrypted(_) => "mac-only-encrypted-changed",
            BlockChange::DataKeyReplaced => "data-key-replaced",
            BlockChange::Rewrapped => "data-key-wrapped-anew",
            BlockChange::MacWrong => "mac-wrong",
            BlockChange::MacStale => "mac-unchanged",
            BlockChange::MacChanged => "mac-changed",
            BlockChange::Comments(..) => "comments-changed",
        }
    }

    /// The words for people.
    pub fn text(&self) -> String {
        match self {
            BlockChange::Encrypted(recipients) => format!("encrypted for {}", recipients.join(", ")),
            BlockChange::Bared => "not encrypted any more".to_owned(),
            BlockChange::RecipientAdded(who) => format!("recipient added: {who}"),
            BlockChange::RecipientRemoved(who) => format!("recipient removed: {who}"),
            BlockChange::Groups(old, new) => format!("key groups: {old}, now {new}"),
            BlockChange::Selection(old, new) => format!("which values are encrypted: {old}, now {new}"),
            BlockChange::MacOnlyEncrypted(true) => "the MAC covers encrypted values only now (mac_only_encrypted)".to_owned(),
            BlockChange::MacOnlyEncrypted(false) => "the MAC covers clear values again (mac_only_encrypted)".to_owned(),
            BlockChange::DataKeyReplaced => "data key replaced: all values are encrypted anew".to_owned(),
            BlockChange::Rewrapped => "data key wrapped anew for every recipient: it may be another one, which only a key shows".to_owned(),
            BlockChange::MacWrong => "the MAC doesn't fit the values: the file was changed without a key, and won't decrypt".to_owned(),
            BlockChange::MacStale => "values changed, and the MAC didn't: the file was changed without a key".to_owned(),
            BlockChange::MacChanged => "MAC renewed".to_owned(),
            BlockChange::Comments(added, removed) => format!("encrypted comments: {added} new, {removed} gone"),
        }
    }
}

/// What changed in the block of a file. `names` labels recipients.
pub fn changes(old: Option<&Version>, new: Option<&Version>, names: &[(String, String)]) -> Vec<BlockChange> {
    let Some(new) = new else { return Vec::new() };
    let Some(after) = &new.block else {
        return old.and_then(|old| old.block.as_ref()).map(|_| BlockChange::Bared).into_iter().collect();
    };
    let same_mac = old.and_then(|old| old.block.as_ref()).is_some_and(|before| before.mac == after.mac);
    let unsigned = (new.view == View::Opened && !new.signed && !same_mac).then_some(BlockChange::MacWrong);
    let Some((old, before)) = old.and_then(|old| Some((old, old.block.as_ref()?))) else {
        let recipients = recipients(after).iter().map(|recipient| recipient.shown(names)).collect();
        return [BlockChange::Encrypted(recipients)].into_iter().chain(unsigned).collect();
    };
    let mut found = readers(before, after, names);
    found.extend(rules(before, after));
    let key = data_key(old, before, new, after);
    let kept = key.is_none();
    found.extend(key);
    found.extend(unsigned);
    found.extend(comments(old, new).filter(|_| kept));
    found
}

/// What the line of the MAC says: whether it changed, as everyone sees it. Whether an old one fits other ciphertext isn't
/// said: that would answer a guess. `changed` is whether any value under it differs.
pub fn mac_line(old: &Metadata, new: &Metadata, sealed: bool, changed: bool) -> Option<BlockChange> {
    if old.mac != new.mac {
        return sealed.then_some(BlockChange::MacChanged);
    }
    changed.then_some(BlockChange::MacStale)
}

/// A recipient in one key group.
struct Recipient {
    group: Option<usize>,
    kind: &'static str,
    text: String,
}

impl Recipient {
    fn same(&self, other: &Recipient) -> bool {
        let same = |text: &str| recipient::kind_by_field(self.kind).map_or(self.text == text, |kind| kind.same(&self.text, text));
        self.group == other.group && self.kind == other.kind && same(&other.text)
    }

    /// Label and short form: the label comes from the repository, so it never stands alone.
    fn shown(&self, names: &[(String, String)]) -> String {
        let short = recipient::kind_by_field(self.kind).map_or_else(|| self.text.clone(), |kind| kind.short(&self.text));
        let short = if self.kind == "age" { short } else { format!("{} {short}", self.kind) };
        let labelled = match names.iter().find(|(recipient, _)| *recipient == self.text) {
            Some((_, label)) => format!("{label} ({short})"),
            None => short,
        };
        self.group.map_or(labelled.clone(), |group| format!("{labelled} in key group {}", group + 1))
    }
}

fn recipients(metadata: &Metadata) -> Vec<Recipient> {
    let several = metadata.groups.len() > 1;
    let of_group = |(at, group): (usize, &crate::metadata::Group)| {
        let entries = group.entries.iter().map(|entry| {
            let text = recipient::kind_by_field(entry.kind).map(|kind| kind.describe(&entry.value)).unwrap_or_default();
            Recipient { group: several.then_some(at), kind: entry.kind, text }
        });
        entries.collect::<Vec<_>>()
    };
    metadata.groups.iter().enumerate().flat_map(of_group).collect()
}

fn readers(before: &Metadata, after: &Metadata, names: &[(String, String)]) -> Vec<BlockChange> {
    let (old, new) = (recipients(before), recipients(after));
    let missing = |from: &[Recipient], one: &Recipient| !from.iter().any(|other| other.same(one));
    let added = new.iter().filter(|one| missing(&old, one)).map(|one| BlockChange::RecipientAdded(one.shown(names)));
    let removed = old.iter().filter(|one| missing(&new, one)).map(|one| BlockChange::RecipientRemoved(one.shown(names)));
    added.chain(removed).collect()
}

fn rules(before: &Metadata, after: &Metadata) -> Vec<BlockChange> {
    let mut found = Vec::new();
    if groups(before) != groups(after) {
        found.push(BlockChange::Groups(groups(before), groups(after)));
    }
    if before.selector() != after.selector() {
        found.push(BlockChange::Selection(selection(before), selection(after)));
    }
    if before.mac_only_encrypted != after.mac_only_encrypted {
        found.push(BlockChange::MacOnlyEncrypted(after.mac_only_encrypted));
    }
    found
}

fn groups(metadata: &Metadata) -> String {
    match metadata.groups.len() {
        0 | 1 => "one".to_owned(),
        count => format!("{} of {count}", metadata.threshold.unwrap_or(count)),
    }
}

fn selection(metadata: &Metadata) -> String {
    let (kind, text) = metadata.selector();
    format!("{} {text}", kind.name())
}

/// What happened to the data key; none if it is the same.
fn data_key(old: &Version, before: &Metadata, new: &Version, after: &Metadata) -> Option<BlockChange> {
    if let (Some(old), Some(new)) = (&old.data_key, &new.data_key) {
        return (!mac::equal(old.bytes(), new.bytes())).then_some(BlockChange::DataKeyReplaced);
    }
    let entries = |metadata: &Metadata| metadata.groups.iter().flat_map(|group| group.entries.clone()).collect::<Vec<_>>();
    let (before, after) = (entries(before), entries(after));
    // Who wraps a data key anew gets other bytes each time.
    let kept = after.iter().any(|entry| before.contains(entry));
    (!kept).then_some(BlockChange::Rewrapped)
}

fn comments(old: &Version, new: &Version) -> Option<BlockChange> {
    let missing = |from: &Version, of: &Version| {
        let mut left: HashMap<&str, usize> = HashMap::new();
        from.comments.iter().for_each(|text| *left.entry(text.as_str()).or_default() += 1);
        let mut is_missing = |text: &str| match left.get_mut(text) {
            Some(count) if *count > 0 => {
                *count -= 1;
                false
            }
            _ => true,
        };
        of.comments.iter().filter(|text| is_missing(text.as_str())).count()
    };
    let (added, removed) = (missing(old, new), missing(new, old));
    let alike = old.view.is_sealed() == new.view.is_sealed();
    (alike && added + removed > 0).then_some(BlockChange::Comments(added, removed))
}
