//! The files of an application's directory, as Argo CD finds them. All that is there was committed, whether or not git would
//! ignore it; a link to a file stands for the file.

use std::path::{Path, PathBuf};

use crate::cli::context::Context;
use crate::cli::jail::Jail;
use crate::error::Result;
use crate::tree;

/// A file of the directory.
pub struct Listed {
    /// Its path from the directory.
    pub name: String,
    /// Where it is, links resolved.
    pub path: PathBuf,
}

/// The files of the current directory whose names count, and with `deep` of those below, in order.
///
/// # Errors
/// `Unreadable` (2) for a directory that can't be read; those of [`Jail::resolve`] for a link: what it leads to would be missing
/// from what is rendered.
pub fn list(context: &Context, deep: bool, counts: impl Fn(&str) -> bool) -> Result<Vec<Listed>> {
    let jail = Jail::of(context, Path::new(""))?;
    let mut paths = gathered(context, deep)?;
    paths.retain(|path| path.file_name().is_some_and(|name| counts(&name.to_string_lossy())));
    paths.iter().map(|path| listed(context, &jail, path)).collect()
}

/// The first file that fits, of the current directory and those below. Links that lead nowhere or out don't fit.
///
/// # Errors
/// `Unreadable` (2) for a directory that can't be read.
pub fn first(context: &Context, fits: impl Fn(&Path) -> bool) -> Result<Option<Listed>> {
    let jail = Jail::of(context, Path::new(""))?;
    let paths = gathered(context, true)?;
    let mut all = paths.iter().filter_map(|path| listed(context, &jail, path).ok());
    Ok(all.find(|file| fits(&file.path)))
}

fn listed(context: &Context, jail: &Jail, path: &Path) -> Result<Listed> {
    let name = path.strip_prefix(&context.directory).unwrap_or(path).display().to_string();
    let path = jail.resolve(context, &context.directory, &name)?;
    Ok(Listed { name, path })
}

fn gathered(context: &Context, deep: bool) -> Result<Vec<PathBuf>> {
    let mut paths = tree::all(&context.directory, deep)?;
    paths.retain(|path| !path.is_dir());
    Ok(paths)
}
