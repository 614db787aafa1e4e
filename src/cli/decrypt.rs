//! `kveil decrypt`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;
use zeroize::Zeroizing;

use super::context::Context;
use super::encrypt::{is_directory, output_path};
use super::files::{self, Outcome, Ran};
use super::flags::{Common, DecryptionOrder, Types};
use super::paths::{Handling, Mode, Paths, Target, Targets};
use super::settings::Configs;
use super::{identities, left, report};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::pipeline::{self, Wanted};
use crate::placeholders;
use crate::recipient::Identities;
use crate::seal::decrypt::Opened;
use crate::source::{self, Source};

/// Decrypt files: the author's bytes come back
///
/// Of a directory, a glob or what git chooses, the encrypted files count, known by what they hold.
///
/// Identities come from SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, the default key file, ssh keys
/// (SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, ~/.ssh), and gpg's keyring.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    handling: Handling,
    /// Replace the files by clear text
    #[arg(long, short)]
    in_place: bool,
    /// Write to this file or, for several, into this directory
    #[arg(long, short, value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    output: Option<String>,
    /// With -i: write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long, requires = "in_place")]
    write_through: bool,
    /// Print one part: an index path such as ["data"]["password"]
    #[arg(long, value_name = "PATH")]
    extract: Option<String>,
    /// Don't compare the MAC: shows what can still be read of a damaged file
    #[arg(long)]
    ignore_mac: bool,
    /// Dummies of the right type and shape in place of the values, for schema tools; needs no key
    #[arg(long)]
    placeholders: bool,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    order: DecryptionOrder,
    #[arg(long, hide = true)]
    mac_only_encrypted: bool,
    #[command(flatten)]
    common: Common,
}

struct Done {
    name: String,
    /// The file that is in clear now.
    cleared: Option<PathBuf>,
    format: &'static dyn Format,
    /// For standard output; what was written already isn't held.
    text: Option<Zeroizing<String>>,
    notes: Vec<String>,
}

/// Decrypts.
///
/// # Errors
/// See [`pipeline::decrypt`]; exit codes as in sops.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let targets = args.paths.resolve(context, Mode::Encrypted)?;
    refuse_flags(context, args, &targets)?;
    if let Some(output) = args.output.as_deref().filter(|output| output.ends_with('/') && !args.handling.dry_run) {
        source::make_directory(Path::new(output))?;
    }
    if args.in_place && !args.handling.dry_run {
        left::expect(context, &targets.files);
    }
    let identities = identities::of(context, &args.common);
    let ran = files::work(context, targets, |target| one(context, args, &identities, target));
    identities::tell(context, &args.common, &identities);
    left::note(context, &ran.done.iter().filter_map(|file| file.cleared.clone()).collect::<Vec<_>>());
    tell(context, args, &ran)?;
    ran.settle(context, args.common.verbose, if args.handling.dry_run { "would be decrypted" } else { "decrypted" })
}

impl Args {
    /// Whether files are written, rather than standard output.
    fn writes(&self) -> bool {
        self.in_place || self.output.is_some()
    }
}

fn refuse_flags(context: &Context, args: &Args, targets: &Targets) -> Result<()> {
    let refuse = |message: &str, hint: &str| Err(Error::new(Kind::ConflictingFlags, message).hint(hint));
    if args.in_place && args.output.is_some() {
        return refuse("--in-place and --output exclude each other", "give one of them");
    }
    if args.in_place && args.extract.is_some() {
        return refuse("--in-place with --extract would replace the file by the part", "leave out -i");
    }
    if args.in_place && args.placeholders {
        return refuse("--in-place with --placeholders would replace the values by dummies", "leave out -i, or give --output");
    }
    if args.in_place && targets.hold_stdin() {
        return refuse("standard input can't be changed in place", "leave out -i");
    }
    targets.refuse_output(context, args.output.as_deref(), None)?;
    match args.output.as_deref().filter(|_| targets.are_several()) {
        Some(output) if !is_directory(output) => {
            refuse("several files can't share one output", "give --output DIR/, or none for standard output")
        }
        Some(output) => targets.refuse_same_output(output),
        None => Ok(()),
    }
}

fn one(context: &Context, args: &Args, identities: &Identities, target: &Target) -> Result<Outcome<Done>> {
    let name = args.types.filename_override.clone().unwrap_or_else(|| target.name());
    if let (Source::File(path), true) = (&target.source, args.in_place) {
        source::refuse_irregular(path, source::NOT_IN_PLACE)?;
    }
    let located = |error: Error| error.in_file(&name);
    let text = target.source.read_encrypted().map_err(located)?;
    files::refuse_nothing(&target.source, &text)?;
    // A missing file comes before a wrong order, as in sops.
    let order = args.order.kinds()?;
    let format = args.types.input(&name, &text).map_err(located)?;
    let to = args.types.output_of(&name, format, false);
    let indent = indent(context, args, to)?;
    let part = args.extract.as_deref().filter(|path| !path.is_empty());
    let wanted = Wanted { part, format: to, indent, counts_comments: context.is_sops() };
    let opened = opened(args, &text, format, identities, &order, wanted).map_err(located)?;
    if !args.handling.dry_run {
        write(context, args, target, &to.plain_bytes(&opened.text)).map_err(located)?;
    }
    let notes = opened.notes.into_iter().map(|note| format!("{name}: {note}")).collect();
    let text = Some(opened.text).filter(|_| !args.writes() && !args.handling.dry_run);
    let cleared = match &target.source {
        Source::File(path) if args.in_place && !args.handling.dry_run => Some(path.clone()),
        _ => None,
    };
    Ok(Outcome::Done(Done { name, cleared, format: to, text, notes }))
}

fn opened(
    args: &Args,
    text: &str,
    format: &'static dyn Format,
    identities: &Identities,
    order: &[String],
    wanted: Wanted<'_>,
) -> Result<Opened> {
    if !args.placeholders {
        return pipeline::decrypt_as(text, format, identities, order, args.ignore_mac, wanted);
    }
    let plain = placeholders::text(text, format)?;
    Ok(Opened { text: pipeline::shown_as(plain, format, wanted)?, notes: Vec::new() })
}

/// A configuration with mistakes must not stop a deployment: it counts only for the layout of what is converted.
fn indent(context: &Context, args: &Args, format: &dyn Format) -> Result<Option<usize>> {
    if args.common.config.is_none() && args.types.output_type.is_none() && args.extract.is_none() {
        return args.common.indent(format);
    }
    Configs::new(context, &args.common).indent(None, format)
}

/// A new file with clear text is for its owner only; under the name `sops` it is made as any other, as sops does.
fn write(context: &Context, args: &Args, target: &Target, text: &[u8]) -> Result<()> {
    match (&target.source, args.output.as_deref()) {
        (Source::File(path), None) if args.in_place && args.write_through => source::write_through(path, text),
        (Source::File(path), None) if args.in_place => source::write(path, text, false),
        (_, Some(output)) => {
            let path = output_path(output, target, None);
            path.parent().filter(|_| !target.named).map_or(Ok(()), source::make_directory)?;
            source::write(&path, text, !context.is_sops())
        }
        _ => Ok(()),
    }
}

/// Several files one after the other: YAML documents parted by `---` where one is needed.
fn joined(args: &Args, done: &[Done]) -> Result<Zeroizing<Vec<u8>>> {
    let texts = || done.iter().filter_map(|file| Some((file.format, file.text.as_ref()?)));
    if let [only] = done {
        let text = only.text.as_ref().map(|text| only.format.plain_bytes(text).into_owned());
        return Ok(Zeroizing::new(text.unwrap_or_default()));
    }
    let mut all = Zeroizing::new(String::with_capacity(texts().map(|(_, text)| text.len() + 5).sum()));
    for (format, text) in texts() {
        if format.name() != "yaml" || args.extract.is_some() {
            let error = Error::new(Kind::ConflictingFlags, "only whole YAML files can follow each other on standard output");
            return Err(error.hint("decrypt them one by one, or into --output DIR/"));
        }
        if !all.is_empty() {
            let open = !all.ends_with('\n');
            all.push_str(if open { "\n" } else { "" });
            all.push_str(if text.starts_with("---") || text.starts_with('%') { "" } else { "---\n" });
        }
        all.push_str(text);
    }
    Ok(Zeroizing::new(all.as_bytes().to_vec()))
}

/// Data, warnings and the summary for machines. What a dry run foresees is what it was asked for, so it goes to stdout.
fn tell(context: &Context, args: &Args, ran: &Ran<Done>) -> Result<()> {
    let (dry, machine) = (args.handling.dry_run, args.handling.report.is_some());
    ran.done.iter().for_each(|file| file.notes.iter().for_each(|note| report::warning(context, note)));
    if dry && !machine {
        ran.done.iter().try_for_each(|file| report::line(&format!("{}: would be decrypted", file.name)))?;
    } else if !dry && !args.writes() {
        report::data(&joined(args, &ran.done)?)?;
    }
    if !machine {
        return Ok(());
    }
    let status = if dry { "would-decrypt" } else { "decrypted" };
    ran.report(dry || args.writes(), |file| serde_json::json!({"file": file.name, "status": status}))
}
