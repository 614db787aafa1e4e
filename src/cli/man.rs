//! `kveil man`.

use clap::Args as ClapArgs;

use super::context::Context;
use super::report;
use crate::error::{Error, Kind, Result};

/// Print a manual page (roff): of kveil, or of one command
#[derive(ClapArgs)]
pub struct Args {
    /// The command
    command: Option<String>,
}

/// Prints the page.
///
/// # Errors
/// `Generic` (1) for a command that doesn't exist.
pub fn run(_context: &Context, args: &Args) -> Result<()> {
    let mut whole = super::whole("kveil");
    whole.build();
    let command = match args.command.as_deref() {
        None => whole,
        Some(name) => {
            let missing = || Error::new(Kind::Generic, format!("there is no command {name}")).hint("kveil --help lists the commands");
            let found = whole.find_subcommand(name).ok_or_else(missing)?.clone();
            found.name(format!("kveil-{name}"))
        }
    };
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    rendered.map_err(|why| Error::new(Kind::Unwritable, format!("can't write the page: {why}")))?;
    report::data(&page)
}
