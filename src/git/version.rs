//! The bytes that a path had: at HEAD, in the index, on our side of a merge; after git's own filters, so that they compare
//! with the work tree's (autocrlf, `eol`, `working-tree-encoding`).

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Repository, fields, trouble};
use crate::error::Result;
use crate::source::platform;

/// Above this number of paths everything is listed: command lines have their bounds.
const NAMED: usize = 100;

/// Which version a file's earlier bytes are of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum From {
    /// The last commit.
    Head,
    /// The index, for a path that HEAD lacks.
    Index,
    /// Our side of a merge, for a path in conflict that HEAD lacks.
    Ours,
}

/// An earlier version of a file.
pub struct Earlier {
    /// As they would stand in the work tree.
    pub bytes: Zeroizing<Vec<u8>>,
    /// Where they are from.
    pub from: From,
}

/// The earlier versions of many files: git is asked once for the names of all, and once for the bytes of each.
pub struct Versions<'r> {
    repository: &'r Repository,
    objects: HashMap<PathBuf, (From, String)>,
}

/// The earlier version of the file at `path` (absolute, or relative to the current directory): HEAD's, else the index's,
/// else ours. None if git never had it.
///
/// # Errors
/// `Unreadable` (2): git fails.
pub fn earlier_version(repository: &Repository, path: &Path) -> Result<Option<Earlier>> {
    Versions::read(repository, &[path])?.earlier(path)
}

impl<'r> Versions<'r> {
    /// Finds the earlier versions of these files.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn read(repository: &'r Repository, paths: &[&Path]) -> Result<Versions<'r>> {
        let inside: Vec<PathBuf> = paths.iter().filter_map(|path| repository.inside(path)).collect();
        let mut versions = Versions { repository, objects: HashMap::new() };
        if inside.is_empty() {
            return Ok(versions);
        }
        let named: Vec<OsString> =
            if inside.len() > NAMED { Vec::new() } else { inside.iter().map(|path| platform::slashed(path)).collect() };
        let arguments = |words: &[&str]| words.iter().map(OsString::from).chain(named.iter().cloned()).collect::<Vec<_>>();
        if repository.has_commit()? {
            versions.take(&repository.ask(&arguments(&["ls-tree", "-r", "-z", "--full-tree", "HEAD", "--"]))?, head_line);
        }
        versions.take(&repository.ask(&arguments(&["ls-files", "-z", "--stage", "--"]))?, index_line);
        Ok(versions)
    }

    fn take(&mut self, listed: &[u8], read: impl Fn(&str) -> Option<(From, &str)>) {
        for field in fields(listed) {
            let Some(tab) = memchr::memchr(b'\t', field) else { continue };
            let Some((from, object)) = std::str::from_utf8(&field[..tab]).ok().and_then(&read) else { continue };
            let known = self.objects.entry(platform::path_of_bytes(&field[tab + 1..])).or_insert_with(|| (from, object.to_owned()));
            if from < known.0 {
                *known = (from, object.to_owned());
            }
        }
    }

    /// The earlier version of one of the files.
    ///
    /// # Errors
    /// `Unreadable` (2): git can't give its bytes.
    pub fn earlier(&self, path: &Path) -> Result<Option<Earlier>> {
        let found = self.repository.inside(path).and_then(|inside| Some((self.objects.get(&inside)?, inside)));
        let Some(((from, object), inside)) = found else { return Ok(None) };
        Ok(Some(Earlier { bytes: self.repository.object(object, &inside)?, from: *from }))
    }
}

impl Repository {
    /// Whether there is a commit yet.
    fn has_commit(&self) -> Result<bool> {
        Ok(self.run(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"], None)?.status.success())
    }

    /// The bytes of an object as they would stand at `path` (below the top) in the work tree.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn object(&self, object: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
        let mut named = OsString::from("--path=");
        named.push(platform::slashed(path));
        let output = self.run(&["cat-file".into(), "--filters".into(), named, OsString::from(object)], None)?;
        if !output.status.success() {
            return Err(self.with_depth(trouble(&output, &self.top)));
        }
        Ok(Zeroizing::new(output.stdout))
    }
}

/// `MODE blob OBJECT`.
fn head_line(line: &str) -> Option<(From, &str)> {
    let mut words = line.split(' ');
    words.next().filter(|mode| mode.starts_with("100"))?;
    Some((From::Head, words.nth(1)?))
}

/// `MODE OBJECT STAGE`; stage 0 is a path without conflict, 2 our side.
fn index_line(line: &str) -> Option<(From, &str)> {
    let mut words = line.split(' ');
    words.next().filter(|mode| mode.starts_with("100"))?;
    let object = words.next()?;
    match words.next()? {
        "0" => Some((From::Index, object)),
        "2" => Some((From::Ours, object)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_submodules_and_other_sides_have_no_version() {
        assert_eq!(head_line("100644 blob abc"), Some((From::Head, "abc")));
        assert_eq!(head_line("160000 commit abc"), None);
        assert_eq!(head_line("120000 blob abc"), None);
        assert_eq!(index_line("100755 abc 0"), Some((From::Index, "abc")));
        assert_eq!(index_line("100644 abc 2"), Some((From::Ours, "abc")));
        assert_eq!(index_line("100644 abc 3"), None);
    }
}
