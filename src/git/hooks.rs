//! git's hooks: what kveil puts into them, and takes out again.

use std::path::{Path, PathBuf};

use crate::error::{Error, Kind, Result};
use crate::source::{self, Source, platform};

/// The lines between these are kveil's own.
const BEGIN: &str = "# kveil: begin; kveil git setup --hooks keeps these lines, --undo takes them out";
const END: &str = "# kveil: end";
const SHELL: &str = "#!/bin/sh\n";

/// What is done before a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Before {
    /// What is staged is checked.
    Check,
    /// Secrets that are staged in clear are encrypted, and checked then.
    Encrypt,
}

/// A hook, and the commands that kveil has in it. Where kveil isn't installed it lets git go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    /// git's name for it.
    pub name: &'static str,
    commands: String,
}

/// The hooks. git calls no merge driver for a file that one side deleted, or changed alone: what came in is looked at after
/// the merge.
pub fn hooks(before: Before) -> [Hook; 2] {
    let check = "kveil check --staged || exit 1\n";
    let commands = match before {
        Before::Check => check.to_owned(),
        Before::Encrypt => format!("kveil encrypt --staged || exit 1\n{check}"),
    };
    [
        Hook { name: "pre-commit", commands: installed(&commands) },
        Hook { name: "post-merge", commands: installed("kveil check --base ORIG_HEAD >&2 || :\n") },
    ]
}

fn installed(commands: &str) -> String {
    let lines: String = commands.lines().map(|line| format!("  {line}\n")).collect();
    format!("if command -v kveil >/dev/null 2>&1; then\n{lines}fi\n")
}

/// What became of a hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// It was there already, as it is now.
    Kept,
    /// It was written.
    Written,
    /// Someone else's stands there: it isn't touched.
    Foreign,
}

impl Hook {
    /// The lines to be put into a hook that someone else keeps.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.commands.lines()
    }

    /// Writes it into this folder, unless someone else's stands there.
    ///
    /// # Errors
    /// `Unwritable` (3); one that is there can't be read.
    pub fn write(&self, folder: &Path) -> Result<Done> {
        if self.is_there(folder) {
            return Ok(Done::Kept);
        }
        let path = folder.join(self.name);
        let old = read(&path)?;
        let (before, after) = match old.as_deref().map(around) {
            None => (SHELL, ""),
            Some(Some(others)) => others,
            Some(None) => return Ok(Done::Foreign),
        };
        source::make_directory(folder)?;
        source::write(&path, format!("{before}{BEGIN}\n{}{END}\n{after}", self.commands), false)?;
        platform::make_executable(&path)
            .map_err(|why| Error::new(Kind::Unwritable, format!("can't make {} run: {why}", path.display())))?;
        Ok(Done::Written)
    }

    /// Takes kveil's lines out; a hook in which nothing else stands goes. Says whether there were any.
    ///
    /// # Errors
    /// `Unwritable` (3).
    pub fn remove(&self, folder: &Path) -> Result<bool> {
        let path = folder.join(self.name);
        let Some(old) = read(&path)? else { return Ok(false) };
        let Some((before, after)) = around(&old) else { return Ok(false) };
        if before == SHELL && after.is_empty() {
            let failed = |why| Error::new(Kind::Unwritable, format!("can't delete {}: {why}", path.display()));
            std::fs::remove_file(&path).map_err(failed)?;
        } else {
            source::write(&path, format!("{before}{after}"), false)?;
        }
        Ok(true)
    }

    /// Whether the hook in this folder does it.
    pub fn is_there(&self, folder: &Path) -> bool {
        read(&folder.join(self.name)).ok().flatten().is_some_and(|text| text.contains(self.commands.trim_end()))
    }
}

/// What stands before and behind kveil's lines.
fn around(text: &str) -> Option<(&str, &str)> {
    let start = text.find(BEGIN)?;
    let end = start + text[start..].find(&format!("\n{END}\n"))? + END.len() + 2;
    Some((&text[..start], &text[end..]))
}

fn read(path: &Path) -> Result<Option<String>> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(None);
    }
    Source::File(PathBuf::from(path)).read().map(|text| Some(text.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_lines_are_found_among_others() {
        let text = format!("{SHELL}a\n{BEGIN}\nb\nc\n{END}\nd\n");
        assert_eq!(around(&text), Some(("#!/bin/sh\na\n", "d\n")));
        assert_eq!(around("a\n"), None);
    }

    #[test]
    fn what_someone_else_keeps_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [hook, _] = hooks(Before::Check);
        assert_eq!(hook.write(folder.path()).unwrap(), Done::Written);
        assert_eq!(hook.write(folder.path()).unwrap(), Done::Kept);
        assert_eq!(hooks(Before::Encrypt)[0].write(folder.path()).unwrap(), Done::Written);
        assert!(hook.remove(folder.path()).unwrap() && !folder.path().join("pre-commit").exists());
        std::fs::write(folder.path().join("pre-commit"), "#!/bin/sh\ntrue\n").unwrap();
        assert_eq!(hook.write(folder.path()).unwrap(), Done::Foreign);
        assert!(!hook.remove(folder.path()).unwrap() && !hook.is_there(folder.path()));
        std::fs::write(folder.path().join("pre-commit"), format!("#!/bin/sh\ntrue\n{}", hook.commands)).unwrap();
        assert_eq!(hook.write(folder.path()).unwrap(), Done::Kept);
    }
}
