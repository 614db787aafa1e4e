//! What both sides changed, each in its way, as people are asked about it: by key path, every secret value as a mask.

use std::collections::HashSet;
use std::ops::Range;

use super::frame::{Frame, Leaf, Line};
use super::view::{Decision, View, Woven};
use super::weave::{Piece, Side, Stretch};
use crate::document::{Document, Kind, Role};
use crate::error::Result;
use crate::git::mask::Masks;
use crate::sorting;

/// Whose version is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pick {
    /// Ours.
    Ours,
    /// Theirs.
    Theirs,
}

impl Pick {
    /// As people call it.
    pub fn name(self) -> &'static str {
        match self {
            Pick::Ours => "ours",
            Pick::Theirs => "theirs",
        }
    }

    fn side(self) -> Side {
        match self {
            Pick::Ours => Side::Ours,
            Pick::Theirs => Side::Theirs,
        }
    }
}

/// A secret value in dispute, as masks; a side that doesn't have it has none.
pub struct Contested {
    /// Its key path.
    pub path: String,
    /// Ours.
    pub ours: Option<String>,
    /// Theirs.
    pub theirs: Option<String>,
}

/// One question.
pub struct Dispute {
    /// The key paths in it; none where only comments and the like are in dispute.
    pub paths: Vec<String>,
    /// The secret values among them.
    pub values: Vec<Contested>,
    /// The lines of ours, values masked and comments left out.
    pub ours: Vec<String>,
    /// The lines of theirs.
    pub theirs: Vec<String>,
    stretch: Option<usize>,
    places: Vec<String>,
}

impl Dispute {
    /// What it is about.
    pub fn name(&self) -> String {
        if self.paths.is_empty() { "lines without a value".to_owned() } else { self.paths.join(", ") }
    }
}

/// The questions of a merge, in the order of the file.
///
/// # Errors
/// None but those of reading a version again.
pub(super) fn disputes(woven: &Woven<'_, '_, '_>, masks: &Masks) -> Result<Vec<Dispute>> {
    if woven.is_clean() {
        return Ok(Vec::new());
    }
    let read = |frame: &Frame<'_>| -> Result<Seen> { Ok(Seen::of(&frame.format.parse_plain(frame.source)?)) };
    let asker = Asker { woven, masks, ours: read(woven.frames.ours)?, theirs: read(woven.frames.theirs)? };
    let (mut found, mut covered) = (Vec::new(), HashSet::new());
    for (at, stretch) in woven.stretches.iter().enumerate() {
        let Stretch::Disputed { ours, theirs, .. } = stretch else { continue };
        let dispute = asker.stretch(at, ours, theirs);
        covered.extend(dispute.places.iter().cloned());
        let first = ours.first().map(|piece| piece.line);
        found.push((first, dispute));
    }
    let conflicts = woven.decisions.iter().filter(|(place, decision)| **decision == Decision::Conflict && !covered.contains(*place));
    found.extend(conflicts.map(|(place, _)| asker.value(place)));
    sorting::by_key(&mut found, |(line, _)| *line);
    Ok(found.into_iter().map(|(_, dispute)| dispute).collect())
}

/// The text that these answers ask for.
pub(super) fn view(disputes: &[Dispute], picks: &[Pick]) -> View {
    let mut view = View::of(Side::Ours);
    for (dispute, pick) in disputes.iter().zip(picks) {
        view.take(pick.side(), dispute.stretch, &dispute.places);
    }
    view
}

/// What a version's lines hold beside secret values.
struct Seen {
    comments: Vec<Range<usize>>,
    /// Where scalars stand, and their key paths.
    scalars: Vec<(usize, String)>,
}

impl Seen {
    fn of(document: &Document<'_>) -> Seen {
        let comments = document.comments.iter().map(|comment| comment.span.start as usize..comment.span.end as usize).collect();
        let ids = 0..document.nodes.len() as u32;
        let value = |id: &u32| {
            let node = document.node(*id);
            node.kind == Kind::Scalar && matches!(node.role, Role::Value | Role::Item)
        };
        let scalars = ids.filter(value).map(|id| (document.node(id).span.start as usize, document.key_path(id))).collect();
        Seen { comments, scalars }
    }
}

struct Asker<'w, 'r, 'f, 's> {
    woven: &'w Woven<'r, 'f, 's>,
    masks: &'w Masks,
    ours: Seen,
    theirs: Seen,
}

impl<'f, 's> Asker<'_, '_, 'f, 's> {
    fn stretch(&self, at: usize, ours: &[Piece], theirs: &[Piece]) -> Dispute {
        let lines =
            |pieces: &[Piece]| pieces.iter().filter_map(|piece| self.woven.threads.line(piece.side, piece.line)).collect::<Vec<_>>();
        let (ours, theirs) = (lines(ours), lines(theirs));
        let mut places: Vec<String> = Vec::new();
        let mut paths = Vec::new();
        for (seen, lines) in [(&self.ours, &ours), (&self.theirs, &theirs)] {
            for (frame, line) in lines {
                places.extend(frame.leaves_of(line).iter().filter_map(|leaf| leaf.place.clone()).filter(|place| self.is_conflict(place)));
                paths.extend(seen.scalars.iter().filter(|(start, _)| line.range.contains(start)).map(|(_, path)| path.clone()));
            }
        }
        let mut known = HashSet::new();
        paths.retain(|path| known.insert(path.clone()));
        known.clear();
        places.retain(|place| known.insert(place.clone()));
        self.dispute(paths, (&ours, &theirs), Some(at), places)
    }

    fn is_conflict(&self, place: &str) -> bool {
        self.woven.decisions.get(place) == Some(&Decision::Conflict)
    }

    /// A value in dispute on a line that isn't.
    fn value(&self, place: &str) -> (Option<usize>, Dispute) {
        let line = |frame: &'f Frame<'s>, side| {
            let leaf = self.woven.frames.leaf(side, place)?;
            let at = frame.lines.partition_point(|line| line.range.end <= leaf.span.start);
            Some((at, (frame, frame.lines.get(at)?)))
        };
        let (ours, theirs) = (line(self.woven.frames.ours, Side::Ours), line(self.woven.frames.theirs, Side::Theirs));
        let path = self.leaves(place).into_iter().flatten().next().map(|leaf| leaf.path.clone());
        let lines = |found: &Option<(usize, (&'f Frame<'s>, &'f Line))>| found.iter().map(|(_, line)| *line).collect::<Vec<_>>();
        let dispute = self.dispute(path.into_iter().collect(), (&lines(&ours), &lines(&theirs)), None, vec![place.to_owned()]);
        (ours.map(|(at, _)| at), dispute)
    }

    fn leaves(&self, place: &str) -> [Option<&'f Leaf>; 2] {
        [Side::Ours, Side::Theirs].map(|side| self.woven.frames.leaf(side, place))
    }

    fn dispute(&self, paths: Vec<String>, lines: Sides<'_, 'f, 's>, stretch: Option<usize>, places: Vec<String>) -> Dispute {
        let mask = |leaf: Option<&Leaf>| leaf.map(|leaf| self.masks.mask(leaf.value.0, &leaf.value.1));
        let contested = |place: &String| {
            let [ours, theirs] = self.leaves(place);
            let path = ours.or(theirs)?.path.clone();
            Some(Contested { path, ours: mask(ours), theirs: mask(theirs) })
        };
        let values = places.iter().filter_map(contested).collect();
        let shown =
            |lines: &[(&Frame<'_>, &Line)], seen: &Seen| lines.iter().flat_map(|(frame, line)| self.shown(frame, line, seen)).collect();
        Dispute { paths, values, ours: shown(lines.0, &self.ours), theirs: shown(lines.1, &self.theirs), stretch, places }
    }

    /// A line for people, or those that go as one. Comments may be secret as well, and are left out.
    fn shown(&self, frame: &Frame<'_>, line: &Line, seen: &Seen) -> Vec<String> {
        let leaves = frame.leaves_of(line).iter().map(|leaf| (leaf.span.clone(), self.masks.mask(leaf.value.0, &leaf.value.1)));
        let comments = seen.comments.iter().filter(|span| line.range.contains(&span.start)).map(|span| (span.clone(), "# …".to_owned()));
        let mut spans: Vec<(Range<usize>, String)> = leaves.chain(comments).collect();
        sorting::by_key(&mut spans, |(span, _)| span.start);
        let (mut out, mut done) = (String::new(), line.range.start);
        for (span, text) in spans.into_iter().filter(|(span, _)| span.end <= line.range.end) {
            out.push_str(frame.source.get(done..span.start).unwrap_or_default());
            out.push_str(&text);
            done = done.max(span.end);
        }
        out.push_str(frame.source.get(done..line.range.end).unwrap_or_default());
        out.trim().lines().map(str::to_owned).collect()
    }
}

/// Lines of ours and theirs.
type Sides<'l, 'f, 's> = (&'l [(&'f Frame<'s>, &'f Line)], &'l [(&'f Frame<'s>, &'f Line)]);
