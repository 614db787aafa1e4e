//! Replacements of byte ranges, collected in any order and applied once.

use zeroize::Zeroizing;

use super::Span;
use crate::secret::Secret;

/// A set of replacements over one text.
pub struct Edits {
    /// All new bytes, one after the other; one text for each writer whose edits were joined.
    texts: Vec<Secret>,
    list: Vec<Edit>,
}

struct Edit {
    old: Span,
    new: Span,
    /// Which of the texts `new` is in.
    text: u32,
}

impl Default for Edits {
    fn default() -> Edits {
        Edits::with_capacity(0, 0)
    }
}

impl Edits {
    /// Room for `count` edits of `bytes` in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Edits {
        Edits { texts: vec![Secret::with_capacity(bytes)], list: Vec::with_capacity(count) }
    }

    /// Puts `text` in place of `span`; an empty span inserts.
    pub fn replace(&mut self, span: Span, text: &str) {
        self.write(span, |out| out.push_str(text));
    }

    /// Puts what `write` appends in place of `span`.
    pub fn write(&mut self, span: Span, write: impl FnOnce(&mut String)) {
        let _: Option<()> = self.try_write(span, |out| {
            write(out);
            Some(())
        });
    }

    /// Puts what `write` appends in place of `span`, unless it gives [`None`].
    pub fn try_write<T>(&mut self, span: Span, write: impl FnOnce(&mut String) -> Option<T>) -> Option<T> {
        let last = self.texts.len().saturating_sub(1);
        let text = self.texts.last_mut()?;
        let start = text.len();
        let written = write(text);
        match written {
            Some(_) => self.list.push(Edit { old: span, new: Span::new(start, text.len()), text: last as u32 }),
            None => text.cut(start),
        }
        written
    }

    /// Adds the edits of another set over the same text.
    pub fn join(&mut self, other: Edits) {
        let first = self.texts.len() as u32;
        self.list.extend(other.list.into_iter().map(|edit| Edit { text: first + edit.text, ..edit }));
        self.texts.extend(other.texts);
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
        self.list.sort_by_key(|edit| (edit.old.start, edit.old.end > edit.old.start, std::cmp::Reverse(edit.old.end)));
        // No byte more than is filled: wiping would have to touch it.
        let mut out = Zeroizing::new(String::with_capacity(self.pieces(source).map(str::len).sum()));
        self.pieces(source).for_each(|piece| out.push_str(piece));
        out
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
            Some([&source[from..edit.old.start as usize], &self.texts[edit.text as usize][edit.new.range()]])
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
