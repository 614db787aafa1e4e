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
    shell: Option<Shell>,
}

/// Prints the script.
///
/// # Errors
/// `Unwritable` (3).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let program = context.program();
    let Some(shell) = args.shell else { return how(program) };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::whole(program), program, &mut script);
    report::data(&script)
}

/// Without a shell: how the scripts are loaded.
fn how(program: &str) -> Result<()> {
    report::data(
        format!(
            "bash: source <({program} completion bash)\nzsh: source <({program} completion zsh)\nfish: {program} completion fish | source\npowershell: {program} completion powershell | Out-String | Invoke-Expression\n"
        )
        .as_bytes(),
    )
}
