//! `kveil recipients`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use zeroize::Zeroizing;

use super::context::Context;
use super::flags::{Common, DecryptionOrder, Types};
use super::settings::{self, Found};
use super::{clock, files, report, rewrite};
use crate::config::{self, Config};
use crate::datakey::{rewrap, unwrap};
use crate::document::Document;
use crate::error::{Error, Kind, Result, printable};
use crate::metadata::Metadata;
use crate::pipeline::{self, next};
use crate::recipient::{self, Identities, RecipientSpec};
use crate::source::{self, Source};

/// Who can open what: list, add and remove recipients of files
///
/// Adding wraps the data key for one more; removing makes a new data key, and lists the values that the one who goes could
/// read so far. Both change the rules of the files' `.sops.yaml` as well.
#[derive(ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show which recipient can open which file; no key is needed
    List {
        #[command(flatten)]
        files: Box<Files>,
        /// Form of the list
        #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json", "csv"])]
        format: String,
    },
    /// Let a recipient open files
    Add {
        /// The recipient, or its name in `names:` of the configuration
        recipient: String,
        #[command(flatten)]
        files: Box<Files>,
        /// Leave the rules of .sops.yaml as they are
        #[arg(long)]
        no_config: bool,
    },
    /// Shut a recipient out: new data keys for the files it could open
    Remove {
        /// The recipient, or its name in `names:` of the configuration
        recipient: String,
        #[command(flatten)]
        files: Box<Files>,
        /// Leave the rules of .sops.yaml as they are
        #[arg(long)]
        no_config: bool,
    },
}

/// The files, and how they are opened.
#[derive(ClapArgs)]
struct Files {
    /// Encrypted files
    #[arg(value_name = "FILES")]
    files: Vec<String>,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Lists or changes recipients.
///
/// # Errors
/// Those of opening and writing; several files: their common code, else 1.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    match &args.action {
        Action::List { files, format } => list(context, files, format),
        Action::Add { recipient, files, no_config } => change(context, files, recipient, *no_config, &Change::Add),
        Action::Remove { recipient, files, no_config } => change(context, files, recipient, *no_config, &Change::Remove),
    }
}

/// An encrypted file and who can open it.
struct Listed {
    name: String,
    groups: Vec<Vec<RecipientSpec>>,
    threshold: Option<usize>,
}

fn list(context: &Context, files: &Files, format: &str) -> Result<()> {
    files.common.check()?;
    let inputs = rewrite::inputs(&files.files)?;
    let results = files::each(context, inputs.len(), false, |at| listed(files, &inputs[at]));
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(row) => rows.push(row),
            Err(error) => errors.push(error),
        }
    }
    let names = names(context, files, &inputs);
    let text = match format {
        "json" => json(&rows, &names),
        "csv" => csv(&rows, &names),
        _ => matrix(&rows, &names),
    };
    report::data(text.as_bytes())?;
    files::settle(context, errors, inputs.len())
}

fn listed(files: &Files, input: &Source) -> Result<Listed> {
    let name = input.name();
    let located = |error: Error| error.in_file(&name);
    let text = rewrite::read(input, Kind::Unreadable).map_err(located)?;
    let format = files.types.input(&name, &text).map_err(located)?;
    let document = format.parse(&text).map_err(pipeline::as_generic).map_err(located)?;
    let metadata = pipeline::metadata_of(&document).map_err(located)?;
    Ok(Listed { groups: rewrap::recipients(&metadata), threshold: metadata.threshold, name: name.clone() })
}

/// The labels of all configurations that the files lead to.
fn names(context: &Context, files: &Files, inputs: &[Source]) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    for folder in folders(context, inputs) {
        let found = settings::find_leniently(context, &files.common, &folder.join("file"));
        for label in found.map(|found| found.config.names).unwrap_or_default() {
            if !names.iter().any(|(known, _)| *known == label.0) {
                names.push(label);
            }
        }
    }
    names
}

/// The folders of the inputs, each once.
fn folders(context: &Context, inputs: &[Source]) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = inputs.iter().filter_map(|input| context.absolute(&input.name()).parent().map(PathBuf::from)).collect();
    folders.sort();
    folders.dedup();
    folders
}

/// All recipients, each once, in the order in which they come.
fn everyone(rows: &[Listed]) -> Vec<&RecipientSpec> {
    let mut all: Vec<&RecipientSpec> = Vec::new();
    for spec in rows.iter().flat_map(|row| row.groups.iter().flatten()) {
        if !all.iter().any(|known| rewrap::same(known, spec)) {
            all.push(spec);
        }
    }
    all
}

fn label<'n>(spec: &RecipientSpec, names: &'n [(String, String)]) -> &'n str {
    names.iter().find(|(recipient, _)| *recipient == spec.text).map_or("", |(_, label)| label)
}

fn opens(row: &Listed, spec: &RecipientSpec) -> bool {
    row.groups.iter().flatten().any(|known| rewrap::same(known, spec))
}

/// The recipients by number, and a row a file.
fn matrix(rows: &[Listed], names: &[(String, String)]) -> String {
    use std::fmt::Write as _;
    let all = everyone(rows);
    let width = all.iter().map(|spec| label(spec, names).chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (at, spec) in all.iter().enumerate() {
        let short = recipient::kind_by_field(spec.kind).map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text));
        let name = printable(label(spec, names)).to_string();
        let gap = if width > 0 { "  " } else { "" };
        let _ = writeln!(out, "{:>3}  {name:<width$}{gap}{}  {}", at + 1, spec.kind, printable(&short));
    }
    let numbers: String = (1..=all.len()).map(|number| format!(" {number:>2}")).collect();
    let _ = writeln!(out, "\n{numbers}");
    for row in rows {
        let marks: String = all.iter().map(|spec| if opens(row, spec) { "  x" } else { "  ." }).collect();
        let groups = match (row.groups.len(), row.threshold) {
            (2.., Some(threshold)) => format!("  ({threshold} of {} key groups)", row.groups.len()),
            (2.., None) => format!("  (all {} key groups)", row.groups.len()),
            _ => String::new(),
        };
        let _ = writeln!(out, "{marks}  {}{groups}", printable(&row.name));
    }
    out
}

/// `{"recipients":[{"kind","recipient","name"}],"files":[{"file","threshold","groups":[[recipient]]}]}`, stable.
fn json(rows: &[Listed], names: &[(String, String)]) -> String {
    let recipients: Vec<_> = everyone(rows)
        .into_iter()
        .map(|spec| serde_json::json!({"kind": spec.kind, "recipient": spec.text, "name": label(spec, names)}))
        .collect();
    let files: Vec<_> = rows
        .iter()
        .map(|row| {
            let groups: Vec<Vec<&str>> = row.groups.iter().map(|group| group.iter().map(|spec| spec.text.as_str()).collect()).collect();
            serde_json::json!({"file": row.name, "threshold": row.threshold, "groups": groups})
        })
        .collect();
    format!("{}\n", serde_json::json!({"recipients": recipients, "files": files}))
}

/// A line for every recipient of every file: file, kind, recipient, name, key group from 0.
fn csv(rows: &[Listed], names: &[(String, String)]) -> String {
    let quoted = |field: &str| format!("\"{}\"", printable(field).replace('"', "\"\""));
    let mut out = "file,kind,recipient,name,group\n".to_owned();
    for row in rows {
        for (at, spec) in row.groups.iter().enumerate().flat_map(|(at, group)| group.iter().map(move |spec| (at, spec))) {
            let fields = [quoted(&row.name), spec.kind.to_owned(), quoted(&spec.text), quoted(label(spec, names)), at.to_string()];
            out.push_str(&fields.join(","));
            out.push('\n');
        }
    }
    out
}

enum Change {
    Add,
    Remove,
}

/// What became of one file.
enum Outcome {
    AsItWas,
    Added,
    /// The values that the recipient could read so far: key paths.
    Removed(Vec<String>),
}

fn change(context: &Context, files: &Files, recipient: &str, no_config: bool, change: &Change) -> Result<()> {
    files.common.check()?;
    let inputs = rewrite::inputs(&files.files)?;
    let names = names(context, files, &inputs);
    let text = names.iter().find(|(_, name)| name == recipient).map_or(recipient, |(text, _)| text);
    let spec = recipient::read(text)?;
    // What can't be done to the rules is said before any file is touched.
    let configs = if no_config { Vec::new() } else { changed_configs(context, files, &inputs, &spec, change)? };
    let identities = Identities::new(context.environment.clone());
    let results = files::each(context, inputs.len(), true, |at| {
        let name = inputs[at].name();
        one(files, &identities, &inputs[at], &name, &spec, change).map_err(|error| error.in_file(&name))
    });
    identities.take_warnings().iter().for_each(|warning| report::warning(context, warning));
    let mut errors = Vec::new();
    let shown = settings::people(&[vec![spec.clone()]], &names);
    for (input, result) in inputs.iter().zip(results) {
        match result {
            Ok(outcome) => tell(context, &input.name(), &shown, &outcome)?,
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        for (path, text) in &configs {
            source::write(path, text, false)?;
            report::note(context, &format!("{}: rules changed, commit it with the files", path.display()));
        }
    }
    files::settle(context, errors, inputs.len())
}

fn tell(context: &Context, name: &str, who: &str, outcome: &Outcome) -> Result<()> {
    match outcome {
        Outcome::AsItWas => report::note(context, &format!("{name}: nothing to do for {who}")),
        Outcome::Added => report::note(context, &format!("{name}: {who} can open it now")),
        Outcome::Removed(values) => {
            report::note(context, &format!("{name}: a new data key, {who} can't open it any more"));
            report::note(
                context,
                &format!("  {} values could be read so far, in git's history too: change them at their source", values.len()),
            );
            let lines: String = values.iter().map(|path| format!("{}\t{}\n", printable(name), printable(path))).collect();
            report::data(lines.as_bytes())?;
        }
    }
    Ok(())
}

fn one(files: &Files, identities: &Identities, input: &Source, name: &str, spec: &RecipientSpec, change: &Change) -> Result<Outcome> {
    let Source::File(path) = input else {
        return Err(Error::new(Kind::Generic, "standard input can't be changed in place").hint("name the file"));
    };
    source::refuse_irregular(path)?;
    let text = rewrite::read(input, Kind::Unreadable)?;
    let format = files.types.input(name, &text)?;
    let document = format.parse(&text).map_err(pipeline::as_generic)?;
    let metadata = pipeline::metadata_of(&document)?;
    let groups = rewrap::recipients(&metadata);
    let there = groups.iter().flatten().any(|known| rewrap::same(known, spec));
    match change {
        Change::Add if there => Ok(Outcome::AsItWas),
        Change::Remove if !there => Ok(Outcome::AsItWas),
        Change::Add => add(path, &document, &metadata, groups, spec, identities, &files.order.kinds()?),
        Change::Remove => remove(path, document, metadata, groups, spec, identities, &files.order.kinds()?),
    }
}

fn add(
    path: &std::path::Path,
    document: &Document<'_>,
    metadata: &Metadata,
    mut groups: Vec<Vec<RecipientSpec>>,
    spec: &RecipientSpec,
    identities: &Identities,
    order: &[String],
) -> Result<Outcome> {
    if let Some(first) = groups.first_mut() {
        first.push(spec.clone());
    }
    let data_key = unwrap(metadata, identities, order)?;
    let metadata = rewrap::rewrap(&data_key, metadata, &groups, metadata.threshold, identities)?;
    source::write(path, &next::with_metadata(document, &metadata)?, false)?;
    Ok(Outcome::Added)
}

fn remove(
    path: &std::path::Path,
    document: Document<'_>,
    metadata: Metadata,
    mut groups: Vec<Vec<RecipientSpec>>,
    spec: &RecipientSpec,
    identities: &Identities,
    order: &[String],
) -> Result<Outcome> {
    groups.iter_mut().for_each(|group| group.retain(|known| !rewrap::same(known, spec)));
    if groups.iter().any(Vec::is_empty) {
        let error = Error::new(Kind::Generic, "a key group would be left without a recipient");
        return Err(error.hint("add another recipient first, or delete the file"));
    }
    let data_key = unwrap(&metadata, identities, order)?;
    let threshold = metadata.threshold;
    let opened = next::open_with(document, metadata, data_key, false)?;
    let text: Zeroizing<String> = next::rotate(&opened, &groups, threshold, identities, &clock::now())?;
    source::write(path, &text, false)?;
    Ok(Outcome::Removed(opened.encrypted_paths()))
}

/// The configurations of the files with other rules: path and text.
fn changed_configs(
    context: &Context,
    files: &Files,
    inputs: &[Source],
    spec: &RecipientSpec,
    change: &Change,
) -> Result<Vec<(PathBuf, String)>> {
    let mut seen: Vec<Found> = Vec::new();
    for folder in folders(context, inputs) {
        if let Some(found) = settings::find(context, &files.common, Some(&folder.join("file")))?
            && !seen.iter().any(|known| known.path == found.path)
        {
            seen.push(found);
        }
    }
    let mut changed = Vec::new();
    for found in seen.iter().filter(|found| found.config.has_creation_rules) {
        let text = Source::File(found.path.clone()).read()?;
        let next = match change {
            Change::Remove => config::change::without(&text, &found.config, spec)?,
            Change::Add => {
                let rules = rules_of(context, &found.config, found, inputs);
                Some(config::change::with(&text, &found.config, &rules, spec)?).filter(|next| *next != **text)
            }
        };
        changed.extend(next.map(|next| (found.path.clone(), next)));
    }
    Ok(changed)
}

/// The rules that the inputs match.
fn rules_of(context: &Context, config: &Config, found: &Found, inputs: &[Source]) -> Vec<usize> {
    let directory = found.path.parent().unwrap_or(std::path::Path::new("/"));
    let paths = inputs.iter().map(|input| config::relative_path(directory, &context.absolute(&input.name())));
    let mut rules: Vec<usize> = paths.filter_map(|path| config.rule_for(&path).map(|(at, _)| at)).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
