//! A version of a file as lines to be merged, in which every secret value is a stand-in: its place says which value it is,
//! never what it holds. A value of several lines counts as one.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::document::resolve::Type;
use crate::document::{Document, Format, Kind, NONE, NodeId, Role};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::kubernetes;
use crate::seal::walk;
use crate::secret::Secret;
use crate::select::Selection;
use crate::sorting;

/// Parts a stand-in from the text around it; no text that is read holds it.
const MARK: char = '\u{1}';

/// A secret value in its place.
pub(super) struct Leaf {
    /// Which value it is: the same in every version. [`None`] for what only its content tells (an item of a list without
    /// names).
    pub place: Option<String>,
    /// The bytes that hold it.
    pub span: Range<usize>,
    /// Its type and plaintext, or its token where there is no key.
    pub value: (Type, Zeroizing<Vec<u8>>),
    /// Its key path, for people.
    pub path: String,
}

/// One line, or several that one value takes up.
pub(super) struct Line {
    /// The bytes, line break included.
    pub range: Range<usize>,
    /// The values in it, as indexes of [`Frame::leaves`].
    pub leaves: Range<usize>,
    /// Whether it is the `sops` block.
    pub block: bool,
    /// The place of the document or collection that it holds whole, since that goes or comes as one.
    pub whole: Option<String>,
}

/// A version of a file.
pub(super) struct Frame<'s> {
    /// Its text.
    pub source: &'s str,
    /// Its format.
    pub format: &'static dyn Format,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Its secret values in the order of the text.
    pub leaves: Vec<Leaf>,
    by_place: HashMap<String, usize>,
}

/// How documents are known again in another version: by their number, or by what they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Numbering {
    /// The first is the first.
    Position,
    /// Kind, namespace and name.
    Identity,
}

impl<'s> Frame<'s> {
    /// The lines of a parsed version; every value that one of `selections` chooses is secret.
    pub fn new(document: &Document<'s>, selections: &[&Selection], numbering: Numbering) -> Result<Frame<'s>> {
        let leaves = leaves(document, selections, numbering)?;
        let mut by_place = HashMap::with_capacity(leaves.len());
        for (at, leaf) in leaves.iter().enumerate() {
            let Some(place) = &leaf.place else { continue };
            if by_place.insert(place.clone(), at).is_some() {
                return Err(Error::new(ErrorKind::Generic, "a key stands there twice").for_key(&leaf.path));
            }
        }
        let lines = lines(document, &leaves);
        Ok(Frame { source: document.source, format: document.format, lines, leaves, by_place })
    }

    /// The value at a place.
    pub fn leaf(&self, place: &str) -> Option<&Leaf> {
        self.by_place.get(place).and_then(|at| self.leaves.get(*at))
    }

    /// All places of values.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.leaves.iter().filter_map(|leaf| leaf.place.as_deref())
    }

    /// The lines that these bytes take up, if they are whole lines, and none is a `sops` block.
    pub fn whole_lines(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let first = self.lines.partition_point(|line| line.range.end <= range.start);
        let last = self.lines.partition_point(|line| line.range.start < range.end);
        let lines = self.lines.get(first..last).filter(|lines| !lines.is_empty())?;
        let fits = lines.first()?.range.start == range.start && lines.last()?.range.end == range.end;
        (fits && !lines.iter().any(|line| line.block)).then_some(first..last)
    }

    /// Makes one line of the lines that hold the document or collection at `place`.
    pub fn join(&mut self, place: &str, range: &Range<usize>) {
        let Some(lines) = self.whole_lines(range) else { return };
        let leaves = match (self.lines.get(lines.start), self.lines.get(lines.end - 1)) {
            (Some(first), Some(last)) => first.leaves.start..last.leaves.end,
            _ => return,
        };
        let whole = Line { range: range.clone(), leaves, block: false, whole: Some(place.to_owned()) };
        self.lines.splice(lines, [whole]);
    }

    /// The line that holds the document or collection at `place`.
    pub fn joined(&self, place: &str) -> Option<&Line> {
        self.lines.iter().find(|line| line.whole.as_deref() == Some(place))
    }

    /// The values of a line.
    pub fn leaves_of(&self, line: &Line) -> &[Leaf] {
        self.leaves.get(line.leaves.clone()).unwrap_or_default()
    }

    /// A line as it is written.
    pub fn text(&self, line: &Line) -> &'s str {
        &self.source[line.range.clone()]
    }

    /// A line for comparing: stand-ins instead of values. `mark` adds to a place what tells versions of its value apart.
    pub fn shape(&self, line: &Line, mark: impl Fn(&str) -> &'static str) -> Secret {
        let mut shape = Secret::with_capacity(line.range.len());
        if line.block {
            shape.push(MARK);
            return shape;
        }
        let mut done = line.range.start;
        for leaf in self.leaves_of(line) {
            shape.push_str(&self.source[done..leaf.span.start]);
            shape.push(MARK);
            match &leaf.place {
                Some(place) => shape.extend([place.as_str(), mark(place)]),
                None => shape.push_str(&fingerprint(leaf.value.0, &leaf.value.1)),
            }
            shape.push(MARK);
            done = leaf.span.end;
        }
        let rest = self.source[done..line.range.end].trim_end_matches(['\n', '\r']);
        // Whether an entry is the last one says nothing about it.
        let rest = if self.has_commas() { rest.strip_suffix(',').unwrap_or(rest) } else { rest };
        shape.push_str(rest);
        shape
    }

    /// Whether entries are parted by commas at the ends of lines, as in JSON.
    pub fn has_commas(&self) -> bool {
        self.format.name() == "json"
    }

    /// The spaces that a line begins with.
    pub fn indent(&self, line: &Line) -> usize {
        let text = self.text(line);
        text.len() - text.trim_start_matches(' ').len()
    }
}

/// A name for a value that doesn't tell it.
fn fingerprint(kind: Type, plaintext: &[u8]) -> String {
    let digest = Sha256::new().chain_update([kind as u8]).chain_update(plaintext).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn leaves(document: &Document<'_>, selections: &[&Selection], numbering: Numbering) -> Result<Vec<Leaf>> {
    let mut chosen: Vec<NodeId> = Vec::new();
    for selection in selections {
        let walk = walk::walk(document, selection)?;
        chosen.extend(walk.leaves.iter().filter(|leaf| leaf.selected && leaf.alias == NONE && !leaf.shadow).map(|leaf| leaf.node));
    }
    chosen.sort_unstable();
    chosen.dedup();
    let namer = Namer::new(document, numbering);
    let mut leaves = Vec::with_capacity(chosen.len());
    for id in chosen {
        let node = document.node(id);
        let end = if node.is_block_scalar() { document.lines_end(id) } else { node.span.end as usize };
        let scalar = document.scalar(id)?;
        let value = (scalar.kind, Zeroizing::new(scalar.bytes.to_vec()));
        leaves.push(Leaf { place: namer.place(id), span: node.span.start as usize..end, value, path: document.key_path(id) });
    }
    sorting::by_key(&mut leaves, |leaf| leaf.span.start);
    Ok(leaves)
}

fn lines(document: &Document<'_>, leaves: &[Leaf]) -> Vec<Line> {
    let source = document.source;
    let blocks = blocks(document);
    let (mut lines, mut start, mut next) = (Vec::new(), 0, 0);
    let end_of = |at: usize| source[at..].find('\n').map_or(source.len(), |found| at + found + 1);
    while start < source.len() {
        let mut end = end_of(start);
        let first = next;
        while let Some(leaf) = leaves.get(next).filter(|leaf| leaf.span.start < end) {
            end = end.max(end_of(leaf.span.end.saturating_sub(1).max(leaf.span.start)));
            next += 1;
        }
        let block = blocks.iter().find(|block| block.start < end && start < block.end);
        end = block.map_or(end, |block| end.max(block.end));
        lines.push(Line { range: start..end, leaves: first..next, block: block.is_some(), whole: None });
        start = end;
    }
    lines
}

/// The lines of the `sops` blocks of a file. In a flat file every field is an entry of its own: those that stand together
/// are one block.
pub(super) fn blocks(document: &Document<'_>) -> Vec<Range<usize>> {
    let mappings = document.parts.iter().filter(|part| part.root != NONE && document.node(part.root).kind == Kind::Mapping);
    let entries = mappings.flat_map(|part| document.entries(part.root));
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for (key, value) in entries.filter(|(key, _)| document.format.is_block(document.key_text(*key))) {
        let block = block(document, key, value);
        match blocks.last_mut() {
            Some(last) if last.end == block.start => last.end = block.end,
            _ => blocks.push(block),
        }
    }
    blocks
}

fn block(document: &Document<'_>, key: NodeId, value: NodeId) -> Range<usize> {
    let value = document.node(value);
    let last = document.nodes.get(value.end as usize - 1).map_or(value.span, |last| last.span);
    let end = value.span.end.max(last.end) as usize;
    let start = document.line_start(document.node(key).span.start as usize);
    let end = end.saturating_sub(1).max(start);
    let end = document.source[end..].find('\n').map_or(document.source.len(), |found| end + found + 1);
    start..end
}

/// Kind, namespace and name of every document of a version.
pub(super) fn identities(document: &Document<'_>) -> Vec<Option<String>> {
    let identity = |root: NodeId| {
        let object = kubernetes::object(document, root)?;
        Some(format!("{}/{}/{}", object.kind, object.namespace.unwrap_or_default(), object.name?))
    };
    document.parts.iter().map(|part| (part.root != NONE).then(|| identity(part.root)).flatten()).collect()
}

/// Finds the names of places.
pub(super) struct Namer<'d, 's> {
    document: &'d Document<'s>,
    /// What each document is called.
    pub documents: Vec<String>,
    /// Of items of lists with names: the name's fingerprint, since it may be secret. Of others nothing.
    names: HashMap<NodeId, String>,
}

impl<'d, 's> Namer<'d, 's> {
    /// For a document.
    pub fn new(document: &'d Document<'s>, numbering: Numbering) -> Namer<'d, 's> {
        let identities = identities(document);
        let name = |(at, identity): (usize, &Option<String>)| match identity.as_ref().filter(|_| numbering == Numbering::Identity) {
            Some(identity) if identities.iter().flatten().filter(|other| *other == identity).count() == 1 => identity.clone(),
            _ => at.to_string(),
        };
        let documents = identities.iter().enumerate().map(name).collect();
        let mut names = HashMap::new();
        let lists = (0..document.nodes.len() as NodeId).filter(|id| document.node(*id).kind == Kind::Sequence);
        lists.for_each(|id| names.extend(names_of(document, id)));
        Namer { document, documents, names }
    }

    /// The place of a value or a collection; [`None`] where a list without names is on the way.
    pub fn place(&self, id: NodeId) -> Option<String> {
        let (mut steps, mut at) = (Vec::new(), id);
        loop {
            let node = self.document.node(at);
            match node.role {
                Role::Value | Role::Shadow => steps.push(format!(".{}", self.document.key_text(at - 1))),
                Role::Item => steps.push(format!("[{}", self.names.get(&at)?)),
                Role::Key | Role::Root => {}
            }
            if node.parent == NONE {
                steps.push(self.documents.get(node.document as usize)?.clone());
                steps.reverse();
                return Some(steps.join("\u{0}"));
            }
            at = node.parent;
        }
    }
}

/// The names of a list's items, as Kubernetes merges lists: all are mappings, each with a `name` of its own.
fn names_of(document: &Document<'_>, list: NodeId) -> HashMap<NodeId, String> {
    let mut names = HashMap::new();
    let mut seen = std::collections::HashSet::new();
    for item in document.children(list) {
        let name = document.get(item, "name").filter(|name| document.node(*name).kind == Kind::Scalar).map(|name| document.text(name));
        match name {
            Some(name) if seen.insert(name) => names.insert(item, fingerprint(Type::Str, name.as_bytes())),
            _ => return HashMap::new(),
        };
    }
    names
}

/// Whether documents have to be known by what they are: they were added, taken away or moved.
pub(super) fn numbering(versions: &[&Document<'_>]) -> Numbering {
    let all: Vec<Vec<Option<String>>> = versions.iter().map(|document| identities(document)).collect();
    let Some((first, others)) = all.split_first() else { return Numbering::Position };
    let moved = |other: &Vec<Option<String>>| {
        first
            .iter()
            .enumerate()
            .any(|(at, identity)| identity.is_some() && other.iter().position(|found| found == identity).is_some_and(|found| found != at))
    };
    let differs = others.iter().any(|other| other.len() != first.len() || moved(other));
    if differs { Numbering::Identity } else { Numbering::Position }
}
