//! All values and comments of a file in document order, each with its additional data and whether it is encrypted.

use std::collections::HashMap;
use std::ops::Range;

use crate::document::resolve::Type;
use crate::document::{Comment, Document, Kind, NONE, NodeId, Role, Span};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::select::Selection;

/// The most nodes that aliases may stand for in one file; more is taken for an attack.
pub const MAX_EXPANDED: usize = 1_000_000;

/// A value.
pub struct Leaf {
    /// The scalar; for a value reached through an alias, the scalar the alias stands for.
    pub node: NodeId,
    /// The outermost alias it was reached through, or [`NONE`].
    pub alias: NodeId,
    /// Its additional data in [`Walk::paths`].
    pub path: Span,
    /// Whether the rule has it encrypted.
    pub selected: bool,
    /// Whether a later entry stands for it: it is no part of the data, nor of the MAC.
    pub shadow: bool,
}

/// A comment and what its place says.
pub struct Remark {
    /// Index in [`Document::comments`].
    pub comment: usize,
    /// The additional data of the collection that holds it.
    pub path: Span,
    /// Whether the rule has it encrypted.
    pub selected: bool,
}

/// The values and comments of a file.
pub struct Walk {
    /// Values in document order, those behind aliases included.
    pub leaves: Vec<Leaf>,
    /// Comments in document order.
    pub remarks: Vec<Remark>,
    /// All additional data (`data:password:`), one after the other.
    pub paths: String,
}

impl Walk {
    /// The additional data at `span`.
    pub fn path(&self, span: Span) -> &str {
        &self.paths[span.range()]
    }
}

/// Walks a file. Top-level `sops` entries are left out.
///
/// # Errors
/// `Unreadable` (2) when aliases stand for more than [`MAX_EXPANDED`] nodes; `EncryptTree` (23) when a comment rule
/// matches a comment that can't be tied to a value with certainty.
pub fn walk(document: &Document<'_>, selection: &Selection) -> Result<Walk> {
    let walk = Walk {
        leaves: Vec::with_capacity(document.nodes.len() / 2),
        remarks: Vec::new(),
        paths: String::with_capacity(document.source.len() / 2),
    };
    let mut walker = Walker {
        document,
        selection,
        walk,
        path: String::new(),
        alias: NONE,
        expanded: 0,
        before: HashMap::new(),
        at_end: HashMap::new(),
        place: Span::default(),
    };
    walker.index_comments();
    for part in &document.parts {
        if part.root != NONE {
            walker.place = walker.keep_path();
            walker.value(part.root, false, false)?;
        }
    }
    walker.path.clear();
    walker.remarks_at_end(NONE, false, &mut false)?;
    walker.leftovers()?;
    Ok(walker.walk)
}

struct Walker<'d, 's> {
    document: &'d Document<'s>,
    selection: &'d Selection,
    walk: Walk,
    path: String,
    alias: NodeId,
    expanded: usize,
    before: HashMap<NodeId, Vec<usize>>,
    at_end: HashMap<NodeId, Vec<usize>>,
    /// The kept path of the current collection: the items of a list share it.
    place: Span,
}

impl Walker<'_, '_> {
    fn index_comments(&mut self) {
        let blocks: Vec<Span> = self.document.parts.iter().filter_map(|part| block_span(self.document, part.root)).collect();
        for (at, comment) in self.document.comments.iter().enumerate() {
            if blocks.iter().any(|span| span.contains(comment.span.start)) {
                continue;
            }
            let known = comment.element != NONE;
            let (index, key) = if known { (&mut self.before, comment.element) } else { (&mut self.at_end, comment.container) };
            index.entry(key).or_default().push(at);
        }
    }

    fn value(&mut self, id: NodeId, by_key: bool, by_comment: bool) -> Result<()> {
        let node = self.document.node(id);
        match node.kind {
            Kind::Scalar => {
                self.leaf(id, by_key || by_comment);
                Ok(())
            }
            Kind::Mapping => self.mapping(id, by_key, by_comment),
            Kind::Sequence => self.sequence(id, by_key, by_comment),
            Kind::Alias => self.expand(id, by_key, by_comment),
        }
    }

    fn leaf(&mut self, node: NodeId, matched: bool) {
        let selected = self.selection.encrypts(matched);
        self.walk.leaves.push(Leaf {
            node,
            alias: self.alias,
            path: self.place,
            selected,
            shadow: self.document.node(node).role == Role::Shadow,
        });
    }

    fn expand(&mut self, id: NodeId, by_key: bool, by_comment: bool) -> Result<()> {
        let target = self.document.node(id).target();
        let size = self.document.node(target).end - target;
        self.expanded += size as usize;
        if self.expanded > MAX_EXPANDED {
            let message = format!("aliases stand for more than {MAX_EXPANDED} nodes, the most that is expanded");
            return Err(self.document.error(id, ErrorKind::Unreadable, message));
        }
        let outer = self.alias;
        if outer == NONE {
            self.alias = id;
        }
        let result = self.value(target, by_key, by_comment);
        self.alias = outer;
        result
    }

    fn mapping(&mut self, id: NodeId, by_key: bool, by_comment: bool) -> Result<()> {
        let document = self.document;
        let top = document.node(id).role == Role::Root;
        let (length, outer) = (self.path.len(), self.place);
        let mut pending = false;
        for (key, value) in document.entries(id) {
            let name = document.key_text(key);
            let (remarks, leaves) = (self.walk.remarks.len(), self.walk.leaves.len());
            self.remarks_before(key, by_key, by_comment, &mut pending)?;
            if top && document.format.is_block(name) {
                continue;
            }
            self.path.push_str(name);
            self.path.push(':');
            self.place = self.keep_path();
            let matched = by_key || self.selection.matches_key(name);
            let remarks = remarks..self.walk.remarks.len();
            self.value(value, matched, by_comment || pending)?;
            if document.node(value).kind == Kind::Alias && !remarks.is_empty() {
                self.go_inside(value, remarks, leaves..self.walk.leaves.len(), matched || by_comment || pending);
            }
            self.path.truncate(length);
            self.place = outer;
            pending = false;
        }
        self.remarks_at_end(id, by_key || by_comment, &mut pending)
    }

    fn sequence(&mut self, id: NodeId, by_key: bool, by_comment: bool) -> Result<()> {
        let document = self.document;
        let mut pending = false;
        for item in document.children(id) {
            self.remarks_before(item, by_key, by_comment, &mut pending)?;
            self.value(item, by_key, by_comment || pending)?;
            pending = false;
        }
        self.remarks_at_end(id, by_key || by_comment, &mut pending)
    }

    /// Comments at places that the walk doesn't come by: none is left in clear because nobody looked at it.
    fn leftovers(&mut self) -> Result<()> {
        let mut left: Vec<usize> = self.before.drain().chain(self.at_end.drain()).flat_map(|(_, comments)| comments).collect();
        left.sort_unstable();
        for at in left {
            let keys = self.keys_above(self.document.comments[at].container);
            let matched = keys.iter().any(|key| self.selection.matches_key(key));
            self.path = keys.iter().map(|key| format!("{key}:")).collect();
            self.remark(at, matched, &mut false)?;
        }
        Ok(())
    }

    /// The keys on the way to a node.
    fn keys_above(&self, id: NodeId) -> Vec<String> {
        let mut keys = Vec::new();
        let mut at = id;
        while at != NONE {
            let node = self.document.node(at);
            if node.role == Role::Value {
                keys.push(self.document.key_text(at - 1).to_owned());
            }
            at = node.parent;
        }
        keys.reverse();
        keys
    }

    /// Every collection's path is kept once; the values of a list share theirs.
    fn keep_path(&mut self) -> Span {
        let start = self.walk.paths.len();
        self.walk.paths.push_str(&self.path);
        Span::new(start, self.walk.paths.len())
    }

    fn remarks_before(&mut self, element: NodeId, by_key: bool, by_comment: bool, pending: &mut bool) -> Result<()> {
        if self.before.is_empty() || self.alias != NONE {
            return Ok(());
        }
        let Some(comments) = self.before.remove(&element) else { return Ok(()) };
        comments.into_iter().try_for_each(|comment| self.remark(comment, by_key || by_comment, pending))
    }

    fn remarks_at_end(&mut self, container: NodeId, matched: bool, pending: &mut bool) -> Result<()> {
        if self.at_end.is_empty() || self.alias != NONE {
            return Ok(());
        }
        let Some(comments) = self.at_end.remove(&container) else { return Ok(()) };
        comments.into_iter().try_for_each(|comment| self.remark(comment, matched, pending))
    }

    fn remark(&mut self, at: usize, matched: bool, pending: &mut bool) -> Result<()> {
        let comment = &self.document.comments[at];
        let text = self.document.comment_text(comment);
        let itself = self.selection.matches_comment(&text);
        if itself && !comment.certain {
            return Err(uncertain(self.document, comment));
        }
        // Under encrypted_comment_regex the comment that matches stays readable itself, those after it don't.
        let unencrypting = self.selection.by_comment() && !self.selection.encrypts(true);
        let selected = self.selection.encrypts(matched || *pending || (itself && unencrypting)) || self.beside_hidden(comment);
        *pending |= itself;
        let path = self.comment_path();
        self.walk.remarks.push(Remark { comment: at, path, selected });
        Ok(())
    }

    /// Comments beside an alias that will be written out, as the first of `leaves` is hidden, go inside of the collection.
    fn go_inside(&mut self, alias: NodeId, remarks: Range<usize>, leaves: Range<usize>, matched: bool) {
        let document = self.document;
        let is_hidden = |leaf: &Leaf| {
            let value = document.scalar(leaf.node).ok().filter(|_| leaf.selected);
            value.is_some_and(|value| value.kind != Type::Null && !(value.kind == Type::Str && value.bytes.is_empty()))
        };
        let collection = document.node(document.node(alias).target()).is_collection();
        if !collection || !self.walk.leaves[leaves].iter().any(is_hidden) {
            return;
        }
        let selected = self.selection.encrypts(matched);
        for remark in self.walk.remarks[remarks].iter_mut().filter(|remark| document.comments[remark.comment].inline) {
            remark.path = self.place;
            remark.selected |= selected;
        }
    }

    /// A comment at a column of its own may be tied to what stands before it: where that is hidden, so is the comment.
    fn beside_hidden(&self, comment: &Comment) -> bool {
        let document = self.document;
        let container = document.column_of(comment.container);
        if comment.inline || comment.certain || document.column(comment.span.start as usize) == container {
            return false;
        }
        let before = document.nodes.partition_point(|node| node.span.start < comment.span.start);
        let Some(previous) = before.checked_sub(1).filter(|id| document.nodes[*id].document == comment.document) else { return false };
        // Behind a key it is the key's value.
        let hidden = previous + usize::from(document.nodes[previous].role == Role::Key);
        let matched = self.keys_above(hidden as NodeId).iter().any(|key| self.selection.matches_key(key));
        !self.selection.by_comment() && self.selection.encrypts(matched)
    }

    /// A comment at the top has `:` as its additional data, a key path joined of nothing.
    fn comment_path(&mut self) -> Span {
        if !self.path.is_empty() {
            return self.keep_path();
        }
        let start = self.walk.paths.len();
        self.walk.paths.push(':');
        Span::new(start, start + 1)
    }
}

fn block_span(document: &Document<'_>, root: NodeId) -> Option<Span> {
    let block = document.get(root, "sops")?;
    let last = document.node(document.node(block).end - 1);
    Some(Span { start: document.node(block - 1).span.start, end: last.span.end })
}

fn uncertain(document: &Document<'_>, comment: &Comment) -> Error {
    let message = "the rule matches this comment, but which value it belongs to isn't certain here";
    Error::new(ErrorKind::EncryptTree, message)
        .at(document.source, comment.span.start as usize)
        .hint("put the comment on a line of its own above the value, at the value's column")
}
