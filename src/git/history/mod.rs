//! All that a repository has ever had, as far as a ref, a stash or a HEAD leads to it: which content stood at which path,
//! and since which commit.
//!
//! Two streams, however many commits there are: one `git log` for the paths, one `git cat-file --batch` for the contents.
//! Replacements and grafts don't count, since they only hide what others still get; links and submodules have no content.
//! What only a reflog leads to, or nothing at all, isn't seen.

mod contents;
mod log;
mod stream;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Repository, text};
use crate::error::{Error, Kind, Result};
pub use contents::Left;

/// A commit.
pub struct Commit {
    /// Its full name.
    pub name: String,
    /// The day it was made on, as `2024-05-02`.
    pub date: String,
    /// Indexes of its parents; all come before it.
    pub parents: Vec<usize>,
}

/// A content at a path, and the first commit that has it there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Index of the content.
    pub object: usize,
    /// Index of the path.
    pub path: usize,
    /// Index of the commit.
    pub commit: usize,
}

/// A path that a commit has first, or has no more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Index of the commit.
    pub commit: usize,
    /// Index of the path.
    pub path: usize,
    /// Whether it came, rather than went.
    pub added: bool,
}

/// What a repository has ever had at the paths that were wanted.
#[derive(Default)]
pub struct History {
    /// Parents before children, else in order of their dates.
    pub commits: Vec<Commit>,
    /// The contents, each once, by the names of their objects.
    pub objects: Vec<String>,
    /// The paths, below the top.
    pub paths: Vec<PathBuf>,
    /// Each content once at each path, in order of commits.
    pub seen: Vec<Seen>,
    /// Paths that came and went, in order of commits.
    pub steps: Vec<Step>,
    by_name: HashMap<String, usize>,
}

impl History {
    /// For each commit, whether `of` (by its full name) leads to it; `of` itself counts. None without such a commit.
    pub fn ancestors(&self, of: &str) -> Vec<bool> {
        let mut found = vec![false; self.commits.len()];
        let Some(start) = self.by_name.get(of) else { return found };
        found[*start] = true;
        // Parents come before children.
        for at in (0..=*start).rev() {
            if found[at] {
                self.commits[at].parents.iter().for_each(|parent| found[*parent] = true);
            }
        }
        found
    }

    /// For each commit, whether it leads to `commit` (by its index); `commit` itself counts.
    pub fn descendants(&self, commit: usize) -> Vec<bool> {
        let mut found = vec![false; self.commits.len()];
        for at in commit..self.commits.len() {
            found[at] = at == commit || self.commits[at].parents.iter().any(|parent| found[*parent]);
        }
        found
    }
}

impl Repository {
    /// Walks all commits; of the files only those whose path (below the top) is `wanted` are kept.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, or has a part of the history only.
    pub fn history(&self, wanted: impl Fn(&Path) -> bool) -> Result<History> {
        self.refuse_partial()?;
        log::read(self, wanted)
    }

    fn refuse_partial(&self) -> Result<()> {
        if text(&self.ask(&["rev-parse", "--is-shallow-repository"])?) == "true" {
            let error = Error::new(Kind::Unreadable, "only a part of the history is here, and all of it is needed");
            return Err(self.with_depth(error));
        }
        let partial = self.run(&["config", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$"], None)?;
        if !partial.stdout.is_empty() {
            let error = Error::new(Kind::Unreadable, "this is a partial clone: it lacks files of older commits");
            return Err(error.hint("clone without --filter; in CI check out with fetch-depth: 0 and without a filter"));
        }
        Ok(())
    }

    /// git without what rewrites history at sight.
    fn plain_command(&self) -> Command {
        let mut command = self.command();
        command.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_GRAFT_FILE", self.common.join("kveil/no-grafts"));
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ancestors_and_descendants_follow_parents() {
        // 0 - 1 - 3, 0 - 2 - 3, 2 - 4
        let parents: [&[usize]; 5] = [&[], &[0], &[0], &[1, 2], &[2]];
        let commit = |(at, parents): (usize, &&[usize])| Commit { name: at.to_string(), date: String::new(), parents: parents.to_vec() };
        let commits: Vec<Commit> = parents.iter().enumerate().map(commit).collect();
        let by_name = commits.iter().enumerate().map(|(at, commit)| (commit.name.clone(), at)).collect();
        let history = History { commits, by_name, ..History::default() };
        assert_eq!(history.ancestors("3"), [true, true, true, true, false]);
        assert_eq!(history.ancestors("4"), [true, false, true, false, true]);
        assert_eq!(history.ancestors("x"), [false; 5]);
        assert_eq!(history.descendants(2), [false, false, true, true, true]);
        assert_eq!(history.descendants(4), [false, false, false, false, true]);
    }
}
