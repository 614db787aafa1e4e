//! `kveil git`.

mod hooks;
mod merge;
pub(super) mod readers;
pub(super) mod setup;
mod textconv;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use super::{left, report};
use crate::error::Result;
use crate::git::settings::Settings;
use crate::git::setup::Encrypted;
use crate::git::{self, Repository};
use crate::recipient::Identities;
use crate::source;

/// Have git compare and merge encrypted files by their values
///
/// `setup` puts the drivers into a repository's configuration; git itself calls the others.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Setup(setup::Args),
    Textconv(textconv::Args),
    Merge(merge::Args),
}

/// Runs the part that is asked for.
///
/// # Errors
/// Those of the parts.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.action {
        Action::Setup(args) => setup::run(context, args),
        Action::Textconv(args) => textconv::run(context, args),
        Action::Merge(args) => merge::run(context, args),
    }
}

/// The repository that git runs a driver in, if there is one, and what its configuration says.
pub(super) fn surroundings(context: &Context) -> Result<(Option<Arc<Repository>>, Settings)> {
    // A driver is started by git. Who calls it by hand where git is in trouble gets what works without.
    let repository = context.repository(&context.directory).unwrap_or_default();
    let settings = repository.as_ref().map_or(Ok(Settings::default()), |repository| repository.settings())?;
    Ok((repository, settings))
}

/// The identities at hand: what git starts by itself asks no network, runs no program and puts no question, unless
/// `network` says so.
pub(super) fn identities(context: &Context, network: bool) -> Identities {
    let identities = Identities::new(context.environment.clone());
    if network { identities } else { identities.without_commands().offline() }
}

/// Has git know encrypted files that were just written, in the repositories that kveil's drivers are set up for: they are new,
/// or were renamed. Trouble with it is no failure: the files are encrypted.
pub fn add_attributes(context: &Context, written: &[impl AsRef<Path>]) {
    let mut of_tops: BTreeMap<PathBuf, Vec<Encrypted>> = BTreeMap::new();
    for path in written.iter().map(AsRef::as_ref).filter(|_| !context.is_sops()) {
        let Some(top) = left::top(path).filter(|top| git::setup::is_set_up(top)) else { continue };
        let Ok(inside) = path.strip_prefix(&top).map(Path::to_owned) else { continue };
        of_tops.entry(top).or_default().push(Encrypted { path: inside, cr: source::holds(path, b"\r").unwrap_or(false) });
    }
    for (top, mut files) in of_tops {
        let add = |repository: Arc<Repository>| {
            repository.with_stored_ends(&mut files)?;
            repository.add_attributes(&files)
        };
        match context.repository(&top).and_then(|repository| repository.map_or(Ok(Vec::new()), add)) {
            Ok(lines) => lines.iter().for_each(|line| report::note(context, &format!(".gitattributes: {line}"))),
            Err(why) => report::warning(context, &format!("git's attributes aren't brought up to date: {why}")),
        }
    }
}
