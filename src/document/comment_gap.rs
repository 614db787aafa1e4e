//! Which collections the comments between two pieces of a YAML file's content belong to, as genuine sops has it: its parser
//! ties a comment to the token before or after it by columns and blank lines, and some tokens hand theirs on to the next one
//! that keeps comments (facts of go-yaml 3.0.4, checked against the tool). A token under another key path than the one that
//! sops comes to could not be decrypted by it.

use std::ops::Range;

use super::{Comment, Document, Kind, NONE, NodeId, Role};

/// What stands before the comments.
#[derive(Clone, Copy)]
enum Before {
    /// A value, an item or a flow collection that is written there.
    Content(NodeId),
    /// The `:` of a mapping's entry.
    Colon(NodeId),
    /// The `-` of a list's item.
    Dash(NodeId),
    /// A tag or an anchor, inside of this collection.
    Props(NodeId),
}

/// Where the parser has a comment wait, and for what.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// Beside what stands before it.
    Line,
    /// Above what comes after it.
    Head,
    /// Below what stands before it.
    Foot,
}

/// Comments that are tied as one.
struct Group {
    comments: Range<usize>,
    side: Side,
    column: usize,
    /// The text that the parser had looked at before, up to where it closed the group.
    scanned: Range<usize>,
    start: usize,
    /// Where the parser has it wait: [`None`] for the token before.
    mark: Option<usize>,
}

/// Comments with nothing between them but white space.
pub(super) struct Gap<'d, 's> {
    document: &'d Document<'s>,
    comments: &'d [Comment],
    before: Before,
    /// Where the content before ends.
    start: usize,
    /// The first node after, if it is of the same document.
    next: Option<NodeId>,
    /// The column of what comes after; [`None`] at the end of the text.
    column: Option<usize>,
    part: u32,
}

/// How far something that keeps comments is looked for: past so many values that are left out, no Secret has one.
const FAR: usize = 100;

impl<'d, 's> Gap<'d, 's> {
    /// The gap that `comments` fill, `next` being the index of the first node after them, and `earlier` the end of the comment
    /// before them; [`None`] at the start of a document, and beside things that no Secret has, such as keys after `?`.
    pub(super) fn of(document: &'d Document<'s>, comments: &'d [Comment], next: usize, earlier: usize) -> Option<Gap<'d, 's>> {
        let first = comments.first()?.span.start as usize;
        let start = document.source[..first].trim_end_matches([' ', '\t', '\r', '\n']).len();
        let previous = next.checked_sub(1)? as NodeId;
        let part = document.node(previous).document;
        if document.parts[part as usize].end < first as u32 {
            return None;
        }
        let next = document.nodes.get(next).filter(|node| node.document == part).map(|_| next as NodeId);
        let before = before(document, previous, next, earlier..start)?;
        let end = comments.last()?.span.end as usize;
        Some(Gap { document, comments, before, start, next, column: column_after(document, part, end), part })
    }

    /// The collection of each comment.
    pub(super) fn containers(&self) -> Vec<NodeId> {
        let groups = self.groups();
        let mut waiting = Waiting::new(&groups, self.comments.len());
        waiting.add(|group| group.mark.is_none());
        waiting.tie(|side| self.kept_before(side));
        for (level, end) in self.ends(&groups) {
            waiting.add(|group| group.side != Side::Head && group.mark.is_none_or(|mark| mark <= end));
            if self.document.node(level).kind == Kind::Mapping {
                waiting.tie(|side| Some(self.kept_at_end(level, side)));
            }
        }
        waiting.add(|_| true);
        for id in self.nodes_after() {
            if waiting.groups.is_empty() {
                break;
            }
            waiting.tie(|side| self.kept_after(id, side));
            waiting.tie(|_| self.ended_with(id));
        }
        let root = self.document.parts[self.part as usize].root;
        waiting.tie(|_| Some(root));
        waiting.containers
    }

    fn nodes_after(&self) -> impl Iterator<Item = NodeId> + '_ {
        let nodes = self.next.into_iter().flat_map(|next| next..self.document.nodes.len() as NodeId);
        nodes.take(FAR).take_while(|id| self.document.node(*id).document == self.part)
    }

    /// The innermost collection that the content before stands in.
    fn inside(&self) -> NodeId {
        match self.before {
            Before::Content(id) => self.document.node(id).parent,
            Before::Colon(id) | Before::Dash(id) | Before::Props(id) => id,
        }
    }

    /// The block collections that are open, from the innermost. A list at the column of its key opens no level.
    fn levels(&self) -> impl Iterator<Item = NodeId> + '_ {
        let document = self.document;
        ancestors(document, self.inside()).filter(move |id| {
            let node = document.node(*id);
            let indentless = node.role == Role::Value && document.column_of(*id) == document.column_of(node.parent);
            !(node.kind == Kind::Sequence && indentless)
        })
    }

    /// Divides the comments: one that stands further left than the innermost collection ends where the column changes, or
    /// at a blank line; so does one that follows the content before directly, at a blank line.
    fn groups(&self) -> Vec<Group> {
        let beside = self.beside();
        let line = Group { comments: 0..1, side: Side::Line, column: 0, scanned: 0..0, start: 0, mark: None };
        let groups: Vec<Group> = beside.then_some(line).into_iter().collect();
        let Some(first) = self.comments.get(usize::from(beside)) else { return groups };
        let breaks = |range: Range<usize>| self.document.source[range].matches('\n').count();
        // The parser passes over one character at a comment's end: of CR LF the second one is a blank line to it.
        let blanks = |range: Range<usize>| self.document.source[range].matches(['\r', '\n']).count().saturating_sub(1);
        let (mut end, mut line) = (first.span.start as usize, 0);
        let mut scan = Scan::new(self, groups, breaks(self.scan_start()..end));
        for (index, comment) in self.comments.iter().enumerate().skip(usize::from(beside)) {
            let start = comment.span.start as usize;
            scan.blanks(blanks(end..start), end, start);
            scan.comment(index, self.document.column(start), start);
            line += breaks(end..start);
            scan.line = line;
            end = comment.span.end as usize;
        }
        let rest = &self.document.source[end..];
        let after = end + rest.len() - rest.trim_start().len();
        // A block that is put below the last line comes after a line break.
        let put_below = after == end && self.column.is_some() && self.document.newline().len() > 1;
        scan.blanks(blanks(end..after).max(usize::from(put_below)), end, after);
        scan.finish(after);
        scan.groups
    }

    /// Whether the first comment stands beside content. What stands beside a `-` counts as if it were on the next line.
    fn beside(&self) -> bool {
        self.comments[0].inline && !matches!(self.before, Before::Dash(_))
    }

    /// Where the parser looks for comments from.
    fn scan_start(&self) -> usize {
        if self.beside() { self.comments[0].span.end as usize } else { self.start }
    }

    /// The collections that end here, from the innermost, and the offset that each is taken to end at: a comment at its column
    /// is still its own.
    fn ends(&self, groups: &[Group]) -> Vec<(NodeId, usize)> {
        let column = self.column.unwrap_or(0);
        let mut end = self.scan_start().saturating_sub(1);
        let closing = self.levels().map(|level| (level, self.document.column_of(level))).take_while(|(_, at)| *at > column);
        closing
            .map(|(level, at)| {
                let mut stop = end;
                for group in groups.iter().rev().filter(|group| group.side != Side::Line) {
                    if group.scanned.end < stop {
                        break;
                    }
                    end = if group.column == at { group.start } else { end };
                    stop = group.scanned.start;
                }
                (level, end)
            })
            .collect()
    }

    /// What the content before keeps.
    fn kept_before(&self, side: Side) -> Option<NodeId> {
        let document = self.document;
        match self.before {
            Before::Content(id) => {
                let node = document.node(id);
                let within = side == Side::Line && node.is_collection() && node.role != Role::Item;
                Some(if within { id } else { node.parent })
            }
            Before::Colon(mapping) if side == Side::Line => Some(mapping),
            Before::Colon(_) | Before::Dash(_) | Before::Props(_) => None,
        }
    }

    /// What the end of a mapping keeps.
    fn kept_at_end(&self, mapping: NodeId, side: Side) -> NodeId {
        let node = self.document.node(mapping);
        if side == Side::Line && node.role == Role::Item { node.parent } else { mapping }
    }

    /// What a node after the comments keeps: an item whose `-` comes after them, too, has those above it.
    fn kept_after(&self, id: NodeId, side: Side) -> Option<NodeId> {
        let document = self.document;
        let node = document.node(id);
        if !node.is_collection() {
            return (node.span.start < node.span.end).then_some(node.parent);
        }
        if node.flow {
            return Some(if node.role == Role::Item { node.parent } else { id });
        }
        let behind_dash = matches!(self.before, Before::Dash(_) | Before::Props(_)) && Some(id) == self.next;
        let item = node.role == Role::Item && !behind_dash && document.props(id).is_empty();
        (item && side == Side::Head).then_some(node.parent)
    }

    /// The mapping whose end follows this node directly.
    fn ended_with(&self, id: NodeId) -> Option<NodeId> {
        let document = self.document;
        let written = document.node(id).span.start < document.node(id).span.end;
        let mut ending = ancestors(document, document.node(id).parent).take_while(|above| document.node(*above).end == id + 1);
        ending.find(|above| !written && document.node(*above).kind == Kind::Mapping)
    }
}

/// Groups that wait for something that keeps comments.
struct Waiting<'g> {
    queue: std::iter::Peekable<std::slice::Iter<'g, Group>>,
    groups: Vec<&'g Group>,
    /// What is found out.
    containers: Vec<NodeId>,
}

impl<'g> Waiting<'g> {
    fn new(groups: &'g [Group], comments: usize) -> Waiting<'g> {
        Waiting { queue: groups.iter().peekable(), groups: Vec::new(), containers: vec![NONE; comments] }
    }

    /// Adds the next groups, in their order, as long as `reached` says so.
    fn add(&mut self, reached: impl Fn(&Group) -> bool) {
        while let Some(group) = self.queue.next_if(|group| reached(group)) {
            self.groups.push(group);
        }
    }

    /// Ties what is kept, and where.
    fn tie(&mut self, kept: impl Fn(Side) -> Option<NodeId>) {
        let containers = &mut self.containers;
        self.groups.retain(|group| match kept(group.side) {
            Some(container) => {
                containers[group.comments.clone()].fill(container);
                false
            }
            None => true,
        });
    }
}

/// The state of dividing a gap's comments.
struct Scan<'g, 'd, 's> {
    gap: &'g Gap<'d, 's>,
    /// The column of the innermost collection.
    indent: usize,
    groups: Vec<Group>,
    open: Option<(Group, usize)>,
    mark: Option<usize>,
    from: usize,
    /// Whether no line was blank so far.
    no_blank: bool,
    /// The line that is taken to be directly below the content before, counted from the first comment, as `line` is.
    below: Option<usize>,
    line: usize,
}

impl<'g, 'd, 's> Scan<'g, 'd, 's> {
    /// `breaks`: the line breaks between the content before and the first comment on a line of its own.
    fn new(gap: &'g Gap<'d, 's>, groups: Vec<Group>, breaks: usize) -> Scan<'g, 'd, 's> {
        let (document, from) = (gap.document, gap.scan_start());
        // The parser doesn't know where a foot could be below the first line.
        let below = [Some(2), Some(0)].get(breaks).copied().flatten().filter(|_| document.source[..from].contains('\n'));
        let indent = gap.levels().next().map_or(0, |level| document.column_of(level));
        Scan { gap, indent, groups, open: None, mark: None, from, no_blank: breaks <= 1, below, line: 0 }
    }

    fn comment(&mut self, index: usize, column: usize, start: usize) {
        self.dedent(column, start);
        match &mut self.open {
            Some((group, _)) => group.comments.end = index + 1,
            None => {
                let group =
                    Group { comments: index..index + 1, side: Side::Head, column, scanned: self.from..start, start, mark: Some(start) };
                self.open = Some((group, self.line));
            }
        }
    }

    /// A line at another column, left of the innermost collection.
    fn dedent(&mut self, column: usize, at: usize) {
        if column < self.indent && self.open.as_ref().is_some_and(|(group, _)| group.column != column) {
            self.close(self.mark, at);
        }
    }

    fn blanks(&mut self, count: usize, from: usize, to: usize) {
        if count == 0 {
            return;
        }
        let dedented = self.open.as_ref().map(|(group, _)| (group.column < self.indent).then_some(group.start));
        let below = self.open.as_ref().is_some_and(|(_, line)| Some(*line) == self.below && !matches!(self.gap.before, Before::Colon(_)));
        if let Some(dedented) = dedented.filter(|dedented| self.no_blank && (below || dedented.is_some())) {
            let at = self.gap.document.source[from..to].find('\n').map_or(to, |newline| from + newline + 1);
            self.close(dedented.or(self.mark), at);
        }
        self.no_blank = false;
        self.line += count;
    }

    fn close(&mut self, mark: Option<usize>, at: usize) {
        let Some((group, _)) = self.open.take() else { return };
        self.groups.push(Group { side: Side::Foot, mark, scanned: group.scanned.start..at, ..group });
        (self.mark, self.from) = (Some(at), at);
    }

    fn finish(&mut self, after: usize) {
        match self.gap.column {
            Some(column) => self.dedent(column, after),
            None => self.blanks(1, after, after),
        }
        if let Some((group, _)) = self.open.take() {
            self.groups.push(Group { scanned: group.scanned.start..after.saturating_sub(1), ..group });
        }
    }
}

fn ancestors<'d>(document: &'d Document<'_>, from: NodeId) -> impl Iterator<Item = NodeId> + 'd {
    std::iter::successors((from != NONE).then_some(from), |id| {
        let parent = document.node(*id).parent;
        (parent != NONE).then_some(parent)
    })
}

/// What the content in `range` ends with, where a comment before it and those after it are.
fn before(document: &Document<'_>, previous: NodeId, next: Option<NodeId>, range: Range<usize>) -> Option<Before> {
    let node = document.node(previous);
    let flow = ancestors(document, previous).filter(|id| document.node(*id).flow && document.node(*id).is_collection()).last();
    let written = flow.unwrap_or(previous);
    let opens = node.kind == Kind::Sequence && flow.is_none();
    let end = if opens { node.span.start } else { document.node(written).span.end } as usize;
    let mut between = document.source.get(end.max(range.start)..range.end).unwrap_or_default().trim_start();
    let omitted = flow.is_none() && node.span.start == node.span.end;
    if omitted {
        // It is taken to stand at what introduces it.
        between = between.strip_prefix([':', '-']).unwrap_or(between).trim_start();
    }
    let props = !document.props(previous).is_empty();
    let inside = match (between.chars().next(), node.role) {
        (_, Role::Value | Role::Item) if omitted && props => return Some(Before::Props(node.parent)),
        (None, Role::Value) if omitted => return Some(Before::Colon(node.parent)),
        (None, Role::Item) if omitted => return Some(Before::Dash(node.parent)),
        (None, _) if !omitted => return Some(Before::Content(written)),
        (Some(':'), Role::Key) => node.parent,
        (Some('-'), _) if opens => previous,
        (Some('-'), _) => list_after(document, next?, range.end)?,
        _ => return None,
    };
    Some(match between {
        ":" => Before::Colon(inside),
        "-" => Before::Dash(inside),
        _ => Before::Props(inside),
    })
}

/// The list whose item starts after `at`.
fn list_after(document: &Document<'_>, next: NodeId, at: usize) -> Option<NodeId> {
    let item = ancestors(document, next).take_while(|id| document.node(*id).span.start as usize >= at).last()?;
    (document.node(item).role == Role::Item).then(|| document.node(item).parent)
}

/// The column of what follows `end`. A file that isn't encrypted yet will have its `sops` block at the end of each document.
fn column_after(document: &Document<'_>, part: u32, end: usize) -> Option<usize> {
    let part = &document.parts[part as usize];
    let root = document.node(part.root);
    let last = document.source.get(end..part.end as usize).is_some_and(|rest| rest.trim().is_empty());
    if last && root.kind == Kind::Mapping && !root.flow && document.block_key(part).is_none() {
        return Some(document.column_of(part.root));
    }
    let rest = document.source[end..].trim_start();
    (!rest.is_empty()).then(|| document.column(document.source.len() - rest.len()))
}

#[cfg(test)]
mod tests {
    use crate::document::Format;
    use crate::document::yaml::Yaml;

    /// The key path of each comment.
    fn paths(text: &str) -> Vec<String> {
        let document = Yaml.parse(text).unwrap();
        let path = |id| if id == super::NONE { String::new() } else { document.key_path(id) };
        document.comments.iter().map(|comment| path(comment.container)).collect()
    }

    /// What genuine sops decrypts once it is encrypted, and what it shows as it is if the paths are others.
    #[test]
    fn comments_are_where_the_parser_of_sops_has_them() {
        let cases: &[(&str, &[&str])] = &[
            ("a: 1 # beside\n# above\nb: 2\n", &["", ""]),
            ("a: # beside\n  # above\n  b: 1\n", &["", "a"]),
            ("a:\n  b: 1\n  # foot\nc: 2\n", &["a"]),
            ("a:\n  b: 1\n# above\nc: 2\n", &[""]),
            ("a:\n- x\n# above\n", &[""]),
            ("a:\r\n- x\r\n# foot\r\n", &["a"]),
            ("a:\n- x\n# above\n- y\n", &["a"]),
            ("a:\n- x\n  # above\nb: 1\n", &[""]),
            ("a:\n- x\n# foot\n\nb: 1\n", &["a"]),
            ("a:\n    b: 1\n  # between\n", &["a"]),
            ("a:\n    b:\n        c: 1\n    # foot\n\n", &["a"]),
            ("a:\n    b:\n        c: 1\n  # between\n\n", &[""]),
            ("a:\n    b: |-\n  # between\n", &["a"]),
            ("a: &x # beside\n  b: 1\n", &["a"]),
            ("a: &x # beside\n  - b\n", &["a"]),
            ("a: &x # beside\n  b\n", &[""]),
            ("a: [1] # behind\n# above\n", &["a", ""]),
            ("a: {b: [1], # behind\n  c: 1}\n", &["a.b"]),
            ("a:\n- - x\n- y\n  # above\n", &[""]),
            ("a:\n- y\n  # above\n", &[""]),
            ("a: {b: {}\n  , # behind\n  c: 1}\n", &["a.b"]),
            ("a:\n# waits\n- \nb: 1\n", &[""]),
            ("a:\n  - x\n  # waits\n  - \nb: 1\n", &[""]),
            ("a:\n  - # inside\n    b: 1\n", &["a[0]"]),
            ("a:\n  - b: 1\n  # above\n  - c: 1\n", &["a"]),
            ("a:\n  - x\n# above\n  # with it\n", &["", ""]),
        ];
        for (text, expected) in cases {
            assert_eq!(paths(text), *expected, "{text}");
        }
    }
}
