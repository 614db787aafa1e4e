//! A stretch that both sides changed, entry by entry: values are known by their place, whatever stands beside them.

use std::collections::HashMap;
use std::ops::Range;

use super::weave::{Ranges, Side, Stretch, Threads, pieces};

/// A line with the comments above it.
struct Unit {
    key: String,
    /// Whether it is no entry of a secret value.
    clear: bool,
    lines: Range<usize>,
}

/// What stands at one place of the result.
struct Slot {
    key: String,
    stretch: Stretch,
    /// Whether only theirs has it: its indentation has to be fitted in.
    added: bool,
}

/// The result of a stretch, entry by entry; [`None`] where both sides changed clear lines, which are merged as git does it.
pub(super) fn refine(threads: &Threads<'_, '_>, ranges: &Ranges) -> Option<Vec<Stretch>> {
    let base = units(threads, Side::Base, ranges.base.clone())?;
    let ours = units(threads, Side::Ours, ranges.ours.clone())?;
    let theirs = units(threads, Side::Theirs, ranges.theirs.clone())?;
    let clear = |units: &[Unit]| units.iter().filter(|unit| unit.clear).map(|unit| unit.key.clone()).collect::<Vec<_>>();
    let (was, our, their) = (clear(&base), clear(&ours), clear(&theirs));
    if our != was && their != was && our != their {
        return None;
    }
    let stretch = Refined { threads, base: index(&base), ours: index(&ours), theirs: index(&theirs) };
    Some(stretch.slots(&ours, &theirs))
}

fn index(units: &[Unit]) -> HashMap<&str, &Unit> {
    units.iter().map(|unit| (unit.key.as_str(), unit)).collect()
}

fn units(threads: &Threads<'_, '_>, side: Side, range: Range<usize>) -> Option<Vec<Unit>> {
    let (mut units, mut start) = (Vec::<Unit>::new(), range.start);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for at in range.clone() {
        // What both sides have in common has no lines of its own: it is what ours says.
        let shape = threads.shape(*threads.shapes(side).get(at)?);
        let whole = threads.line(side, at).and_then(|(_, line)| line.whole.as_ref());
        let remark = whole.is_none() && (shape.trim().is_empty() || shape.trim_start().starts_with('#'));
        if remark && at + 1 < range.end {
            continue;
        }
        let places = places_in(shape);
        // Clear lines may be comments on what is secret: their numbers name them.
        let (key, clear) = match (whole, places.is_empty()) {
            (Some(place), _) => (format!("w{place}"), false),
            (None, false) => (format!("p{}", places.join("\u{1}")), false),
            (None, true) => (format!("c{:?}", threads.unindented(side, start..at + 1)), true),
        };
        let count = counts.entry(key.clone()).or_default();
        *count += 1;
        units.push(Unit { key: format!("{key}\u{1}{count}"), clear, lines: start..at + 1 });
        start = at + 1;
    }
    Some(units)
}

/// The places of the values in a line; a value that only its content tells counts as clear text.
fn places_in(shape: &str) -> Vec<&str> {
    let stand_ins = shape.split('\u{1}').skip(1).step_by(2);
    stand_ins.filter(|place| place.contains('\u{0}')).map(|place| place.trim_end_matches(['\u{2}', '\u{3}', '\u{4}'])).collect()
}

struct Refined<'r, 'f, 's> {
    threads: &'r Threads<'f, 's>,
    base: HashMap<&'r str, &'r Unit>,
    ours: HashMap<&'r str, &'r Unit>,
    theirs: HashMap<&'r str, &'r Unit>,
}

impl Refined<'_, '_, '_> {
    /// In the order of ours; what only theirs has stands behind what it stands behind there.
    fn slots(&self, ours: &[Unit], theirs: &[Unit]) -> Vec<Stretch> {
        let mut slots: Vec<Slot> = ours.iter().filter_map(|unit| self.slot(&unit.key)).collect();
        let mut behind: Option<&str> = None;
        for unit in theirs {
            let there = slots.iter().any(|slot| slot.key == unit.key);
            if !there
                && !self.ours.contains_key(unit.key.as_str())
                && let Some(slot) = self.slot(&unit.key)
            {
                let at = behind.and_then(|key| slots.iter().position(|slot| slot.key == key)).map_or(0, |at| at + 1);
                // Behind what ours added there.
                let new = |slot: &&Slot| !self.base.contains_key(slot.key.as_str()) && !self.theirs.contains_key(slot.key.as_str());
                let at = at + slots[at..].iter().take_while(new).count();
                slots.insert(at, slot);
            }
            if slots.iter().any(|slot| slot.key == unit.key) {
                behind = Some(&unit.key);
            }
        }
        self.fit(&mut slots);
        slots.into_iter().map(|slot| slot.stretch).collect()
    }

    /// What stands at this key: nothing if one side took it away.
    fn slot(&self, key: &str) -> Option<Slot> {
        let (base, ours, theirs) = (self.base.get(key).copied(), self.ours.get(key).copied(), self.theirs.get(key).copied());
        let ours_is = |other: Option<&Unit>, side| self.same(Side::Ours, ours, side, other);
        let (side, unit) = if ours_is(theirs, Side::Theirs) || self.same(Side::Theirs, theirs, Side::Base, base) {
            (Side::Ours, ours)
        } else if ours_is(base, Side::Base) {
            (Side::Theirs, theirs)
        } else {
            let lines = |side, unit: Option<&Unit>| unit.map(|unit| pieces(side, unit.lines.clone())).unwrap_or_default();
            let stretch =
                Stretch::Disputed { base: lines(Side::Base, base), ours: lines(Side::Ours, ours), theirs: lines(Side::Theirs, theirs) };
            return Some(Slot { key: key.to_owned(), stretch, added: false });
        };
        let mut pieces = pieces(side, unit?.lines.clone());
        if let (Side::Theirs, Some(ours), Some(theirs)) = (side, ours, theirs) {
            let shift = self.column(Side::Ours, ours.lines.end - 1)? - self.column(Side::Theirs, theirs.lines.end - 1)?;
            pieces.iter_mut().for_each(|piece| piece.shift = shift);
        }
        Some(Slot { key: key.to_owned(), stretch: Stretch::Agreed(pieces), added: side == Side::Theirs && ours.is_none() })
    }

    /// Whether two versions of an entry are the same but for their indentation; two missing ones are.
    fn same(&self, side: Side, unit: Option<&Unit>, other_side: Side, other: Option<&Unit>) -> bool {
        let lines = |side: Side, unit: &Unit| self.threads.unindented(side, unit.lines.clone());
        match (unit, other) {
            (None, None) => true,
            (Some(unit), Some(other)) => lines(side, unit) == lines(other_side, other),
            _ => false,
        }
    }

    /// Indents what theirs added as its neighbours are, which ours may have moved.
    fn fit(&self, slots: &mut [Slot]) {
        let shifts: Vec<isize> = slots.iter().map(|slot| self.shift(slots, slot).unwrap_or(0)).collect();
        for (slot, shift) in slots.iter_mut().zip(shifts).filter(|(slot, _)| slot.added) {
            if let Stretch::Agreed(pieces) = &mut slot.stretch {
                pieces.iter_mut().for_each(|piece| piece.shift = shift);
            }
        }
    }

    fn shift(&self, slots: &[Slot], added: &Slot) -> Option<isize> {
        let column = self.column(Side::Theirs, self.theirs.get(added.key.as_str())?.lines.end - 1)?;
        let neighbour = |slot: &Slot| {
            let there = self.column(Side::Theirs, self.theirs.get(slot.key.as_str())?.lines.end - 1)?;
            let here = self.column(Side::Ours, self.ours.get(slot.key.as_str())?.lines.end - 1)?;
            (there == column).then_some(here - there)
        };
        slots.iter().find_map(neighbour)
    }

    fn column(&self, side: Side, line: usize) -> Option<isize> {
        let (frame, line) = self.threads.line(side, line)?;
        isize::try_from(frame.indent(line)).ok()
    }
}
