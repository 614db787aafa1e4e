//! Whole trees: which files a directory or a glob stands for, and which of them are meant.
//!
//! A tree is walked as git sees it: what `.gitignore` and its kin name is left out unless git tracks it all the same;
//! so are `.git` and other repositories inside, and what a killed run left, which is removed. Links aren't followed, so that a loop ends nothing. What can't be entered is
//! an error beside the files that were found.

pub mod choice;
pub mod glob;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ignore::{DirEntry, WalkBuilder};

use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::source::temporary;
pub use choice::Reason;

/// Folders of version control, whose files nobody edits.
const VERSION_CONTROL: [&str; 5] = [".git", ".hg", ".svn", ".jj", ".bzr"];

/// The files below a directory.
#[derive(Default)]
pub struct Found {
    /// Regular files in order of their names, each below the directory as it was named.
    pub files: Vec<PathBuf>,
    /// What was passed over.
    pub skipped: Vec<(PathBuf, Reason)>,
    /// What couldn't be entered.
    pub errors: Vec<Error>,
}

/// Finds the files below `root`. `repository` is the one that `root` belongs to.
///
/// # Errors
/// `Unreadable` (2) if git fails. A directory that can't be entered is among [`Found::errors`].
pub fn walk(root: &Path, repository: Option<&Repository>) -> Result<Found> {
    let nested = Arc::new(Mutex::new(Vec::new()));
    let mut found = Found::default();
    for entry in entries(root, Arc::clone(&nested)) {
        match entry {
            Ok(entry) => found.take(&entry),
            Err(why) => found.errors.push(unreadable(&why)),
        }
    }
    if let Ok(nested) = nested.lock() {
        found.skipped.extend(nested.iter().map(|path| (path.clone(), Reason::OtherRepository)));
    }
    if let Some(repository) = repository {
        found.add_tracked(root, repository)?;
    }
    Ok(found)
}

/// All files below a directory in order of their names, those that git ignores and those of repositories inside, too: what a program that
/// knows nothing of git finds there. Links are among them, and not followed; `.git` is left out. Without `deep` those of the directory itself.
///
/// # Errors
/// `Unreadable` (2) for a directory that can't be read.
pub fn all(folder: &Path, deep: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    gather(folder, deep, &mut found)?;
    Ok(found)
}

fn gather(folder: &Path, deep: bool, found: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |why: std::io::Error| {
        let error = Error::new(Kind::Unreadable, format!("the directory can't be read: {why}"));
        error.in_file(&folder.display().to_string())
    };
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>).map_err(failed)?;
    let mut paths: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let kind = path.symlink_metadata().map_err(failed)?.file_type();
        if kind.is_file() || kind.is_symlink() {
            found.push(path);
        } else if kind.is_dir() && deep && path.file_name().is_none_or(|name| name != ".git") {
            gather(&path, deep, found)?;
        }
    }
    Ok(())
}

fn entries(root: &Path, nested: Arc<Mutex<Vec<PathBuf>>>) -> ignore::Walk {
    let mut builder = WalkBuilder::new(root);
    // `.ignore` and hidden names mean something to search tools; a secret may stand in either.
    builder.hidden(false).ignore(false).follow_links(false).sort_by_file_name(std::ffi::OsStr::cmp);
    builder.filter_entry(move |entry| {
        let inner = entry.depth() > 0 && entry.file_type().is_some_and(|kind| kind.is_dir());
        if inner && VERSION_CONTROL.iter().any(|name| entry.file_name() == *name) {
            return false;
        }
        // A submodule, or a clone inside: its files are another repository's matter.
        let other = inner && entry.path().join(".git").exists();
        if let Some(mut nested) = other.then(|| nested.lock().ok()).flatten() {
            nested.push(entry.path().to_owned());
        }
        !other
    });
    builder.build()
}

impl Found {
    fn take(&mut self, entry: &DirEntry) {
        let path = entry.path().to_owned();
        match entry.file_type() {
            Some(kind) if kind.is_dir() => {}
            Some(kind) if kind.is_file() && temporary::is_name(entry.file_name()) => {
                let removed = temporary::remove_leftover(&path);
                self.skipped.push((path, if removed { Reason::Leftover } else { Reason::Gone }));
            }
            Some(kind) if kind.is_file() => self.files.push(path),
            Some(kind) if kind.is_symlink() => self.skipped.push((path, Reason::Link)),
            _ => self.skipped.push((path, Reason::NotRegular)),
        }
    }

    /// Files that `.gitignore` names although git tracks them are in every clone: they count.
    fn add_tracked(&mut self, root: &Path, repository: &Repository) -> Result<()> {
        let Ok(real) = std::fs::canonicalize(root) else { return Ok(()) };
        let known: HashSet<&Path> = self.files.iter().filter_map(|path| path.strip_prefix(root).ok()).collect();
        let tracked = repository.tracked(root)?;
        let regular = |path: &PathBuf| std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
        let below = |path: &PathBuf| path.strip_prefix(&real).map(Path::to_owned).ok();
        let missed = tracked.iter().filter_map(|path| below(path).filter(|inside| !known.contains(&**inside) && regular(path)));
        let missed: Vec<PathBuf> = missed.map(|inside| root.join(inside)).collect();
        if !missed.is_empty() {
            self.files.extend(missed);
            self.files.sort();
        }
        Ok(())
    }
}

/// The walk's own words repeat the path: the file is named once.
fn unreadable(why: &ignore::Error) -> Error {
    let (path, reason) = parts(why);
    let error = Error::new(Kind::Unreadable, format!("can't be searched: {reason}")).hint("the rest of the tree was worked on");
    match path {
        Some(path) => error.in_file(&path.strip_prefix(".").unwrap_or(&path).display().to_string()),
        None => error,
    }
}

fn parts(why: &ignore::Error) -> (Option<PathBuf>, String) {
    match why {
        ignore::Error::WithPath { path, err } => (Some(path.clone()), parts(err).1),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => parts(err),
        ignore::Error::Io(io) => (None, io.get_ref().and_then(|inner| inner.source()).map_or_else(|| io.to_string(), ToString::to_string)),
        other => (None, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_and_nested_files_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "build/\n").unwrap();
        };
        for name in [".git/config", ".gitignore", "build/x.yaml", "b.yaml", "a/c.yaml", ".hidden/d.yaml", "clone/.git/HEAD", "clone/e.yaml"]
        {
            write(name);
        }
        let found = walk(folder.path(), None).unwrap();
        let names: Vec<_> = found.files.iter().map(|path| path.strip_prefix(folder.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, [".gitignore", ".hidden/d.yaml", "a/c.yaml", "b.yaml"]);
        assert_eq!(found.skipped, [(folder.path().join("clone"), Reason::OtherRepository)]);
    }

    #[test]
    fn what_a_killed_run_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".a.yaml.0123456789abcdef.tmp");
        std::fs::write(&left, "password: hunter2\n").unwrap();
        let found = walk(folder.path(), None).unwrap();
        assert_eq!((found.files.len(), &*found.skipped), (0, &[(left.clone(), Reason::Leftover)][..]));
        assert!(!left.exists());
    }
}
