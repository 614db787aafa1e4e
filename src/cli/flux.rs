//! `kveil flux`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use zeroize::Zeroizing;

use super::context::Context;
use super::report;
use crate::deploy::flux::{self, Fate, NOWHERE, Tree};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::source::{self, Source};
use crate::tree;

/// Work with Flux: which encrypted files it decrypts, and the Secret with its key
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Say which encrypted files Flux would not decrypt, and why: 0 none, 1 some, 2 trouble. No key is used
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

/// The files below the root of the source.
struct Files {
    root: PathBuf,
    all: Vec<PathBuf>,
}

impl Tree for Files {
    fn read(&self, path: &Path) -> Option<Zeroizing<String>> {
        let real = std::fs::canonicalize(self.root.join(path)).ok().filter(|real| real.starts_with(&self.root))?;
        Source::File(real).read().ok()
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.root.join(path).is_dir()
    }

    fn manifests(&self, folder: &Path) -> Vec<PathBuf> {
        let is_yaml = |path: &&PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        self.all.iter().filter(is_yaml).filter(|path| path.starts_with(folder) && !hidden(path)).cloned().collect()
    }
}

fn check(context: &Context, args: &CheckArgs) -> Result<()> {
    let missing = |why: std::io::Error| {
        Error::new(Kind::Unreadable, format!("can't be entered: {why}")).in_file(&args.directory.display().to_string())
    };
    let entry = std::fs::canonicalize(context.directory.join(&args.directory)).map_err(missing)?;
    let repository = Repository::at(&context.environment, &context.directory, &entry)?;
    // Without git the current directory stands for the source's root, if it holds what is asked about.
    let here = std::fs::canonicalize(&context.directory).ok().filter(|here| entry.starts_with(here));
    let root = repository.as_ref().map(|repository| repository.top.clone()).or(here).unwrap_or_else(|| entry.clone());
    let found = tree::walk(&root, repository.as_ref())?;
    if let Some(error) = found.errors.into_iter().next() {
        return Err(error);
    }
    let inside = |path: PathBuf| path.strip_prefix(&root).map(Path::to_owned).unwrap_or(path);
    let all: Vec<PathBuf> = found.files.into_iter().map(inside).collect();
    let inner = entry.strip_prefix(&root).unwrap_or(Path::new("")).to_owned();
    let encrypted = all.iter().filter(|path| path.starts_with(&inner));
    let encrypted =
        encrypted.filter(|path| source::holds(&root.join(path), b"ENC[AES256_GCM,").unwrap_or(false)).cloned().collect::<Vec<_>>();
    let fates = flux::replay(&Files { root, all }, &inner, &encrypted);
    let told = if args.format == "json" { report::line(&report::one_line(&json(&fates))) } else { fates.iter().try_for_each(tell) };
    told?;
    let troubled = fates.iter().filter(|fate| fate.trouble.is_some()).count();
    if troubled == 0 { Ok(()) } else { Err(Error::new(Kind::Found, "Flux doesn't decrypt all")) }
}

fn tell(fate: &Fate) -> Result<()> {
    let file = fate.file.display();
    match (&fate.trouble, fate.way_out) {
        (Some(trouble), way_out) => {
            report::line(&format!("{file}: not decrypted ({}): {trouble}", fate.step))?;
            way_out.map_or(Ok(()), |way| report::line(&format!("  → {way}")))
        }
        (None, _) if fate.step == NOWHERE => report::line(&format!("{file}: not read: nothing refers to it")),
        (None, _) => report::line(&format!("{file}: decrypted ({})", fate.step)),
    }
}

fn json(fates: &[Fate]) -> serde_json::Value {
    let row = |fate: &Fate| {
        let read = fate.step != NOWHERE;
        serde_json::json!({
            "file": fate.file.display().to_string(),
            "step": read.then_some(&fate.step),
            "decrypted": read && fate.trouble.is_none(),
            "trouble": fate.trouble,
            "hint": fate.way_out,
        })
    };
    serde_json::json!({ "files": fates.iter().map(row).collect::<Vec<_>>() })
}

fn secret(args: &SecretArgs) -> Result<()> {
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
