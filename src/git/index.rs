//! The index: files put into it again after they were encrypted, and the objects that `git add` left with their plain text.

use std::path::{Path, PathBuf};

use super::{Repository, fields, text, trouble};
use crate::error::{Error, Kind, Result};
use crate::source::platform;

const INDEX_FILE: &str = "GIT_INDEX_FILE";
/// git's name for the index of `git commit FILE`; what a hook puts into it is gone after the commit.
const PARTIAL: &str = "next-index-";

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
