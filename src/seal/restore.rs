//! Puts the layout record's entries back, each only if it still says the value that is there.

use std::collections::HashMap;

use zeroize::Zeroizing;

use super::decrypt::Plain;
use super::walk::Walk;
use crate::document::edit::Edits;
use crate::document::layout::{Entry, EntryKind, Repeats, Step};
use crate::document::resolve::Scalar;
use crate::document::{Document, Kind, NONE, NodeId, Role, Span, yaml};

/// What the record took care of.
#[derive(Default)]
pub struct Restored {
    /// Scalars whose text comes from the record.
    pub covered: Covered,
    /// What document 0 becomes if nothing but the block stands in it.
    pub root: Option<String>,
}

/// A set of nodes.
#[derive(Default)]
pub struct Covered(std::collections::HashSet<NodeId>);

impl Covered {
    /// Whether `id` is in the set.
    pub fn contains(&self, id: &NodeId) -> bool {
        self.0.contains(id)
    }
}

/// Adds the edits of all entries that hold.
pub fn restore(document: &Document<'_>, walk: &Walk, values: &[Plain<'_>], entries: &[Entry], edits: &mut Edits) -> Restored {
    let mut restored = Restored::default();
    if entries.is_empty() {
        return restored;
    }
    let by_node =
        walk.leaves.iter().zip(values).filter(|(leaf, _)| leaf.alias == NONE).map(|(leaf, plain)| (leaf.node, &plain.value)).collect();
    let ends_open = entries.iter().any(|entry| entry.kind == EntryKind::End);
    let places = Places::of(document);
    let mut restorer =
        Restorer { document, values: by_node, ends_open, edits, restored: &mut restored, places, anchors: anchors(document) };
    entries.iter().for_each(|entry| restorer.entry(entry));
    restored
}

/// What remains to be done on the whole text: lines taken out, the missing line break at the end.
pub fn finish(text: Zeroizing<String>, document: &Document<'_>, entries: &[Entry]) -> Zeroizing<String> {
    let mut text = insert_comments(insert_root(text, entries), document, entries);
    if !document.is_yaml() {
        return without_added_end(text, entries);
    }
    if entries.iter().any(|entry| entry.kind == EntryKind::End) && text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Takes the line break off again that was put before the metadata: its length stands in the entry's path.
fn without_added_end(mut text: Zeroizing<String>, entries: &[Entry]) -> Zeroizing<String> {
    let paths = entries.iter().filter(|entry| entry.kind == EntryKind::End).map(|entry| entry.path.as_slice());
    let added = match paths.max_by_key(|path| path.len()) {
        Some([Step::Index(2)]) => "\r\n",
        Some([Step::Index(1)]) => "\n",
        _ => "",
    };
    if text.ends_with(added) {
        let length = text.len() - added.len();
        text.truncate(length);
    }
    text
}

/// A spelling of null goes back to where it stood in a document without content.
fn insert_root(mut text: Zeroizing<String>, entries: &[Entry]) -> Zeroizing<String> {
    let Some(entry) = entries.iter().find(|entry| entry.kind == EntryKind::Root) else { return text };
    let null = matches!(entry.bytes.as_str(), "~" | "null" | "Null" | "NULL");
    if let [Step::Index(at)] = entry.path.as_slice()
        && let Ok(at) = usize::try_from(*at)
        && null
        && text.is_char_boundary(at)
    {
        text.insert_str(at, &entry.bytes);
    }
    text
}

fn insert_comments(text: Zeroizing<String>, document: &Document<'_>, entries: &[Entry]) -> Zeroizing<String> {
    let comments: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == EntryKind::Comment).collect();
    if comments.is_empty() || !document.is_yaml() {
        return text;
    }
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for entry in comments {
        let Some(Step::Index(line)) = entry.path.first() else { return text };
        let at = usize::try_from(*line).unwrap_or(usize::MAX).min(lines.len());
        if entry.bytes.ends_with('\n') || !entry.bytes.trim_start().starts_with('#') || entry.bytes.starts_with('#') && at == lines.len() {
            lines.insert(at, entry.bytes.to_string());
        } else if let Some(line) = lines.get_mut(at) {
            let end = line.trim_end_matches(['\n', '\r']).len();
            line.insert_str(end, &entry.bytes);
        }
    }
    let changed = Zeroizing::new(lines.concat());
    if same_values(&text, &changed) { changed } else { text }
}

/// Whether inserted comment lines left every value as it was.
fn same_values(a: &str, b: &str) -> bool {
    let read = |text: &str| -> Option<Vec<(u32, String)>> {
        let document = yaml::parse(text).ok()?;
        let scalars = (0..document.nodes.len() as NodeId).filter(|id| document.node(*id).kind == Kind::Scalar);
        Some(scalars.map(|id| (document.node(id).parent, document.text(id).to_owned())).collect())
    };
    matches!((read(a), read(b)), (Some(a), Some(b)) if a == b)
}

/// Children by key and index, so that finding thousands of entries stays linear.
struct Places {
    by_step: HashMap<(NodeId, u64), NodeId>,
    repeats: Option<Repeats>,
}

impl Places {
    fn of(document: &Document<'_>) -> Places {
        if document.format.flat().is_some() {
            return Places { by_step: HashMap::new(), repeats: Some(Repeats::of(document)) };
        }
        let mut by_step = HashMap::with_capacity(document.nodes.len());
        for (id, node) in document.nodes.iter().enumerate() {
            let id = id as NodeId;
            match node.kind {
                Kind::Sequence => by_step.extend(document.children(id).enumerate().map(|(at, child)| ((id, at as u64), child))),
                Kind::Mapping => by_step.extend(document.entries(id).map(|(key, value)| ((id, hash(document.key_text(key))), value))),
                _ => {}
            }
        }
        Places { by_step, repeats: None }
    }

    fn find(&self, document: &Document<'_>, entry: &Entry) -> Option<NodeId> {
        if let Some(repeats) = &self.repeats {
            return repeats.find(&entry.path);
        }
        let mut at = document.parts.get(entry.document as usize)?.root;
        for step in &entry.path {
            at = match step {
                Step::Index(index) if at != NONE => *self.by_step.get(&(at, *index))?,
                Step::Key(key) if at != NONE => {
                    let id = *self.by_step.get(&(at, hash(key)))?;
                    (document.key_text(id - 1) == key).then_some(id)?
                }
                _ => return None,
            };
        }
        (at != NONE).then_some(at)
    }
}

/// Keys and indexes share one table; a key's slot is checked against its text when found.
fn hash(key: &str) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() | 1 << 63
}

struct Restorer<'r, 's> {
    document: &'r Document<'s>,
    values: HashMap<NodeId, &'r Scalar<'r>>,
    ends_open: bool,
    edits: &'r mut Edits,
    restored: &'r mut Restored,
    places: Places,
    /// Nodes by the name of their anchor, in document order.
    anchors: HashMap<&'r str, Vec<NodeId>>,
}

impl Restorer<'_, '_> {
    fn entry(&mut self, entry: &Entry) {
        if entry.kind == EntryKind::Root {
            self.restored.root = Some(String::new());
            return;
        }
        let Some(id) = self.places.find(self.document, entry) else { return self.alias_key(entry) };
        match entry.kind {
            EntryKind::Scalar => self.scalar(id, &entry.bytes),
            EntryKind::Tag => self.tagged(id, &entry.bytes),
            EntryKind::Alias | EntryKind::Merge => self.alias(id, &entry.bytes),
            EntryKind::End => self.header(id, &entry.bytes),
            EntryKind::Comment | EntryKind::Root => {}
        }
    }

    fn scalar(&mut self, id: NodeId, bytes: &str) {
        let Some(value) = self.values.get(&id) else { return };
        let document = self.document;
        let node = document.node(id);
        if node.kind != Kind::Scalar {
            return;
        }
        let carried = document.carried(id);
        let props = document.props(id);
        let start = [props.tag_span, props.anchor_span].into_iter().flatten().map(|span| span.start).min().unwrap_or(node.span.start);
        // The header without the comment beside it, which isn't part of the value.
        let header_end = node.span.start + if node.is_block_scalar() { document.header(id).len() as u32 } else { 0 };
        let before = document.slice(Span { start, end: header_end });
        let newline = if node.is_block_scalar() { document.newline() } else { "" };
        if self.says(id, &format!("{before}{newline}{bytes}"), value) {
            self.edits.replace(carried, bytes);
            self.restored.covered.0.insert(id);
        }
    }

    fn tagged(&mut self, id: NodeId, bytes: &str) {
        let Some(value) = self.values.get(&id) else { return };
        let document = self.document;
        let node = document.node(id);
        let anchor = document.props(id).anchor_span;
        let start = anchor.map_or(node.span.start, |span| span.start);
        let named = anchor.is_none_or(|anchor| bytes.split_whitespace().any(|word| word.starts_with(document.slice(anchor))));
        if node.kind == Kind::Scalar && named && self.says(id, bytes, value) {
            self.edits.replace(Span { start, end: node.span.end }, bytes);
            self.restored.covered.0.insert(id);
        }
    }

    /// Whether `text`, standing where the node `id` stands, is one scalar of this value.
    fn says(&self, id: NodeId, text: &str, value: &Scalar<'_>) -> bool {
        let document = self.document;
        if let Some(flat) = document.format.flat() {
            return flat.says(document, id, text, value);
        }
        if document.is_json() {
            return says_in_json(text, value);
        }
        let node = document.node(id);
        let indent = " ".repeat(document.parent_column(id));
        let opening = match (node.flow, node.role) {
            (true, _) => "k: [".to_owned(),
            (false, Role::Item) => format!("k:\n{indent}- "),
            (false, _) if indent.is_empty() => "k: ".to_owned(),
            (false, _) => format!("p:\n{indent}k: "),
        };
        let closing = if node.flow { "]" } else { "" };
        let whole = Zeroizing::new(format!("{opening}{text}{closing}\n"));
        reads_as(&whole, value) || self.ends_open && reads_as(whole.trim_end_matches('\n'), value)
    }

    /// An alias comes back where its anchor holds the same values as the copy.
    fn alias(&mut self, id: NodeId, bytes: &str) {
        let document = self.document;
        let Some(target) = self.anchor(bytes, id) else { return };
        if !self.equal(target, id) {
            return;
        }
        self.edits.replace(document.node(id).span, bytes);
        self.restored.covered.0.extend(id..document.node(id).end);
    }

    /// A key that was an alias: its entry's path is that of the value, and an index 0.
    fn alias_key(&mut self, entry: &Entry) {
        let [path @ .., Step::Index(0)] = entry.path.as_slice() else { return };
        let value = Entry { path: path.to_vec(), ..entry.clone() };
        let Some(key) = self.places.find(self.document, &value).and_then(|id| id.checked_sub(1)) else { return };
        let document = self.document;
        let text = document.text(key).as_bytes();
        let says = |id: NodeId| self.value_of(id).is_some_and(|value| value.bytes.as_ref() == text);
        let target = self.anchor(&entry.bytes, key).filter(|target| says(*target));
        if entry.kind == EntryKind::Alias && document.node(key).role == Role::Key && target.is_some() {
            self.edits.replace(document.node(key).span, &entry.bytes);
        }
    }

    /// The last node before `id` that `*name` can stand for.
    fn anchor(&self, alias: &str, id: NodeId) -> Option<NodeId> {
        let document = self.document;
        let name = alias.strip_prefix('*')?;
        let word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let named = self.anchors.get(name)?;
        let last = named[..named.partition_point(|node| *node < id)].last().copied()?;
        (word && document.node(last).document == document.node(id).document).then_some(last)
    }

    /// Whether two subtrees hold the same keys and typed values, aliases expanded.
    fn equal(&self, a: NodeId, b: NodeId) -> bool {
        let document = self.document;
        let (left, right) = (document.node(a), document.node(b));
        if left.kind == Kind::Alias {
            return self.equal(left.target(), b);
        }
        if right.kind == Kind::Alias {
            return self.equal(a, right.target());
        }
        match (left.kind, right.kind) {
            (Kind::Scalar, Kind::Scalar) if left.role == Role::Key || right.role == Role::Key => self.value_of(a) == self.value_of(b),
            (Kind::Scalar, Kind::Scalar) => self.value_of(a) == self.value_of(b),
            (Kind::Sequence, Kind::Sequence) | (Kind::Mapping, Kind::Mapping) => {
                let (ours, theirs): (Vec<_>, Vec<_>) = (document.children(a).collect(), document.children(b).collect());
                ours.len() == theirs.len() && ours.into_iter().zip(theirs).all(|(a, b)| self.equal(a, b))
            }
            _ => false,
        }
    }

    fn value_of(&self, id: NodeId) -> Option<Scalar<'_>> {
        match self.values.get(&id) {
            Some(value) => Some((*value).clone()),
            None => self.document.scalar(id).ok(),
        }
    }

    /// The header of a block scalar that ends with the file.
    fn header(&mut self, id: NodeId, bytes: &str) {
        let document = self.document;
        if bytes.is_empty() || !document.node(id).is_block_scalar() {
            return;
        }
        let header = document.header(id);
        let bare = |header: &str| header.trim_end_matches(['+', '-']).to_owned();
        let start = document.node(id).span.start as usize;
        if bare(header) == bare(bytes) && bytes.len() <= 3 {
            self.edits.replace(Span::new(start, start + header.len()), bytes);
        }
    }
}

fn anchors<'d>(document: &'d Document<'_>) -> HashMap<&'d str, Vec<NodeId>> {
    let mut anchors: HashMap<&str, Vec<NodeId>> = HashMap::new();
    for id in 0..document.nodes.len() as NodeId {
        if let Some(span) = document.props(id).anchor_span {
            anchors.entry(&document.slice(span)[1..]).or_default().push(id);
        }
    }
    anchors
}

fn reads_as(text: &str, value: &Scalar<'_>) -> bool {
    let Ok(document) = yaml::parse(text) else { return false };
    let scalars: Vec<NodeId> = (0..document.nodes.len() as NodeId)
        .filter(|id| {
            let node = document.node(*id);
            node.kind != Kind::Mapping && node.kind != Kind::Sequence && node.role != Role::Key
        })
        .collect();
    let [only] = scalars.as_slice() else { return false };
    document.comments.is_empty() && document.node(*only).kind == Kind::Scalar && document.scalar(*only).is_ok_and(|scalar| scalar == *value)
}

fn says_in_json(text: &str, value: &Scalar<'_>) -> bool {
    let whole = Zeroizing::new(format!("{{\"k\": {text}}}"));
    let Ok(document) = crate::document::Format::parse(&crate::document::json::Json, &whole) else { return false };
    document.nodes.len() == 3 && document.scalar(2).is_ok_and(|scalar| scalar == *value)
}
