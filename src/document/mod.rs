//! A file as text plus an index of its nodes: the text is never re-emitted, only chosen spans of it are replaced.
//!
//! [`Document`] holds the parsed file of any [`Format`]; nodes stand in document order (each collection before its
//! children, each key before its value), so that a subtree is a range of the index.

pub mod binary;
mod block;
mod block_scalar;
pub mod bytes;
mod carry;
pub mod change;
mod comment;
mod comment_gap;
pub mod conflict;
pub mod detect;
pub mod dotenv;
pub mod edit;
pub mod example;
pub mod flat;
mod format;
mod given;
pub mod index_path;
pub mod ini;
pub mod json;
pub mod layout;
mod number;
pub mod render;
pub mod resolve;
mod second;
pub mod time;
pub mod value;
pub mod yaml;
mod yaml_block;
mod yaml_lines;
mod yaml_print;
mod yaml_quirks;

use std::borrow::Cow;
use std::collections::HashMap;

use zeroize::Zeroizing;

use crate::error::{Error, Kind as ErrorKind, Result};
use crate::secret::Secret;
pub use detect::format_by_text;
pub use format::Format;
use render::Style;
use resolve::{ResolveError, Scalar};
pub use second::Event;

/// A byte range of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The range `start..end`. Texts are bounded by [`MAX_TEXT`], so offsets fit.
    pub fn new(start: usize, end: usize) -> Span {
        Span { start: start as u32, end: end as u32 }
    }

    /// The range for slicing.
    pub fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Whether `offset` lies inside.
    pub fn contains(self, offset: u32) -> bool {
        self.start <= offset && offset < self.end
    }
}

/// The longest text that is read: offsets are 32 bits wide.
pub const MAX_TEXT: usize = 1 << 30;

/// Index of a node in [`Document::nodes`].
pub type NodeId = u32;
/// No node.
pub const NONE: NodeId = u32::MAX;

/// What a node is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Keys and values in turn.
    Mapping,
    /// A list.
    Sequence,
    /// A leaf.
    Scalar,
    /// `*name`; [`Node::target`] is the node it stands for.
    Alias,
}

/// Which part a node plays in its parent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The top of a document.
    Root,
    /// A key of a mapping; its value is the node after it.
    Key,
    /// A value of a mapping.
    Value,
    /// A value that a later entry with the same key stands for: encrypted like that one, but no part of the data (INI).
    Shadow,
    /// An item of a sequence.
    Item,
}

/// One node of the index. It holds no text: [`Document::text`] does.
#[derive(Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Style of a scalar.
    pub style: Style,
    /// Whether it is a flow collection, or stands inside one.
    pub flow: bool,
    /// Part it plays in its parent.
    pub role: Role,
    /// The document it belongs to.
    pub document: u32,
    /// The enclosing collection, or [`NONE`].
    pub parent: NodeId,
    /// One past its last descendant.
    pub end: NodeId,
    /// Its bytes without tag and anchor; of a block scalar from the header to its last content byte. Empty for an
    /// omitted null.
    pub span: Span,
    /// Block scalars: where the line after the header starts. Aliases: the node they stand for.
    pub aux: u32,
    text: Text,
    props: u32,
}

impl Node {
    /// The node an alias stands for.
    pub fn target(&self) -> NodeId {
        self.aux
    }

    /// Where the body of a block scalar starts: the line after its header.
    pub fn body(&self) -> usize {
        self.aux as usize
    }

    /// Whether this is a literal or folded scalar.
    pub fn is_block_scalar(&self) -> bool {
        self.kind == Kind::Scalar && matches!(self.style, Style::Literal | Style::Folded)
    }

    /// Whether this is a mapping or a sequence.
    pub fn is_collection(&self) -> bool {
        matches!(self.kind, Kind::Mapping | Kind::Sequence)
    }
}

/// Decoded text: a piece of the source, or of the arena where escapes and folds were undone.
#[derive(Clone, Copy, Default)]
struct Text {
    start: u32,
    len: u32,
    owned: bool,
}

impl Text {
    fn of_source(span: Span) -> Text {
        Text { start: span.start, len: span.end - span.start, owned: false }
    }
}

/// Tag and anchor of a node.
#[derive(Clone, Default)]
pub struct Props {
    /// The resolved tag, such as `tag:yaml.org,2002:int`, `!foo` or `!`.
    pub tag: Option<String>,
    /// The tag's bytes.
    pub tag_span: Option<Span>,
    /// The anchor's bytes, `&` included.
    pub anchor_span: Option<Span>,
}

impl Props {
    fn is_empty(&self) -> bool {
        self.tag_span.is_none() && self.anchor_span.is_none()
    }
}

/// A comment, and which values it belongs to.
#[derive(Clone)]
pub struct Comment {
    /// From `#` to the end of its line.
    pub span: Span,
    /// The document it stands in.
    pub document: u32,
    /// The collection that holds it, or [`NONE`] for the top of a document.
    pub container: NodeId,
    /// The key or item it precedes (or shares a line with); [`NONE`] at the end of the container.
    pub element: NodeId,
    /// Whether it follows something on its line.
    pub inline: bool,
    /// Whether it is certain which value yaml.v3 ties it to (matters to the comment rules only).
    pub certain: bool,
}

/// One document of a file.
#[derive(Clone)]
pub struct Part {
    /// The root node, or [`NONE`] if the document is empty.
    pub root: NodeId,
    /// Where its text ends: at a `---` or `...` line or at the end of the file.
    pub end: u32,
}

/// A parsed file.
pub struct Document<'s> {
    /// The text, as read.
    pub source: &'s str,
    /// The format it was read as.
    pub format: &'static dyn Format,
    /// All nodes in document order.
    pub nodes: Vec<Node>,
    /// All comments in order of position.
    pub comments: Vec<Comment>,
    /// The documents (one, except in YAML).
    pub parts: Vec<Part>,
    newline: &'static str,
    /// Of a comment that is written in several places (INI), by its start: those places.
    pieces: HashMap<u32, Vec<Span>>,
    /// Values that the text was printed from, where it can't say them: see [`Document::give`].
    given: HashMap<NodeId, value::Value>,
    props: Vec<Props>,
    arena: Secret,
}

impl<'s> Document<'s> {
    fn empty(source: &'s str, format: &'static dyn Format) -> Document<'s> {
        Document {
            source,
            format,
            nodes: Vec::with_capacity(source.len() / 24 + 4),
            comments: Vec::new(),
            parts: Vec::new(),
            newline: newline_of(source),
            pieces: HashMap::new(),
            given: HashMap::new(),
            props: vec![Props::default()],
            arena: Secret::default(),
        }
    }

    /// The node of this index.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    /// The decoded text of a scalar; empty for an omitted null.
    pub fn text(&self, id: NodeId) -> &str {
        let text = self.node(id).text;
        let range = text.start as usize..(text.start + text.len) as usize;
        if text.owned { &self.arena[range] } else { &self.source[range] }
    }

    /// The source bytes of a node.
    pub fn slice(&self, span: Span) -> &'s str {
        &self.source[span.range()]
    }

    /// Tag and anchor of a node.
    pub fn props(&self, id: NodeId) -> &Props {
        &self.props[self.node(id).props as usize]
    }

    /// The typed value of a scalar node (through an alias: of its target).
    pub fn scalar(&self, id: NodeId) -> Result<Scalar<'_>> {
        let node = self.node(id);
        if node.kind == Kind::Alias {
            return self.scalar(node.target());
        }
        self.format.resolve(self, id).map_err(|why| self.error_at(id, why))
    }

    fn error_at(&self, id: NodeId, why: ResolveError) -> Error {
        Error::from(why).at(self.source, self.node(id).span.start as usize).for_key(self.key_path(id))
    }

    /// The children of a collection: of a mapping keys and values in turn.
    pub fn children(&self, id: NodeId) -> Children<'_, 's> {
        let node = self.node(id);
        Children { document: self, next: id + 1, end: node.end }
    }

    /// The entries of a mapping as (key, value).
    pub fn entries(&self, id: NodeId) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        let mut children = self.children(id);
        std::iter::from_fn(move || Some((children.next()?, children.next()?)))
    }

    /// The value of `key` in a mapping.
    pub fn get(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        if mapping == NONE || self.node(mapping).kind != Kind::Mapping {
            return None;
        }
        self.entries(mapping).find(|(k, _)| self.key_text(*k) == key).map(|(_, value)| value)
    }

    /// The text of a key, through an alias.
    pub fn key_text(&self, id: NodeId) -> &str {
        let node = self.node(id);
        if node.kind == Kind::Alias { self.text(node.target()) } else { self.text(id) }
    }

    /// The key path of a node for people: `data.password`, `list[2].name`.
    pub fn key_path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut at = id;
        while at != NONE {
            let node = self.node(at);
            match node.role {
                Role::Value | Role::Shadow => steps.push(self.key_text(at - 1).to_owned()),
                Role::Key => steps.push(self.key_text(at).to_owned()),
                Role::Item => steps.push(format!("[{}]", self.index_of(at))),
                Role::Root => {}
            }
            at = node.parent;
        }
        steps.reverse();
        steps.join(".").replace(".[", "[")
    }

    fn index_of(&self, item: NodeId) -> usize {
        self.children(self.node(item).parent).take_while(|child| *child != item).count()
    }

    /// The column of `offset`: bytes since the start of its line.
    pub fn column(&self, offset: usize) -> usize {
        offset - self.line_start(offset)
    }

    /// The column of a node; 0 for [`NONE`], the top of a document.
    pub fn column_of(&self, id: NodeId) -> usize {
        if id == NONE { 0 } else { self.column(self.node(id).span.start as usize) }
    }

    /// Where the line of `offset` starts (after a byte order mark).
    pub fn line_start(&self, offset: usize) -> usize {
        let start = self.source[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        if start == 0 && self.source.starts_with('\u{feff}') && offset >= 3 { 3 } else { start }
    }

    /// Where the line of `offset` ends, before its line break.
    pub fn line_end(&self, offset: usize) -> usize {
        let end = self.source[offset..].find('\n').map_or(self.source.len(), |n| offset + n);
        if end > offset && self.source.as_bytes()[end - 1] == b'\r' { end - 1 } else { end }
    }

    /// The line break that the file uses most.
    pub fn newline(&self) -> &'static str {
        self.newline
    }

    /// Whether this is JSON, where comments, aliases and styles don't exist: also that around an encrypted binary file.
    pub fn is_json(&self) -> bool {
        matches!(self.format.name(), "json" | "binary")
    }

    /// Whether this is YAML, where scalars have styles and files several documents.
    pub fn is_yaml(&self) -> bool {
        self.format.name() == "yaml"
    }

    /// The metadata of the file, if it has any.
    ///
    /// # Errors
    /// `Generic` (1) for metadata that can't be read.
    pub fn block(&self) -> Result<Option<value::Value>> {
        self.format.block(self)
    }

    /// The first key of a document that belongs to metadata.
    pub fn block_key(&self, part: &Part) -> Option<NodeId> {
        if part.root == NONE || self.node(part.root).kind != Kind::Mapping {
            return None;
        }
        self.entries(part.root).map(|(key, _)| key).find(|key| self.format.is_block(self.key_text(*key)))
    }

    /// An error of `kind` at the start of a node, with its key path.
    pub fn error(&self, id: NodeId, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, message).at(self.source, self.node(id).span.start as usize).for_key(self.key_path(id))
    }

    /// The text of a comment, without what marks it.
    pub fn comment_text<'d>(&'d self, comment: &Comment) -> Cow<'d, str> {
        match self.format.flat() {
            Some(flat) => flat.comment_text(self, comment),
            None => self.slice(comment.span)[1..].into(),
        }
    }

    /// The edits that put the text of an encrypted comment in its place.
    pub fn put_comment(&self, comment: &Comment, text: &str, edits: &mut edit::Edits) {
        match self.format.flat() {
            Some(flat) => flat.write_comment(self, comment, text, edits),
            None => edits.write(comment.span, |out| out.extend(["#", &text.replace('\n', " ")])),
        }
    }

    fn push(&mut self, node: Node) -> NodeId {
        let id = self.nodes.len() as NodeId;
        self.nodes.push(node);
        id
    }

    /// Keeps decoded text: as a piece of the source if it is one.
    fn keep(&mut self, text: &str) -> Text {
        let base = self.source.as_ptr() as usize;
        let at = text.as_ptr() as usize;
        if at >= base && at + text.len() <= base + self.source.len() {
            return Text { start: (at - base) as u32, len: text.len() as u32, owned: false };
        }
        let start = self.arena.len() as u32;
        self.arena.make_room(text.len());
        self.arena.push_str(text);
        Text { start, len: text.len() as u32, owned: true }
    }
}

/// The line break that the head of a text uses most.
fn newline_of(source: &str) -> &'static str {
    let head = &source.as_bytes()[..source.len().min(1 << 12)];
    let breaks = memchr::memchr_iter(b'\n', head).count();
    let crlf = memchr::memmem::find_iter(head, b"\r\n").count();
    if crlf * 2 > breaks { "\r\n" } else { "\n" }
}

/// The text of an encrypted file in which the first block's layout is that of `earlier`, which another writer laid out in
/// its own way, and whose values differ only. [`None`] if there is nothing to do, or no way to do it.
pub fn with_block_of(earlier: &Document<'_>, text: &str, metadata: &value::Value) -> Option<Zeroizing<String>> {
    let format = earlier.format;
    let old = format.block_span(earlier)?;
    let mut edits = edit::Edits::default();
    let block = earlier.get(earlier.parts.first()?.root, "sops")?;
    if !block::patched(earlier, block, metadata.get("sops")?, &mut edits) {
        return None;
    }
    let wanted = edits.apply_within(earlier.source, old);
    let wanted = wanted.as_str();
    // It stands at the end of most files.
    if text.ends_with(wanted) || memchr::memmem::find(text.as_bytes(), wanted.as_bytes()).is_some() {
        return None;
    }
    let document = format.parse(text).ok()?;
    // A block fits into neither brackets nor what was brackets.
    if document.node(document.parts.first()?.root).flow != earlier.node(earlier.parts.first()?.root).flow {
        return None;
    }
    let new = format.block_span(&document)?;
    let written = document.slice(new);
    (wanted != written).then(|| Zeroizing::new(text.replace(written, wanted)))
}

/// Iterator over the children of a collection.
pub struct Children<'d, 's> {
    document: &'d Document<'s>,
    next: NodeId,
    end: NodeId,
}

impl Iterator for Children<'_, '_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        if self.next >= self.end {
            return None;
        }
        let id = self.next;
        self.next = self.document.node(id).end;
        Some(id)
    }
}

/// All formats: a new one is its own file and a row here.
pub static FORMATS: &[&dyn Format] = &[&yaml::Yaml, &json::Json, &dotenv::Dotenv, &ini::Ini, &binary::Binary];

/// The format of this name (`yaml`, `json`).
pub fn format_by_name(name: &str) -> Option<&'static dyn Format> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The format of a file by its ending.
pub fn format_by_path(path: &str) -> Option<&'static dyn Format> {
    let ending = path.rsplit_once('.')?.1;
    FORMATS.iter().copied().find(|format| format.extensions().contains(&ending))
}
