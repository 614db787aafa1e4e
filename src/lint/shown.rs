//! A source line for people in which every scalar and every comment is a `…`: its shape shows where a finding is, and
//! nothing of what the file holds.

use crate::document::{Document, Role};

/// What stands for text that isn't shown.
const BLOT: char = '…';
/// Longer lines are cut.
const WIDTH: usize = 120;
/// What is shown outside keys.
const STRUCTURE: &str = " \t:-{}[],?|>=";

/// A line as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Keys, indentation and punctuation.
    pub text: String,
    /// The column of what was found, in characters from 0.
    pub caret: usize,
}

impl Line {
    /// The line of the byte `offset`. Without a document, or inside a scalar of several lines, nothing but its indentation
    /// is shown: what looks like a key there may be part of a value.
    pub fn blotted(text: &str, document: Option<&Document<'_>>, offset: usize) -> Line {
        let offset = offset.min(text.len());
        let start = text.as_bytes()[..offset].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let end = memchr::memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |at| start + at);
        let kinds = document.map(|document| Kinds::of(document, start, end));
        let mut line = Line { text: String::new(), caret: 0 };
        let mut indent = true;
        for (at, c) in text.get(start..end).unwrap_or_default().trim_end_matches('\r').char_indices() {
            let at = start + at;
            if at <= offset {
                line.caret = line.text.chars().count();
            }
            indent = indent && (c == ' ' || c == '\t');
            let shown = match &kinds {
                Some(kinds) => kinds.is_key(at) || !kinds.is_hidden(at) && STRUCTURE.contains(c),
                None => indent,
            };
            line.take(if shown { c } else { BLOT });
            if line.text.chars().count() >= WIDTH {
                break;
            }
        }
        line.caret = line.caret.min(line.text.chars().count().saturating_sub(1));
        line
    }

    /// Runs of hidden text are one blot.
    fn take(&mut self, c: char) {
        if c == BLOT && self.text.ends_with(BLOT) {
            return;
        }
        self.text.push(if c == '\t' { ' ' } else { c });
    }
}

/// Which bytes of a line are keys, and which are values or comments.
struct Kinds {
    keys: Vec<(usize, usize)>,
    hidden: Vec<(usize, usize)>,
}

impl Kinds {
    fn of(document: &Document<'_>, start: usize, end: usize) -> Kinds {
        let mut kinds = Kinds { keys: Vec::new(), hidden: Vec::new() };
        // Nodes stand in order of position: no line of a document starts far from its own.
        for node in &document.nodes {
            let span = node.span.range();
            if span.start >= end {
                break;
            }
            if span.end <= start || node.is_collection() {
                continue;
            }
            let inside = span.start >= start && span.end <= end;
            let list = if node.role == Role::Key && inside { &mut kinds.keys } else { &mut kinds.hidden };
            list.push((span.start, span.end));
        }
        let comments = document.comments.iter().map(|comment| comment.span.range());
        kinds.hidden.extend(comments.filter(|span| span.start < end && span.end > start).map(|span| (span.start, span.end)));
        kinds
    }

    fn is_key(&self, at: usize) -> bool {
        self.keys.iter().any(|(start, end)| (*start..*end).contains(&at))
    }

    fn is_hidden(&self, at: usize) -> bool {
        self.hidden.iter().any(|(start, end)| (*start..*end).contains(&at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    fn line(text: &str, what: &str) -> (String, usize) {
        let document = yaml::parse(text).unwrap();
        let line = Line::blotted(text, Some(&document), text.find(what).unwrap());
        (line.text, line.caret)
    }

    #[test]
    fn values_and_comments_are_blots_and_keys_stay() {
        assert_eq!(line("a:\n  pass: \"geheim\" # x: y\n", "\"geheim"), ("  pass: … …".to_owned(), 8));
        assert_eq!(line("d: {pass: geheim, b: [x, y]}\n", "geheim"), ("d: {pass: …, b: […, …]}".to_owned(), 10));
        assert_eq!(line("a:\n- !t &a geheim\n", "geheim"), ("- … … …".to_owned(), 6));
    }

    #[test]
    fn what_looks_like_a_key_inside_a_value_is_none() {
        let text = "a: |\n  DB_PASS: x\n  y: z\nb: \"x\n  k: v\"\n";
        assert_eq!(line(text, "DB_PASS").0, "…");
        assert_eq!(line(text, "k: v").0, "…");
        let broken = "  pass: geheim\n";
        assert_eq!(Line::blotted(broken, None, 8), Line { text: "  …".to_owned(), caret: 2 });
    }
}
