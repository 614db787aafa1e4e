//! `kveil action`.

mod manifests;
mod opened;
mod review;
mod runner;

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::{Common, DecryptionOrder};
use super::report;
use crate::deploy::actions::commands::{Annotation, Level};
use crate::error::{Error, Kind, Result};
use runner::Runner;

/// Do a step of the GitHub Action
///
/// What action.yml of kveil calls: its inputs come in variables `KVEIL_ACTION_…`, so that none of them is part of a script.
/// All it says goes to stdout, masks first.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// A mode of the action, and what does it.
type Mode = (&'static str, fn(&Runner<'_>, &Args) -> Result<()>);

/// All modes.
const MODES: [Mode; 5] =
    [("check", review::check), ("diff", review::diff), ("decrypt", opened::decrypt), ("exec", opened::exec), ("build", manifests::build)];

/// Does the step. A failure is an annotation.
///
/// # Errors
/// `Child`, with the code of what failed: it has been said.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    if context.environment.var("GITHUB_ACTIONS").is_none() {
        let error = Error::new(Kind::Generic, "this is no run of GitHub Actions (GITHUB_ACTIONS isn't set)");
        return Err(error.hint("workflows call it through action.yml; elsewhere use kveil check, diff, exec-env, build"));
    }
    step(context, args).map_err(|error| match error.kind {
        Kind::Child(_) => error,
        kind => {
            let text = std::iter::once(error.to_string()).chain(error.hints.iter().cloned()).collect::<Vec<_>>().join("\n");
            let _ = report::data(Annotation::plain(Level::Error, "kveil", &text).line().as_bytes());
            Error::new(Kind::Child(kind.exit_code()), "the step failed")
        }
    })
}

fn step(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let runner = Runner::of(context)?;
    let wanted = runner.input("MODE").unwrap_or_else(|| "check".to_owned());
    match MODES.iter().find(|(name, _)| *name == wanted) {
        Some((_, run)) => run(&runner, args),
        None => {
            let names: Vec<&str> = MODES.iter().map(|(name, _)| *name).collect();
            Err(Error::new(Kind::Generic, format!("there is no mode {wanted}")).hint(format!("modes: {}, install", names.join(", "))))
        }
    }
}
