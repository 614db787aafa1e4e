//! The files that `decrypt -i` left in clear, noted where git keeps what is this clone's own matter: a secret that was
//! opened for a moment is forgotten easily, and committed with the next `git add -A`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Repository;
use crate::error::Result;
use crate::source::{self, Source, platform};

/// Below the git directory of the work tree; a path below the top a line.
const LIST: &str = "info/kveil-left-decrypted";

impl Repository {
    /// The noted files that are there, absolute. Whether they are in clear is for the caller to look at.
    ///
    /// # Errors
    /// `Unreadable` (2).
    pub fn noted_decrypted(&self) -> Result<Vec<PathBuf>> {
        let Ok(text) = Source::File(self.list()).read() else { return Ok(Vec::new()) };
        let files = text.lines().filter(|line| !line.is_empty()).map(|line| self.top.join(line));
        Ok(files.filter(|path| path.is_file()).collect())
    }

    /// Notes files, and strikes those for which `is_clear` says no.
    ///
    /// # Errors
    /// `Unreadable` (2): git fails. `Unwritable` (3).
    pub fn note_decrypted(&self, files: &[&Path], is_clear: impl Fn(&Path) -> bool) -> Result<()> {
        let mut kept: BTreeSet<PathBuf> = files.iter().filter_map(|file| self.inside(file)).map(|inside| self.top.join(inside)).collect();
        let others: Vec<PathBuf> = self.noted_decrypted()?.into_iter().filter(|path| !kept.contains(path) && is_clear(path)).collect();
        kept.extend(others);
        let mut text = String::new();
        for inside in kept.iter().filter_map(|path| path.strip_prefix(&self.top).ok()) {
            // A name that isn't text or has a line break can't be a line; such files are found by their content alone.
            if let Some(line) = platform::slashed(inside).to_str().filter(|line| !line.contains('\n')) {
                text.push_str(line);
                text.push('\n');
            }
        }
        let list = self.list();
        list.parent().map_or(Ok(()), source::make_directory)?;
        source::write(&list, &text, true)
    }

    fn list(&self) -> PathBuf {
        self.own.join(LIST)
    }
}
