//! `kveil recipients`.

mod explain;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args as ClapArgs, Subcommand};
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::files::{self, Outcome as Ended};
use super::flags::{Common, DecryptionOrder, Types};
use super::paths::{Handling, Mode, Paths, Target, Targets};
use super::settings::{self, Configs, Found};
use super::{clock, identities, report, rewrite};
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
    Explain(explain::Args),
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
        #[command(flatten)]
        change: Change,
    },
    /// Shut a recipient out: new data keys for the files it could open
    Remove {
        /// The recipient, or its name in `names:` of the configuration
        recipient: String,
        #[command(flatten)]
        files: Box<Files>,
        #[command(flatten)]
        change: Change,
    },
}

/// What adding and removing have in common.
#[derive(ClapArgs)]
struct Change {
    /// Leave the rules of .sops.yaml as they are
    #[arg(long)]
    no_config: bool,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    handling: Handling,
}

/// The files, and how they are opened.
#[derive(ClapArgs)]
struct Files {
    #[command(flatten)]
    paths: Paths,
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
        Action::Explain(args) => explain::run(args),
        Action::List { files, format } => list(context, files, format),
        Action::Add { recipient, files, change } => self::change(context, files, recipient, change, Direction::In),
        Action::Remove { recipient, files, change } => self::change(context, files, recipient, change, Direction::Out),
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
    files.paths.refuse_none()?;
    let targets = files.paths.resolve(context, Mode::Encrypted)?;
    let names = names(&Configs::new(context, &files.common), &targets);
    let ran = files::work(context, targets, |target| listed(files, target).map(Ended::Done));
    let text = match format {
        "json" => json(&ran.done, &names),
        "csv" => csv(&ran.done, &names),
        _ => matrix(&ran.done, &names),
    };
    report::data(text.as_bytes())?;
    ran.settle(context, files.common.verbose, "listed")
}

fn listed(files: &Files, target: &Target) -> Result<Listed> {
    let name = target.name();
    let located = |error: Error| error.in_file(&name);
    let text = rewrite::read(&target.source, missing(target)).map_err(located)?;
    let format = files.types.input(&name, &text).map_err(located)?;
    let document = format.parse_encrypted(&text).map_err(pipeline::as_generic).map_err(located)?;
    let metadata = pipeline::metadata_of(&document).map_err(located)?;
    Ok(Listed { groups: rewrap::recipients(&metadata), threshold: metadata.threshold, name: name.clone() })
}

/// What it means that a file isn't there: one that was found may go away again.
fn missing(target: &Target) -> Kind {
    if target.named { Kind::Unreadable } else { Kind::NoFile }
}

/// The labels of all configurations that the files lead to.
fn names(configs: &Configs<'_>, targets: &Targets) -> Vec<(String, String)> {
    let mut names: Vec<(String, String)> = Vec::new();
    for folder in folders(configs.context, targets) {
        let found = configs.find_leniently(&folder.join("file"));
        for label in found.iter().flat_map(|found| &found.config.names) {
            if !names.iter().any(|(known, _)| *known == label.0) {
                names.push(label.clone());
            }
        }
    }
    names
}

/// The folders of the files, each once.
fn folders(context: &Context, targets: &Targets) -> Vec<PathBuf> {
    let folder = |target: &Target| target.absolute(context, None).parent().map(PathBuf::from);
    let mut folders: Vec<PathBuf> = targets.files.iter().filter_map(folder).collect();
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
    settings::label(spec, names).unwrap_or_default()
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

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// What became of one file.
enum Outcome {
    AsItWas,
    Added,
    /// The values that the recipient could read so far: key paths.
    Removed(Vec<String>),
}

impl Outcome {
    /// The row of the summary for machines.
    fn row(&self, name: &str) -> serde_json::Value {
        match self {
            Outcome::AsItWas => serde_json::json!({"file": name, "status": "unchanged"}),
            Outcome::Added => serde_json::json!({"file": name, "status": "added"}),
            Outcome::Removed(values) => serde_json::json!({"file": name, "status": "removed", "values": values}),
        }
    }
}

/// What all files share.
struct Work<'a> {
    files: &'a Files,
    configs: Configs<'a>,
    consent: &'a Consent,
    spec: RecipientSpec,
    direction: Direction,
    dry_run: bool,
    identities: Identities,
}

/// A recipient in its own notation, else the one of this label: a label never stands for what is a recipient itself.
fn named(text: &str, names: &[(String, String)]) -> Result<RecipientSpec> {
    recipient::read(text).or_else(|error| {
        let these: Vec<&str> = names.iter().filter(|(_, name)| name == text).map(|(recipient, _)| recipient.as_str()).collect();
        match these[..] {
            [one] => recipient::read(one),
            [] => Err(error),
            _ => Err(Error::new(Kind::Generic, format!("{} names {} recipients", printable(text), these.len()))
                .hint("name the recipient itself")),
        }
    })
}

fn change(context: &Context, files: &Files, recipient: &str, change: &Change, direction: Direction) -> Result<()> {
    files.common.check()?;
    files.paths.refuse_none()?;
    let targets = files.paths.resolve(context, Mode::Encrypted)?;
    let configs = Configs::new(context, &files.common);
    let names = names(&configs, &targets);
    let spec = named(recipient, &names)?;
    // What can't be done to the rules is said before any file is touched.
    let rules = if change.no_config { Vec::new() } else { changed_configs(&configs, &targets, &spec, direction)? };
    let shown = settings::people(&[vec![spec.clone()]], &names);
    let dry_run = change.handling.dry_run;
    let work =
        Work { files, configs, consent: &change.consent, spec, direction, dry_run, identities: identities::of(context, &files.common) };
    let ran = files::work(context, targets, |target| work.one(target).map(Ended::Done));
    identities::tell(context, &files.common, &work.identities);
    if change.handling.report.is_some() {
        ran.report(true, |(name, outcome)| outcome.row(name))?;
    } else {
        ran.done.iter().try_for_each(|(name, outcome)| tell(context, name, &shown, outcome, dry_run))?;
    }
    if ran.rest.errors.is_empty() {
        for (path, text) in &rules {
            if !dry_run {
                source::write(path, text, false)?;
            }
            let what = if dry_run { "rules would change" } else { "rules changed, commit it with the files" };
            report::note(context, &format!("{}: {what}", path.display()));
        }
    }
    ran.settle(context, files.common.verbose, "looked at")
}

fn tell(context: &Context, name: &str, who: &str, outcome: &Outcome, dry_run: bool) -> Result<()> {
    let would = if dry_run { " (not done)" } else { "" };
    match outcome {
        Outcome::AsItWas => report::note(context, &format!("{name}: nothing to do for {who}")),
        Outcome::Added => report::note(context, &format!("{name}: {who} can open it now{would}")),
        Outcome::Removed(values) => {
            report::note(context, &format!("{name}: a new data key, {who} can't open it any more{would}"));
            let (count, them) = if values.len() == 1 { ("1 value".to_owned(), "it") } else { (format!("{} values", values.len()), "them") };
            report::note(context, &format!("  {count} could be read so far, in git's history too: change {them} at their source"));
            let lines: String = values.iter().map(|path| format!("{}\t{}\n", printable(name), printable(path))).collect();
            report::data(lines.as_bytes())?;
        }
    }
    Ok(())
}

impl Work<'_> {
    fn one(&self, target: &Target) -> Result<(String, Outcome)> {
        let name = target.name();
        let outcome = self.change(target, &name).map_err(|error| error.in_file(&name))?;
        Ok((name, outcome))
    }

    fn change(&self, target: &Target, name: &str) -> Result<Outcome> {
        let Source::File(path) = &target.source else {
            return Err(Error::new(Kind::Generic, "standard input can't be changed in place").hint("name the file"));
        };
        source::refuse_irregular(path, source::COPY)?;
        let text = rewrite::read(&target.source, missing(target))?;
        let format = self.files.types.input(name, &text)?;
        let document = format.parse_encrypted(&text).map_err(pipeline::as_generic)?;
        let metadata = pipeline::metadata_of(&document)?;
        let groups = rewrap::recipients(&metadata);
        let there = groups.iter().flatten().any(|known| self.concerns(known));
        match self.direction {
            Direction::In if there => Ok(Outcome::AsItWas),
            Direction::Out if !there => Ok(Outcome::AsItWas),
            // One group more wraps for the new recipient alone.
            Direction::In if groups.len() == 1 => self.add(path, &document, &metadata, groups),
            Direction::In => {
                self.consented(path, &groups)?;
                self.add(path, &document, &metadata, groups)
            }
            Direction::Out => self.remove(path, document, metadata, groups),
        }
    }

    fn add(&self, path: &Path, document: &Document<'_>, metadata: &Metadata, mut groups: Vec<Vec<RecipientSpec>>) -> Result<Outcome> {
        if let Some(first) = groups.first_mut() {
            first.push(self.spec.clone());
        }
        let data_key = unwrap(metadata, &self.identities, &self.files.order.kinds()?)?;
        let metadata = rewrap::rewrap(&data_key, metadata, &groups, metadata.threshold, &self.identities)?;
        self.write(path, &next::with_metadata(document, &metadata)?)?;
        Ok(Outcome::Added)
    }

    fn remove(&self, path: &Path, document: Document<'_>, metadata: Metadata, mut groups: Vec<Vec<RecipientSpec>>) -> Result<Outcome> {
        groups.iter_mut().for_each(|group| group.retain(|known| !self.concerns(known)));
        if groups.iter().any(Vec::is_empty) {
            let error = Error::new(Kind::Generic, "a key group would be left without a recipient");
            return Err(error.hint("add another recipient first, or delete the file"));
        }
        self.consented(path, &groups)?;
        let data_key = unwrap(&metadata, &self.identities, &self.files.order.kinds()?)?;
        let threshold = metadata.threshold;
        let opened = next::open_with(document, metadata, data_key, false)?;
        let text: Zeroizing<String> = next::rotate(&opened, &groups, threshold, &self.identities, &clock::now())?;
        self.write(path, &text)?;
        Ok(Outcome::Removed(opened.encrypted_paths()))
    }

    /// Whether a recipient of a file is the one that comes or goes.
    fn concerns(&self, known: &RecipientSpec) -> bool {
        match self.direction {
            Direction::In => self.spec.is(known),
            Direction::Out => self.spec.means(known),
        }
    }

    /// Who stays is wrapped for anew: not an entry that someone copied into the file.
    fn consented(&self, path: &Path, groups: &[Vec<RecipientSpec>]) -> Result<()> {
        let target = self.configs.context.directory.join(path);
        let found = self.consent.configuration(&self.configs, &target)?;
        let others: Vec<RecipientSpec> = groups.iter().flatten().filter(|known| !self.concerns(known)).cloned().collect();
        self.consent.check(&self.configs, found.as_deref(), &target, &others)
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        if self.dry_run { Ok(()) } else { source::write(path, text, false) }
    }
}

/// The configurations of the files with other rules: path and text.
fn changed_configs(configs: &Configs<'_>, targets: &Targets, spec: &RecipientSpec, direction: Direction) -> Result<Vec<(PathBuf, String)>> {
    let mut seen: Vec<Arc<Found>> = Vec::new();
    for folder in folders(configs.context, targets) {
        if let Some(found) = configs.find(Some(&folder.join("file")))?
            && !seen.iter().any(|known| known.path == found.path)
        {
            seen.push(found);
        }
    }
    let mut changed = Vec::new();
    for found in seen.iter().filter(|found| found.config.has_creation_rules) {
        let text = Source::File(found.path.clone()).read()?;
        let next = match direction {
            Direction::Out => config::change::without(&text, &found.config, spec)?,
            Direction::In => {
                let rules = rules_of(configs.context, &found.config, found, targets);
                Some(config::change::with(&text, &found.config, &rules, spec)?).filter(|next| *next != **text)
            }
        };
        changed.extend(next.map(|next| (found.path.clone(), next)));
    }
    Ok(changed)
}

/// The rules that the files match.
fn rules_of(context: &Context, config: &Config, found: &Found, targets: &Targets) -> Vec<usize> {
    let directory = found.path.parent().unwrap_or(Path::new("/"));
    let paths = targets.files.iter().map(|target| config::relative_path(directory, &target.absolute(context, None)));
    let mut rules: Vec<usize> = paths.filter_map(|path| config.rule_for(&path).map(|(at, _)| at)).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}
