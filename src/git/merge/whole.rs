//! What only one side has, and goes or comes as one: documents, mappings, lists, items of lists with names. Line by line, a
//! heading could go while what stands below it stays, and two new documents would be taken for one that both changed.

use std::collections::HashMap;
use std::ops::Range;

use super::frame::{Frame, Namer, Numbering};
use super::view::{Decision, Decisions};
use super::weave::Side;
use crate::document::{Document, NodeId, Role};
use crate::sorting;

/// The bytes of documents and collections, whole lines, by place.
pub(super) type Spans = HashMap<String, Range<usize>>;

/// Finds those of a version.
pub(super) fn spans(document: &Document<'_>, numbering: Numbering) -> Spans {
    let namer = Namer::new(document, numbering);
    let mut spans = Spans::new();
    let mut start = 0;
    for (part, name) in document.parts.iter().zip(&namer.documents) {
        let end = part.end as usize;
        // What has a number for a name may be another one elsewhere.
        if name.contains('/') {
            spans.insert(name.clone(), start..end);
        }
        start = end;
    }
    let collections = (0..document.nodes.len() as NodeId).filter(|id| document.node(*id).is_collection());
    spans.extend(collections.filter_map(|id| Some((namer.place(id)?, lines_of(document, id)?))));
    spans
}

/// The lines of a collection with its key or dash, if nothing else stands there.
fn lines_of(document: &Document<'_>, id: NodeId) -> Option<Range<usize>> {
    let node = document.node(id);
    let head = match node.role {
        Role::Value => document.node(id - 1).span.start as usize,
        Role::Item => node.span.start as usize,
        Role::Key | Role::Shadow | Role::Root => return None,
    };
    let start = document.line_start(head);
    let before = document.source.get(start..head)?;
    // A dash on another line would stay behind.
    let dash = node.role == Role::Value || before.contains('-') || document.source.get(head..)?.starts_with(['{', '[']);
    if !dash || !before.trim_matches([' ', '-', '"', '\'', '[', '?']).is_empty() {
        return None;
    }
    let last = node.end.checked_sub(1).filter(|last| *last >= id).unwrap_or(id);
    let inner = document.node(last);
    let end = if inner.is_block_scalar() { document.lines_end(last) } else { inner.span.end as usize };
    let end = end.max(node.span.end as usize).max(head);
    let (done, rest) = (document.source.get(..end)?, document.source.get(end..)?);
    if done.ends_with('\n') {
        return Some(start..end);
    }
    let line = rest.find('\n').map_or(rest.len(), |found| found + 1);
    let behind = rest.get(..line)?.trim();
    (behind.is_empty() || behind == "," || behind == "]" || behind.starts_with('#')).then_some(start..end + line)
}

/// The outermost places that exactly one of ours and theirs has, with that side.
fn of_one_side(ours: &Spans, theirs: &Spans) -> Vec<(String, Side)> {
    let only = |here: &Spans, there: &Spans, side| {
        here.keys().filter(|place| !there.contains_key(*place)).map(move |place| (place.clone(), side)).collect::<Vec<_>>()
    };
    let mut found = [only(ours, theirs, Side::Ours), only(theirs, ours, Side::Theirs)].concat();
    sorting::by(&mut found, Ord::cmp);
    // In this order what lies inside follows what it lies in.
    found.dedup_by(|inner, outer| is_below(&inner.0, &outer.0));
    found
}

fn is_below(place: &str, above: &str) -> bool {
    place.strip_prefix(above).is_some_and(|rest| rest.starts_with('\u{0}'))
}

/// Makes lines of them. Of what one side took away and the other changed every value is in conflict: the one in question
/// and its neighbours stay, or go, together.
pub(super) fn join<'s>(
    mut base: Option<(&mut Frame<'s>, &Spans)>,
    ours: (&mut Frame<'s>, &Spans),
    theirs: (&mut Frame<'s>, &Spans),
    decisions: &mut Decisions,
) {
    for (place, side) in of_one_side(ours.1, theirs.1) {
        let (frame, spans) = if side == Side::Ours { (&mut *ours.0, ours.1) } else { (&mut *theirs.0, theirs.1) };
        let Some(span) = spans.get(&place).filter(|span| frame.whole_lines(span).is_some()) else { continue };
        let before = base.as_mut().and_then(|(base, spans)| Some((base, spans.get(&place)?)));
        if let Some((base, was)) = before {
            if base.whole_lines(was).is_none() {
                continue;
            }
            base.join(&place, was);
            frame.join(&place, span);
            if !is_same(base, frame, &place) || in_conflict(decisions, &place) {
                disagree(decisions, &place);
            }
        } else {
            frame.join(&place, span);
        }
    }
}

/// Whether two versions of a collection differ in values at most.
fn is_same(one: &Frame<'_>, other: &Frame<'_>, place: &str) -> bool {
    let shape = |frame: &Frame<'_>| frame.joined(place).map(|line| frame.shape(line, |_| ""));
    match (shape(one), shape(other)) {
        (Some(one), Some(other)) => one.as_str() == other.as_str(),
        _ => false,
    }
}

/// What was decided on the values of a collection.
fn below<'d>(decisions: &'d Decisions, place: &'d str) -> impl Iterator<Item = (&'d String, &'d Decision)> {
    decisions.range(format!("{place}\u{0}")..).take_while(move |(inner, _)| is_below(inner, place))
}

fn in_conflict(decisions: &Decisions, place: &str) -> bool {
    below(decisions, place).any(|(_, decision)| *decision == Decision::Conflict)
}

fn disagree(decisions: &mut Decisions, place: &str) {
    let all: Vec<String> = below(decisions, place).map(|(place, _)| place.clone()).collect();
    decisions.extend(all.into_iter().map(|place| (place, Decision::Conflict)));
}
