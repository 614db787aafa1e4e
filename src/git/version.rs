//! The bytes that a path had: at HEAD, in the index, on our side of a merge, in any commit; after git's own filters, so
//! that they compare with the work tree's (autocrlf, `eol`, `working-tree-encoding`).

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use super::{Repository, fields, trouble};
use crate::error::Result;
use crate::source::platform;

/// Above this number of paths everything is listed: command lines have their bounds.
const NAMED: usize = 100;
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

/// The earlier versions of many files: git is asked once for the names of all, and once for the bytes of each.
pub struct Versions<'r> {
    repository: &'r Repository,
    /// In the order of [`From`], no object twice.
    objects: HashMap<PathBuf, Vec<(From, String)>>,
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
        let mut versions = Versions { repository, objects: HashMap::new() };
        if inside.is_empty() {
            return Ok(versions);
        }
        let named: Vec<OsString> =
            if inside.len() > NAMED { Vec::new() } else { inside.iter().map(|path| platform::slashed(path)).collect() };
        let arguments = |words: &[&str]| words.iter().map(OsString::from).chain(named.iter().cloned()).collect::<Vec<_>>();
        if repository.head()?.is_some() {
            versions.take(&repository.ask(&arguments(&["ls-tree", "-r", "-z", "--full-tree", "HEAD", "--"]))?, head_line);
        }
        versions.take(&repository.ask(&arguments(&["ls-files", "-z", "--stage", "--"]))?, index_line);
        Ok(versions)
    }

    fn take(&mut self, listed: &[u8], read: impl Fn(&str) -> Option<(From, &str)>) {
        for field in fields(listed) {
            let Some(tab) = memchr::memchr(b'\t', field) else { continue };
            let Some((from, object)) = std::str::from_utf8(&field[..tab]).ok().and_then(&read) else { continue };
            let known = self.objects.entry(platform::path_of_bytes(&field[tab + 1..])).or_default();
            if !known.iter().any(|(_, other)| other == object) {
                known.push((from, object.to_owned()));
            }
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
        let found = self.repository.inside(path).and_then(|inside| Some((self.objects.get(&inside)?, inside)));
        let Some((versions, inside)) = found else { return Ok(Vec::new()) };
        let versions = versions.iter().filter(|(_, object)| wanted(object)).take(most);
        versions.map(|(from, object)| Ok(Earlier { bytes: self.repository.object(object, &inside)?, from: *from })).collect()
    }
}

impl Repository {
    /// The first of these paths (below the top) at which a commit has a file. A link in the commit is followed, as it would
    /// be in the work tree; one that leads out of it is no file.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn first_at(&self, commit: &str, paths: &[PathBuf]) -> Result<Option<Committed>> {
        let arguments = ["ls-tree", "-z", "--full-tree", commit, "--"].into_iter().map(OsString::from);
        let arguments: Vec<OsString> = arguments.chain(paths.iter().map(|path| platform::slashed(path))).collect();
        let listed = self.ask(&arguments)?;
        let entries: HashMap<PathBuf, (&str, &str)> = fields(&listed).filter_map(tree_entry).collect();
        for path in paths {
            let object = match entries.get(path) {
                Some((mode, object)) if mode.starts_with("100") => Some((*object).to_owned()),
                Some(("120000", object)) => self.linked_at(commit, path, object)?,
                _ => None,
            };
            if let Some(object) = object {
                return Ok(Some(Committed { path: path.clone(), object }));
            }
        }
        Ok(None)
    }

    /// The object of the file that a link in a commit leads to.
    fn linked_at(&self, commit: &str, link: &Path, object: &str) -> Result<Option<String>> {
        let (mut link, mut object) = (link.to_owned(), object.to_owned());
        for _ in 0..MAX_LINKS {
            let text = self.ask(&["cat-file", "blob", &object])?;
            let Some(next) = led_to(&link, &platform::path_of_bytes(&text)) else { return Ok(None) };
            let listed = self.ask(&[
                OsString::from("ls-tree"),
                "-z".into(),
                "--full-tree".into(),
                commit.into(),
                "--".into(),
                platform::slashed(&next),
            ])?;
            match fields(&listed).next().and_then(tree_entry) {
                Some((_, (mode, found))) if mode.starts_with("100") => return Ok(Some(found.to_owned())),
                Some((_, ("120000", found))) => (link, object) = (next, found.to_owned()),
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
    fn a_link_leads_to_a_place_below_the_top_or_nowhere() {
        let led = |link: &str, text: &str| led_to(Path::new(link), Path::new(text));
        assert_eq!(led("a/b/.sops.yaml", "../../.sops.yaml"), Some(".sops.yaml".into()));
        assert_eq!(led("a/.sops.yaml", "./x/y"), Some("a/x/y".into()));
        assert_eq!((led("a/.sops.yaml", "../../x"), led("a", "/x")), (None, None));
    }

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
