//! Which files are staged, and which have changed since a revision.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;

use super::version::From;
use super::{Repository, fields, text};
use crate::error::{Error, Kind, Result};
use crate::source::platform;

/// Raw differences, with names as they are; a renamed file stands under its new name.
const RAW: [&str; 7] = ["--raw", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev", "--no-relative"];

/// The states of all files, of the index and of the work tree, for machines; a renamed file stands under its new name.
const STATUS: [&str; 6] = ["status", "--porcelain=v2", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all"];

/// A file in the index that differs from HEAD's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Staged {
    /// Below the top of the work tree.
    pub path: PathBuf,
    /// The object that the index holds, by its hash; of a file in conflict ours, or theirs where ours is gone.
    pub object: String,
    /// Whether the file in the work tree differs from the one in the index, or is missing.
    pub partly: bool,
    /// Whether a merge left it in conflict.
    pub conflict: bool,
}

/// A line of `git diff --raw -z`.
struct Line<'b> {
    status: u8,
    path: &'b [u8],
}

impl Repository {
    /// The files that the next commit would add or change, in git's order; those in conflict too.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn staged(&self) -> Result<Vec<Staged>> {
        let output = self.ask(&STATUS)?;
        let staged: Vec<Staged> = states(&output).collect();
        if let Ok(mut listed) = self.index.lock() {
            staged.iter().filter(|file| !file.conflict).for_each(|file| listed.add(file.path.clone(), From::Index, &file.object));
        }
        Ok(staged)
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

    /// The files, below the top, whose content in the work tree isn't that of the index.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub(super) fn unstaged(&self) -> Result<HashSet<PathBuf>> {
        Ok(lines(&self.diff(&[])?).map(|line| platform::path_of_bytes(line.path)).collect())
    }

    /// The files, below the top, whose content in the work tree isn't that of `commit`; files that git doesn't know aren't
    /// among them.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn differing_from(&self, commit: &str) -> Result<HashSet<PathBuf>> {
        let differing = self.diff(&[commit])?;
        Ok(lines(&differing).map(|line| platform::path_of_bytes(line.path)).collect())
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
        let status = *head.rsplit(|byte| *byte == b' ').next()?.first()?;
        Some(Line { status, path })
    })
}

/// Of `git status --porcelain=v2 -z` the files that the index holds otherwise than HEAD, and those in conflict.
fn states(bytes: &[u8]) -> impl Iterator<Item = Staged> {
    fields(bytes).filter_map(|field| {
        if field.starts_with(b"u ") {
            return unmerged(field);
        }
        // `1 XY SUB mH mI mW hH hI PATH`.
        let mut words = field.splitn(9, |byte| *byte == b' ');
        let kind = words.next()?;
        let [index, work] = words.next()?.try_into().ok()?;
        let mode = words.nth(2)?;
        let object = text(words.nth(2)?);
        let path = platform::path_of_bytes(words.last()?);
        let staged = kind == b"1" && !matches!(index, b'.' | b'D') && mode.starts_with(b"100");
        staged.then_some(Staged { path, object, partly: work != b'.', conflict: false })
    })
}

/// `u XY SUB m1 m2 m3 mW h1 h2 h3 PATH`: ours is the second, theirs the third. A file that both removed is none.
fn unmerged(field: &[u8]) -> Option<Staged> {
    let words: Vec<&[u8]> = field.splitn(11, |byte| *byte == b' ').collect();
    let side = |at: usize| words.get(3 + at).filter(|mode| mode.starts_with(b"100")).and_then(|_| words.get(7 + at));
    let object = text(side(1).or_else(|| side(2))?);
    Some(Staged { path: platform::path_of_bytes(words.get(10)?), object, partly: true, conflict: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_differences_are_read_with_any_name() {
        let bytes = b":000000 100644 0000 1234 A\0a\n b\0:100644 160000 1 2 T\0sub\0:100644 000000 1 0 D\0:odd\0";
        let seen: Vec<_> = lines(bytes).map(|line| (line.status, line.path)).collect();
        assert_eq!(seen, [(b'A', &b"a\n b"[..]), (b'T', b"sub"), (b'D', b":odd")]);
    }

    #[test]
    fn what_is_staged_is_told_from_what_isnt() {
        let states =
            |bytes: &[u8]| super::states(bytes).map(|file| (file.path, file.object, file.partly, file.conflict)).collect::<Vec<_>>();
        let lines = [
            "1 A. N... 000000 100644 100644 00 aa a\n b",
            "1 .M N... 100644 100644 100644 bb bb c",
            "1 MM N... 100644 100755 100755 bb cc  d",
            "1 D. N... 100644 000000 000000 bb 00 e",
            "1 A. S... 000000 160000 160000 00 dd f",
            "1 T. N... 100644 120000 120000 bb ee g",
            "u UU N... 100644 100644 100644 100644 11 22 33 h i",
            "# stash 1",
        ];
        let file = |path: &str, object: &str, partly, conflict| (PathBuf::from(path), object.to_owned(), partly, conflict);
        assert_eq!(
            states(lines.join("\0").as_bytes()),
            [file("a\n b", "aa", false, false), file(" d", "cc", true, false), file("h i", "22", true, true)]
        );
    }
}
