//! Encrypting what is staged: the index gets the encrypted files, and the plain text that `git add` stored is named.

use std::path::Path;

use super::context::Context;
use super::{ask, report};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::changed::Staged;
use crate::git::index::Leftover;

/// Whether it runs as a hook of pre-commit, which hides parts of the work tree meanwhile: the index must be left to it.
pub fn under_pre_commit(context: &Context) -> bool {
    context.environment.var("PRE_COMMIT").is_some_and(|value| value == "1")
}

/// Refuses where the index can't be changed so that it lasts.
///
/// # Errors
/// `Generic` (1): `git commit FILE` shows its hooks an index of its own and drops it afterwards.
pub fn refuse_passing_index(context: &Context, repository: &Repository) -> Result<()> {
    if under_pre_commit(context) || !repository.commits_named_files() {
        return Ok(());
    }
    let error = Error::new(Kind::Generic, "git commit with file names commits from an index of its own, which no hook can change to last");
    Err(error.hint("git add the files, and run git commit without their names"))
}

/// A file of which only a part is staged.
pub fn partly(name: &str) -> Error {
    let error = Error::new(Kind::Generic, "it is staged in clear, and the file in the work tree differs from what is staged");
    error.in_file(name).hint("git add it as a whole, or take it out with git restore --staged, and try again")
}

/// Puts the encrypted files into the index and says what is left of their plain text; `delete` takes that away where
/// nothing refers to it.
///
/// # Errors
/// `Unreadable` (2): git fails. `Generic` (1) under pre-commit if anything was encrypted: the commit must not go on.
pub fn finish(context: &Context, repository: &Repository, done: &[(&str, &Staged)], delete: bool) -> Result<()> {
    if done.is_empty() {
        return Ok(());
    }
    if under_pre_commit(context) {
        let error = Error::new(Kind::Generic, "files were encrypted in the work tree only: under pre-commit the index is left alone");
        return Err(error.hint("git add them, and commit again"));
    }
    let paths: Vec<&Path> = done.iter().map(|(_, staged)| staged.path.as_path()).collect();
    repository.restage(&paths)?;
    refuse_left_behind(repository, done)?;
    let offered =
        || ask::possible(context) && ask::yes("git add has stored the plain text of these files. Delete it where nothing refers to it?");
    if delete || offered() {
        return delete_plain_text(context, repository, done);
    }
    report::warning(context, "git add has stored the plain text of these files as objects, which git keeps for about two weeks:");
    for (name, staged) in done {
        report::note(context, &format!("  {name}: {}", staged.object));
    }
    report::note(
        context,
        "  encrypt --staged --delete-plaintext deletes such objects where nothing refers to them; now: git gc --prune=now",
    );
    Ok(())
}

/// git passes over files that it was told to take as unchanged: their plain text would be committed.
fn refuse_left_behind(repository: &Repository, done: &[(&str, &Staged)]) -> Result<()> {
    let plain: Vec<(&Path, &str)> = done.iter().map(|(_, old)| (old.path.as_path(), old.object.as_str())).collect();
    let left = repository.still_in_index(&plain)?;
    match done.iter().zip(left).find(|(_, left)| *left) {
        None => Ok(()),
        Some(((name, _), _)) => {
            let error = Error::new(Kind::Generic, "git left its plain text in the index").in_file(name);
            Err(error.hint("git update-index --no-assume-unchanged --no-skip-worktree FILE, and git add it, before you commit"))
        }
    }
}

fn delete_plain_text(context: &Context, repository: &Repository, done: &[(&str, &Staged)]) -> Result<()> {
    let objects: Vec<&str> = done.iter().map(|(_, staged)| staged.object.as_str()).collect();
    for ((name, _), leftover) in done.iter().zip(repository.leftovers(&objects)?) {
        match leftover {
            // Two files of the same content share their object.
            Leftover::Loose(file) if !file.exists() => {}
            Leftover::Loose(file) => {
                repository.delete_object(&file)?;
                report::note(context, &format!("{name}: deleted its plain text from git's objects"));
            }
            Leftover::Packed => {
                report::warning(
                    context,
                    &format!("{name}: its plain text isn't in a file of its own among git's objects: git gc --prune=now"),
                );
            }
            Leftover::Referred => {
                let message = "its plain text is in the history too, or in another index: change its values at their source";
                report::warning(context, &format!("{name}: {message}"));
            }
        }
    }
    Ok(())
}
