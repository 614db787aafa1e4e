//! Which object of the old side is which of the new one: by group, kind, namespace and name, wherever they stand; what is
//! left by its place in the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::values::{self, Compared, Ground, Trust};
use super::version::{Object, Version, View};
use super::{FileChange, ObjectChange, Presence, Read, Saying, What};
use crate::kubernetes::Identity;
use crate::seal::mac;
use crate::sorting;

/// An object by its file and its index there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct At {
    file: usize,
    object: usize,
}

/// A change of an object, and beside each of its values what may be compared with others.
type Told<'r> = (ObjectChange, Vec<Option<&'r [u8]>>);

/// How many objects of a file are looked at to find the one that another was.
const CANDIDATES: usize = 16;

/// The two sides of an object, of which one may be missing.
type Sides = (Option<At>, Option<At>);

/// What differs, file by file; `block` of each is still empty.
pub fn files(read: &[Read], saying: Saying) -> Vec<FileChange> {
    let mut compared: Vec<Vec<Told<'_>>> = read.iter().map(|_| Vec::new()).collect();
    for (old, new) in Pairing::of(read).pairs {
        let place = new.or(old);
        let Some(file) = place.and_then(|place| compared.get_mut(place.file)) else { continue };
        file.extend(object_change(read, old, new, saying));
    }
    let equal = if saying.equal { Equal::of(read, &compared) } else { Equal::default() };
    read.iter().zip(compared).map(|(read, objects)| file(read, objects, &equal)).collect()
}

fn file(read: &Read, objects: Vec<Told<'_>>, equal: &Equal<'_>) -> FileChange {
    let path = read.pair.path().to_owned();
    let told = objects.into_iter().map(|(mut object, telling)| {
        let title = object.title();
        for (change, value) in object.changes.iter_mut().zip(telling) {
            change.equals = value.map(|value| equal.others(value, &named(&path, &title, &change.path))).unwrap_or_default();
        }
        object
    });
    let objects = told.collect();
    let presence = match (&read.pair.old, &read.pair.new) {
        (Some(_), Some(_)) => Presence::Both,
        (None, _) => Presence::Added,
        (_, None) => Presence::Removed,
    };
    let old_path = read.pair.old.clone().filter(|old| *old != path);
    FileChange { old_path, presence, view: view(read.old.as_ref(), read.new.as_ref()), block: Vec::new(), objects, path }
}

/// How much of a pair was seen: the less of the two sides.
fn view(old: Option<&Version>, new: Option<&Version>) -> View {
    let views = || [new, old].into_iter().flatten().map(|version| &version.view);
    let sealed = views().find(|view| view.is_sealed());
    sealed.or_else(|| views().find(|view| **view == View::Opened)).cloned().unwrap_or(View::Clear)
}

fn object_change(read: &[Read], old: Option<At>, new: Option<At>, saying: Saying) -> Option<Told<'_>> {
    let (before, after) = (old.and_then(|at| object(read, at, Side::Old)), new.and_then(|at| object(read, at, Side::New)));
    let is_object = before.into_iter().chain(after).all(|object| object.kind.is_some());
    let ground = Ground { trust: trust(read, old, new), saying, is_object };
    let (changes, telling): (Vec<_>, Vec<_>) =
        values::changes(before, after, ground).into_iter().map(|Compared { change, telling }| (change, telling)).unzip();
    let moved_from = old.zip(new).filter(|(old, new)| old.file != new.file).and_then(|(old, _)| read.get(old.file)?.pair.old.clone());
    let shown = after.or(before)?;
    let presence = match (before, after) {
        (Some(_), Some(_)) => Presence::Both,
        (None, _) => Presence::Added,
        (_, None) => Presence::Removed,
    };
    if presence == Presence::Both && changes.is_empty() && moved_from.is_none() {
        return None;
    }
    let was = before.filter(|_| after.is_some()).and_then(|object| object.identity.clone());
    let change = ObjectChange {
        identity: shown.identity.clone(),
        kind: shown.kind.clone(),
        place: shown.place,
        is_secret: shown.is_secret || before.is_some_and(|object| object.is_secret),
        presence,
        moved_from,
        renamed_from: was.filter(|was| shown.identity.as_ref() != Some(was)),
        changes,
    };
    Some((change, telling))
}

/// Whether plain texts of the two may be compared. Where only the new side has the object, the data key of its file must be
/// the base's.
fn trust(read: &[Read], old: Option<At>, new: Option<At>) -> Trust {
    let version = |at: Option<At>, side| at.and_then(|at| version(read.get(at.file)?, side));
    let (before, after) = (version(old.or(new), Side::Old), version(new, Side::New));
    let keys = (before.and_then(|before| before.data_key.as_ref()), after.and_then(|after| after.data_key.as_ref()));
    match keys {
        (Some(old), Some(new)) if !mac::equal(old.bytes(), new.bytes()) => Trust::OtherKey,
        (Some(_), Some(_)) if after.is_some_and(|after| after.signed) && !same_mac(before, after) => Trust::Same,
        (Some(_), Some(_)) => Trust::Unsigned,
        _ => Trust::OtherKey,
    }
}

/// Who encrypts a value anew signs anew. Under an old MAC other ciphertext was copied there, and that it fits would tell the
/// one who copied it what it says.
fn same_mac(old: Option<&Version>, new: Option<&Version>) -> bool {
    let mac = |version: Option<&Version>| version.and_then(|version| version.block.as_ref()?.mac.clone());
    mac(old) == mac(new)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

fn version(read: &Read, side: Side) -> Option<&Version> {
    if side == Side::Old { read.old.as_ref() } else { read.new.as_ref() }
}

fn object(read: &[Read], at: At, side: Side) -> Option<&Object> {
    version(read.get(at.file)?, side)?.objects.get(at.object)
}

/// Objects paired so far, and those that are left.
struct Pairing<'r> {
    read: &'r [Read],
    pairs: Vec<Sides>,
    olds: BTreeSet<At>,
    news: BTreeSet<At>,
}

impl<'r> Pairing<'r> {
    fn of(read: &'r [Read]) -> Pairing<'r> {
        let mut pairing = Pairing { read, pairs: Vec::new(), olds: all(read, Side::Old), news: all(read, Side::New) };
        pairing.by_identity(|at| Some(at.file));
        pairing.by_identity(|_| None);
        pairing.by_place();
        let left: Vec<Sides> =
            pairing.news.iter().map(|at| (None, Some(*at))).chain(pairing.olds.iter().map(|at| (Some(*at), None))).collect();
        pairing.pairs.extend(left);
        sorting::by_key(&mut pairing.pairs, |(old, new)| (new.or(*old), new.is_none()));
        pairing
    }

    fn take(&mut self, old: At, new: At) {
        self.olds.remove(&old);
        self.news.remove(&new);
        self.pairs.push((Some(old), Some(new)));
    }

    /// Pairs objects of one identity, if there is one on each side, within what `scope` calls the same.
    fn by_identity(&mut self, scope: impl Fn(&At) -> Option<usize>) {
        type Known<'r> = BTreeMap<(Option<usize>, usize), Vec<At>>;
        let mut names: HashMap<&Identity, usize> = HashMap::new();
        let mut known = |left: &BTreeSet<At>, side: Side| -> Known<'_> {
            let mut known = Known::new();
            for at in left {
                let Some(identity) = object(self.read, *at, side).and_then(|object| object.identity.as_ref()) else { continue };
                let count = names.len();
                let name = *names.entry(identity).or_insert(count);
                known.entry((scope(at), name)).or_default().push(*at);
            }
            known
        };
        let (olds, news) = (known(&self.olds, Side::Old), known(&self.news, Side::New));
        for (key, new) in news {
            if let ([new], Some([old])) = (new.as_slice(), olds.get(&key).map(Vec::as_slice)) {
                self.take(*old, *new);
            }
        }
    }

    /// Pairs what is left in a file in its order, where kinds are the same.
    fn by_place(&mut self) {
        for new in self.news.clone() {
            let Some(after) = object(self.read, new, Side::New) else { continue };
            let alike = |old: &&At| {
                let before = object(self.read, **old, Side::Old);
                before.is_some_and(|before| before.kind == after.kind && share_a_key(before, after))
            };
            let file = At { file: new.file, object: 0 }..At { file: new.file + 1, object: 0 };
            let old = self.olds.range(file).take(CANDIDATES).find(alike).copied();
            if let Some(old) = old {
                self.take(old, new);
            }
        }
    }
}

/// Whether two objects have a key in common beside those that every object has: else one isn't the other renamed.
fn share_a_key(a: &Object, b: &Object) -> bool {
    let own = |object: &Object| -> BTreeSet<String> {
        let common = |path: &str| matches!(path, "apiVersion" | "kind" | "type") || path.starts_with("metadata.");
        object.leaves.iter().filter(|leaf| !common(&leaf.path)).map(|leaf| leaf.path.clone()).collect()
    };
    a.kind.is_none() || !own(a).is_disjoint(&own(b))
}

fn all(read: &[Read], side: Side) -> BTreeSet<At> {
    let of_file = |(file, read): (usize, &Read)| {
        let count = version(read, side).map_or(0, |version| version.objects.len());
        (0..count).map(move |object| At { file, object })
    };
    read.iter().enumerate().flat_map(of_file).collect()
}

fn named(file: &str, object: &str, path: &str) -> String {
    format!("{file}: {object} {path}")
}

/// Where the values of the change set stand that may be compared.
#[derive(Default)]
struct Equal<'r>(HashMap<&'r [u8], Vec<String>>);

impl<'r> Equal<'r> {
    fn of(read: &[Read], compared: &[Vec<Told<'r>>]) -> Equal<'r> {
        let mut equal = Equal::default();
        for (read, objects) in read.iter().zip(compared) {
            for (object, telling) in objects {
                let title = object.title();
                for (change, value) in object.changes.iter().zip(telling).filter(|(change, _)| change.what != What::Removed) {
                    if let Some(value) = value {
                        equal.0.entry(value).or_default().push(named(read.pair.path(), &title, &change.path));
                    }
                }
            }
        }
        equal
    }

    fn others(&self, value: &[u8], own: &str) -> Vec<String> {
        let places = self.0.get(value).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter(|place| place.as_str() != own).cloned().collect()
    }
}
