//! Which files are staged, and which have changed since a revision.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::{Repository, fields, text};
use crate::error::{Error, Kind, Result};
use crate::source::platform;

/// Raw differences, with names as they are; a renamed file stands under its new name.
const RAW: [&str; 7] = ["--raw", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev", "--no-relative"];

/// A file in the index that differs from HEAD's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Staged {
    /// Below the top of the work tree.
    pub path: PathBuf,
    /// The object that the index holds, by its hash.
    pub object: String,
    /// Whether the file in the work tree differs from the one in the index, or is missing.
    pub partly: bool,
    /// Whether a merge left it in conflict.
    pub conflict: bool,
}

/// A line of `git diff --raw -z`.
struct Line<'b> {
    mode: &'b str,
    object: &'b str,
    status: u8,
    path: &'b [u8],
}

impl Line<'_> {
    /// Links and submodules hold no text of ours.
    fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

impl Repository {
    /// The files that the next commit would add or change, in git's order; those in conflict too.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn staged(&self) -> Result<Vec<Staged>> {
        let index = self.diff(&["--cached"])?;
        let work = self.diff(&[])?;
        let open: BTreeSet<&[u8]> = lines(&work).map(|line| line.path).collect();
        let staged = lines(&index).filter(|line| line.status == b'U' || line.status != b'D' && line.is_file());
        let staged = staged.map(|line| Staged {
            path: platform::path_of_bytes(line.path),
            object: line.object.to_owned(),
            partly: open.contains(line.path),
            conflict: line.status == b'U',
        });
        Ok(staged.collect())
    }

    /// The files of the work tree, absolute, that differ from what `revision` had where this branch left it; files that
    /// git doesn't know yet, and doesn't ignore, too.
    ///
    /// # Errors
    /// `Unreadable` (2) for an unknown revision or history that was cut off.
    pub fn changed_since(&self, revision: &str) -> Result<Vec<PathBuf>> {
        let base = self.fork_point(&self.commit(revision)?, revision)?;
        let differing = self.diff(&[&base])?;
        let new = self.ask(&["ls-files", "-z", "--others", "--exclude-standard"])?;
        let differing = lines(&differing).filter(|line| line.status != b'D').map(|line| line.path);
        let paths: BTreeSet<PathBuf> = differing.chain(fields(&new)).map(platform::path_of_bytes).collect();
        Ok(paths.into_iter().map(|path| self.top.join(path)).filter(|path| is_regular(path)).collect())
    }

    /// The files, below the top, whose content in the work tree isn't that of HEAD, or not that of the index.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn differing(&self) -> Result<HashSet<PathBuf>> {
        let index = self.diff(&[])?;
        let head = if self.head()?.is_some() { self.diff(&["HEAD"])? } else { Vec::new() };
        Ok(lines(&index).chain(lines(&head)).map(|line| platform::path_of_bytes(line.path)).collect())
    }

    /// Where HEAD and `commit` parted; `revision` is what people call it.
    ///
    /// # Errors
    /// `Unreadable` (2): they have no commit in common, or the history was cut off.
    pub fn fork_point(&self, commit: &str, revision: &str) -> Result<String> {
        let output = self.run(&["merge-base", commit, "HEAD"], None)?;
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        let error = Error::new(Kind::Unreadable, format!("{revision} and HEAD have no commit in common"));
        Err(self.with_depth(error))
    }

    fn diff(&self, what: &[&str]) -> Result<Vec<u8>> {
        let arguments: Vec<&str> = ["diff"].into_iter().chain(RAW).chain(what.iter().copied()).chain(["--"]).collect();
        self.ask(&arguments)
    }
}

fn is_regular(path: &std::path::Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
}

/// `:MODE MODE OBJECT OBJECT STATUS`, then the path.
fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut fields = fields(bytes);
    std::iter::from_fn(move || {
        let (head, path) = (fields.next()?, fields.next()?);
        let mut words = std::str::from_utf8(head).ok()?.split(' ').skip(1);
        let mode = words.next()?;
        let mut words = words.skip(1);
        Some(Line { mode, object: words.next()?, status: *words.next()?.as_bytes().first()?, path })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_differences_are_read_with_any_name() {
        let bytes = b":000000 100644 0000 1234 A\0a\n b\0:100644 160000 1 2 T\0sub\0:100644 000000 1 0 D\0:odd\0";
        let seen: Vec<_> = lines(bytes).map(|line| (line.status, line.object, line.path)).collect();
        assert_eq!(seen, [(b'A', "1234", &b"a\n b"[..]), (b'T', "2", b"sub"), (b'D', "0", b":odd")]);
    }
}
