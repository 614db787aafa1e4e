//! The values of two versions of an object, compared key path by key path.

use std::collections::{HashMap, HashSet};

use super::version::{Leaf, Object, State, Step};
use super::{Change, Saying, Seen, What, inner};
use crate::document::resolve::Type;
use crate::git::mask::length_class;

/// Shorter values are equal by chance: they are neither called moved nor equal to another.
const TELLING: usize = 8;

/// Key paths in clear that say who an object is; they are shown.
const PUBLIC: [&str; 5] = ["apiVersion", "kind", "type", "metadata.name", "metadata.namespace"];

/// A change with the plain bytes that it may be recognised by: they leave this module with the object's comparison.
pub struct Compared<'v> {
    /// The change.
    pub change: Change,
    /// The new value, if it may be compared with others.
    pub telling: Option<&'v [u8]>,
}

/// Whether plain texts may be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Both are encrypted under one data key, the base's, and a new MAC fits: who made it has the key.
    Same,
    /// Another data key: whoever made it may know it, and not the old one.
    OtherKey,
    /// The same data key, but an old MAC, or one that doesn't fit: ciphertext that was put together without the key, or none
    /// that changed.
    Unsigned,
}

/// What is known of the two files beside the values.
#[derive(Clone, Copy)]
pub struct Ground {
    /// Whether plain texts may be compared.
    pub trust: Trust,
    /// What may be said.
    pub saying: Saying,
    /// Whether it is a Kubernetes object: what says who it is, is shown.
    pub is_object: bool,
}

/// The changes from `old` to `new`, in the order of the new side, what was removed at its end.
pub fn changes<'v>(old: Option<&'v Object>, new: Option<&'v Object>, ground: Ground) -> Vec<Compared<'v>> {
    let (olds, news) = (leaves(old), leaves(new));
    let key = |leaf| key(leaf, ground.trust);
    let before: HashMap<Vec<&str>, &Leaf> = olds.iter().map(|leaf| (key(leaf), leaf)).collect();
    let after: HashSet<Vec<&str>> = news.iter().map(key).collect();
    let mut gone = Gone::of(olds.iter().filter(|leaf| !after.contains(&key(leaf))), ground);
    let mut found = Vec::new();
    for leaf in news {
        match before.get(&key(leaf)) {
            Some(old) => found.extend(what(old, leaf, ground).map(|what| compared(what, Some(old), Some(leaf), ground))),
            None => found.push(match gone.origin(leaf, ground) {
                Some(from) => compared(What::Moved, Some(from), Some(leaf), ground),
                None => compared(What::Added, None, Some(leaf), ground),
            }),
        }
    }
    found.extend(gone.left.into_iter().flatten().map(|leaf| compared(What::Removed, Some(leaf), None, ground)));
    found
}

/// Values whose key path is gone.
struct Gone<'v> {
    /// In their order; none for one that is recognised.
    left: Vec<Option<&'v Leaf>>,
    /// Those that may be recognised at another key path, the last first.
    places: HashMap<&'v [u8], Vec<usize>>,
}

impl<'v> Gone<'v> {
    fn of(leaves: impl Iterator<Item = &'v Leaf>, ground: Ground) -> Gone<'v> {
        let leaves: Vec<&Leaf> = leaves.collect();
        let mut places: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (at, leaf) in leaves.iter().enumerate().rev() {
            if let Some(value) = telling(leaf, ground) {
                places.entry(value).or_default().push(at);
            }
        }
        Gone { left: leaves.into_iter().map(Some).collect(), places }
    }

    /// The value that `leaf` was, at a key path where it is gone; each counts once.
    fn origin(&mut self, leaf: &Leaf, ground: Ground) -> Option<&'v Leaf> {
        let at = self.places.get_mut(telling(leaf, ground)?)?.pop()?;
        self.left.get_mut(at)?.take()
    }
}

/// What a value is paired by. Encrypted names pair the items of lists only where plain texts may be compared.
fn key(leaf: &Leaf, trust: Trust) -> Vec<&str> {
    let steps = leaf.steps.iter();
    if trust == Trust::Same { steps.map(|step| step.text.as_str()).collect() } else { steps.map(Step::in_clear).collect() }
}

fn leaves(object: Option<&Object>) -> &[Leaf] {
    object.map_or(&[], |object| object.leaves.as_slice())
}

/// What happened to a value that is on both sides; none if nothing did.
fn what(old: &Leaf, new: &Leaf, ground: Ground) -> Option<What> {
    match (old.state, new.state) {
        (State::Clear, State::Clear) if old.content == new.content => (old.kind != new.kind).then_some(What::Retyped),
        (State::Clear, State::Clear) => Some(if old.kind == new.kind { What::Changed } else { What::Retyped }),
        (State::Clear, _) if old.is_empty() => Some(What::Changed),
        (_, State::Clear) if new.is_empty() => Some(What::Changed),
        (State::Clear, _) => Some(What::Encrypted),
        (_, State::Clear) => Some(What::Bared),
        (State::Sealed, _) | (_, State::Sealed) => (old.token != new.token).then_some(What::Ciphertext),
        _ if ground.trust == Trust::OtherKey => Some(What::Replaced),
        _ if ground.trust == Trust::Unsigned => (old.token != new.token).then_some(What::Ciphertext),
        _ if old.kind != new.kind => Some(What::Retyped),
        _ if old.content != new.content => Some(What::Changed),
        _ => (old.token != new.token).then_some(What::Reencrypted),
    }
}

/// The bytes of an encrypted value that may be compared with others, if they are long enough to mean something.
fn telling(leaf: &Leaf, ground: Ground) -> Option<&[u8]> {
    let compared = ground.trust == Trust::Same && leaf.state == State::Opened && leaf.kind == Type::Str;
    leaf.content.as_deref().map(Vec::as_slice).filter(|value| compared && value.len() >= TELLING)
}

fn compared<'v>(what: What, old: Option<&Leaf>, new: Option<&'v Leaf>, ground: Ground) -> Compared<'v> {
    let path = new.or(old).map(|leaf| leaf.path.clone()).unwrap_or_default();
    let from = (what == What::Moved).then(|| old.map(|leaf| leaf.path.clone())).flatten();
    let key = new.or(old).and_then(|leaf| leaf.steps.last()).map_or("", |step| step.text.as_str());
    let inner = match what {
        What::Changed | What::Retyped => inner::changes(key, content(old), content(new)),
        // Nothing is said that depends on both sides.
        What::Added | What::Replaced => inner::changes(key, None, content(new)),
        _ => Vec::new(),
    };
    let public = ground.is_object && old.into_iter().chain(new).all(|leaf| leaf.state == State::Clear) && PUBLIC.contains(&path.as_str());
    let seen = |leaf: &Leaf| seen(leaf, ground.saying.reveal || public);
    let telling = new.filter(|_| matches!(what, What::Added | What::Changed | What::Moved)).and_then(|leaf| telling(leaf, ground));
    Compared { change: Change { path, what, from, old: old.map(seen), new: new.map(seen), inner, equals: Vec::new() }, telling }
}

/// What an encrypted value says.
fn content(leaf: Option<&Leaf>) -> Option<&[u8]> {
    leaf.filter(|leaf| leaf.state == State::Opened).and_then(|leaf| leaf.content.as_deref()).map(Vec::as_slice)
}

fn seen(leaf: &Leaf, shown: bool) -> Seen {
    let value = leaf.content.clone().filter(|_| shown);
    Seen { kind: leaf.kind, encrypted: leaf.state != State::Clear, length: length_class(leaf.length), value }
}
