//! What is decided for every secret value, and the merged text as one of the sides would have the disputed parts.

use std::collections::{BTreeMap, HashMap, HashSet};

use zeroize::Zeroizing;

use super::commas;
use super::frame::{Frame, Leaf, Line};
use super::weave::{Piece, Side, Stretch, Threads};
use crate::error::{Error, Kind, Result};

/// What becomes of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Decision {
    /// This side's version of it is taken; if it has none, the value goes.
    Take(Side),
    /// Both sides changed it, each in its way.
    Conflict,
}

/// The decisions by place.
pub(super) type Decisions = BTreeMap<String, Decision>;

/// The three versions.
#[derive(Clone, Copy)]
pub(super) struct Frames<'f, 's> {
    /// The ancestor, if there is one that can be read.
    pub base: Option<&'f Frame<'s>>,
    /// Ours.
    pub ours: &'f Frame<'s>,
    /// Theirs.
    pub theirs: &'f Frame<'s>,
}

impl<'f> Frames<'f, '_> {
    /// A side's value at a place.
    pub fn leaf(&self, side: Side, place: &str) -> Option<&'f Leaf> {
        match side {
            Side::Base => self.base.and_then(|base| base.leaf(place)),
            Side::Ours => self.ours.leaf(place),
            Side::Theirs => self.theirs.leaf(place),
        }
    }

    /// Decides value by value, on what they say.
    pub fn decide(&self) -> Decisions {
        let base = self.base.into_iter().flat_map(Frame::places);
        let places = base.chain(self.ours.places()).chain(self.theirs.places());
        let mut decisions = Decisions::new();
        decisions.extend(places.map(|place| (place.to_owned(), self.decision(place))));
        decisions
    }

    fn decision(&self, place: &str) -> Decision {
        let [base, ours, theirs] = [Side::Base, Side::Ours, Side::Theirs].map(|side| self.leaf(side, place).map(|leaf| &leaf.value));
        if ours == theirs || theirs == base {
            Decision::Take(Side::Ours)
        } else if ours == base {
            Decision::Take(Side::Theirs)
        } else {
            Decision::Conflict
        }
    }

    /// What tells versions of a value apart where not all have it: then its line is in dispute, not its value alone.
    pub fn mark(&self, decisions: &Decisions, side: Side, place: &str) -> &'static str {
        let everywhere = [Side::Base, Side::Ours, Side::Theirs].iter().all(|side| self.leaf(*side, place).is_some());
        match (decisions.get(place), side) {
            (Some(Decision::Conflict), Side::Ours) if !everywhere => "\u{2}",
            (Some(Decision::Conflict), Side::Theirs) if !everywhere => "\u{3}",
            (Some(Decision::Conflict), Side::Base) if !everywhere => "\u{4}",
            _ => "",
        }
    }
}

/// Whose version is taken of what is in dispute.
pub(super) struct View {
    side: Side,
    /// By number of the stretch.
    stretches: HashMap<usize, Side>,
    places: HashMap<String, Side>,
}

impl View {
    /// This side's, everywhere.
    pub fn of(side: Side) -> View {
        View { side, stretches: HashMap::new(), places: HashMap::new() }
    }

    /// That of `side` for a stretch, if there is one, and these places.
    pub fn take(&mut self, side: Side, stretch: Option<usize>, places: &[String]) {
        self.stretches.extend(stretch.map(|stretch| (stretch, side)));
        self.places.extend(places.iter().map(|place| (place.clone(), side)));
    }

    fn of_stretch(&self, at: usize) -> Side {
        self.stretches.get(&at).copied().unwrap_or(self.side)
    }

    fn of_place(&self, place: &str) -> Side {
        self.places.get(place).copied().unwrap_or(self.side)
    }
}

/// The merged file.
pub(super) struct Woven<'r, 'f, 's> {
    /// The versions.
    pub frames: Frames<'f, 's>,
    /// Their lines.
    pub threads: &'r Threads<'f, 's>,
    /// What was decided.
    pub decisions: Decisions,
    /// What is agreed on, and what is in dispute.
    pub stretches: Vec<Stretch>,
}

impl<'r, 'f, 's> Woven<'r, 'f, 's> {
    /// Weaves.
    pub fn new(frames: Frames<'f, 's>, threads: &'r Threads<'f, 's>, decisions: &Decisions) -> Woven<'r, 'f, 's> {
        let mut stretches = threads.weave();
        drop_doubles(threads, &mut stretches);
        let mut woven = Woven { frames, threads, decisions: decisions.clone(), stretches };
        woven.dispute_with_lines();
        woven
    }

    /// A value that only one side has is in dispute where its line is: it can't be taken without that line.
    fn dispute_with_lines(&mut self) {
        let sides = self.stretches.iter().filter_map(|stretch| match stretch {
            Stretch::Disputed { ours, theirs, .. } => Some(ours.iter().chain(theirs)),
            Stretch::Agreed(_) => None,
        });
        let lines = sides.flatten().filter_map(|piece| self.threads.line(piece.side, piece.line));
        let places = lines.flat_map(|(frame, line)| frame.leaves_of(line)).filter_map(|leaf| leaf.place.clone());
        let of_one = |place: &String| [Side::Ours, Side::Theirs].iter().any(|side| self.frames.leaf(*side, place).is_none());
        let disputed: Vec<String> = places.filter(of_one).collect();
        self.decisions.extend(disputed.into_iter().map(|place| (place, Decision::Conflict)));
    }

    /// Whether nothing is in dispute.
    pub fn is_clean(&self) -> bool {
        let disputed = self.stretches.iter().any(|stretch| matches!(stretch, Stretch::Disputed { .. }));
        !disputed && !self.decisions.values().any(|decision| *decision == Decision::Conflict)
    }

    /// The key paths of the values in conflict.
    pub fn conflicts(&self) -> Vec<String> {
        let conflicts = self.decisions.iter().filter(|(_, decision)| **decision == Decision::Conflict);
        let path =
            |place: &str| [Side::Ours, Side::Theirs, Side::Base].iter().find_map(|side| Some(self.frames.leaf(*side, place)?.path.clone()));
        conflicts.filter_map(|(place, _)| path(place)).collect()
    }

    /// The text in which disputed parts are those of `view`.
    ///
    /// # Errors
    /// `Generic` (1) where a value has no text to be taken.
    pub fn text(&self, view: &View) -> Result<Zeroizing<String>> {
        let mut out = Zeroizing::new(String::with_capacity(self.frames.ours.source.len() * 2 + self.frames.theirs.source.len()));
        for (at, stretch) in self.stretches.iter().enumerate() {
            let pieces = match (stretch, view.of_stretch(at)) {
                (Stretch::Agreed(pieces), _) => pieces,
                (Stretch::Disputed { base, .. }, Side::Base) => base,
                (Stretch::Disputed { ours, .. }, Side::Ours) => ours,
                (Stretch::Disputed { theirs, .. }, Side::Theirs) => theirs,
            };
            for piece in pieces {
                if !out.is_empty() && !out.ends_with('\n') {
                    out.push('\n');
                }
                self.piece(piece, view, &mut out)?;
            }
        }
        Ok(if self.frames.ours.has_commas() { commas::set(&out) } else { out })
    }

    fn piece(&self, piece: &Piece, view: &View, out: &mut String) -> Result<()> {
        let Some((frame, line)) = self.threads.line(piece.side, piece.line) else { return Ok(()) };
        if line.block {
            let all = self.threads.frame(view.side).unwrap_or(frame);
            // The n-th block stands for the n-th.
            let nth = frame.lines.iter().take(piece.line).filter(|line| line.block).count();
            out.push_str(all.lines.iter().filter(|line| line.block).nth(nth).map_or(frame.text(line), |line| all.text(line)));
            return Ok(());
        }
        let mut text = Zeroizing::new(String::with_capacity(line.range.len() * 2));
        let mut done = line.range.start;
        for leaf in frame.leaves_of(line) {
            text.push_str(&frame.source[done..leaf.span.start]);
            self.value(piece.side, frame, line, leaf, view, &mut text)?;
            done = leaf.span.end;
        }
        text.push_str(&frame.source[done..line.range.end]);
        out.push_str(&indented(&text, piece.shift, true));
        Ok(())
    }

    /// A value's text: its own, or that of the side whose version of it is taken.
    fn value(&self, side: Side, frame: &Frame<'_>, line: &Line, leaf: &Leaf, view: &View, out: &mut String) -> Result<()> {
        let own = &frame.source[leaf.span.clone()];
        let Some(place) = &leaf.place else {
            out.push_str(own);
            return Ok(());
        };
        let wanted = self.wanted(place, view);
        let missing = || Error::new(Kind::Generic, "a removed value is still there").for_key(&leaf.path);
        let other = self.frames.leaf(wanted, place).ok_or_else(missing)?;
        if wanted == side || other.value == leaf.value {
            out.push_str(own);
            return Ok(());
        }
        let source = self.threads.frame(wanted).ok_or_else(missing)?;
        let at = source.lines.partition_point(|line| line.range.end <= other.span.start);
        let column = source.lines.get(at).map_or(0, |line| source.indent(line));
        let shift = isize::try_from(frame.indent(line)).unwrap_or(0) - isize::try_from(column).unwrap_or(0);
        out.push_str(&indented(&source.source[other.span.clone()], shift, false));
        Ok(())
    }

    /// Whose version of a value is in the text of `view`.
    fn wanted(&self, place: &str, view: &View) -> Side {
        match self.decisions.get(place) {
            Some(Decision::Take(side)) => *side,
            _ => view.of_place(place),
        }
    }

    /// Refuses a text that doesn't say what was decided: lines that fit together as text may not as data.
    ///
    /// # Errors
    /// `Generic` (1).
    pub fn check(&self, text: &Frame<'_>, view: &View) -> Result<()> {
        let expected = self.decisions.keys().filter_map(|place| Some((place, self.frames.leaf(self.wanted(place, view), place)?)));
        let mut count = 0;
        for (place, leaf) in expected {
            count += 1;
            if text.leaf(place).is_none_or(|found| found.value != leaf.value) {
                return Err(Error::new(Kind::Generic, "the merged lines don't hold the value that was decided on").for_key(&leaf.path));
            }
        }
        if text.places().count() == count {
            Ok(())
        } else {
            Err(Error::new(Kind::Generic, "the merged lines hold a value that was removed"))
        }
    }
}

/// Takes out what both sides put in: in two places, or moved to two places. Ours stays.
fn drop_doubles(threads: &Threads<'_, '_>, stretches: &mut [Stretch]) {
    let place = |piece: &Piece| {
        let (frame, line) = threads.line(piece.side, piece.line)?;
        match frame.leaves_of(line) {
            [only] => only.place.clone(),
            _ => None,
        }
    };
    let mut ours = HashSet::new();
    for stretch in stretches.iter() {
        if let Stretch::Agreed(pieces) = stretch {
            ours.extend(pieces.iter().filter(|piece| piece.side == Side::Ours).filter_map(place));
        }
    }
    for stretch in stretches {
        if let Stretch::Agreed(pieces) = stretch {
            pieces.retain(|piece| piece.side != Side::Theirs || place(piece).is_none_or(|place| !ours.contains(&place)));
        }
    }
}

/// `text` with its lines moved by some columns; the first line only if `first`.
fn indented(text: &str, shift: isize, first: bool) -> Zeroizing<String> {
    let mut out = Zeroizing::new(String::with_capacity(text.len() * 2));
    for (at, line) in text.split_inclusive('\n').enumerate() {
        let blank = line.trim().is_empty();
        match usize::try_from(shift) {
            _ if blank || at == 0 && !first => out.push_str(line),
            Ok(more) => out.extend([&" ".repeat(more), line]),
            Err(_) => {
                let spaces = line.len() - line.trim_start_matches(' ').len();
                out.push_str(&line[spaces.min(shift.unsigned_abs())..]);
            }
        }
    }
    out
}
