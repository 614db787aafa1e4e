//! Replacements of byte ranges, collected in any order and applied once.

use zeroize::Zeroizing;

use super::Span;
use crate::secret::Secret;
use crate::sorting;

/// A set of replacements over one text.
#[derive(Default)]
pub struct Edits {
    /// All new bytes, one after the other.
    text: Secret,
    /// Those of the sets that were joined to this one.
    joined: Vec<Secret>,
    list: Vec<Edit>,
}

struct Edit {
    old: Span,
    new: Span,
    /// Which of the joined texts `new` is in.
    text: u32,
}

/// None of the joined texts.
const OWN: u32 = u32::MAX;

impl Edits {
    /// Room for `count` edits of `bytes` in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Edits {
        Edits { text: Secret::with_capacity(bytes), joined: Vec::new(), list: Vec::with_capacity(count) }
    }

    /// Puts `text` in place of `span`; an empty span inserts.
    pub fn replace(&mut self, span: Span, text: &str) {
        self.write(span, |out| out.push_str(text));
    }

    /// Puts what `write` appends in place of `span`, and gives what it gives.
    pub fn write<R>(&mut self, span: Span, write: impl FnOnce(&mut String) -> R) -> R {
        let text = &mut self.text;
        let start = text.len();
        let written = write(text);
        self.list.push(Edit { old: span, new: Span::new(start, text.len()), text: OWN });
        written
    }

    /// Puts what `write` appends in place of `span`, unless it gives [`None`].
    pub fn try_write<T>(&mut self, span: Span, write: impl FnOnce(&mut String) -> Option<T>) -> Option<T> {
        let start = self.text.len();
        let written = write(&mut self.text);
        match written {
            Some(_) => self.list.push(Edit { old: span, new: Span::new(start, self.text.len()), text: OWN }),
            None => self.text.cut(start),
        }
        written
    }

    /// Adds the edits of another set over the same text.
    pub fn join(&mut self, other: Edits) {
        let first = self.joined.len() as u32;
        let moved = |edit: Edit| Edit { text: if edit.text == OWN { first } else { first + 1 + edit.text }, ..edit };
        self.list.extend(other.list.into_iter().map(moved));
        self.joined.push(other.text);
        self.joined.extend(other.joined);
    }

    fn text_of(&self, edit: &Edit) -> &str {
        let text = self.joined.get(edit.text as usize).unwrap_or(&self.text);
        &text[edit.new.range()]
    }

    /// Number of replacements.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing is replaced.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// `source` with all replacements made. One that lies inside another is left out; insertions at one place keep
    /// the order in which they were added.
    pub fn apply(mut self, source: &str) -> Zeroizing<String> {
        // Insertions come before what starts at their place, the larger of two replacements before the smaller.
        sorting::by_key(&mut self.list, |edit| (edit.old.start, edit.old.end > edit.old.start, std::cmp::Reverse(edit.old.end)));
        // No byte more than is filled: wiping would have to touch it.
        let mut out = Zeroizing::new(String::with_capacity(self.pieces(source).map(str::len).sum()));
        self.pieces(source).for_each(|piece| out.push_str(piece));
        out
    }

    /// The bytes at `span` of `source` with all replacements made, which lie in it.
    pub fn apply_within(mut self, source: &str, span: Span) -> Zeroizing<String> {
        let moved = |at: u32| at.clamp(span.start, span.end) - span.start;
        self.list.iter_mut().for_each(|edit| edit.old = Span { start: moved(edit.old.start), end: moved(edit.old.end) });
        self.apply(&source[span.range()])
    }

    /// What stays of `source` and what is new, in order; the list must be sorted.
    fn pieces<'e>(&'e self, source: &'e str) -> impl Iterator<Item = &'e str> {
        let (mut edits, mut done, mut over) = (self.list.iter(), 0, false);
        let pairs = std::iter::from_fn(move || {
            let from = done;
            let Some(edit) = edits.find(|edit| edit.old.start as usize >= from) else {
                return (!std::mem::replace(&mut over, true)).then(|| [&source[from..], ""]);
            };
            done = edit.old.end as usize;
            Some([&source[from..edit.old.start as usize], self.text_of(edit)])
        });
        pairs.flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_applied_in_order_of_position() {
        let mut edits = Edits::default();
        edits.replace(Span::new(4, 5), "E");
        edits.replace(Span::new(0, 2), "-");
        edits.replace(Span::new(6, 6), "!");
        edits.replace(Span::new(6, 6), "?");
        assert_eq!(edits.apply("abcdef").as_str(), "-cdEf!?");
    }

    #[test]
    fn a_piece_is_changed_by_itself() {
        let mut edits = Edits::default();
        edits.replace(Span::new(4, 5), "E");
        edits.replace(Span::new(2, 2), "+");
        assert_eq!(edits.apply_within("abcdef", Span::new(2, 5)).as_str(), "+cdE");
    }

    #[test]
    fn an_insertion_stands_before_what_is_replaced_at_its_place() {
        let mut edits = Edits::default();
        edits.replace(Span::new(2, 4), "X");
        edits.replace(Span::new(2, 2), "+");
        assert_eq!(edits.apply("abcdef").as_str(), "ab+Xef");
    }

    #[test]
    fn joined_edits_are_applied_as_one_set() {
        let (mut edits, mut others) = (Edits::default(), Edits::with_capacity(1, 1));
        edits.replace(Span::new(4, 5), "E");
        others.replace(Span::new(0, 1), "A");
        assert!(
            others
                .try_write::<()>(Span::new(1, 2), |out| {
                    out.push('?');
                    None
                })
                .is_none()
        );
        others.replace(Span::new(2, 3), "C");
        edits.join(others);
        edits.replace(Span::new(5, 6), "F");
        assert_eq!(edits.len(), 4);
        assert_eq!(edits.apply("abcdefg").as_str(), "AbCdEFg");
    }

    #[test]
    fn an_edit_inside_another_is_left_out() {
        let mut edits = Edits::default();
        edits.replace(Span::new(2, 3), "x");
        edits.replace(Span::new(1, 5), "-");
        assert_eq!(edits.apply("abcdef").as_str(), "a-f");
    }
}
