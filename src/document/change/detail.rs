//! How a file is written: its indentation, its quotes, where its entries begin and end.

use super::super::render::Style;
use super::super::resolve::Type;
use super::super::{Document, Kind, NONE, NodeId, Role};

/// Columns a level where the file doesn't show any.
const STEP: usize = 2;

/// The habits of a file's block collections.
#[derive(Clone, Copy)]
pub(super) struct Habits {
    /// Columns from a mapping to the one inside it.
    pub step: usize,
    /// Columns from a mapping to the dashes of a list inside it.
    pub dash: usize,
    /// Columns from a dash to its item.
    pub item: usize,
}

impl Habits {
    /// Those seen nearest to `near`: the last ones before it, else the first ones after it.
    pub fn near(document: &Document<'_>, near: NodeId) -> Habits {
        let before = (0..near.min(document.nodes.len() as NodeId)).rev();
        let after = near.min(document.nodes.len() as NodeId)..document.nodes.len() as NodeId;
        let (mut step, mut dash, mut item) = (None, None, None);
        for id in before.chain(after) {
            if step.is_some() && dash.is_some() && item.is_some() {
                break;
            }
            let node = document.node(id);
            if node.flow || node.parent == NONE {
                continue;
            }
            if node.role == Role::Item && item.is_none() {
                item = same_line_after_dash(document, id);
            }
            if node.role == Role::Value && node.is_collection() {
                let inside = document.column_of(id).checked_sub(document.column_of(node.parent));
                match node.kind {
                    Kind::Mapping => step = step.or(inside.filter(|columns| *columns > 0)),
                    _ => dash = dash.or(inside),
                }
            }
        }
        let step = step.or(dash.filter(|dash| *dash > 0)).unwrap_or(STEP).clamp(1, 9);
        Habits { step, dash: dash.unwrap_or(step), item: item.unwrap_or(2) }
    }
}

fn same_line_after_dash(document: &Document<'_>, id: NodeId) -> Option<usize> {
    let dash = dash_of(document, id)?;
    let start = start_of(document, id);
    let same_line = !document.source[dash..start].contains('\n') && document.node(id).span.start < document.node(id).span.end;
    same_line.then(|| start - dash).filter(|columns| *columns >= 2)
}

/// The quotes of the last one-line string before `id` in its collection, or none.
pub(super) fn quotes_of(document: &Document<'_>, collection: NodeId, role: Role) -> Style {
    let strings = document.children(collection).filter(|child| {
        let node = document.node(*child);
        let one_line = node.kind == Kind::Scalar && !node.is_block_scalar() && (node.role == Role::Key) == (role == Role::Key);
        one_line && document.scalar(*child).is_ok_and(|scalar| scalar.kind == Type::Str && !scalar.bytes.is_empty())
    });
    let styles: Vec<Style> = strings.map(|child| document.node(child).style).collect();
    match styles.last() {
        // One quoted string among plain ones has its quotes for a reason of its own.
        Some(Style::Single) if styles.iter().all(|style| *style == Style::Single) => Style::Single,
        Some(Style::Double) if styles.iter().all(|style| *style == Style::Double) => Style::Double,
        _ => Style::Plain,
    }
}

/// Where a node starts with its tag and anchor.
pub(super) fn start_of(document: &Document<'_>, id: NodeId) -> usize {
    let props = document.props(id);
    let spans = [props.tag_span, props.anchor_span].into_iter().flatten();
    spans.map(|span| span.start).fold(document.node(id).span.start, u32::min) as usize
}

/// Where a node's own text ends; an omitted null ends at its colon.
pub(super) fn end_of(document: &Document<'_>, id: NodeId) -> usize {
    let node = document.node(id);
    let props = document.props(id);
    let props_end = [props.tag_span, props.anchor_span].into_iter().flatten().map(|span| span.end as usize).max();
    let end = node.span.end as usize;
    let omitted = node.span.start == node.span.end;
    let end = if omitted && document.source[end..].starts_with(':') { end + 1 } else { end };
    end.max(props_end.unwrap_or(0))
}

/// The end of the last thing in a subtree.
pub(super) fn last_byte(document: &Document<'_>, id: NodeId) -> usize {
    let flow = document.node(id).flow && document.node(id).is_collection();
    let last = if flow { id } else { document.node(id).end - 1 };
    let open_flow = |id: NodeId| document.node(id).flow && document.node(id).is_collection();
    // The last leaf may stand in brackets, which end after it.
    let mut end = end_of(document, last);
    let mut at = last;
    while at != id && at != NONE {
        at = document.node(at).parent;
        if at != NONE && open_flow(at) {
            end = end.max(document.node(at).span.end as usize);
        }
    }
    end
}

/// The end of the last line of a block subtree, with the comments at its foot.
pub(super) fn end_of_lines(document: &Document<'_>, id: NodeId) -> usize {
    let subtree = id..document.node(id).end;
    let end = document.line_end(last_byte(document, id));
    let from = document.comments.partition_point(|comment| (comment.span.start as usize) < end);
    let feet = document.comments[from..].iter().take_while(|comment| subtree.contains(&comment.container));
    feet.map(|comment| document.line_end(comment.span.end as usize)).fold(end, usize::max)
}

/// Where the dash of an item in a block list stands.
pub(super) fn dash_of(document: &Document<'_>, item: NodeId) -> Option<usize> {
    let list = document.node(item).parent;
    let column = document.column_of(list);
    let first = document.node(list).span.start as usize;
    let mut line = document.line_start(start_of(document, item).min(document.source.len()));
    loop {
        let dash = line + column;
        let is_dash = document.source[line..].is_char_boundary(column.min(document.source.len() - line))
            && document.source.as_bytes().get(dash) == Some(&b'-')
            && document.source.as_bytes().get(dash + 1).is_none_or(u8::is_ascii_whitespace);
        if is_dash && dash <= start_of(document, item) {
            return Some(dash);
        }
        if line <= first {
            return None;
        }
        line = document.line_start(line - 1);
    }
}

/// Behind the colon of a value's key.
pub(super) fn after_colon(document: &Document<'_>, value: NodeId) -> Option<usize> {
    let bytes = document.source.as_bytes();
    let mut at = document.node(value - 1).span.end as usize;
    loop {
        match bytes.get(at)? {
            b':' => return Some(at + 1),
            b'#' => at = document.line_end(at),
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => return None,
        }
    }
}

/// Whether nothing but blanks stands before `at` on its line.
pub(super) fn starts_line(document: &Document<'_>, at: usize) -> bool {
    document.source[document.line_start(at)..at].bytes().all(|byte| matches!(byte, b' ' | b'\t'))
}

/// Whether a node stands inside brackets.
pub(super) fn in_flow(document: &Document<'_>, id: NodeId) -> bool {
    let parent = document.node(id).parent;
    if parent == NONE { document.node(id).flow } else { document.node(parent).flow }
}
