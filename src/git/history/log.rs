//! The paths of all commits, from one `git log`.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::path::{Path, PathBuf};

use super::stream::{self, Answers};
use super::{Commit, History, Seen, Step};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::source::platform;

/// From the oldest on; of a merge what none of its parents has; names as they are.
const LOG: [&str; 15] = [
    "log",
    "--all",
    "--stdin",
    "--date-order",
    "--reverse",
    "--raw",
    "-z",
    "-c",
    "--root",
    "--no-renames",
    "--no-abbrev",
    "--no-relative",
    "--no-show-signature",
    "--no-color",
    "--format=commit %H %P %cs",
];

/// Reads the log.
///
/// # Errors
/// `Unreadable` (2): git fails.
pub(super) fn read(repository: &Repository, wanted: impl Fn(&Path) -> bool) -> Result<History> {
    let stashes = stashes(repository)?;
    let mut command = repository.plain_command();
    command.args(LOG);
    let mut reader = Reader { wanted, history: History::default(), places: HashMap::new(), objects: HashMap::new(), known: HashSet::new() };
    let broken = || Error::new(Kind::Unreadable, "git's log can't be read");
    stream::converse(repository, command, stashes.iter().map(String::as_str), |answers| reader.all(answers).ok_or_else(broken))?;
    Ok(reader.history)
}

/// All stashes: a ref leads to the newest one only.
fn stashes(repository: &Repository) -> Result<Vec<String>> {
    let listed = repository.run(&["log", "--walk-reflogs", "--no-show-signature", "--format=%H", "refs/stash", "--"], None)?;
    // There need not be any.
    let listed = if listed.status.success() { listed.stdout } else { Vec::new() };
    Ok(String::from_utf8_lossy(&listed).lines().map(str::to_owned).collect())
}

struct Reader<W> {
    wanted: W,
    history: History,
    /// Every path that was met, and its index if it is wanted.
    places: HashMap<Vec<u8>, Option<usize>>,
    objects: HashMap<String, usize>,
    known: HashSet<(usize, usize)>,
}

impl<W: Fn(&Path) -> bool> Reader<W> {
    /// None where the log isn't what it should be.
    fn all(&mut self, answers: &mut Answers) -> Option<()> {
        while let Some(field) = field(answers)? {
            let field = field.strip_prefix(b"\n").unwrap_or(&field);
            match field.first() {
                None => {}
                Some(b':') => {
                    let path = self::field(answers)??;
                    self.change(std::str::from_utf8(field).ok()?, path)?;
                }
                Some(_) => self.commit(std::str::from_utf8(field).ok()?)?,
            }
        }
        Some(())
    }

    /// `commit NAME PARENT PARENT DATE`.
    fn commit(&mut self, line: &str) -> Option<()> {
        let mut words: Vec<&str> = line.strip_prefix("commit ")?.split(' ').filter(|word| !word.is_empty()).collect();
        let date = words.pop()?.to_owned();
        let (name, parents) = words.split_first()?;
        let history = &mut self.history;
        let parents = parents.iter().filter_map(|parent| history.by_name.get(*parent).copied()).collect();
        history.by_name.insert((*name).to_owned(), history.commits.len());
        history.commits.push(Commit { name: (*name).to_owned(), date, parents });
        Some(())
    }

    /// `:MODE MODE OBJECT OBJECT STATUS`; of a merge one more mode, object and colon for each further parent.
    fn change(&mut self, line: &str, path: Vec<u8>) -> Option<()> {
        let sides = line.bytes().take_while(|byte| *byte == b':').count();
        let words: Vec<&str> = line.get(sides..)?.split(' ').collect();
        let (mode, object, status) = (words.get(sides)?, words.get(2 * sides + 1)?, words.get(2 * sides + 2)?);
        let commit = self.history.commits.len().checked_sub(1)?;
        let Some(path) = self.path(path) else { return Some(()) };
        match status.bytes().next()? {
            b'A' => self.history.steps.push(Step { commit, path, added: true }),
            b'D' => self.history.steps.push(Step { commit, path, added: false }),
            _ => {}
        }
        if mode.starts_with("100") {
            let object = self.object(object);
            if self.known.insert((object, path)) {
                self.history.seen.push(Seen { object, path, commit });
            }
        }
        Some(())
    }

    fn path(&mut self, name: Vec<u8>) -> Option<usize> {
        if let Some(known) = self.places.get(&name) {
            return *known;
        }
        let path: PathBuf = platform::path_of_bytes(&name);
        let index = (self.wanted)(&path).then(|| {
            self.history.paths.push(path);
            self.history.paths.len() - 1
        });
        self.places.insert(name, index);
        index
    }

    fn object(&mut self, name: &str) -> usize {
        if let Some(known) = self.objects.get(name) {
            return *known;
        }
        let index = self.history.objects.len();
        self.history.objects.push(name.to_owned());
        self.objects.insert(name.to_owned(), index);
        index
    }
}

/// What stands before the next NUL; the inner none is the end, the outer one a log that broke off.
fn field(answers: &mut impl BufRead) -> Option<Option<Vec<u8>>> {
    let mut field = Vec::new();
    match answers.read_until(0, &mut field).ok()? {
        0 => Some(None),
        _ => (field.pop() == Some(0)).then_some(Some(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader() -> Reader<fn(&Path) -> bool> {
        let wanted: fn(&Path) -> bool = |path| !path.ends_with("other");
        Reader { wanted, history: History::default(), places: HashMap::new(), objects: HashMap::new(), known: HashSet::new() }
    }

    #[test]
    fn changes_of_commits_and_merges_are_read_with_any_name() {
        let mut reader = reader();
        reader.commit("commit aa  2024-05-02").unwrap();
        reader.change(":000000 100644 0 11 A", b"x\ny".to_vec()).unwrap();
        reader.change(":000000 100644 0 22 A", b"other".to_vec()).unwrap();
        reader.change(":000000 120000 0 33 A", b"link".to_vec()).unwrap();
        reader.change(":000000 160000 0 44 A", b"module".to_vec()).unwrap();
        reader.commit("commit bb aa 2024-05-03").unwrap();
        reader.change(":100644 000000 11 0 D", b"x\ny".to_vec()).unwrap();
        reader.commit("commit cc aa bb 2024-05-04").unwrap();
        reader.change("::100644 100644 100755 11 0 55 MM", b"x\ny".to_vec()).unwrap();
        reader.change("::100644 100644 100755 11 0 11 MM", b"x\ny".to_vec()).unwrap();
        let history = reader.history;
        assert_eq!(history.commits[2].parents, [0, 1]);
        assert_eq!((history.commits[0].date.as_str(), history.commits[0].parents.len()), ("2024-05-02", 0));
        assert_eq!(history.objects, ["11", "55"]);
        assert_eq!(history.seen, [Seen { object: 0, path: 0, commit: 0 }, Seen { object: 1, path: 0, commit: 2 }]);
        assert_eq!(history.steps.last(), Some(&Step { commit: 1, path: 0, added: false }));
    }

    #[test]
    fn what_is_no_log_is_refused() {
        assert_eq!(reader().commit("fatal"), None);
        assert_eq!(reader().change(":100644", b"x".to_vec()), None);
        assert_eq!(reader().change(":000000 100644 0 11 A", b"x".to_vec()), None, "before any commit");
        assert_eq!(field(&mut &b"a\0b"[..]), Some(Some(b"a".to_vec())));
        assert_eq!(field(&mut &b"b"[..]), None);
        assert_eq!(field(&mut &b""[..]), Some(None));
    }
}
