//! The layout record: what neither the style of the ENC scalar nor canonical quoting can bring back. It is encrypted
//! into the `sops` block, since it holds plaintext; an entry counts only while it still says the value that is there.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::{Document, NONE, NodeId, Role};

/// What an entry restores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// The author's bytes of a scalar.
    Scalar,
    /// `*name` in place of a written-out copy.
    Alias,
    /// The same below a merge key.
    Merge,
    /// A scalar with its tag and anchor.
    Tag,
    /// An empty comment taken out of a list: the path is the line of the plain document.
    Comment,
    /// What stood at the root of a document without content.
    Root,
    /// A file without a line break at its end; the header of the block scalar that ended there.
    End,
}

const KINDS: [(EntryKind, &str); 7] = [
    (EntryKind::Scalar, "scalar"),
    (EntryKind::Alias, "alias"),
    (EntryKind::Merge, "merge"),
    (EntryKind::Tag, "tag"),
    (EntryKind::Comment, "comment"),
    (EntryKind::Root, "root"),
    (EntryKind::End, "end"),
];

/// A step of a path, list indexes included.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// A key of a mapping.
    Key(String),
    /// An index of a list, or a line.
    Index(u64),
}

/// One restoration. No `Debug`: `bytes` is plaintext.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// The document of the file, from 0.
    pub document: u32,
    /// Where in the document.
    pub path: Vec<Step>,
    /// What is restored.
    pub kind: EntryKind,
    /// The author's bytes.
    pub bytes: Zeroizing<String>,
}

/// Version of the record that is written and read.
const VERSION: u64 = 1;

/// The record's plaintext: compact JSON `{"v":1,"e":[[document,path,kind,bytes],…]}`.
pub fn to_json(entries: &[Entry]) -> Zeroizing<String> {
    let list: Vec<serde_json::Value> = entries.iter().map(entry_to_json).collect();
    Zeroizing::new(serde_json::json!({ "v": VERSION, "e": list }).to_string())
}

fn entry_to_json(entry: &Entry) -> serde_json::Value {
    let path: Vec<serde_json::Value> = entry
        .path
        .iter()
        .map(|step| match step {
            Step::Key(key) => key.as_str().into(),
            Step::Index(index) => (*index).into(),
        })
        .collect();
    let kind = KINDS.iter().find(|(kind, _)| *kind == entry.kind).map_or("", |(_, name)| name);
    serde_json::json!([entry.document, path, kind, entry.bytes.as_str()])
}

/// Reads a record. [`None`] for one of another version or shape: it is ignored as a whole.
pub fn from_json(text: &str) -> Option<Vec<Entry>> {
    let record: serde_json::Value = serde_json::from_str(text).ok()?;
    if record.get("v")?.as_u64()? != VERSION {
        return None;
    }
    record.get("e")?.as_array()?.iter().map(entry_from_json).collect()
}

fn entry_from_json(entry: &serde_json::Value) -> Option<Entry> {
    let [document, path, kind, bytes] = entry.as_array()?.as_slice() else { return None };
    let step = |step: &serde_json::Value| match step.as_str() {
        Some(key) => Some(Step::Key(key.to_owned())),
        None => step.as_u64().map(Step::Index),
    };
    let name = kind.as_str()?;
    Some(Entry {
        document: u32::try_from(document.as_u64()?).ok()?,
        path: path.as_array()?.iter().map(step).collect::<Option<_>>()?,
        kind: KINDS.iter().find(|(_, known)| *known == name)?.0,
        bytes: Zeroizing::new(bytes.as_str()?.to_owned()),
    })
}

/// Indexes of list items, counted once a list.
#[derive(Default)]
pub struct Indexes {
    counted: HashMap<NodeId, u64>,
    repeats: Option<Repeats>,
}

/// Scalars by their keys, where a format lets keys stand there twice: behind the keys of a path comes the number of equal
/// ones before, if there are any.
pub struct Repeats {
    by_keys: HashMap<Vec<Step>, Vec<NodeId>>,
}

impl Repeats {
    /// Of all values of a document without styles.
    pub fn of(document: &Document<'_>) -> Repeats {
        let mut by_keys: HashMap<Vec<Step>, Vec<NodeId>> = HashMap::new();
        let values = (0..document.nodes.len() as NodeId).filter(|id| matches!(document.node(*id).role, Role::Value | Role::Shadow));
        values.for_each(|id| by_keys.entry(keys(document, id)).or_default().push(id));
        Repeats { by_keys }
    }

    fn steps(&self, document: &Document<'_>, id: NodeId) -> Vec<Step> {
        let mut steps = keys(document, id);
        let before = self.by_keys.get(&steps).and_then(|equal| equal.iter().position(|other| *other == id)).unwrap_or(0);
        steps.extend((before > 0).then_some(Step::Index(before as u64)));
        steps
    }

    /// The value at a path.
    pub fn find(&self, path: &[Step]) -> Option<NodeId> {
        let (keys, before) = match path {
            [keys @ .., Step::Index(before)] => (keys, usize::try_from(*before).ok()?),
            keys => (keys, 0),
        };
        self.by_keys.get(keys)?.get(before).copied()
    }
}

fn keys(document: &Document<'_>, id: NodeId) -> Vec<Step> {
    let mut keys = Vec::new();
    let mut at = id;
    while at != NONE {
        let node = document.node(at);
        if matches!(node.role, Role::Value | Role::Shadow) {
            keys.push(Step::Key(document.key_text(at - 1).to_owned()));
        }
        at = node.parent;
    }
    keys.reverse();
    keys
}

impl Indexes {
    /// The path of a node inside its document.
    pub fn steps(&mut self, document: &Document<'_>, id: NodeId) -> Vec<Step> {
        if document.format.flat().is_some() {
            return self.repeats.get_or_insert_with(|| Repeats::of(document)).steps(document, id);
        }
        let mut steps = Vec::new();
        let mut at = id;
        while at != NONE {
            let node = document.node(at);
            match node.role {
                Role::Value | Role::Shadow => steps.push(Step::Key(document.key_text(at - 1).to_owned())),
                Role::Key => steps.push(Step::Key(document.key_text(at).to_owned())),
                Role::Item => steps.push(Step::Index(self.index(document, at))),
                Role::Root => {}
            }
            at = node.parent;
        }
        steps.reverse();
        steps
    }

    fn index(&mut self, document: &Document<'_>, item: NodeId) -> u64 {
        if !self.counted.contains_key(&item) {
            let list = document.node(item).parent;
            self.counted.extend(document.children(list).zip(0..));
        }
        self.counted.get(&item).copied().unwrap_or_default()
    }
}
