//! `kveil git setup`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::hooks;
use crate::cli::context::Context;
use crate::cli::flags::Types;
use crate::cli::{ask, report};
use crate::document::Document;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::hooks::Before;
use crate::git::setup::{self, Configuration, Encrypted, Scope};
use crate::lint::count;
use crate::pipeline;
use crate::recipient::kind_by_field;
use crate::sorting;
use crate::source::{self, Source};
use crate::tree::choice;

/// Have git compare and merge the encrypted files of this repository by their values
///
/// Writes a line for every encrypted file into .gitattributes, which you commit, and into this clone's own info/attributes;
/// and the drivers into git's configuration. Run it again whenever you like: it says what it changed. Every clone needs it
/// once; where kveil isn't installed, git goes on as before.
#[derive(ClapArgs)]
pub struct Args {
    /// Put the drivers into your own configuration, for all repositories
    #[arg(long)]
    global: bool,
    /// Change nothing; exit 1 if something is missing (with CI set: in .gitattributes)
    #[arg(long, conflicts_with = "undo")]
    check: bool,
    /// Take out what setup wrote
    #[arg(long)]
    undo: bool,
    /// Let textconv and merges ask key services, gpg and plugins for the data key
    #[arg(long, conflicts_with_all = ["check", "undo"])]
    network: bool,
    /// Put kveil into the hooks of this clone, too: what is staged is checked before a commit (`check`), or encrypted first
    /// (`encrypt`); after a merge what came in is looked at
    #[arg(long, value_name = "WHAT", num_args = 0..=1, default_missing_value = "check", value_parser = ["check", "encrypt"])]
    #[arg(conflicts_with = "global")]
    hooks: Option<String>,
}

impl Args {
    fn before(&self) -> Option<Before> {
        self.hooks.as_deref().map(|what| if what == "encrypt" { Before::Encrypt } else { Before::Check })
    }
}

/// Sets up.
///
/// # Errors
/// `Generic` (1): something is missing (`--check`), or there is no repository; `Unreadable` (2): git is in trouble.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    let repository = context.repository(&context.directory)?;
    let scope = if args.global { Scope::Global } else { Scope::Local };
    let folder = repository.as_ref().map_or_else(|| context.directory.clone(), |repository| repository.top.clone());
    let configuration = Configuration { environment: &context.environment, folder: &folder, scope };
    let Some(repository) = repository else {
        return match (args.global, args.undo, args.check) {
            (true, false, false) => say_written(context, &configuration),
            (true, true, _) => say_removed(context, &configuration),
            _ => {
                Err(Error::new(Kind::Generic, "there is no git repository here").hint("--global sets the drivers up for all repositories"))
            }
        };
    };
    if args.undo {
        let files = repository.write_attributes(&[])?;
        say(context, &repository, &files, "kveil's lines are out");
        hooks::remove(context, &repository, &configuration)?;
        return say_removed(context, &configuration);
    }
    let files = Files::of(&repository)?;
    if args.check {
        return check(context, args, &repository, &configuration, &files);
    }
    say_written(context, &configuration)?;
    let changed = repository.write_attributes(&files.lines)?;
    say(context, &repository, &changed, &count(files.encrypted, "encrypted file"));
    if changed.is_empty() {
        report::note(context, &format!("the attributes of {} are up to date", count(files.encrypted, "encrypted file")));
    }
    offer_network(context, args, &configuration, &files)?;
    args.before().map_or(Ok(()), |before| hooks::write(context, &repository, &configuration, before))
}

/// The encrypted files of a work tree.
struct Files {
    encrypted: usize,
    /// The attribute lines for them.
    lines: Vec<String>,
    /// How many of them no identity file opens.
    remote: usize,
}

impl Files {
    fn of(repository: &Repository) -> Result<Files> {
        let all = repository.files()?;
        let (mut encrypted, mut remote, mut absent) = (Vec::new(), 0, Vec::new());
        for path in &all {
            match encrypted_file(repository, path) {
                Some((file, needs)) => {
                    encrypted.push(file);
                    remote += usize::from(needs);
                }
                None if std::fs::symlink_metadata(repository.top.join(path)).is_err() => absent.push(path.clone()),
                None => {}
            }
        }
        repository.with_stored_ends(&mut encrypted)?;
        // Of a sparse checkout the rest is as it was for those who committed it.
        encrypted.extend(repository.named(&absent)?);
        sorting::by(&mut encrypted, |one, other| one.path.cmp(&other.path));
        Ok(Files { encrypted: encrypted.len(), lines: setup::lines(&encrypted, &all), remote })
    }
}

/// The file, if it is encrypted, and whether only a service or a program opens it.
fn encrypted_file(repository: &Repository, path: &PathBuf) -> Option<(Encrypted, bool)> {
    let place = repository.top.join(path);
    let regular = std::fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_file());
    if !regular || !source::holds(&place, b"ENC[AES256_GCM,").unwrap_or(false) {
        return None;
    }
    let text = Source::File(place).read().ok()?;
    let format = Types::default().input(&path.to_string_lossy(), &text).ok()?;
    let document = format.parse_encrypted(&text).ok().filter(choice::has_block)?;
    Some((Encrypted { path: path.clone(), cr: text.contains('\r') }, needs_network(&document)))
}

fn needs_network(document: &Document<'_>) -> bool {
    let Ok(metadata) = pipeline::metadata_of(document) else { return false };
    let local = |field: &str| field == "age" && kind_by_field(field).is_some_and(|kind| kind.is_local());
    metadata.groups.iter().any(|group| !group.entries.iter().any(|entry| local(entry.kind)))
}

/// How many files of a work tree are encrypted, and what is missing for git to compare and merge them.
///
/// # Errors
/// `Unreadable` (2): git is in trouble.
pub fn looked(context: &Context, repository: &Repository) -> Result<(usize, Vec<String>)> {
    let files = Files::of(repository)?;
    let configuration = Configuration { environment: &context.environment, folder: &repository.top, scope: Scope::Local };
    let lacking = if files.encrypted == 0 { Vec::new() } else { lacking(context, repository, &configuration, &files)? };
    Ok((files.encrypted, lacking))
}

fn lacking(context: &Context, repository: &Repository, configuration: &Configuration<'_>, files: &Files) -> Result<Vec<String>> {
    let mut lacking: Vec<String> = Vec::new();
    // In CI nobody merges: what counts there is what is committed.
    let ci = context.environment.var("CI").is_some_and(|value| !value.is_empty());
    for file in repository.lacking_attributes(&files.lines) {
        if !ci || file == repository.attribute_files()[0] {
            lacking.push(format!("{} lacks lines for encrypted files", shown(repository, &file)));
        }
    }
    if !ci {
        lacking.extend(configuration.lacking()?.iter().map(|key| format!("git config {key} isn't set")));
    }
    Ok(lacking)
}

fn check(context: &Context, args: &Args, repository: &Repository, configuration: &Configuration<'_>, files: &Files) -> Result<()> {
    let mut lacking = lacking(context, repository, configuration, files)?;
    if context.environment.var("CI").is_none_or(|value| value.is_empty()) {
        lacking.extend(args.before().map(|before| hooks::lacking(configuration, before)).transpose()?.unwrap_or_default());
    }
    if lacking.is_empty() {
        report::note(context, &format!("the drivers are set up for {}", count(files.encrypted, "encrypted file")));
        return Ok(());
    }
    let error = Error::new(Kind::Generic, "the git drivers aren't set up");
    Err(lacking.iter().fold(error, |error, line| error.hint(line)).hint("kveil git setup writes what is missing"))
}

fn say_written(context: &Context, configuration: &Configuration<'_>) -> Result<()> {
    let changed = configuration.write()?;
    match changed.is_empty() {
        true => report::note(context, "git's configuration is up to date"),
        false => report::note(context, &format!("git's configuration: {} set", changed.join(", "))),
    }
    Ok(())
}

fn say_removed(context: &Context, configuration: &Configuration<'_>) -> Result<()> {
    let removed = configuration.remove()?;
    match removed.is_empty() {
        true => report::note(context, "git's configuration had nothing of kveil"),
        false => report::note(context, &format!("git's configuration: {} taken out", removed.join(", "))),
    }
    Ok(())
}

fn say(context: &Context, repository: &Repository, files: &[PathBuf], what: &str) {
    for file in files {
        let rest = if file.starts_with(&repository.common) { "" } else { "; commit it" };
        report::note(context, &format!("{}: {what}{rest}", shown(repository, file)));
    }
}

pub(super) fn shown(repository: &Repository, file: &std::path::Path) -> String {
    file.strip_prefix(&repository.top).unwrap_or(file).display().to_string()
}

/// What git starts asks neither network nor programs, unless a person said so.
fn offer_network(context: &Context, args: &Args, configuration: &Configuration<'_>, files: &Files) -> Result<()> {
    const KEY: &str = "kveil.network";
    let set = || {
        configuration.set(KEY, "true")?;
        report::note(context, &format!("git's configuration: {KEY} set; git config {KEY} merge lets only merges ask"));
        Ok(())
    };
    if args.network {
        return set();
    }
    if files.remote == 0 {
        return Ok(());
    }
    let count = if files.remote == 1 { "1 file needs".to_owned() } else { format!("{} files need", files.remote) };
    let why = format!("{count} a key service, gpg or a plugin to be opened, and git's drivers ask none by themselves");
    if ask::possible(context) && ask::yes(&format!("{why}. Shall they?")) {
        return set();
    }
    report::note(context, &format!("{why}: git config {KEY} true lets them"));
    Ok(())
}
