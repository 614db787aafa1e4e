//! `kveil flux`.

pub mod place;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use super::context::Context;
use super::report;
use crate::deploy::flux::{self, Fate, NOWHERE};
use crate::error::{Error, Kind, Result};
use crate::kubernetes::identity;
use crate::source::Source;
use place::Place;

/// Work with Flux: which encrypted files it decrypts, and the Secret with its key
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say which encrypted files Flux would not decrypt, and why: 0 none, 1 some, 2 trouble. No key is used; `kveil check --target flux`
    /// has the same among its findings
    Check(CheckArgs),
    /// Print the Secret that Flux takes its age identities from, for kubectl apply: `kveil flux secret < keys.txt`
    Secret(SecretArgs),
}

#[derive(ClapArgs)]
struct CheckArgs {
    /// The directory that a Kustomization of Flux names as its path
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The form of the output
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    format: String,
}

#[derive(ClapArgs)]
struct SecretArgs {
    /// The key file; standard input without it. An identity is never an argument: those can be seen by every user
    #[arg(value_name = "KEYFILE")]
    file: Option<PathBuf>,
    /// The Secret's name, as spec.decryption.secretRef says it
    #[arg(long, value_name = "NAME", default_value = "sops-age")]
    name: String,
    /// The namespace of the Kustomization
    #[arg(long, short, value_name = "NAMESPACE", default_value = "flux-system")]
    namespace: String,
}

/// Runs the part that is asked for.
///
/// # Errors
/// Those of the parts; `Found` (1) if a file isn't decrypted.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.action {
        Action::Check(args) => check(context, args),
        Action::Secret(args) => secret(args),
    }
}

fn check(context: &Context, args: &CheckArgs) -> Result<()> {
    let place = Place::of(context, &args.directory)?;
    let fates = flux::replay(&place, &place.entry, &place.encrypted());
    let told = if args.format == "json" { report::line(&report::one_line(&json(&fates))) } else { fates.iter().try_for_each(tell) };
    told?;
    let troubled = fates.iter().filter(|fate| fate.trouble.is_some()).count();
    if troubled == 0 { Ok(()) } else { Err(Error::new(Kind::Found, "Flux doesn't decrypt all")) }
}

fn tell(fate: &Fate) -> Result<()> {
    let file = fate.file.display();
    match &fate.trouble {
        Some(trouble) => {
            report::line(&format!("{file}: not decrypted ({}): {}", fate.step, trouble.text))?;
            report::line(&format!("  → {}", trouble.way_out))
        }
        None if fate.step == NOWHERE => report::line(&format!("{file}: not read: nothing refers to it")),
        None => report::line(&format!("{file}: decrypted ({})", fate.step)),
    }
}

fn json(fates: &[Fate]) -> serde_json::Value {
    let row = |fate: &Fate| {
        let read = fate.step != NOWHERE;
        serde_json::json!({
            "file": fate.file.display().to_string(),
            "step": read.then_some(&fate.step),
            "decrypted": read && fate.trouble.is_none(),
            "trouble": fate.trouble.as_ref().map(|trouble| &trouble.text),
            "hint": fate.trouble.as_ref().map(|trouble| trouble.way_out),
        })
    };
    serde_json::json!({ "files": fates.iter().map(row).collect::<Vec<_>>() })
}

fn secret(args: &SecretArgs) -> Result<()> {
    if !identity::is_name(&args.name) || !identity::is_label(&args.namespace, 63) {
        let error = Error::new(Kind::Generic, format!("{}/{} is no name of a Secret", args.namespace, args.name));
        return Err(error.hint("names are lower-case letters, digits and dashes, that of the Secret with dots between"));
    }
    let source = Source::of(args.file.clone().unwrap_or_else(|| "-".into()));
    if source == Source::Stdin && std::io::stdin().is_terminal() {
        let error = Error::new(Kind::Generic, "no key file was given, and nothing comes on standard input");
        return Err(error.hint("kveil flux secret keys.txt | kubectl apply -f -"));
    }
    let keys = source.read().map_err(|error| error.in_file(&source.name()))?;
    let is_identity = |line: &str| line.starts_with("AGE-SECRET-KEY-") || line.starts_with("AGE-PLUGIN-");
    let mut lines = keys.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).peekable();
    if lines.peek().is_none() || !lines.all(is_identity) {
        let error = Error::new(Kind::Generic, "expected age identities, one a line (AGE-SECRET-KEY-1…)").in_file(&source.name());
        return Err(error.hint("kveil keygen makes one; the recipient, age1…, is no key"));
    }
    report::data(flux::key_secret(&args.name, &args.namespace, &keys).as_bytes())
}
