//! `kveil helm post-render`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::cli::context::Context;
use crate::cli::flags::{Common, DecryptionOrder};
use crate::cli::{identities, report};
use crate::deploy::guard;
use crate::deploy::helm::post_render;
use crate::error::Result;
use crate::source::{Source, neighbour};

/// Decrypt the encrypted objects that Helm rendered: a post-renderer for `helm --post-renderer`
///
/// Manifests come on standard input and go to standard output, all or nothing; one that is still encrypted is refused. In Helm 3:
/// --post-renderer kveil --post-renderer-args helm --post-renderer-args post-render; hooks don't pass through it there. In Helm 4:
/// --post-renderer kveil-post-render, which install-plugin makes known.
#[derive(ClapArgs)]
pub struct Args {
    /// Called by Helm 4, which keeps to itself what a post-renderer says: errors go to Helm's own stderr
    #[arg(long)]
    helm4: bool,
    /// Append errors to this file, too
    #[arg(long, value_name = "FILE", env = "KVEIL_HELM_LOG", hide_env = true)]
    log: Option<PathBuf>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Renders.
///
/// # Errors
/// Those of decrypting, with the template; `Generic` (1) for what is still encrypted.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let done = rendered(context, args);
    if let Err(error) = &done {
        let heard = if args.helm4 { neighbour::callers_messages() } else { None };
        report::elsewhere(error, heard.into_iter().chain(args.log.as_deref().and_then(report::log)));
    }
    done
}

fn rendered(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let manifests = Source::Stdin.read()?;
    let identities = identities::of(context, &args.common);
    let rendered = post_render::decrypt(&manifests, &identities, &args.order.kinds()?);
    identities::tell(context, &args.common, &identities);
    let rendered = rendered?;
    let verdict = guard::manifests(&rendered.text)?;
    verdict.settle(guard::LEFT_OVER)?;
    verdict.allowed.iter().for_each(|object| report::note(context, &format!("left encrypted: {object}")));
    rendered.notes.iter().for_each(|note| report::warning(context, note));
    report::data(rendered.text.as_bytes())
}
