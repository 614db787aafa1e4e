//! The bytes that a path had: at HEAD, in the index, on our side of a merge, in any commit; after git's own filters, so
//! that they compare with the work tree's (autocrlf, `eol`, `working-tree-encoding`).

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::objects::Entry;
use super::{Repository, fields};
use crate::error::Result;
use crate::source::platform;

/// How far a link may lead to another one.
const MAX_LINKS: usize = 8;

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

/// The earlier versions of many files: git is asked once for what the index has of all, and a process that stays at hand for
/// the last commit's and for the bytes.
pub struct Versions<'r> {
    /// Where they are from.
    pub repository: &'r Repository,
    head: Option<String>,
    /// The files of the work tree that aren't as in the index, once someone has asked.
    unstaged: OnceLock<Result<HashSet<PathBuf>>>,
}

/// A file of a commit.
pub struct Committed {
    /// Below the top, as it was asked for.
    pub path: PathBuf,
    /// The object with its bytes.
    pub object: String,
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
        let mut versions = Versions { repository, head: None, unstaged: OnceLock::new() };
        if !inside.is_empty() {
            versions.head = repository.head()?;
            // Trouble with git is said once, not for every file.
            versions.head.as_ref().map_or(Ok(None), |head| repository.entry_at(head, Path::new("")))?;
            repository.list_index(&inside)?;
        }
        Ok(versions)
    }

    /// The objects of a path below the top, in the order of [`From`].
    fn objects(&self, inside: &Path) -> Result<Vec<(From, String)>> {
        let committed = self.head.as_ref().map_or(Ok(None), |head| self.repository.entry_at(head, inside))?;
        let committed = committed.filter(Entry::is_file).map(|entry| (From::Head, entry.object));
        Ok(committed.into_iter().chain(self.repository.in_index(inside)).collect())
    }

    /// Whether the content of the file in the work tree isn't that of HEAD, or not that of the index; not for one that
    /// neither has.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn differs(&self, path: &Path) -> Result<bool> {
        let Some(inside) = self.repository.inside(path) else { return Ok(false) };
        match self.objects(&inside)?.as_slice() {
            [] => Ok(false),
            [(From::Head, committed), (From::Index, staged)] if committed == staged => {
                let unstaged = self.unstaged.get_or_init(|| self.repository.unstaged()).as_ref().map_err(Clone::clone)?;
                Ok(unstaged.contains(&inside))
            }
            _ => Ok(true),
        }
    }

    /// The earlier version of one of the files.
    ///
    /// # Errors
    /// `Unreadable` (2): git can't give its bytes.
    pub fn earlier(&self, path: &Path) -> Result<Option<Earlier>> {
        Ok(self.read_some(path, 1, |_| true)?.pop())
    }

    /// All versions that git has of one of the files, HEAD's first, each content once; without those whose object isn't
    /// `wanted`.
    ///
    /// # Errors
    /// `Unreadable` (2): git can't give their bytes.
    pub fn all(&self, path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<Earlier>> {
        self.read_some(path, usize::MAX, wanted)
    }

    fn read_some(&self, path: &Path, most: usize, wanted: impl Fn(&str) -> bool) -> Result<Vec<Earlier>> {
        let Some(inside) = self.repository.inside(path) else { return Ok(Vec::new()) };
        let mut seen = HashSet::new();
        let versions = self.objects(&inside)?.into_iter().filter(|(_, object)| seen.insert(object.clone()) && wanted(object));
        versions.take(most).map(|(from, object)| Ok(Earlier { bytes: self.repository.object(&object, &inside)?, from })).collect()
    }
}

impl Repository {
    /// The first of these paths (below the top) at which a commit (by its full name) has a file. A link in the commit is followed, as it would
    /// be in the work tree; one that leads out of it is no file.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn first_at(&self, commit: &str, paths: &[PathBuf]) -> Result<Option<Committed>> {
        for path in paths {
            let object = match self.entry_at(commit, path)? {
                Some(entry) if entry.is_file() => Some(entry.object),
                Some(entry) if entry.is_link() => self.linked_at(commit, path, entry.object)?,
                _ => None,
            };
            if let Some(object) = object {
                return Ok(Some(Committed { path: path.clone(), object }));
            }
        }
        Ok(None)
    }

    /// The object of the file that a link in a commit leads to.
    fn linked_at(&self, commit: &str, link: &Path, mut object: String) -> Result<Option<String>> {
        let mut link = link.to_owned();
        for _ in 0..MAX_LINKS {
            let text = self.blobs(&[&object])?.pop().unwrap_or_default();
            let Some(next) = led_to(&link, &platform::path_of_bytes(&text)) else { return Ok(None) };
            match self.entry_at(commit, &next)? {
                Some(entry) if entry.is_file() => return Ok(Some(entry.object)),
                Some(entry) if entry.is_link() => (link, object) = (next, entry.object),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The bytes of the files of the last commit whose paths (below the top) are `wanted`; none without a commit.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn in_head(&self, wanted: impl Fn(&Path) -> bool) -> Result<Vec<Zeroizing<Vec<u8>>>> {
        if self.head()?.is_none() {
            return Ok(Vec::new());
        }
        let listed = self.ask(&["ls-tree", "-r", "-z", "--full-tree", "HEAD"])?;
        let files = fields(&listed).filter_map(tree_entry).filter(|(path, (mode, _))| mode.starts_with("100") && wanted(path));
        files.map(|(path, (_, object))| self.object(object, &path)).collect()
    }
}

/// Where a link leads, below the top; none if it leads out.
fn led_to(link: &Path, text: &Path) -> Option<PathBuf> {
    let mut place = link.parent().unwrap_or(Path::new("")).to_owned();
    for part in text.components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::ParentDir if place.pop() => {}
            _ => return None,
        }
    }
    Some(place)
}

/// `MODE TYPE OBJECT`, a tab, the path: the path with mode and object.
fn tree_entry(field: &[u8]) -> Option<(PathBuf, (&str, &str))> {
    let tab = memchr::memchr(b'\t', field)?;
    let mut words = std::str::from_utf8(&field[..tab]).ok()?.split(' ');
    Some((platform::path_of_bytes(&field[tab + 1..]), (words.next()?, words.nth(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_a_place_below_the_top_or_nowhere() {
        let led = |link: &str, text: &str| led_to(Path::new(link), Path::new(text));
        assert_eq!(led("a/b/.sops.yaml", "../../.sops.yaml"), Some(".sops.yaml".into()));
        assert_eq!(led("a/.sops.yaml", "./x/y"), Some("a/x/y".into()));
        assert_eq!((led("a/.sops.yaml", "../../x"), led("a", "/x")), (None, None));
    }
}
