//! `kveil encrypt`.

use std::path::{Path, PathBuf};

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, Recipients, Selectors, Types};
use super::settings::{self, Asked, Decision, Found};
use super::{files, report};
use crate::document::Format;
use crate::error::{Error, Kind, Result};
use crate::pipeline;
use crate::recipient::Identities;
use crate::seal::encrypt::Sealed;
use crate::source::{self, Source};

/// Encrypt files: only the values that the rule selects, every other byte stays
///
/// Recipients come from flags, else from the rule of the nearest `.sops.yaml`. Without a rule about values, a Secret has
/// its `data` and `stringData` encrypted. The result is decrypted in memory and compared before anything is written.
#[derive(ClapArgs)]
pub struct Args {
    /// Files; none or `-` is standard input
    files: Vec<String>,
    /// Replace the files
    #[arg(long, short)]
    in_place: bool,
    /// Write to this file or, for several, into this directory
    #[arg(long, short, value_name = "PATH")]
    output: Option<String>,
    /// With -i: write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long, requires = "in_place")]
    write_through: bool,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    recipients: Recipients,
    #[command(flatten)]
    selectors: Selectors,
    /// Let the MAC cover encrypted values only: others can then be changed by anyone
    #[arg(long)]
    mac_only_encrypted: bool,
    /// Write no layout record: quotes and folds that ENC scalars can't carry become canonical
    #[arg(long)]
    no_layout: bool,
    /// Print a summary for machines
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    report: Option<String>,
    #[command(flatten)]
    common: Common,
}

/// What became of one file.
struct Done {
    name: String,
    text: Zeroizing<String>,
    values: usize,
    comments: usize,
    /// Lines for stderr, in order.
    notes: Vec<String>,
    warnings: Vec<String>,
}

/// Encrypts.
///
/// # Errors
/// See [`pipeline::encrypt`]; exit codes as in sops.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check_wrapping()?;
    let inputs = files::inputs(&args.files)?;
    refuse_flags(args, &inputs)?;
    if let Some(output) = args.output.as_deref().filter(|output| output.ends_with('/')) {
        source::make_directory(Path::new(output))?;
    }
    let identities = Identities::new(context.environment.clone());
    let writing = args.in_place || args.output.is_some();
    let results = files::each(context, inputs.len(), writing, |at| one(context, args, &identities, &inputs[at]));
    let mut errors = Vec::new();
    let mut done = Vec::new();
    for result in results {
        match result {
            Ok(file) => done.push(file),
            Err(error) => errors.push(error),
        }
    }
    for file in &done {
        tell(context, args, file)?;
    }
    if args.report.is_some() {
        summary(args, &done, &errors)?;
    }
    files::settle(context, errors, inputs.len())
}

fn refuse_flags(args: &Args, inputs: &[Source]) -> Result<()> {
    let refuse = |message: &str, hint: &str| Err(Error::new(Kind::ConflictingFlags, message).hint(hint));
    let stdin = inputs.contains(&Source::Stdin);
    if args.in_place && args.output.is_some() {
        return refuse("--in-place and --output exclude each other", "give one of them");
    }
    if stdin && args.in_place {
        return refuse("standard input can't be changed in place", "leave out -i");
    }
    if stdin && args.types.filename_override.is_none() {
        return refuse("standard input has no name to find its rule and format by", "give --filename-override NAME");
    }
    if inputs.len() > 1 && !args.in_place && !args.output.as_deref().is_some_and(is_directory) {
        return refuse("several files can't share one output", "give -i, or --output DIR/");
    }
    Ok(())
}

/// Whether `--output` names a directory: it is one, or says so by its last slash.
pub fn is_directory(output: &str) -> bool {
    output.ends_with(['/', std::path::MAIN_SEPARATOR]) || Path::new(output).is_dir()
}

fn one(context: &Context, args: &Args, identities: &Identities, input: &Source) -> Result<Done> {
    let name = args.types.filename_override.clone().unwrap_or_else(|| input.name());
    if let (Source::File(path), true) = (input, args.in_place) {
        source::refuse_irregular(path)?;
    }
    let located = |error: Error| error.in_file(&name);
    let text = input.read().map_err(located)?;
    let located = |error: Error| files::of_stream(error, input).in_file(&name);
    let format = args.types.input(&name, &text).map_err(located)?;
    let output_format = args.types.output(format).map_err(located)?;
    let text = if same(format, output_format) { text } else { converted(args, &text, format, output_format).map_err(located)? };
    output_format.refuse_plain(&text).map_err(located)?;
    let document = output_format.parse(&text).map_err(located)?;
    let target = context.absolute(&name);
    let found = settings::find(context, &args.common, Some(&target))?;
    let (decision, sealed) = sealed(context, args, identities, found.as_ref(), &target, &document).map_err(located)?;
    write(args, input, &sealed.text).map_err(located)?;
    Ok(describe(name, decision, sealed))
}

fn same(a: &dyn Format, b: &dyn Format) -> bool {
    a.name() == b.name()
}

fn converted(args: &Args, text: &str, from: &dyn Format, to: &dyn Format) -> Result<Zeroizing<String>> {
    pipeline::convert(text, from, to, args.common.indent()?)
}

fn sealed(
    context: &Context,
    args: &Args,
    identities: &Identities,
    found: Option<&Found>,
    target: &Path,
    document: &crate::document::Document<'_>,
) -> Result<(Decision, Sealed)> {
    let asked = Asked {
        common: &args.common,
        recipients: &args.recipients,
        selectors: &args.selectors,
        mac_only_encrypted: args.mac_only_encrypted,
        layout: !args.no_layout,
    };
    let decision = settings::decide(context, &asked, found, target, document)?;
    let sealed = pipeline::encrypt(document, &decision.plan, identities)?;
    Ok((decision, sealed))
}

fn write(args: &Args, input: &Source, text: &str) -> Result<()> {
    match (input, args.output.as_deref()) {
        (Source::File(path), None) if args.in_place && args.write_through => source::write_through(path, text),
        (Source::File(path), None) if args.in_place => source::write(path, text, false),
        (_, Some(output)) => source::write(&output_path(output, input, args), text, false),
        _ => Ok(()),
    }
}

fn output_path(output: &str, input: &Source, args: &Args) -> PathBuf {
    let name = args.types.filename_override.clone().unwrap_or_else(|| input.name());
    match Path::new(&name).file_name() {
        Some(file) if is_directory(output) => Path::new(output).join(file),
        _ => PathBuf::from(output),
    }
}

fn describe(name: String, decision: Decision, sealed: Sealed) -> Done {
    let rule = decision.rule.as_ref().map_or(String::new(), |(file, line)| format!(", rule {file}:{line}"));
    let (kind, text) = decision.plan.selection.parts();
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let comments = if sealed.comments > 0 { format!(" and {}", counted(sealed.comments, "comment")) } else { String::new() };
    let notes = vec![
        format!("{name}: encrypted {}{comments} ({}: {text}, {})", counted(sealed.encrypted, "value"), kind.name(), decision.because),
        format!("  for {}{rule}", settings::people(&decision.plan.groups, &decision.names)),
    ];
    let mut warnings: Vec<String> = sealed
        .lossy
        .iter()
        .map(|key| format!("{name}: {key} is an integer of more than 64 bits, other readers of SOPS files lose its last digits: quote it"))
        .collect();
    warnings.extend(
        settings::shared(&decision.plan.groups)
            .into_iter()
            .map(|who| format!("{name}: {who} stands in more than one key group: one identity opens them all")),
    );
    if sealed.encrypted == 0 {
        warnings.push(format!(
            "{name}: {}: {text} ({}) selects no value: the file has a sops block now, but everything in it can be read",
            kind.name(),
            decision.because
        ));
    }
    Done { name, text: sealed.text, values: sealed.encrypted, comments: sealed.comments, notes, warnings }
}

fn tell(context: &Context, args: &Args, file: &Done) -> Result<()> {
    file.warnings.iter().for_each(|line| report::warning(context, line));
    if !context.is_sops() || args.common.verbose {
        file.notes.iter().for_each(|line| report::note(context, line));
    }
    if args.in_place || args.output.is_some() { Ok(()) } else { report::data(file.text.as_bytes()) }
}

/// `{"files":[{"file","status","values","comments"}|{"file","status","error"}]}`, stable.
fn summary(args: &Args, done: &[Done], errors: &[Error]) -> Result<()> {
    let good = done
        .iter()
        .map(|file| serde_json::json!({"file": file.name, "status": "encrypted", "values": file.values, "comments": file.comments}));
    let bad = errors.iter().map(
        |error| serde_json::json!({"file": error.file, "status": "failed", "error": error.to_string(), "code": error.kind.exit_code()}),
    );
    let text = serde_json::json!({"files": good.chain(bad).collect::<Vec<_>>()}).to_string();
    if args.in_place || args.output.is_some() { report::data(format!("{text}\n").as_bytes()) } else { report::machine(&text) }
}
