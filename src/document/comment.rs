//! Which collection a comment belongs to: its key path is the additional data of an encrypted comment, and decides
//! whether the comment is encrypted. Follows yaml.v3's attribution as sops flattens it (a comment becomes an item
//! of the mapping or list that holds it, before the entry it stands above or beside).

use super::comment_gap::Gap;
use super::{Comment, Document, Kind, NONE, Node, NodeId, Role, Span};

/// Fills container, element, inline and certain of every comment. Comments must be in order of position.
pub(super) fn place(document: &mut Document<'_>) {
    let mut comments = std::mem::take(&mut document.comments);
    let (mut next, mut earlier) = (0, 0);
    for gap in comments.chunk_by_mut(|one, other| document.slice(Span { start: one.span.end, end: other.span.start }).trim().is_empty()) {
        for comment in gap.iter_mut() {
            while next < document.nodes.len() && document.nodes[next].span.start < comment.span.start {
                next += 1;
            }
            Place { document, at: comment.span.start as usize, next }.fill(comment);
        }
        tie(document, gap, next, earlier);
        earlier = gap.last().map_or(0, |comment| comment.span.end as usize);
    }
    document.comments = comments;
}

/// Has the comments of a gap in the collections where genuine sops has them.
fn tie(document: &Document<'_>, comments: &mut [Comment], next: usize, earlier: usize) {
    let at = comments.first().map_or(0, |comment| comment.span.start as usize);
    if (Place { document, at, next }).in_flow().is_some() {
        return;
    }
    let Some(containers) = Gap::of(document, comments, next, earlier).map(|gap| gap.containers()) else { return };
    for (comment, container) in comments.iter_mut().zip(containers) {
        if comment.container != container {
            let place = Place { document, at: comment.span.start as usize, next };
            let element = if container == NONE { NONE } else { place.child_after(container) };
            (comment.container, comment.element, comment.certain) = (container, element, false);
        }
    }
}

struct Place<'d, 's> {
    document: &'d Document<'s>,
    /// Offset of the comment.
    at: usize,
    /// Index of the first node that starts after it.
    next: usize,
}

impl Place<'_, '_> {
    fn fill(&self, comment: &mut Comment) {
        let line_start = self.document.line_start(self.at);
        comment.inline = !self.document.source[line_start..self.at].trim().is_empty();
        let beside = comment.inline.then(|| self.beside(line_start)).flatten();
        let (container, element, certain) = self.in_flow().or(beside).unwrap_or_else(|| self.above(self.at - line_start));
        (comment.container, comment.element, comment.certain) = (container, element, certain);
        if container != NONE {
            comment.document = self.document.node(container).document;
        }
    }

    fn previous(&self) -> Option<NodeId> {
        self.next.checked_sub(1).map(|id| id as NodeId)
    }

    fn ancestors(&self, from: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(Some(from), |id| {
            let parent = self.document.node(*id).parent;
            (parent != NONE).then_some(parent)
        })
    }

    /// Inside the brackets of a flow collection.
    fn in_flow(&self) -> Option<(NodeId, NodeId, bool)> {
        let inside = |id: &NodeId| {
            let node = self.document.node(*id);
            node.flow && node.is_collection() && node.span.contains(self.at as u32)
        };
        let container = self.ancestors(self.previous()?).find(inside)?;
        Some(self.behind_bracket(container).unwrap_or_else(|| (container, self.child_after(container), false)))
    }

    /// Inside `container`, beside the bracket of a collection that ends before it, or the comma behind: yaml.v3 moves it in there.
    fn behind_bracket(&self, container: NodeId) -> Option<(NodeId, NodeId, bool)> {
        let document = self.document;
        let closed =
            self.ancestors(self.previous()?).take_while(|id| *id != container).filter(|id| document.node(*id).is_collection()).last()?;
        let node = document.node(closed);
        let (end, line) = (node.span.end as usize, document.line_start(self.at));
        let between = document.source.get(end.max(line)..self.at)?;
        let beside = between.chars().all(|c| matches!(c, ' ' | '\t' | ',')) && (end > line || between.contains(','));
        (beside && node.role != Role::Item).then_some((closed, NONE, false))
    }

    /// The child of `container` that the next node belongs to.
    fn child_after(&self, container: NodeId) -> NodeId {
        if self.next >= self.document.nodes.len() {
            return NONE;
        }
        self.ancestors(self.next as NodeId).find(|id| self.document.node(*id).parent == container).unwrap_or(NONE)
    }

    /// Beside something on its own line: a value, a key whose value follows, a closed flow collection.
    fn beside(&self, line_start: usize) -> Option<(NodeId, NodeId, bool)> {
        let document = self.document;
        let previous = self.previous()?;
        let closed = |id: &NodeId| {
            let node = document.node(*id);
            node.flow && node.is_collection() && (node.parent == NONE || !document.node(node.parent).flow)
        };
        if let Some(flow) = self.ancestors(previous).find(closed) {
            // yaml.v3 moves a comment behind a flow collection into it, as its first item.
            return (document.node(flow).span.end as usize > line_start).then_some((flow, NONE, false));
        }
        let node = document.node(previous);
        let ends = if node.is_block_scalar() { node.body() } else { node.span.end as usize };
        if ends <= line_start || node.is_collection() {
            return None;
        }
        let element = if node.role == Role::Value { previous - 1 } else { previous };
        let certain = !node.is_block_scalar() && node.role != Role::Key && node.span.start < node.span.end;
        (node.parent != NONE).then_some((node.parent, element, certain))
    }

    /// On a line of its own: above the next node.
    fn above(&self, column: usize) -> (NodeId, NodeId, bool) {
        self.document.nodes.get(self.next).map_or((NONE, NONE, true), |next| self.head(next, column))
    }

    fn head(&self, next: &Node, column: usize) -> (NodeId, NodeId, bool) {
        let id = self.next as NodeId;
        if next.role == Role::Item && self.column_of(next.parent) == column && self.document.children(next.parent).next() != Some(id) {
            return (next.parent, id, true);
        }
        if next.is_collection() && !next.flow {
            let first = if next.end > id + 1 { id + 1 } else { NONE };
            return (id, first, next.kind == Kind::Mapping && self.column_of(id) == column);
        }
        let element = if next.role == Role::Value { id - 1 } else { id };
        (next.parent, element, next.role != Role::Value && self.column_of(next.parent) == column)
    }

    fn column_of(&self, id: NodeId) -> usize {
        self.document.column_of(id)
    }
}
