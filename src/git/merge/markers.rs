//! A text with conflict markers, taken apart again.

use zeroize::Zeroizing;

use super::text::MARKER_SIZE;
use crate::error::{Error, Kind, Result};

/// What the sides of a text with markers say.
#[derive(Default)]
pub struct Parts {
    /// The common ancestor, where every conflict shows it (`merge.conflictStyle diff3`).
    pub base: Option<Zeroizing<String>>,
    /// Ours.
    pub ours: Zeroizing<String>,
    /// Theirs.
    pub theirs: Zeroizing<String>,
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Common,
    Ours,
    Base,
    Theirs,
}

/// The characters of a marker of this sign that a line is.
fn marker(line: &str, sign: char) -> Option<usize> {
    let body = line.trim_end_matches(['\n', '\r']);
    let rest = body.trim_start_matches(sign);
    let size = body.len() - rest.len();
    (size >= MARKER_SIZE && (rest.is_empty() || rest.starts_with(' '))).then_some(size)
}

/// The size of the markers in a text, if it has any.
pub fn size(text: &str) -> Option<usize> {
    text.split_inclusive('\n').find_map(|line| marker(line, '<'))
}

/// Takes a text with markers apart; [`None`] if it has none.
///
/// # Errors
/// `Generic` (1) with the line, where markers don't go together.
pub fn parts(text: &str) -> Result<Option<Parts>> {
    let Some(size) = size(text) else { return Ok(None) };
    let is = |line: &str, sign: char| marker(line, sign) == Some(size);
    let (mut parts, mut base, mut at) = (Parts::default(), Some(Zeroizing::new(String::new())), In::Common);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let next = match at {
            In::Common if is(line, '<') => Some(In::Ours),
            In::Ours if is(line, '|') => Some(In::Base),
            In::Ours | In::Base if is(line, '=') => Some(In::Theirs),
            In::Theirs if is(line, '>') => Some(In::Common),
            _ if ['<', '>', '|'].into_iter().any(|sign| is(line, sign)) => {
                let error = Error::new(Kind::Generic, format!("line {}: a conflict marker that doesn't go with the others", number + 1));
                return Err(error.hint("--from REV names the other side, if the markers were edited"));
            }
            _ => None,
        };
        if let Some(next) = next {
            // A conflict that doesn't show its ancestor.
            base = base.filter(|_| !(at == In::Ours && next == In::Theirs));
            at = next;
            continue;
        }
        if matches!(at, In::Common | In::Ours) {
            parts.ours.push_str(line);
        }
        if matches!(at, In::Common | In::Theirs) {
            parts.theirs.push_str(line);
        }
        if let (In::Common | In::Base, Some(base)) = (at, &mut base) {
            base.push_str(line);
        }
    }
    match at {
        In::Common => Ok(Some(Parts { base, ..parts })),
        _ => Err(Error::new(Kind::Generic, "a conflict marker without its end").hint("--from REV names the other side")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_found_again() {
        let text = "a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\nd\n";
        let found = parts(text).unwrap().unwrap();
        assert_eq!((found.ours.as_str(), found.theirs.as_str()), ("a\nb\nd\n", "a\nc\nd\n"));
        assert!(found.base.is_none() && parts("a\n=======\n").unwrap().is_none());
        let found = parts("<<<<<<< HEAD\nb\n||||||| 1234\n=======\nc\n>>>>>>> x\nd\n").unwrap().unwrap();
        assert_eq!(found.base.unwrap().as_str(), "d\n");
    }

    #[test]
    fn larger_markers_hold_smaller_ones_as_text() {
        let text = "<<<<<<<<< ours\n=======\n=========\nc\n>>>>>>>>> theirs\n";
        assert_eq!(parts(text).unwrap().unwrap().ours.as_str(), "=======\n");
    }

    #[test]
    fn markers_that_do_not_go_together_are_refused() {
        for text in [
            "<<<<<<< a\n",
            "<<<<<<< a\n<<<<<<< b\n",
            "<<<<<<< a\n=======\n=======\n|||||||\n",
            "<<<<<<< a\n=======\n>>>>>>> b\n>>>>>>> b\n",
        ] {
            assert!(parts(text).is_err(), "{text}");
        }
    }
}
