//! `kveil completion`.

use clap::Args as ClapArgs;
use clap_complete::Shell;

use super::context::Context;
use super::report;
use crate::error::Result;

/// Print a completion script for a shell
#[derive(ClapArgs)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// `Unwritable` (3).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let program = context.program();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::whole(program), program, &mut script);
    report::data(&script)
}
