//! What the history of a repository still gives away: values that are encrypted today and stood in clear once, and values
//! that a recipient of former times has read.
//!
//! ```text
//! version ─► lineage ─► leaked, removed
//!  facts of   what is    the two rules
//!  one blob   one file
//! ```
//!
//! Of a version only key names and hashes are kept, under keys that a run makes for itself. Whether a value of former times
//! is today's is said only where nobody could have put it there to learn that: see [`leaked`].

pub mod leaked;
pub mod lineage;
pub mod removed;
pub mod version;

use super::{Finding, Level, Rule};
use crate::document::Format;
use lineage::Lineage;
use version::{Today, Version};

/// A value in clear in an older version of what is encrypted.
pub static IN_CLEAR_ONCE: Rule = Rule::new("KV116", "plaintext-in-history", Level::Error);
/// Values that a removed recipient has read.
pub static STILL_KNOWN: Rule = Rule::new("KV303", "removed-recipient-can-read", Level::Warning);

pub(super) const RULES: &[&Rule] = &[&IN_CLEAR_ONCE, &STILL_KNOWN];

/// Digits of a commit's name for people.
const SHORT: usize = 10;
/// How many keys are named in one line.
const NAMED: usize = 12;

/// A commit.
pub struct Commit {
    /// Its full name.
    pub name: String,
    /// The day it was made on.
    pub date: String,
}

/// A path at which something stood.
pub struct Place {
    /// As the user would name it.
    pub name: String,
    /// Whether a file is there today.
    pub there: bool,
    /// The encrypted file that is there today, by its index.
    pub today: Option<usize>,
    /// Whether it is one of those that were asked for.
    pub meant: bool,
}

/// A version at a path, since a commit.
#[derive(Clone, Copy)]
pub struct Seen {
    /// Index of the commit.
    pub commit: usize,
    /// Index of the place.
    pub place: usize,
    /// Index of the version.
    pub version: usize,
}

/// A place that a commit has first, or has no more.
#[derive(Clone, Copy)]
pub struct Step {
    /// Index of the commit.
    pub commit: usize,
    /// Index of the place.
    pub place: usize,
    /// Whether it came, rather than went.
    pub added: bool,
}

/// All that is known of former times.
pub struct Past<'a> {
    /// The encrypted files of today.
    pub todays: &'a [Today],
    /// All commits, parents first.
    pub commits: &'a [Commit],
    /// All paths.
    pub places: &'a [Place],
    /// What was read, in order of commits.
    pub seen: &'a [Seen],
    /// What it says; none where it says nothing.
    pub versions: &'a [Option<Version>],
    /// What came and went.
    pub steps: &'a [Step],
    /// Which commits HEAD leads to.
    pub trunk: &'a [bool],
    /// Which commits lead to one.
    pub descendants: &'a dyn Fn(usize) -> Vec<bool>,
}

impl Past<'_> {
    fn version(&self, seen: &Seen) -> Option<&Version> {
        self.versions.get(seen.version)?.as_ref()
    }

    /// `1a2b3c4d5e of 2024-05-02`.
    fn when(&self, seen: &Seen) -> String {
        self.commits
            .get(seen.commit)
            .map_or_else(String::new, |commit| format!("{} of {}", commit.name.get(..SHORT).unwrap_or(&commit.name), commit.date))
    }

    fn place(&self, seen: &Seen) -> &str {
        self.places.get(seen.place).map_or("", |place| &place.name)
    }
}

/// For each place that is there no more, what an encrypted file that stood there was: what it was before that counts, too.
pub fn were_sealed(places: &[Place], seen: &[Seen], versions: &[Option<Version>]) -> Vec<Option<&'static dyn Format>> {
    let mut sealed = vec![None; places.len()];
    for seen in seen.iter().filter(|seen| !places[seen.place].there) {
        let block = versions[seen.version].as_ref().and_then(|version| version.block.as_ref());
        sealed[seen.place] = block.map(|block| block.format).or(sealed[seen.place]);
    }
    sealed
}

/// What a finding is about, for programs.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Source {
    /// The first commit that has it; of a recipient the one that has it no more.
    pub commit: Option<String>,
    /// The day of that commit.
    pub date: Option<String>,
    /// The path there.
    pub path: Option<String>,
    /// In how many versions it stands.
    pub versions: usize,
    /// Whether it is today's value; none where that isn't said.
    pub current: Option<bool>,
    /// The recipient that was removed.
    pub recipient: Option<String>,
    /// The keys concerned.
    pub keys: Vec<String>,
}

impl Source {
    fn of(past: &Past<'_>, seen: &Seen) -> Source {
        let commit = past.commits.get(seen.commit);
        Source {
            commit: commit.map(|commit| commit.name.clone()),
            date: commit.map(|commit| commit.date.clone()),
            path: Some(past.place(seen).to_owned()),
            ..Source::default()
        }
    }
}

/// What the history gives away.
pub fn check(past: &Past<'_>) -> Vec<Finding> {
    let lineage = Lineage::of(past);
    let mut findings = leaked::find(past, &lineage);
    findings.extend(removed::find(past, &lineage));
    findings
}

/// The first keys of many.
fn named(keys: &[String]) -> String {
    let more = keys.len().saturating_sub(NAMED);
    let first = keys.get(..keys.len() - more).unwrap_or_default().join(", ");
    if more == 0 { first } else { format!("{first} and {more} more") }
}
