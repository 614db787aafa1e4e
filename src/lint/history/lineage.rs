//! Which versions are of one file or object: by its path, and across paths by who the object is and by the data key.
//!
//! A file that is still at its path is itself and nobody else: `dev/db.yaml` and `prod/db.yaml` may well hold a Secret of the
//! same name. One that went away became another one if both have had the same wrapped key, or an object of the same
//! identity. Where the identity names no namespace, they also must have stood in one folder, or the one must have come in a
//! commit in which the other went.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use super::version::{Part, Version};
use super::{Past, Seen};
use crate::kubernetes::Identity;

/// Whose versions they are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    /// Of a part of an encrypted file of today.
    Today {
        /// The file.
        file: usize,
        /// Its part.
        part: usize,
    },
    /// Of what isn't there any more.
    Gone {
        /// One of the places at which it stood.
        place: usize,
        /// Who it was.
        who: String,
    },
}

/// A part in a version.
#[derive(Clone, Copy)]
pub struct Old<'p> {
    /// The version.
    pub seen: &'p Seen,
    /// All of it.
    pub version: &'p Version,
    /// The part.
    pub part: &'p Part,
}

/// Whose versions all versions are.
pub struct Lineage<'p> {
    /// The versions of each object, in order of commits.
    pub traces: BTreeMap<Owner, Vec<Old<'p>>>,
}

impl<'p> Lineage<'p> {
    /// Finds it out.
    pub fn of(past: &'p Past<'p>) -> Lineage<'p> {
        let groups = groups(past);
        let mut linked: HashMap<usize, Vec<usize>> = HashMap::new();
        for (place, group) in past.places.iter().zip(&groups) {
            linked.entry(*group).or_default().extend(place.today);
        }
        let finder = Finder { past, groups, linked, known: known(past) };
        let mut traces: BTreeMap<Owner, Vec<Old<'p>>> = BTreeMap::new();
        for seen in past.seen {
            let Some(version) = past.version(seen) else { continue };
            for part in &version.parts {
                let Some(owner) = finder.owner(seen, version, part) else { continue };
                traces.entry(owner).or_default().push(Old { seen, version, part });
            }
        }
        Lineage { traces }
    }
}

/// Where the parts of today's files are, by who they are.
type Known<'p> = HashMap<&'p Identity, Vec<(usize, usize)>>;

fn known<'p>(past: &'p Past<'p>) -> Known<'p> {
    let mut known = Known::new();
    for (file, today) in past.todays.iter().enumerate() {
        for (part, own) in today.version.parts.iter().enumerate() {
            if let Some(identity) = &own.identity {
                known.entry(identity).or_default().push((file, part));
            }
        }
    }
    known
}

struct Finder<'p> {
    past: &'p Past<'p>,
    /// For each place the one that stands for all that are linked with it.
    groups: Vec<usize>,
    /// The files of today among those that are linked.
    linked: HashMap<usize, Vec<usize>>,
    known: Known<'p>,
}

impl Finder<'_> {
    fn owner(&self, seen: &Seen, version: &Version, part: &Part) -> Option<Owner> {
        let place = self.past.places.get(seen.place)?;
        let found = match place.today {
            Some(file) => self.in_file(file, version, part).or_else(|| self.moved(part)),
            // In clear today: that is a matter of today.
            None if place.there => return None,
            None => self.in_group(seen, version, part),
        };
        found.or_else(|| {
            let who = part.identity.as_ref().map_or_else(|| format!("{}", part.document), Identity::title);
            Some(Owner::Gone { place: *self.groups.get(seen.place)?, who })
        })
    }

    /// The part of a file of today that a part of an older version of it is now.
    fn in_file(&self, file: usize, version: &Version, part: &Part) -> Option<Owner> {
        let now = &self.past.todays.get(file)?.version.parts;
        let today = |part| Some(Owner::Today { file, part });
        if let Some(same) = now.iter().position(|own| own.identity.is_some() && own.identity == part.identity) {
            return today(same);
        }
        if part.kind.is_none() {
            let mut plain = now.iter().enumerate().filter(|(_, own)| own.kind.is_none());
            let beside = plain.clone().find(|(_, own)| own.document == part.document);
            return beside.or_else(|| plain.next()).and_then(|(at, _)| today(at));
        }
        // Under another name: the only one of its kind that wasn't there.
        let was_there = |own: &Part| version.parts.iter().any(|old| old.identity.is_some() && old.identity == own.identity);
        let mut others = now.iter().enumerate().filter(|(_, own)| own.kind == part.kind && !was_there(own));
        let first = others.next()?;
        if others.next().is_none() { today(first.0) } else { None }
    }

    /// An object that moved from a file that is still there.
    fn moved(&self, part: &Part) -> Option<Owner> {
        let identity = part.identity.as_ref().filter(|identity| identity.namespace.is_some())?;
        match self.known.get(identity)?.as_slice() {
            [(file, part)] => Some(Owner::Today { file: *file, part: *part }),
            _ => None,
        }
    }

    /// What a part of a file that went away is now.
    fn in_group(&self, seen: &Seen, version: &Version, part: &Part) -> Option<Owner> {
        let linked = self.linked.get(self.groups.get(seen.place)?)?;
        let named = |file: &usize| file_name(&self.past.todays[*file].name) == file_name(self.past.place(seen));
        let same = part.identity.as_ref().and_then(|identity| self.known.get(identity)).map(Vec::as_slice).unwrap_or_default();
        let mut same = same.iter().filter(|(file, _)| linked.contains(file));
        let best = same.clone().find(|(file, _)| named(file)).or_else(|| same.next());
        match (best, linked.as_slice()) {
            (Some((file, part)), _) => Some(Owner::Today { file: *file, part: *part }),
            (None, [file]) => self.in_file(*file, version, part),
            _ => None,
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// For each place, the one that stands for all places at which the file has been.
fn groups(past: &Past<'_>) -> Vec<usize> {
    let mut links = Links((0..past.places.len()).collect());
    let mut wraps: HashMap<u64, HashSet<usize>> = HashMap::new();
    let mut objects: HashMap<&Identity, HashSet<usize>> = HashMap::new();
    let todays = past.places.iter().enumerate().filter_map(|(at, place)| Some((at, &past.todays.get(place.today?)?.version)));
    let olds = past.seen.iter().filter_map(|seen| Some((seen.place, past.version(seen)?)));
    for (place, version) in todays.chain(olds) {
        for wrap in version.block.iter().flat_map(|block| &block.wraps) {
            wraps.entry(*wrap).or_default().insert(place);
        }
        for identity in version.parts.iter().filter_map(|part| part.identity.as_ref()) {
            objects.entry(identity).or_default().insert(place);
        }
    }
    let moves = Moves::of(past);
    wraps.values().for_each(|places| links.all(past, places, |_, _| true));
    for (identity, places) in &objects {
        links.all(past, places, |one, other| identity.namespace.is_some() || moves.link(past, one, other));
    }
    (0..past.places.len()).map(|place| links.root(place)).collect()
}

/// Sets of places that grow together.
struct Links(Vec<usize>);

impl Links {
    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    /// Links every place that is no more with the others, where that is `right`.
    fn all(&mut self, past: &Past<'_>, places: &HashSet<usize>, right: impl Fn(usize, usize) -> bool) {
        for gone in places.iter().copied().filter(|place| !past.places[*place].there) {
            for other in places.iter().copied().filter(|other| *other != gone && right(gone, *other)) {
                let (one, other) = (self.root(gone), self.root(other));
                self.0[one.max(other)] = one.min(other);
            }
        }
    }
}

/// In which commits places came and went.
struct Moves {
    came: HashMap<usize, HashSet<usize>>,
    went: HashMap<usize, HashSet<usize>>,
}

impl Moves {
    fn of(past: &Past<'_>) -> Moves {
        let mut moves = Moves { came: HashMap::new(), went: HashMap::new() };
        for step in past.steps {
            let map = if step.added { &mut moves.came } else { &mut moves.went };
            map.entry(step.place).or_default().insert(step.commit);
        }
        moves
    }

    /// Whether one place may have become the other.
    fn link(&self, past: &Past<'_>, one: usize, other: usize) -> bool {
        let folder = |place: usize| Path::new(&past.places[place].name).parent();
        let became = |from: usize, to: usize| match (self.went.get(&from), self.came.get(&to)) {
            (Some(went), Some(came)) => !went.is_disjoint(came),
            _ => false,
        };
        folder(one) == folder(other) || became(one, other) || became(other, one)
    }
}
