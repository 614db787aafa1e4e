//! Replacements of byte ranges, collected in any order and applied once.

use zeroize::Zeroizing;

use super::Span;

/// A set of replacements over one text.
#[derive(Default)]
pub struct Edits {
    /// All new bytes, one after the other.
    text: Zeroizing<String>,
    /// (range of the old text, range of `text`).
    list: Vec<(Span, Span)>,
}

impl Edits {
    /// Room for `count` edits of `bytes` in all.
    pub fn with_capacity(count: usize, bytes: usize) -> Edits {
        Edits { text: Zeroizing::new(String::with_capacity(bytes)), list: Vec::with_capacity(count) }
    }

    /// Puts `text` in place of `span`; an empty span inserts.
    pub fn replace(&mut self, span: Span, text: &str) {
        self.write(span, |out| out.push_str(text));
    }

    /// Puts what `write` appends in place of `span`.
    pub fn write(&mut self, span: Span, write: impl FnOnce(&mut String)) {
        let start = self.text.len();
        write(&mut self.text);
        self.list.push((span, Span::new(start, self.text.len())));
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
        self.list.sort_by_key(|(old, _)| (old.start, old.end > old.start, std::cmp::Reverse(old.end)));
        let mut out = Zeroizing::new(String::with_capacity(source.len() + self.text.len()));
        let mut done = 0;
        for (old, new) in &self.list {
            if (old.start as usize) < done {
                continue;
            }
            out.push_str(&source[done..old.start as usize]);
            out.push_str(&self.text[new.range()]);
            done = old.end as usize;
        }
        out.push_str(&source[done..]);
        out
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
    fn an_edit_inside_another_is_left_out() {
        let mut edits = Edits::default();
        edits.replace(Span::new(2, 3), "x");
        edits.replace(Span::new(1, 5), "-");
        assert_eq!(edits.apply("abcdef").as_str(), "a-f");
    }
}
