//! Index paths as sops writes them on the command line: `["data"]["password"]`, `["list"][0]`, `['key']`.

use crate::error::{Error, Kind, Result};

/// A step of an index path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Index {
    /// A key of a mapping.
    Key(String),
    /// A place in a list; negative ones are read, and refused where they are used.
    Item(i64),
}

/// Reads an index path as genuine sops does: it is split at every `[`, each part ends with `]` and holds a quoted key,
/// whose quotes may be of either kind, or a number. An empty path has no steps.
///
/// # Errors
/// `kind` with the expected form.
pub fn parse(path: &str, kind: Kind) -> Result<Vec<Index>> {
    path.split('[').filter(|part| !part.is_empty()).map(|part| step(part).ok_or_else(|| refused(path, kind))).collect()
}

fn step(part: &str) -> Option<Index> {
    let inner = part.strip_suffix(']')?;
    let Some(open) = inner.strip_prefix(['"', '\'']) else { return inner.parse().ok().map(Index::Item) };
    // Genuine sops takes any last character for the closing quote, and loses it.
    open.strip_suffix(['"', '\'']).map(|key| Index::Key(key.to_owned()))
}

fn refused(path: &str, kind: Kind) -> Error {
    let what = if kind == Kind::BadPath { "error parsing --extract path: not an index path" } else { "not an index path" };
    Error::new(kind, what).for_key(path).hint("expected a form like [\"data\"][\"password\"] or [\"list\"][0]")
}

/// The path in the same form, for messages.
pub fn shown(path: &[Index]) -> String {
    let step = |step: &Index| match step {
        Index::Key(key) => format!("[\"{key}\"]"),
        Index::Item(at) => format!("[{at}]"),
    };
    path.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<String> {
        parse(path, Kind::BadPath).ok().map(|steps| shown(&steps))
    }

    /// Tried with genuine sops 3.13.3, which panics at the last two.
    #[test]
    fn paths_are_read_as_genuine_sops_reads_them() {
        let read_as = [
            (r#"["a"]["b"]"#, r#"["a"]["b"]"#),
            (r#"['a'][0]["x\"]"#, r#"["a"][0]["x\"]"#),
            (r#"['a"]"#, r#"["a"]"#),
            (r#""a"]"#, r#"["a"]"#),
            (r#"["a]b"]"#, r#"["a]b"]"#),
            (r#"[""]"#, r#"[""]"#),
            (r#"["a.b c"]"#, r#"["a.b c"]"#),
            ("[+1][-2]", "[1][-2]"),
            ("", ""),
        ];
        for (path, wanted) in read_as {
            assert_eq!(read(path).as_deref(), Some(wanted), "{path}");
        }
        for path in ["a", r#"["a"] "#, r#"[ "a"]"#, r#"["a"] ["b"]"#, "[x]", "[1 ]", "[1", r#"["a[b"]"#, "[]", "[\"]"] {
            assert_eq!(read(path), None, "{path}");
        }
    }

    #[test]
    fn the_error_has_the_code_of_the_verb() {
        assert_eq!(parse("a", Kind::BadPath).unwrap_err().kind.exit_code(), 91);
    }
}
