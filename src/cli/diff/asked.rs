//! Which two sides are compared: what the words on the command line mean.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Args;
use crate::cli::context::Context;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::diff::sides::{Pair, Side};
use crate::source::Source;

/// What is compared.
pub struct Asked {
    /// The two sides.
    pub sides: Sides,
    /// What the old one is called.
    pub old: String,
    /// What the new one is called.
    pub new: String,
}

/// Where the two sides are.
pub enum Sides {
    /// Two files.
    Files(Source, Source),
    /// In a repository.
    Git {
        /// The repository.
        repository: Arc<Repository>,
        /// The old side.
        old: Side,
        /// The new side.
        new: Side,
        /// The files that are compared; all, if there are none.
        paths: Vec<PathBuf>,
    },
}

impl Asked {
    /// The top of the work tree.
    pub fn top(&self) -> Option<PathBuf> {
        match &self.sides {
            Sides::Git { repository, .. } => Some(repository.top.clone()),
            Sides::Files(..) => None,
        }
    }

    /// The files that differ.
    ///
    /// # Errors
    /// A file that can't be read, `Unreadable` (2) for git in trouble.
    pub fn pairs(&self) -> Result<Vec<Pair>> {
        match &self.sides {
            Sides::Git { repository, old, new, paths } => repository.pairs(old, new, paths),
            Sides::Files(old, new) => {
                let (before, after) = (Some(old.read_bytes()?), Some(new.read_bytes()?));
                let same = before == after;
                let pair = Pair { old: Some(old.name()), new: Some(new.name()), before, after };
                Ok(if same { Vec::new() } else { vec![pair] })
            }
        }
    }
}

/// Reads the words: two files that are there are compared; else revisions come first, then paths.
///
/// # Errors
/// `Unreadable` (2): no repository, a word that is neither, or both; `ConflictingFlags` (8).
pub fn read(context: &Context, args: &Args) -> Result<Asked> {
    if let ([old, new], true, false) = (args.words.as_slice(), args.paths.is_empty(), args.staged)
        && is_file(context, old)
        && is_file(context, new)
    {
        let (old, new) = (Source::of(old), Source::of(new));
        return Ok(Asked { old: old.name(), new: new.name(), sides: Sides::Files(old, new) });
    }
    let Some(repository) = context.repository(&context.directory)? else {
        let error = Error::new(Kind::Unreadable, "there is no git repository here");
        return Err(error.hint("name two files to compare them: kveil diff OLD NEW"));
    };
    let words = Words { context, repository: &repository, only_revisions: !args.paths.is_empty() };
    let (revisions, mut paths) = words.sorted(&args.words)?;
    paths.extend(args.paths.iter().map(PathBuf::from));
    let ((old, old_name), (new, new_name)) = sides(&repository, &revisions, args.staged)?;
    Ok(Asked { sides: Sides::Git { repository, old, new, paths }, old: old_name, new: new_name })
}

fn is_file(context: &Context, word: &OsStr) -> bool {
    let path = context.directory.join(word);
    // A pipe of the shell (`<(…)`) is no regular file.
    word == "-" || path.exists() && !path.is_dir()
}

struct Words<'w> {
    context: &'w Context,
    repository: &'w Repository,
    only_revisions: bool,
}

impl Words<'_> {
    /// Leading revisions, and paths.
    fn sorted(&self, words: &[std::ffi::OsString]) -> Result<(Vec<String>, Vec<PathBuf>)> {
        let (mut revisions, mut paths): (Vec<String>, Vec<PathBuf>) = (Vec::new(), Vec::new());
        for word in words {
            let text = word.to_str().filter(|_| paths.is_empty() && revisions.len() < 2);
            match text {
                Some(text) if self.is_revision(text)? => revisions.push(text.to_owned()),
                _ if self.only_revisions => {
                    return Err(Error::new(Kind::Unreadable, format!("{} is no revision", word.to_string_lossy()))
                        .hint("before -- stand revisions, at most two; behind it paths"));
                }
                _ => paths.push(self.path(word)?),
            }
        }
        Ok((revisions, paths))
    }

    fn is_revision(&self, word: &str) -> Result<bool> {
        let path = !self.only_revisions && self.context.directory.join(word).exists();
        let ends = ends(word).map_or_else(|| vec![word], |(old, new, _)| vec![old, new]);
        let known = ends.iter().all(|end| self.repository.commit(or_head(end)).is_ok());
        if path && known {
            let error = Error::new(Kind::Unreadable, format!("{word} is a revision and a file"));
            return Err(error.hint(format!("the revision: kveil diff {word}^0; the file: kveil diff -- {word}")));
        }
        Ok(known)
    }

    fn path(&self, word: &OsStr) -> Result<PathBuf> {
        let path = Path::new(word);
        if self.context.directory.join(path).exists() {
            return Ok(path.to_owned());
        }
        let name = word.to_string_lossy();
        // git's own words for what it misses, such as history that was cut off.
        let end = ends(&name).map_or(name.as_ref(), |(old, new, _)| if self.repository.commit(or_head(old)).is_err() { old } else { new });
        let error = self.repository.commit(or_head(end)).err();
        let error = error.unwrap_or_else(|| Error::new(Kind::Unreadable, format!("{name} is no path here")));
        Err(error.hint(format!("a path that is gone stands behind --: kveil diff -- {name}")))
    }
}

/// The two ends of a range, and whether it begins where they parted (`...`).
fn ends(word: &str) -> Option<(&str, &str, bool)> {
    match word.split_once("...") {
        Some((old, new)) => Some((old, new, true)),
        None => word.split_once("..").map(|(old, new)| (old, new, false)),
    }
}

fn or_head(revision: &str) -> &str {
    if revision.is_empty() { "HEAD" } else { revision }
}

type Named = (Side, String);

fn sides(repository: &Repository, revisions: &[String], staged: bool) -> Result<(Named, Named)> {
    let commit = |revision: &str| Ok::<_, Error>((Side::Commit(repository.commit(or_head(revision))?), or_head(revision).to_owned()));
    let end = if staged { (Side::Index, "the index".to_owned()) } else { (Side::WorkTree, "the work tree".to_owned()) };
    let both = |old: &str, new: &str| match staged {
        false => Ok((commit(old)?, commit(new)?)),
        true => Err(Error::new(Kind::ConflictingFlags, "--staged compares the index with one revision").hint("leave one of them out")),
    };
    match revisions {
        [] if staged => Ok(((Side::Head, "HEAD".to_owned()), end)),
        [] => Ok(((Side::Index, "the index".to_owned()), end)),
        [one] => match ends(one) {
            Some((old, new, true)) => {
                let (old, new) = (or_head(old), or_head(new));
                both(old, new)?;
                let base = repository.merge_base(&repository.commit(old)?, &repository.commit(new)?)?;
                Ok(((Side::Commit(base), format!("where {old} and {new} parted")), commit(new)?))
            }
            Some((old, new, false)) => both(old, new),
            None => Ok((commit(one)?, end)),
        },
        [old, new, ..] => both(old, new),
    }
}
