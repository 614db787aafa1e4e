//! Files that a merge left with conflict markers: no format can be read then.

use crate::error::{Error, Result};

/// Where the first marker of a conflict stands, if its end does, too.
pub fn first(text: &str) -> Option<usize> {
    let line = |mark: &str| match text.starts_with(mark) {
        true => Some(0),
        false => memchr::memmem::find(text.as_bytes(), format!("\n{mark}").as_bytes()).map(|at| at + 1),
    };
    let first = line("<<<<<<< ")?;
    line(">>>>>>> ").filter(|last| *last > first).map(|_| first)
}

/// What a parser couldn't read because of conflict markers is called by its name.
pub(super) fn named<T>(read: Result<T>, source: &str) -> Result<T> {
    read.map_err(|error| match first(source) {
        Some(at) => Error::new(error.kind, "a merge left conflict markers in this file")
            .at(source, at)
            .hint("an encrypted file: kveil resolve FILE settles them"),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{format_by_name, format_by_path};

    #[test]
    fn a_conflict_has_markers_of_both_ends() {
        assert_eq!(first("a\n<<<<<<< ours\nb\n=======\nc\n>>>>>>> theirs\n"), Some(2));
        assert_eq!(first("a\n<<<<<<< ours\nb\n"), None);
        assert_eq!(first("a: '<<<<<<< '\n>>>>>>> x\n"), None);
    }

    #[test]
    fn every_format_names_it() {
        for (name, line) in [("a.yaml", "a: 1"), ("a.json", "{\"a\": 1}"), ("a.env", "a=1"), ("a.ini", "a = 1")] {
            let text = format!("{line}\n<<<<<<< ours\n{line}\n=======\n{line}\n>>>>>>> theirs\n");
            let format = format_by_path(name).unwrap();
            for read in [format.parse(&text), format.parse_encrypted(&text), format.parse_plain(&text)] {
                let error = read.err().unwrap();
                assert!(error.message.contains("conflict markers"), "{name}: {}", error.message);
                assert_eq!(error.position.map(|position| position.line), Some(2), "{name}");
            }
        }
        // What can be read all the same is.
        let text = "a: |\n <<<<<<< x\nb: '\n\n  >>>>>>> y'\n";
        assert!(format_by_name("yaml").unwrap().parse(text).is_ok());
    }
}
