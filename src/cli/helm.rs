//! `kveil helm`.

mod border;
mod get;
mod install_plugin;
mod keys;
mod post_render;
mod run;
mod values;

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use crate::error::Result;

/// Let Helm use encrypted values files and templates
///
/// `install-plugin` leads Helm here: `-f secrets://FILE` decrypts a values file, `helm kveil upgrade … -f FILE` does so without
/// the scheme. A post-renderer decrypts encrypted templates. No plaintext is written to a file.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    InstallPlugin(install_plugin::Args),
    PostRender(post_render::Args),
    Get(get::Args),
    Run(run::Args),
}

/// Runs the part that is asked for.
///
/// # Errors
/// Those of the parts.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.action {
        Action::InstallPlugin(args) => install_plugin::run(context, args),
        Action::PostRender(args) => post_render::run(context, args),
        Action::Get(args) => get::run(context, args),
        Action::Run(args) => run::run(context, args),
    }
}
