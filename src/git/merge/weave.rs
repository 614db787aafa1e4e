//! Three versions of a file woven into one, line by line: what one side changed is taken, what both changed differently is
//! in dispute. In such a stretch, entries of secret values are told apart by their place, so that two new neighbours are no
//! conflict; clear lines stay as git would have them.

use std::collections::HashMap;
use std::ops::Range;

use similar::DiffOp;

use super::frame::{Frame, Line};
use super::refine;
use crate::git::alignment;
use crate::secret::Secret;

/// One of the three versions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Side {
    /// The common ancestor.
    Base,
    /// Ours.
    Ours,
    /// Theirs.
    Theirs,
}

/// A line of one version, moved by some columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Piece {
    /// Whose line.
    pub side: Side,
    /// Which one.
    pub line: usize,
    /// By how many columns it is indented more, or less.
    pub shift: isize,
}

/// A stretch of the result.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Stretch {
    /// Lines to be taken.
    Agreed(Vec<Piece>),
    /// Both sides changed it, each in its way.
    Disputed {
        /// The lines of the ancestor.
        base: Vec<Piece>,
        /// Ours.
        ours: Vec<Piece>,
        /// Theirs.
        theirs: Vec<Piece>,
    },
}

/// The versions to be woven, with their lines for comparing as numbers: equal lines have equal ones.
pub(super) struct Threads<'f, 's> {
    /// The ancestor; without one, what both sides have in common.
    pub base: Option<&'f Frame<'s>>,
    /// Ours.
    pub ours: &'f Frame<'s>,
    /// Theirs.
    pub theirs: &'f Frame<'s>,
    shapes: [Vec<u32>; 3],
    texts: Vec<Secret>,
    /// By the number of a line, what it is but for its indentation: also a number.
    unindented: Vec<u32>,
}

/// The versions of one stretch, as ranges of lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Ranges {
    /// In the ancestor.
    pub base: Range<usize>,
    /// In ours.
    pub ours: Range<usize>,
    /// In theirs.
    pub theirs: Range<usize>,
}

impl<'f, 's> Threads<'f, 's> {
    /// Takes the versions; `mark` is that of [`Frame::shape`], by side.
    pub fn new(
        base: Option<&'f Frame<'s>>,
        ours: &'f Frame<'s>,
        theirs: &'f Frame<'s>,
        mark: impl Fn(Side, &str) -> &'static str,
    ) -> Threads<'f, 's> {
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut texts = Vec::new();
        let mut number = |frame: &Frame<'s>, side: Side| -> Vec<u32> {
            let shape = |line: &Line| {
                let shape = frame.shape(line, |place| mark(side, place));
                let next = texts.len() as u32;
                let number = *known.entry(shape.to_string()).or_insert(next);
                if number == next {
                    texts.push(shape);
                }
                number
            };
            frame.lines.iter().map(shape).collect()
        };
        let (ours_shapes, theirs_shapes) = (number(ours, Side::Ours), number(theirs, Side::Theirs));
        let base_shapes = match base {
            Some(base) => number(base, Side::Base),
            None => matches(&ours_shapes, &theirs_shapes).iter().filter_map(|(at, _)| ours_shapes.get(*at).copied()).collect(),
        };
        for (mut text, _) in known.drain() {
            crate::secret::wipe_text(&mut text);
        }
        let unindented = unindented(&texts);
        Threads { base, ours, theirs, shapes: [base_shapes, ours_shapes, theirs_shapes], texts, unindented }
    }

    /// The lines of a side for comparing, as numbers.
    pub fn shapes(&self, side: Side) -> &[u32] {
        &self.shapes[side as usize]
    }

    /// What such a number stands for.
    pub fn shape(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", |text| text.as_str())
    }

    /// The lines but for their indentation, as numbers.
    pub fn unindented(&self, side: Side, lines: Range<usize>) -> Vec<u32> {
        let numbers = self.shapes(side).get(lines).unwrap_or_default();
        numbers.iter().filter_map(|number| self.unindented.get(*number as usize).copied()).collect()
    }

    /// The version of a side; what both have in common stands for a missing ancestor, and has no text of its own.
    pub fn frame(&self, side: Side) -> Option<&'f Frame<'s>> {
        match side {
            Side::Base => self.base,
            Side::Ours => Some(self.ours),
            Side::Theirs => Some(self.theirs),
        }
    }

    /// A line of a side.
    pub fn line(&self, side: Side, at: usize) -> Option<(&'f Frame<'s>, &'f Line)> {
        let frame = self.frame(side)?;
        Some((frame, frame.lines.get(at)?))
    }

    /// The result, stretch by stretch.
    pub fn weave(&self) -> Vec<Stretch> {
        let mut woven = Vec::new();
        for (stable, ranges) in self.stretches() {
            if stable {
                woven.push(Stretch::Agreed(self.unchanged(&ranges)));
            } else {
                woven.extend(self.changed(&ranges));
            }
        }
        woven
    }

    /// Lines that all have: theirs where they alone wrote a line in another way that says the same.
    fn unchanged(&self, ranges: &Ranges) -> Vec<Piece> {
        let text = |side, at| self.line(side, at).map(|(frame, line)| frame.text(line));
        let pick = |((base, ours), theirs)| {
            let as_base = text(Side::Base, base).is_some_and(|base| text(Side::Ours, ours) == Some(base));
            let (side, line) = if as_base { (Side::Theirs, theirs) } else { (Side::Ours, ours) };
            Piece { side, line, shift: 0 }
        };
        ranges.base.clone().zip(ranges.ours.clone()).zip(ranges.theirs.clone()).map(pick).collect()
    }

    fn changed(&self, ranges: &Ranges) -> Vec<Stretch> {
        let [base, ours, theirs] = [
            &self.shapes(Side::Base)[ranges.base.clone()],
            &self.shapes(Side::Ours)[ranges.ours.clone()],
            &self.shapes(Side::Theirs)[ranges.theirs.clone()],
        ];
        if ours == theirs || theirs == base {
            return vec![Stretch::Agreed(pieces(Side::Ours, ranges.ours.clone()))];
        }
        if ours == base {
            return vec![Stretch::Agreed(pieces(Side::Theirs, ranges.theirs.clone()))];
        }
        refine::refine(self, ranges).unwrap_or_else(|| {
            let side = |side, range: &Range<usize>| pieces(side, range.clone());
            vec![Stretch::Disputed {
                base: side(Side::Base, &ranges.base),
                ours: side(Side::Ours, &ranges.ours),
                theirs: side(Side::Theirs, &ranges.theirs),
            }]
        })
    }

    /// The file in stretches that all three have, and such that differ.
    fn stretches(&self) -> Vec<(bool, Ranges)> {
        let [base, ours, theirs] = &self.shapes;
        let in_ours: HashMap<usize, usize> = matches(base, ours).into_iter().collect();
        let in_theirs: HashMap<usize, usize> = matches(base, theirs).into_iter().collect();
        let mut found: Vec<(bool, Ranges)> = Vec::new();
        let mut at = (0, 0, 0);
        for line in 0..base.len() {
            let (Some(our), Some(their)) = (in_ours.get(&line), in_theirs.get(&line)) else { continue };
            push(&mut found, false, Ranges { base: at.0..line, ours: at.1..*our, theirs: at.2..*their });
            at = (line + 1, our + 1, their + 1);
            push(&mut found, true, Ranges { base: line..at.0, ours: *our..at.1, theirs: *their..at.2 });
        }
        push(&mut found, false, Ranges { base: at.0..base.len(), ours: at.1..ours.len(), theirs: at.2..theirs.len() });
        found
    }
}

fn unindented(texts: &[Secret]) -> Vec<u32> {
    let mut known: HashMap<&str, u32> = HashMap::with_capacity(texts.len());
    let mut numbers = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        numbers.push(*known.entry(text.as_str().trim()).or_insert(at as u32));
    }
    numbers
}

fn push(found: &mut Vec<(bool, Ranges)>, stable: bool, ranges: Ranges) {
    if ranges.base.is_empty() && ranges.ours.is_empty() && ranges.theirs.is_empty() {
        return;
    }
    match found.last_mut() {
        Some((true, last)) if stable => {
            last.base.end = ranges.base.end;
            last.ours.end = ranges.ours.end;
            last.theirs.end = ranges.theirs.end;
        }
        _ => found.push((stable, ranges)),
    }
}

/// Lines as pieces.
pub(super) fn pieces(side: Side, lines: Range<usize>) -> Vec<Piece> {
    lines.map(|line| Piece { side, line, shift: 0 }).collect()
}

/// The pairs of equal lines of two versions, in order.
pub(super) fn matches<T: Eq + std::hash::Hash>(old: &[T], new: &[T]) -> Vec<(usize, usize)> {
    let equal = |op: DiffOp| match op {
        DiffOp::Equal { old_index, new_index, len } => (0..len).map(move |at| (old_index + at, new_index + at)).collect(),
        _ => Vec::new(),
    };
    alignment::steps(old, new).into_iter().flat_map(equal).collect()
}
