//! `kveil decrypt`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::encrypt::is_directory;
use super::flags::{Common, DecryptionOrder, Types};
use super::{files, report, settings};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::pipeline;
use crate::placeholders;
use crate::recipient::Identities;
use crate::seal::decrypt::Opened;
use crate::source::{self, Source};

/// Decrypt files: the author's bytes come back
///
/// Identities come from SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, SOPS_AGE_KEY_CMD, the default key file, ssh keys
/// (SOPS_AGE_SSH_PRIVATE_KEY_FILE, SOPS_AGE_SSH_PRIVATE_KEY_CMD, ~/.ssh), and gpg's keyring.
#[derive(ClapArgs)]
pub struct Args {
    /// Files; none or `-` is standard input
    files: Vec<String>,
    /// Replace the files by clear text
    #[arg(long, short)]
    in_place: bool,
    /// Write to this file or, for several, into this directory
    #[arg(long, short, value_name = "PATH")]
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
    /// Print a summary for machines
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    report: Option<String>,
    #[command(flatten)]
    common: Common,
}

struct Done {
    name: String,
    format: &'static dyn Format,
    text: Zeroizing<String>,
    notes: Vec<String>,
}

/// Decrypts.
///
/// # Errors
/// See [`pipeline::decrypt`]; exit codes as in sops.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    let inputs = files::inputs(&args.files)?;
    refuse_flags(args, &inputs)?;
    if let Some(output) = args.output.as_deref().filter(|output| output.ends_with('/')) {
        source::make_directory(Path::new(output))?;
    }
    let identities = Identities::new(context.environment.clone());
    let writing = args.in_place || args.output.is_some();
    let results = files::each(context, inputs.len(), writing, |at| one(context, args, &identities, &inputs[at]));
    for warning in identities.take_warnings() {
        report::warning(context, &warning);
    }
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for result in results {
        match result {
            Ok(file) => done.push(file),
            Err(error) => errors.push(error),
        }
    }
    done.iter().for_each(|file| file.notes.iter().for_each(|note| report::warning(context, note)));
    if !writing {
        report::data(joined(args, &done)?.as_bytes())?;
    }
    if args.report.is_some() {
        summary(writing, &done, &errors)?;
    }
    files::settle(context, errors, inputs.len())
}

fn refuse_flags(args: &Args, inputs: &[Source]) -> Result<()> {
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
    if args.in_place && inputs.contains(&Source::Stdin) {
        return refuse("standard input can't be changed in place", "leave out -i");
    }
    if inputs.len() > 1 && args.output.as_deref().is_some_and(|output| !is_directory(output)) {
        return refuse("several files can't share one output", "give --output DIR/, or none for standard output");
    }
    Ok(())
}

fn one(context: &Context, args: &Args, identities: &Identities, input: &Source) -> Result<Done> {
    let name = args.types.filename_override.clone().unwrap_or_else(|| input.name());
    if let (Source::File(path), true) = (input, args.in_place) {
        source::refuse_irregular(path)?;
    }
    let located = |error: Error| error.in_file(&name);
    let text = input.read().map_err(located)?;
    files::refuse_nothing(input, &text)?;
    // A missing file comes before a wrong order, as in sops.
    let order = args.order.kinds()?;
    let format = args.types.input(&name, &text).map_err(located)?;
    let to = args.types.output(format).map_err(located)?;
    let indent = indent(context, args, to)?;
    let opened = opened(args, &text, format, identities, &order).map_err(located)?;
    let plain = shown(args, opened.text, format, to, indent).map_err(located)?;
    write(context, args, input, &plain).map_err(located)?;
    let notes = opened.notes.into_iter().map(|note| format!("{name}: {note}")).collect();
    Ok(Done { name, format: to, text: plain, notes })
}

fn opened(args: &Args, text: &str, format: &'static dyn Format, identities: &Identities, order: &[String]) -> Result<Opened> {
    match args.placeholders {
        true => Ok(Opened { text: placeholders::text(text, format)?, notes: Vec::new() }),
        false => pipeline::decrypt_text(text, format, identities, order, args.ignore_mac),
    }
}

/// A configuration with mistakes must not stop a deployment: it counts only for the layout of what is converted.
fn indent(context: &Context, args: &Args, format: &dyn Format) -> Result<Option<usize>> {
    if let Some(columns) = args.common.indent()? {
        return Ok(Some(columns));
    }
    if args.common.config.is_none() && args.types.output_type.is_none() && args.extract.is_none() {
        return Ok(None);
    }
    let Some(found) = settings::find(context, &args.common, None)? else { return Ok(None) };
    let stores = found.config.stores;
    Ok(if format.name() == "json" { stores.json_indent.and_then(|n| usize::try_from(n).ok()) } else { stores.yaml_indent })
}

fn shown(args: &Args, text: Zeroizing<String>, from: &dyn Format, to: &dyn Format, indent: Option<usize>) -> Result<Zeroizing<String>> {
    match args.extract.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => pipeline::extract(&text, from, path, to, indent),
        None if from.name() == to.name() => Ok(text),
        None => pipeline::convert(&text, from, to, indent),
    }
}

/// A new file with clear text is for its owner only; under the name `sops` it is made as any other, as sops does.
fn write(context: &Context, args: &Args, input: &Source, text: &str) -> Result<()> {
    match (input, args.output.as_deref()) {
        (Source::File(path), None) if args.in_place && args.write_through => source::write_through(path, text),
        (Source::File(path), None) if args.in_place => source::write(path, text, false),
        (_, Some(output)) => source::write(&output_path(output, input), text, !context.is_sops()),
        _ => Ok(()),
    }
}

fn output_path(output: &str, input: &Source) -> PathBuf {
    match Path::new(&input.name()).file_name() {
        Some(file) if is_directory(output) => Path::new(output).join(file),
        _ => PathBuf::from(output),
    }
}

/// Several files one after the other: YAML documents parted by `---` where one is needed.
fn joined(args: &Args, done: &[Done]) -> Result<Zeroizing<String>> {
    if let [only] = done {
        return Ok(only.text.clone());
    }
    let mut all = Zeroizing::new(String::with_capacity(done.iter().map(|file| file.text.len() + 5).sum()));
    for file in done {
        if file.format.name() != "yaml" || args.extract.is_some() {
            let error = Error::new(Kind::ConflictingFlags, "only whole YAML files can follow each other on standard output");
            return Err(error.hint("decrypt them one by one, or into --output DIR/"));
        }
        if !all.is_empty() {
            let open = !all.ends_with('\n');
            all.push_str(if open { "\n" } else { "" });
            all.push_str(if file.text.starts_with("---") || file.text.starts_with('%') { "" } else { "---\n" });
        }
        all.push_str(&file.text);
    }
    Ok(all)
}

fn summary(writing: bool, done: &[Done], errors: &[Error]) -> Result<()> {
    let good = done.iter().map(|file| serde_json::json!({"file": file.name, "status": "decrypted"}));
    let bad = errors.iter().map(
        |error| serde_json::json!({"file": error.file, "status": "failed", "error": error.to_string(), "code": error.kind.exit_code()}),
    );
    let text = serde_json::json!({"files": good.chain(bad).collect::<Vec<_>>()}).to_string();
    if writing { report::data(format!("{text}\n").as_bytes()) } else { report::machine(&text) }
}
