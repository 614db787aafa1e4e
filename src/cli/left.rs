//! Files that were left in clear by `decrypt -i`: noted, found again, closed.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::flags::Types;
use super::paths::{Target, Targets};
use super::report;
use crate::error::{Error, Kind, Result};
use crate::source::Source;
use crate::tree::choice;

/// Notes files that are in clear now, where they stand in a git work tree, and says how to close them. Trouble with git is
/// no failure: the files are decrypted.
pub fn note(context: &Context, files: &[PathBuf]) {
    for (top, files) in by_top(context, files.iter()) {
        let count = if files.len() == 1 { "1 file is".to_owned() } else { format!("{} files are", files.len()) };
        let rest = match note_below(context, &top, &files) {
            Ok(()) => ": kveil encrypt --all-decrypted closes such files, kveil status lists them".to_owned(),
            Err(why) => format!(", which couldn't be noted: {why}"),
        };
        report::warning(context, &format!("{count} in clear in a git work tree now{rest}"));
    }
}

/// Notes files before they are put in clear, so that those of a run that is killed are known, too. Trouble is told by [`note`].
pub fn expect(context: &Context, files: &[Target]) {
    let paths = files.iter().filter_map(|target| match &target.source {
        Source::File(path) => Some(path),
        Source::Stdin => None,
    });
    for (top, files) in by_top(context, paths) {
        let _ = note_below(context, &top, &files);
    }
}

/// Files, made absolute, by the work tree that they stand in; others are left out.
fn by_top<'f>(context: &Context, files: impl Iterator<Item = &'f PathBuf>) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut of_tops: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for file in files.map(|file| context.directory.join(file)) {
        if let Some(top) = top(&file) {
            of_tops.entry(top).or_default().push(file);
        }
    }
    of_tops
}

fn note_below(context: &Context, top: &Path, files: &[PathBuf]) -> Result<()> {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    context.repository(top)?.map_or(Ok(()), |repository| repository.note_decrypted(&files, is_clear))
}

/// The work tree that a file (absolute) stands in.
pub fn top(file: &Path) -> Option<PathBuf> {
    file.ancestors().skip(1).find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

/// The files of the repository of `folder` that are still in clear, absolute.
///
/// # Errors
/// `Unreadable` (2): git is in trouble.
pub fn decrypted(context: &Context, folder: &Path) -> Result<Vec<PathBuf>> {
    let Some(repository) = context.repository(folder)? else { return Ok(Vec::new()) };
    Ok(repository.noted_decrypted()?.into_iter().filter(|path| is_clear(path)).collect())
}

/// The files left decrypted in the repositories of these files; a repository is asked once.
pub fn noted<'t>(context: &Context, targets: impl Iterator<Item = &'t Target>) -> HashSet<PathBuf> {
    let tops: HashSet<PathBuf> = targets.filter_map(|target| top(&target.absolute(context, None))).collect();
    let of_top = |top: PathBuf| {
        decrypted(context, &top).unwrap_or_else(|why| {
            report::warning(context, &format!("files that were left decrypted aren't told from others in clear: {why}"));
            Vec::new()
        })
    };
    tops.into_iter().flat_map(of_top).collect()
}

/// Those of the current directory's repository, to be encrypted.
///
/// # Errors
/// `Generic` (1) outside a repository; `Unreadable` (2): git is in trouble.
pub fn targets(context: &Context) -> Result<Targets> {
    if context.repository(&context.directory)?.is_none() {
        let error = Error::new(Kind::Generic, "there is no git repository here, in which decrypted files would be noted");
        return Err(error.hint("name the files"));
    }
    let directory = std::fs::canonicalize(&context.directory).unwrap_or_else(|_| context.directory.clone());
    let target = |path: PathBuf| {
        let name = path.strip_prefix(&directory).map(Path::to_owned).unwrap_or(path);
        Target { source: Source::File(name.clone()), named: true, inside: name, staged: None }
    };
    let files = decrypted(context, &context.directory)?.into_iter().map(target).collect();
    Ok(Targets { files, trees: true, ..Targets::default() })
}

/// Whether the file is there without a `sops` block. One that can't be read now may be in clear.
fn is_clear(path: &Path) -> bool {
    let Ok(text) = Source::File(path.to_owned()).read() else { return true };
    let format = Types::default().input(&path.display().to_string(), &text);
    !format.and_then(|format| format.parse_encrypted(&text).map(|document| choice::has_block(&document))).unwrap_or(false)
}
