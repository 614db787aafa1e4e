//! The index: files put into it again after they were encrypted, and the objects that `git add` left with their plain text.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::version::From;
use super::{Repository, fields, text, trouble};
use crate::error::{Error, Kind, Result};
use crate::source::platform;

const INDEX_FILE: &str = "GIT_INDEX_FILE";
/// git's name for the index of `git commit FILE`; what a hook puts into it is gone after the commit.
const PARTIAL: &str = "next-index-";
/// Above this number of paths everything is listed: command lines have their bounds.
const NAMED: usize = 100;

/// What the index holds, as far as it was asked for.
#[derive(Default)]
pub(super) struct Listed {
    /// Files only.
    objects: HashMap<PathBuf, Vec<(From, String)>>,
    /// Folders whose files are all known.
    folders: Vec<PathBuf>,
    /// Paths that were asked for, be they there or not.
    paths: HashSet<PathBuf>,
}

impl Listed {
    fn knows(&self, path: &Path) -> bool {
        self.paths.contains(path) || self.folders.iter().any(|folder| path.starts_with(folder))
    }

    /// Takes `MODE OBJECT STAGE`, a tab, the path.
    fn take(&mut self, line: &[u8]) {
        let Some(tab) = memchr::memchr(b'\t', line) else { return };
        let Some((from, object)) = std::str::from_utf8(&line[..tab]).ok().and_then(file) else { return };
        self.add(platform::path_of_bytes(&line[tab + 1..]), from, object);
    }

    pub(super) fn add(&mut self, path: PathBuf, from: From, object: &str) {
        let known = self.objects.entry(path.clone()).or_default();
        if !known.iter().any(|(other, _)| *other == from) {
            known.push((from, object.to_owned()));
        }
        self.paths.insert(path);
    }
}

/// `MODE OBJECT STAGE` of a file; stage 0 is a path without conflict, 2 our side.
fn file(line: &str) -> Option<(From, &str)> {
    let mut words = line.split(' ');
    words.next().filter(|mode| mode.starts_with("100"))?;
    let object = words.next()?;
    match words.next()? {
        "0" => Some((From::Index, object)),
        "2" => Some((From::Ours, object)),
        _ => None,
    }
}

/// Where an object with plain text stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Leftover {
    /// Nothing refers to it: this file can go.
    Loose(PathBuf),
    /// Nothing refers to it, but it shares a pack with others: only `git gc --prune=now` takes it out.
    Packed,
    /// A commit, the reflog or an index refers to it.
    Referred,
}

impl Repository {
    /// The files in the index below `folder`, absolute, those that `.gitignore` names included.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn tracked(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let Some(below) = self.inside(folder) else { return Ok(Vec::new()) };
        let paths = self.read_index(&[below])?;
        Ok(paths.into_iter().map(|path| self.top.join(path)).collect())
    }

    /// Has the index' objects of these paths (below the top) known, in one question for those that aren't yet.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub(super) fn list_index(&self, paths: &[PathBuf]) -> Result<()> {
        let missing = |listed: &Listed| paths.iter().filter(|path| !listed.knows(path)).cloned().collect::<Vec<_>>();
        let missing = self.index.lock().map_or_else(|_| paths.to_vec(), |listed| missing(&listed));
        match missing.len() {
            0 => Ok(()),
            1..=NAMED => self.read_index(&missing).map(|_| ()),
            _ => self.read_index(&[PathBuf::new()]).map(|_| ()),
        }
    }

    /// Lists what the index holds at and below these paths.
    fn read_index(&self, paths: &[PathBuf]) -> Result<BTreeSet<PathBuf>> {
        let mut arguments: Vec<OsString> = ["ls-files", "-z", "--stage", "--"].map(OsString::from).into();
        arguments.extend(paths.iter().filter(|path| !path.as_os_str().is_empty()).map(|path| platform::slashed(path)));
        let listed = self.ask(&arguments)?;
        if let Ok(mut known) = self.index.lock() {
            fields(&listed).for_each(|line| known.take(line));
            known.folders.extend_from_slice(paths);
        }
        let path = |line: &[u8]| Some(platform::path_of_bytes(line.get(memchr::memchr(b'\t', line)? + 1..)?));
        Ok(fields(&listed).filter_map(path).collect())
    }

    /// The objects of a path in the index that [`Repository::list_index`] was told of: the one without conflict, or ours.
    pub(super) fn in_index(&self, path: &Path) -> Vec<(From, String)> {
        self.index.lock().ok().and_then(|listed| listed.objects.get(path).cloned()).unwrap_or_default()
    }

    /// Those of these files (path below the top, object) that the index still holds so.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn still_in_index(&self, files: &[(&Path, &str)]) -> Result<Vec<bool>> {
        self.list_index(&files.iter().map(|(path, _)| (*path).to_owned()).collect::<Vec<_>>())?;
        Ok(files.iter().map(|(path, object)| self.in_index(path).iter().any(|(_, now)| now == object)).collect())
    }

    /// Whether the index is the passing one of `git commit FILE`.
    pub fn commits_named_files(&self) -> bool {
        let index = self.environment.path(INDEX_FILE);
        index.is_some_and(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL)))
    }

    /// Puts the files of the work tree into the index; paths are below the top.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, for example because another git holds the index.
    pub fn restage(&self, paths: &[&Path]) -> Result<()> {
        let list: Vec<u8> = paths.iter().flat_map(|path| platform::bytes_of_path(path).into_iter().chain([0])).collect();
        let output = self.run(&["update-index", "--add", "-z", "--stdin"], Some(&list))?;
        if let Ok(mut listed) = self.index.lock() {
            *listed = Listed::default();
        }
        if output.status.success() { Ok(()) } else { Err(trouble(&output, &self.top)) }
    }

    /// For each of these objects whether anything refers to it: commits, reflogs, stashes, the indexes of all work trees.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn leftovers(&self, objects: &[&str]) -> Result<Vec<Leftover>> {
        let mut referred = self.ask(&["rev-list", "--objects", "--no-object-names", "--all", "--reflog", "--indexed-objects"])?;
        referred.extend(self.standing_index()?);
        let referred = String::from_utf8_lossy(&referred);
        let referred: std::collections::HashSet<&str> = referred.split_ascii_whitespace().collect();
        let folder = self.common.join("objects");
        let place = |object: &&str| match object.split_at_checked(2) {
            _ if referred.contains(*object) => Leftover::Referred,
            Some((head, rest)) if folder.join(head).join(rest).is_file() => Leftover::Loose(folder.join(head).join(rest)),
            _ => Leftover::Packed,
        };
        Ok(objects.iter().map(place).collect())
    }

    /// What the lasting index holds, while `git commit -a` shows its hooks another one: a commit that is broken off falls
    /// back on it.
    fn standing_index(&self) -> Result<Vec<u8>> {
        if self.environment.path(INDEX_FILE).is_none() {
            return Ok(Vec::new());
        }
        let mut command = self.command();
        let output = command.env_remove(INDEX_FILE).args(["ls-files", "--stage", "-z"]).output().map_err(|why| super::missing(&why))?;
        if !output.status.success() {
            return Err(trouble(&output, &self.top));
        }
        let objects = fields(&output.stdout).filter_map(|line| text(line).split(' ').nth(1).map(str::to_owned));
        Ok(objects.flat_map(|object| format!("\n{object}").into_bytes()).collect())
    }

    /// Deletes an object that nothing refers to.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn delete_object(&self, file: &Path) -> Result<()> {
        std::fs::remove_file(file).map_err(|why| Error::new(Kind::Unwritable, format!("can't delete {}: {why}", file.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_submodules_and_other_sides_have_no_version() {
        assert_eq!(file("100755 abc 0"), Some((From::Index, "abc")));
        assert_eq!(file("100644 abc 2"), Some((From::Ours, "abc")));
        assert_eq!(file("100644 abc 3"), None);
        assert_eq!((file("120000 abc 0"), file("160000 abc 0")), (None, None));
    }

    #[test]
    fn what_was_asked_for_is_known_be_it_there_or_not() {
        let mut listed = Listed { folders: vec!["a".into()], ..Listed::default() };
        listed.take(b"100644 abc 0\tb/x\ty");
        assert_eq!(listed.objects[Path::new("b/x\ty")], [(From::Index, "abc".to_owned())]);
        assert!(listed.knows(Path::new("a/none")) && listed.knows(Path::new("b/x\ty")) && !listed.knows(Path::new("ab")));
    }
}
