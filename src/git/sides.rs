//! The three versions of a file that a merge is about: in the index, of a merge that is under way, of one that was
//! committed; and the commits that a file went through.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Repository, fields, text};
use crate::error::Result;
use crate::source::platform;

/// As far back as commits of a file are looked at.
const MOST: &str = "--max-count=1000";

/// What git calls the other side while it waits for a person, and whether that commit's change is what is brought over:
/// then its parent is the ancestor.
const UNDER_WAY: [(&str, bool); 3] = [("MERGE_HEAD", false), ("CHERRY_PICK_HEAD", true), ("REBASE_HEAD", true)];

/// The objects of three versions of a path; a version that lacks the file has none.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sides {
    /// Of the common ancestor.
    pub base: Option<String>,
    /// Of ours.
    pub ours: Option<String>,
    /// Of theirs.
    pub theirs: Option<String>,
}

impl Repository {
    /// What the index holds of a path (below the top) that a merge left in conflict.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn stages(&self, path: &Path) -> Result<Option<Sides>> {
        let arguments: [OsString; 5] = ["ls-files".into(), "-z".into(), "--unmerged".into(), "--".into(), platform::slashed(path)];
        let listed = self.ask(&arguments)?;
        let mut sides = Sides::default();
        for field in fields(&listed) {
            let line = text(field);
            let mut words = line.split(['\t', ' ']);
            let (_, object, stage) = (words.next(), words.next().map(str::to_owned), words.next());
            match stage {
                Some("1") => sides.base = object,
                Some("2") => sides.ours = object,
                Some("3") => sides.theirs = object,
                _ => {}
            }
        }
        Ok(Some(sides).filter(|sides| *sides != Sides::default()))
    }

    /// The versions of a path in two commits, and where these parted.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn sides(&self, ours: &str, theirs: &str, path: &Path) -> Result<Sides> {
        let output = self.run(&["merge-base", ours, theirs], None)?;
        let base = output.status.success().then(|| text(&output.stdout));
        self.sides_from(base.as_deref(), ours, theirs, path)
    }

    fn sides_from(&self, base: Option<&str>, ours: &str, theirs: &str, path: &Path) -> Result<Sides> {
        let base = base.map(|base| self.object_at(base, path)).transpose()?.flatten();
        Ok(Sides { base, ours: self.object_at(ours, path)?, theirs: self.object_at(theirs, path)? })
    }

    /// The versions of a path in a merge that isn't committed yet.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn under_way(&self, path: &Path) -> Result<Option<Sides>> {
        for (name, change) in UNDER_WAY {
            let Some(theirs) = self.parsed(name)? else { continue };
            return match change {
                true => self.sides_from(self.parsed(&format!("{theirs}^"))?.as_deref(), "HEAD", &theirs, path).map(Some),
                false => self.sides("HEAD", &theirs, path).map(Some),
            };
        }
        Ok(None)
    }

    fn parsed(&self, name: &str) -> Result<Option<String>> {
        let output = self.run(&["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{name}^{{commit}}")], None)?;
        Ok(output.status.success().then(|| text(&output.stdout)))
    }

    /// The newest merge commit in which a path isn't what any of the parents had, and the versions of its two parents.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn last_merge(&self, path: &Path) -> Result<Option<(String, Sides)>> {
        let Some(merge) = self.commits(path, &["--merges", "--max-count=1"])?.pop() else { return Ok(None) };
        let parents = text(&self.ask(&["rev-parse", "--end-of-options", &format!("{merge}^@")])?);
        let parents: Vec<&str> = parents.lines().filter(|line| !line.starts_with('-')).collect();
        let [ours, theirs] = parents.as_slice() else { return Ok(None) };
        Ok(Some((merge, self.sides(ours, theirs, path)?)))
    }

    /// The commits that changed a path, newest first, from HEAD on.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn ancestors_of(&self, path: &Path) -> Result<Vec<String>> {
        self.commits(path, &[MOST])
    }

    fn commits(&self, path: &Path, which: &[&str]) -> Result<Vec<String>> {
        if self.head()?.is_none() {
            return Ok(Vec::new());
        }
        let arguments = ["rev-list"].iter().chain(which).chain(&["HEAD", "--"]).map(OsString::from);
        let arguments: Vec<OsString> = arguments.chain([platform::slashed(path)]).collect();
        Ok(text(&self.ask(&arguments)?).lines().map(str::to_owned).collect())
    }

    /// The object of a path in a commit, if it has the file.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn object_at(&self, commit: &str, path: &Path) -> Result<Option<String>> {
        Ok(self.first_at(commit, &[PathBuf::from(path)])?.map(|found| found.object))
    }
}
