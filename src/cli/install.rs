//! `kveil install`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;

use super::context::Context;
use super::report;
use crate::error::{Error, Kind, Result};
use crate::source;

/// Copy this program into a folder: for init containers that bring it to others
#[derive(ClapArgs)]
pub struct Args {
    /// The folder, or the path of the copy
    #[arg(value_name = "DIR")]
    to: PathBuf,
    /// Copy kustomize from the PATH, too
    #[arg(long)]
    with_kustomize: bool,
    /// Name the copy ksops
    #[arg(long, hide = true)]
    as_ksops: bool,
}

/// Copies.
///
/// # Errors
/// `Unwritable` (3); `Generic` (1) if kustomize is asked for and missing.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let own = std::env::current_exe().map_err(|why| Error::new(Kind::Generic, format!("the path of this program isn't known: {why}")))?;
    let name = if args.as_ksops { "ksops" } else { "kveil" };
    let is_file = !args.to.is_dir() && args.to.file_name().is_some_and(|file| file == name);
    let (folder, target) = match args.to.parent().filter(|_| is_file) {
        Some(folder) => (folder.to_owned(), args.to.clone()),
        None => (args.to.clone(), args.to.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))),
    };
    if !folder.as_os_str().is_empty() {
        source::make_directory(&folder)?;
    }
    copy(context, &own, &target)?;
    if args.with_kustomize {
        let kustomize = in_path(context, "kustomize")
            .ok_or_else(|| Error::new(Kind::Generic, "kustomize isn't in the PATH").hint("install it, or leave out --with-kustomize"))?;
        copy(context, &kustomize, &folder.join("kustomize"))?;
    }
    Ok(())
}

/// Beside its target first: a program that runs can't be written over.
fn copy(context: &Context, from: &Path, to: &Path) -> Result<()> {
    let failed = |why: std::io::Error| Error::new(Kind::Unwritable, format!("can't copy {} to {}: {why}", from.display(), to.display()));
    let mut beside = to.as_os_str().to_owned();
    beside.push(".new");
    let copied = std::fs::copy(from, &beside).and_then(|_| std::fs::rename(&beside, to));
    if copied.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    copied.map_err(failed)?;
    report::note(context, &format!("{} is there", to.display()));
    Ok(())
}

fn in_path(context: &Context, program: &str) -> Option<PathBuf> {
    let path = context.environment.path("PATH")?;
    let mut found = std::env::split_paths(&path).map(|folder| folder.join(program));
    found.find(|file| source::platform::is_program(file))
}
