//! `kveil git`.

mod merge;
mod setup;
mod textconv;

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use crate::error::Result;
use crate::git::settings::Settings;
use crate::git::{self, Repository};
use crate::recipient::Identities;

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
pub(super) fn surroundings(context: &Context) -> Result<(Option<Repository>, Settings)> {
    if !git::installed(&context.environment) {
        return Ok((None, Settings::default()));
    }
    let repository = Repository::at(&context.environment, &context.directory, &context.directory)?;
    let settings = repository.as_ref().map_or(Ok(Settings::default()), Repository::settings)?;
    Ok((repository, settings))
}

/// The identities at hand: what git starts by itself asks no network, runs no program and puts no question, unless
/// `network` says so.
pub(super) fn identities(context: &Context, network: bool) -> Identities {
    let identities = Identities::new(context.environment.clone());
    if network { identities } else { identities.without_commands() }
}
