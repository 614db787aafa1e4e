//! `kveil guard`.

use clap::Args as ClapArgs;

use super::context::Context;
use super::report;
use crate::deploy::guard::{self, Verdict};
use crate::error::{Error, Kind, Result};
use crate::source::Source;

/// Let rendered manifests through if no ciphertext is left in them
///
/// Standard input goes to standard output as it is, or nothing does: `kustomize build DIR | kveil guard | kubectl apply -f -`.
/// An object that is meant to hold ciphertext has the annotation `kveil.dev/allow-encrypted: <reason>`.
#[derive(ClapArgs)]
pub struct Args {
    /// The manifests; standard input without it
    file: Option<String>,
    /// Let no manifests at all through, too: a pipeline that failed before gives none
    #[arg(long)]
    allow_empty: bool,
}

/// Guards.
///
/// # Errors
/// `Generic` (1) if ciphertext is left, or nothing came; `Unreadable` (2) for what can't be read.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let source = Source::of(args.file.as_deref().unwrap_or("-"));
    let located = |error: Error| error.in_file(&source.name());
    let text = source.read().map_err(located)?;
    let verdict = guard::manifests(&text).map_err(located)?;
    if verdict.objects == 0 && !args.allow_empty {
        let error = Error::new(Kind::Generic, "there are no manifests: nothing would be deployed, or all be pruned");
        return Err(error.hint("did the command before it fail? set -o pipefail").hint("--allow-empty lets nothing through"));
    }
    pass(context, &verdict, guard::UNOPENED).map_err(located)?;
    report::data(text.as_bytes())
}

/// Lists what may hold ciphertext; `advice` is for what may not.
///
/// # Errors
/// As [`Verdict::settle`].
pub fn pass(context: &Context, verdict: &Verdict, advice: &str) -> Result<()> {
    verdict.settle(advice)?;
    verdict.allowed.iter().for_each(|line| report::note(context, &format!("holds ciphertext, and may: {line}")));
    Ok(())
}
