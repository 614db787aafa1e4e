//! What a change of an open file would bring into clear, wherever it stands now: a key that is spelled differently, or a
//! line that moved, isn't selected any more.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use sha2::{Digest, Sha256};

use super::next::Opened;
use crate::document::resolve::{Scalar, Type};
use crate::document::{Document, NONE, NodeId, Role};
use crate::error::Result;
use crate::kubernetes::decoded;
use crate::seal::encrypt;
use crate::seal::walk::{self, Walk};
use crate::select::Selection;

/// Text of fewer bytes may be in clear by chance while it is encrypted elsewhere.
const TELLING: usize = 8;

/// A value, known by its hash.
struct Known {
    path: String,
    /// The key it stands under.
    key: String,
    hash: Hash,
    /// Of what it stands for in base64.
    decoded: Option<Hash>,
    telling: bool,
}

type Hash = [u8; 32];

/// The values of a file that say something.
#[derive(Default)]
struct Values {
    hidden: Vec<Known>,
    clear: Vec<Known>,
}

/// The key paths of values in `plain`, the next version of `opened`, that `selection` would leave in clear though they are
/// encrypted so far: at this place; at another one, in base64 or not; or as a key that is encrypted nowhere any more. What is
/// in clear already is none.
///
/// # Errors
/// Those of reading and walking either file.
pub fn disclosed(opened: &Opened<'_>, plain: &Document<'_>, selection: &Selection) -> Result<Vec<String>> {
    // Most changes bring nothing new into clear, and need no more than this.
    if !is_news(&walk::walk(plain, selection)?, plain, opened)? {
        return Ok(Vec::new());
    }
    let old = Selection::of_metadata(opened.metadata.selector.as_ref());
    let (before, after) = (values(&opened.parsed(&opened.plain)?, &old)?, values(plain, selection)?);
    let change = Change::between(&before, &after);
    Ok(after.clear.iter().filter(|value| change.discloses(value)).map(|value| value.path.clone()).collect())
}

/// Whether a value would be in clear that the file holds nowhere in clear.
fn is_news(walk: &Walk, plain: &Document<'_>, opened: &Opened<'_>) -> Result<bool> {
    let mut public = HashSet::with_hasher(RandomState::default());
    public.extend(opened.clear().filter(|value| says_something(value)).map(|value| &*value.bytes));
    for leaf in walk.leaves.iter().filter(|leaf| !leaf.selected) {
        let value = plain.scalar(leaf.node)?;
        if says_something(&value) && !public.contains(&*value.bytes) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn says_something(value: &Scalar<'_>) -> bool {
    value.kind != Type::Comment && encrypt::hidden(value)
}

fn values(document: &Document<'_>, selection: &Selection) -> Result<Values> {
    let mut values = Values::default();
    for leaf in walk::walk(document, selection)?.leaves {
        let value = document.scalar(leaf.node)?;
        if !says_something(&value) {
            continue;
        }
        let group = if leaf.selected { &mut values.hidden } else { &mut values.clear };
        group.push(Known {
            path: document.key_path(leaf.node),
            key: key_of(document, leaf.node).to_owned(),
            hash: hash(&value.bytes),
            decoded: std::str::from_utf8(&value.bytes).ok().and_then(decoded::decode).map(|bytes| hash(&bytes)),
            telling: value.kind == Type::Str && value.bytes.len() >= TELLING,
        });
    }
    Ok(values)
}

fn hash(bytes: &[u8]) -> Hash {
    Sha256::digest(bytes).into()
}

fn key_of<'d>(document: &'d Document<'_>, mut id: NodeId) -> &'d str {
    while id != NONE {
        let node = document.node(id);
        if matches!(node.role, Role::Value | Role::Shadow) {
            return document.key_text(id - 1);
        }
        id = node.parent;
    }
    ""
}

struct Change<'v> {
    /// Where encrypted values stood.
    hidden_places: HashSet<&'v str>,
    /// What was encrypted and moved, or says something wherever else it stands; each with its decoded form.
    secrets: HashSet<Hash>,
    clear_places: HashSet<&'v str>,
    public: HashSet<Hash>,
    /// Keys that hold fewer encrypted values than before.
    fewer: HashSet<&'v str>,
}

impl<'v> Change<'v> {
    fn between(before: &'v Values, after: &'v Values) -> Change<'v> {
        let still_places: HashSet<&str> = after.hidden.iter().map(|value| value.path.as_str()).collect();
        let still: HashSet<Hash> = after.hidden.iter().map(|value| value.hash).collect();
        let moved = |value: &Known| !still_places.contains(value.path.as_str()) && !still.contains(&value.hash);
        let secrets = before.hidden.iter().filter(|value| value.telling || moved(value));
        let (were, are) = (counts(&before.hidden), counts(&after.hidden));
        Change {
            hidden_places: before.hidden.iter().map(|value| value.path.as_str()).collect(),
            secrets: secrets.flat_map(|value| [Some(value.hash), value.decoded]).flatten().collect(),
            clear_places: before.clear.iter().map(|value| value.path.as_str()).collect(),
            public: before.clear.iter().map(|value| value.hash).collect(),
            fewer: were.into_iter().filter(|(key, count)| are.get(key).is_none_or(|now| now < count)).map(|(key, _)| key).collect(),
        }
    }

    fn discloses(&self, value: &Known) -> bool {
        let place = value.path.as_str();
        let renamed = || !self.clear_places.contains(place) && self.fewer.contains(value.key.as_str());
        !self.public.contains(&value.hash) && (self.hidden_places.contains(place) || self.secrets.contains(&value.hash) || renamed())
    }
}

fn counts(values: &[Known]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    values.iter().for_each(|value| *counts.entry(value.key.as_str()).or_default() += 1);
    counts
}
