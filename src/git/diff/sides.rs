//! The two sides of a comparison, and the files that differ between them: one `git diff --raw` for their names, one
//! `git cat-file --batch` for all their bytes.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::config::cleaned;
use crate::error::{Error, Kind, Result};
use crate::git::{Repository, text, trouble};
use crate::source::{Source, platform};

/// Raw differences with renames, names as they are, and no program of the repository's run.
const RAW: [&str; 7] = ["--raw", "-z", "--find-renames", "--no-ext-diff", "--no-textconv", "--no-abbrev", "--no-relative"];

/// One side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Side {
    /// A commit, by its hash.
    Commit(String),
    /// The last commit, if there is one yet.
    Head,
    /// The index.
    Index,
    /// The work tree.
    WorkTree,
}

/// The bytes of a file.
type Bytes = Zeroizing<Vec<u8>>;

/// A file that differs.
pub struct Pair {
    /// Its path at the old side, below the top.
    pub old: Option<String>,
    /// Its path at the new side.
    pub new: Option<String>,
    /// Its bytes at the old side.
    pub before: Option<Bytes>,
    /// Its bytes at the new side.
    pub after: Option<Bytes>,
}

impl Pair {
    /// Its path; of a removed file the old one.
    pub fn path(&self) -> &str {
        self.new.as_deref().or(self.old.as_deref()).unwrap_or_default()
    }
}

/// A file at one side: its path, and its object unless the work tree has it.
struct Place {
    path: PathBuf,
    object: Option<String>,
}

/// A record of raw differences.
struct Record {
    old: Option<Place>,
    new: Option<Place>,
    conflict: bool,
}

impl Repository {
    /// The files below `paths` (all, if there are none) that differ between two sides.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails, a path lies outside of the repository or is nowhere, a file is in conflict.
    pub fn pairs(&self, old: &Side, new: &Side, paths: &[PathBuf]) -> Result<Vec<Pair>> {
        let mut arguments: Vec<OsString> = ["diff"].into_iter().chain(RAW).map(OsString::from).collect();
        arguments.extend(match (old, new) {
            (Side::Head, Side::Index) => vec!["--cached".into()],
            (Side::Commit(old), Side::Index) => vec!["--cached".into(), old.into()],
            (Side::Commit(old), Side::Commit(new)) => vec![old.into(), new.into()],
            (Side::Commit(old), _) => vec![old.into()],
            _ => Vec::new(),
        });
        arguments.push("--".into());
        for path in paths {
            let below = self.below_top(path)?;
            self.refuse_nowhere(path, &below, [old, new])?;
            arguments.push(platform::slashed(&below));
        }
        let listed = self.ask(&arguments).map_err(|error| self.with_depth(error))?;
        self.loaded(records(&listed))
    }

    /// A path below the top, also of a file that is gone with its folder.
    fn below_top(&self, path: &Path) -> Result<PathBuf> {
        let lexical = || cleaned(&self.directory.join(path)).strip_prefix(&self.top).ok().map(Path::to_owned);
        let inside = self.inside(path).or_else(lexical).map(|inside| if inside.as_os_str().is_empty() { ".".into() } else { inside });
        inside.ok_or_else(|| {
            let error = Error::new(Kind::Unreadable, format!("{} lies outside of the repository", path.display()));
            error.hint(format!("the repository begins at {}", self.top.display()))
        })
    }

    /// git finds no difference at a path that is misspelt; whoever typed it would take that for an answer.
    fn refuse_nowhere(&self, path: &Path, below: &Path, sides: [&Side; 2]) -> Result<()> {
        if std::fs::symlink_metadata(self.top.join(below)).is_ok() {
            return Ok(());
        }
        for side in sides {
            if self.has(side, below)? {
                return Ok(());
            }
        }
        let error = Error::new(Kind::Unreadable, format!("{} is in neither of the two, nor in the work tree", path.display()));
        Err(error.hint("check the path; it is taken from the current directory"))
    }

    /// Whether a side other than the work tree has a file, or a folder with files, at this path below the top.
    fn has(&self, side: &Side, below: &Path) -> Result<bool> {
        let path = platform::slashed(below);
        let ask = |words: &[&str]| self.ask(&words.iter().map(OsStr::new).chain([path.as_os_str()]).collect::<Vec<_>>());
        let in_commit = |commit: &str| ask(&["ls-tree", "-z", "--full-tree", commit, "--"]);
        let listed = match side {
            Side::WorkTree => return Ok(false),
            Side::Index => ask(&["ls-files", "-z", "--"])?,
            Side::Commit(commit) => in_commit(commit)?,
            Side::Head => self.head()?.map(|commit| in_commit(&commit)).transpose()?.unwrap_or_default(),
        };
        Ok(!listed.is_empty())
    }

    fn loaded(&self, records: Vec<Record>) -> Result<Vec<Pair>> {
        if let Some(place) = records.iter().find(|record| record.conflict).and_then(|record| record.new.as_ref()) {
            let error = Error::new(Kind::Unreadable, format!("{} is in conflict", place.path.display()));
            return Err(error.hint("end the merge, or compare the commits: kveil diff HEAD MERGE_HEAD"));
        }
        let places = || records.iter().flat_map(|record| [record.old.as_ref(), record.new.as_ref()]).flatten();
        let objects: Vec<&str> = places().filter_map(|place| place.object.as_deref()).collect();
        let mut blobs = self.blobs(&objects)?.into_iter();
        let mut bytes = |place: &Option<Place>| -> Result<Option<Bytes>> {
            match place {
                None => Ok(None),
                Some(Place { object: Some(_), .. }) => Ok(blobs.next()),
                Some(Place { path, object: None }) => Source::File(self.top.join(path)).read_bytes().map(Some),
            }
        };
        let name = |place: &Option<Place>| place.as_ref().map(|place| platform::slashed(&place.path).to_string_lossy().into_owned());
        let pair = |record: &Record| {
            let (before, after) = (bytes(&record.old)?, bytes(&record.new)?);
            Ok(Pair { old: name(&record.old), new: name(&record.new), before, after })
        };
        records.iter().map(pair).collect()
    }

    /// The commit where two parted.
    ///
    /// # Errors
    /// `Unreadable` (2) if they have none in common, or the history was cut off.
    pub fn merge_base(&self, a: &str, b: &str) -> Result<String> {
        let output = self.run(&["merge-base", a, b], None)?;
        if output.status.success() {
            return Ok(text(&output.stdout));
        }
        Err(self.with_depth(Error::new(Kind::Unreadable, "the two have no commit in common")))
    }

    /// The files at a side in which one of these words stands: path and bytes.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails.
    pub fn naming(&self, side: &Side, words: &[&str]) -> Result<Vec<(String, Bytes)>> {
        let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty() && !word.contains('\n')).collect();
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let mut arguments: Vec<&str> = vec!["grep", "-z", "-l", "-I", "-F", "--no-color", "--no-textconv", "--full-name", "-f", "-"];
        let prefix = match side {
            Side::Commit(commit) => format!("{commit}:"),
            Side::Head => "HEAD:".to_owned(),
            Side::Index => ":".to_owned(),
            Side::WorkTree => String::new(),
        };
        match side {
            Side::Commit(commit) => arguments.push(commit),
            Side::Head => arguments.push("HEAD"),
            Side::Index => arguments.push("--cached"),
            Side::WorkTree => {}
        }
        let output = self.run(&arguments, Some(words.join("\n").as_bytes()))?;
        if !matches!(output.status.code(), Some(0 | 1)) {
            return Err(trouble(&output, &self.top));
        }
        let paths = output.stdout.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        let paths = paths.map(|path| path.strip_prefix(prefix.as_bytes()).unwrap_or(path));
        let is_manifest = |path: &&[u8]| [".yaml", ".yml", ".json"].iter().any(|ending| path.ends_with(ending.as_bytes()));
        let paths: Vec<PathBuf> = paths.filter(is_manifest).filter(|path| !path.contains(&b'\n')).map(platform::path_of_bytes).collect();
        self.texts(side, &prefix, paths)
    }

    fn texts(&self, side: &Side, prefix: &str, paths: Vec<PathBuf>) -> Result<Vec<(String, Bytes)>> {
        let name = |path: &PathBuf| platform::slashed(path).to_string_lossy().into_owned();
        if *side == Side::WorkTree {
            let read = |path: &PathBuf| Some((name(path), Source::File(self.top.join(path)).read_bytes().ok()?));
            return Ok(paths.iter().filter_map(read).collect());
        }
        let wanted: Vec<String> = paths.iter().map(|path| format!("{prefix}{}", name(path))).collect();
        let blobs = self.blobs(&wanted.iter().map(String::as_str).collect::<Vec<_>>())?;
        Ok(paths.iter().map(name).zip(blobs).collect())
    }
}

/// `:MODE MODE OBJECT OBJECT STATUS`, then the path, and of a renamed file its new one.
fn records(bytes: &[u8]) -> Vec<Record> {
    let mut fields = bytes.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let mut found = Vec::new();
    while let Some(head) = fields.next() {
        let Some(record) = record(head, &mut fields) else { break };
        found.push(record);
    }
    // A file in conflict stands there twice.
    let conflicts: Vec<PathBuf> =
        found.iter().filter(|record| record.conflict).filter_map(|record| Some(record.new.as_ref()?.path.clone())).collect();
    found.retain(|record| record.conflict || !record.new.as_ref().is_some_and(|place| conflicts.contains(&place.path)));
    found.retain(|record| record.old.is_some() || record.new.is_some());
    found
}

fn record<'b>(head: &[u8], fields: &mut impl Iterator<Item = &'b [u8]>) -> Option<Record> {
    let words: Vec<&str> = std::str::from_utf8(head).ok()?.strip_prefix(':')?.split(' ').collect();
    let [old_mode, new_mode, old_object, new_object, status] = words.as_slice() else { return None };
    let old_path = platform::path_of_bytes(fields.next()?);
    let new_path = if status.starts_with(['R', 'C']) { platform::path_of_bytes(fields.next()?) } else { old_path.clone() };
    let conflict = status.starts_with('U');
    // Links and submodules hold no text of ours.
    let place = |mode: &str, object: &str, path: PathBuf| {
        let in_work_tree = object.bytes().all(|byte| byte == b'0');
        mode.starts_with("100").then(|| Place { path, object: (!in_work_tree).then(|| object.to_owned()) })
    };
    let new = place(new_mode, new_object, new_path.clone());
    let new = if conflict { Some(Place { path: new_path, object: None }) } else { new };
    Some(Record { old: place(old_mode, old_object, old_path).filter(|_| !conflict), new, conflict })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8]) -> Vec<String> {
        let place = |place: &Option<Place>| match place {
            None => "-".to_owned(),
            Some(place) => format!("{}@{}", place.path.display(), place.object.as_deref().unwrap_or("work")),
        };
        records(bytes).iter().map(|record| format!("{} {} {}", place(&record.old), place(&record.new), record.conflict)).collect()
    }

    #[test]
    fn raw_differences_are_read_with_renames_and_any_name() {
        let bytes = b":100644 100644 aa bb R090\0old\n\0new\0:000000 100644 00 cc A\0 x\0:100644 000000 dd 00 D\0y\0";
        assert_eq!(seen(bytes), ["old\n@aa new@bb false", "-  x@cc false", "y@dd - false"]);
    }

    #[test]
    fn links_and_submodules_are_nothing_and_conflicts_stand_once() {
        assert_eq!(seen(b":100644 120000 aa bb T\0x\0:160000 160000 aa bb M\0sub\0"), ["x@aa - false"]);
        let bytes = b":000000 100644 00 00 U\0x\0:100644 100644 aa 00 M\0x\0:100644 100644 aa 00 M\0y\0";
        assert_eq!(seen(bytes), ["- x@work true", "y@aa y@work false"]);
    }
}
