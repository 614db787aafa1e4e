//! `kveil encrypt`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::earlier::{Baselines, Earlier, Incremental, Repositories};
use super::files::{self, Outcome, Ran};
use super::flags::{self, Common, Recipients, Selectors, Types};
use super::paths::{Handling, Mode, Paths, Target, Targets};
use super::settings::{self, Asked, Configs, Decision, Found};
use super::{git, identities, left, report, staged};
use crate::document::{Document, Format, bytes};
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::changed::Staged;
use crate::kubernetes::secret;
use crate::pipeline;
use crate::recipient::{Identities, RecipientSpec};
use crate::seal::encrypt::Sealed;
use crate::source::{self, Source};
use crate::tree::{Reason, choice};

/// A found file of more bytes is parsed only if it can be meant: a dump of data costs a reading.
const LARGE: usize = 1 << 20;

/// Encrypt files: only the values that the rule selects, every other byte stays
///
/// Recipients come from flags, else from the rule of the nearest `.sops.yaml`. Without a rule about values, a Secret has
/// its `data` and `stringData` encrypted. The result is decrypted in memory and compared before anything is written.
///
/// Of a directory, a glob or what git chooses, only files are encrypted that a rule is meant for: its path_regex matches
/// them, or they hold a Kubernetes kind with secrets.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    handling: Handling,
    /// Replace the files
    #[arg(long, short)]
    in_place: bool,
    /// Write to this file or, for several, into this directory
    #[arg(long, short, value_name = "PATH", value_parser = NonEmptyStringValueParser::new())]
    output: Option<String>,
    /// With -i: write into the file itself where it can't be replaced in one step (a bind mount, hard links)
    #[arg(long, requires = "in_place")]
    write_through: bool,
    /// Encrypt the files of this repository that decrypt -i left in clear, in place
    #[arg(long, conflicts_with_all = ["paths", "staged", "changed_since", "output"])]
    all_decrypted: bool,
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
    /// With --staged: delete the plain text that git add stored, where nothing refers to it
    #[arg(long, requires = "staged")]
    delete_plaintext: bool,
    #[command(flatten)]
    incremental: Incremental,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    common: Common,
}

/// What became of one file.
struct Done {
    name: String,
    /// For standard output; what was written already isn't held.
    text: Option<Zeroizing<String>>,
    values: usize,
    comments: usize,
    staged: Option<Staged>,
    /// The file that was written.
    written: Option<PathBuf>,
    /// What was done, for people.
    note: String,
    /// For whom, by which rule.
    people: String,
    warnings: Vec<String>,
}

/// What all files share.
struct Work<'a> {
    context: &'a Context,
    args: &'a Args,
    configs: Configs<'a>,
    identities: Identities,
    repository: Option<Arc<Repository>>,
    baselines: Baselines<'a>,
}

/// Encrypts.
///
/// # Errors
/// See [`pipeline::encrypt`]; exit codes as in sops.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check_wrapping()?;
    let mut targets = if args.all_decrypted { left::targets(context)? } else { args.paths.resolve(context, Mode::Plain)? };
    refuse_flags(context, args, &targets)?;
    if let Some(output) = args.output.as_deref().filter(|output| output.ends_with('/') && !args.handling.dry_run) {
        source::make_directory(Path::new(output))?;
    }
    let destinations: Vec<PathBuf> = targets.files.iter().filter_map(|target| args.destination(context, target)).collect();
    let repositories = Repositories::of(context, &args.incremental, &destinations)?;
    let work = Work {
        context,
        args,
        configs: Configs::new(context, &args.common),
        identities: identities::of(context, &args.common),
        repository: targets.repository.take(),
        baselines: Baselines::read(context, &args.incremental, &repositories, &destinations)?,
    };
    if let Some(repository) = work.repository.as_ref().filter(|_| args.paths.staged && !args.handling.dry_run) {
        staged::refuse_passing_index(context, repository)?;
    }
    let trees = targets.trees;
    let ran = files::work(context, targets, |target| work.one(target));
    // The index first: whether anyone hears of it must not matter.
    let restaged = work.restage(&ran.done);
    identities::tell(context, &args.common, &work.identities);
    let written: Vec<&Path> = ran.done.iter().filter(|_| args.writes()).filter_map(|file| file.written.as_deref()).collect();
    git::add_attributes(context, &written);
    tell(context, args, &ran)?;
    if trees {
        refuse_nothing(&ran)?;
    }
    ran.settle(context, args.common.verbose, if args.handling.dry_run { "would be encrypted" } else { "encrypted" }).and(restaged)
}

impl Args {
    /// What is staged goes back to its place.
    fn replaces(&self) -> bool {
        self.in_place || self.paths.staged || self.all_decrypted
    }

    /// Whether files are written, rather than standard output.
    fn writes(&self) -> bool {
        self.replaces() || self.output.is_some()
    }

    /// The file that is written, absolute; none for standard output.
    fn destination(&self, context: &Context, target: &Target) -> Option<PathBuf> {
        let given = self.types.filename_override.as_deref();
        match (&target.source, self.output.as_deref()) {
            (_, Some(output)) => Some(context.directory.join(output_path(output, target, given))),
            (Source::File(path), None) if self.replaces() => Some(context.directory.join(path)),
            _ => None,
        }
    }
}

fn refuse_flags(context: &Context, args: &Args, targets: &Targets) -> Result<()> {
    let refuse = |message: &str, hint: &str| Err(Error::new(Kind::ConflictingFlags, message).hint(hint));
    if args.replaces() && args.output.is_some() {
        let flag = if args.in_place { "--in-place" } else { "--staged" };
        return refuse(&format!("{flag} and --output exclude each other"), "give one of them");
    }
    if targets.hold_stdin() && args.in_place {
        return refuse("standard input can't be changed in place", "leave out -i");
    }
    if targets.hold_stdin() && args.types.filename_override.is_none() {
        return refuse("standard input has no name to find its rule and format by", "give --filename-override NAME");
    }
    targets.refuse_output(context, args.output.as_deref(), args.types.filename_override.as_deref())?;
    if targets.are_several() && args.types.filename_override.is_some() {
        return refuse("one --filename-override can't name several files", "encrypt them one by one");
    }
    if targets.are_several() && !args.replaces() && !args.handling.dry_run && !args.output.as_deref().is_some_and(is_directory) {
        return refuse("several files can't share one output", "give -i, or --output DIR/");
    }
    args.output.as_deref().filter(|_| targets.are_several()).map_or(Ok(()), |output| targets.refuse_same_output(output))
}

/// Whether `--output` names a directory: it is one, or says so by its last slash.
pub fn is_directory(output: &str) -> bool {
    output.ends_with(['/', std::path::MAIN_SEPARATOR]) || Path::new(output).is_dir()
}

/// A tree for which there is no configuration at all is a mistake, as a file would be.
fn refuse_nothing(ran: &Ran<Done>) -> Result<()> {
    if !ran.done.is_empty()
        || !ran.rest.errors.is_empty()
        || ran.rest.skipped.count(Reason::NoConfig) == 0
        || ran.rest.skipped.count(Reason::Encrypted) > 0
    {
        return Ok(());
    }
    let error = Error::new(Kind::Generic, "config file not found: of a directory or a glob only files are encrypted that a rule is for");
    Err(error.hint("kveil init makes a .sops.yaml").hint("or name the files themselves, with --age or another recipient"))
}

impl Work<'_> {
    fn one(&self, target: &Target) -> Result<Outcome<Done>> {
        let name = self.args.types.filename_override.clone().unwrap_or_else(|| target.name());
        let outcome = self.outcome(target, &name).and_then(|outcome| self.nothing_left_in_clear(target, outcome));
        outcome.map_err(|error| files::of_stream(error, &target.source).in_file(&name))
    }

    /// What is passed over must not be a file that was encrypted so far. Where the rule only selects no value any more,
    /// its values have been looked at one by one.
    fn nothing_left_in_clear(&self, target: &Target, outcome: Outcome<Done>) -> Result<Outcome<Done>> {
        let (Outcome::Skipped(reason), Source::File(file)) = (&outcome, &target.source) else { return Ok(outcome) };
        if self.args.replaces() && !matches!(reason, Reason::Encrypted | Reason::NoValues | Reason::Gone) {
            let staged = target.staged.as_ref().map(|staged| staged.object.as_str());
            let format = |text: &str| self.args.types.input(&target.name(), text).ok();
            let text = || self.read(target).and_then(source::utf8).ok();
            self.baselines.refuse_left_in_clear(&self.context.directory.join(file), *reason, staged, format, text)?;
        }
        Ok(outcome)
    }

    fn outcome(&self, target: &Target, name: &str) -> Result<Outcome<Done>> {
        let path = target.absolute(self.context, self.args.types.filename_override.as_deref());
        if let Some(reason) = Some(target).filter(|target| !target.named).and_then(|_| choice::by_name(&path)) {
            return Ok(Outcome::Skipped(reason));
        }
        // A found file without a rule isn't read; a named one is, so that a missing file is said to be missing.
        let aimed = if target.named { Aim::Named } else { self.aim(&path)? };
        if let Aim::Not(reason) = aimed {
            return Ok(Outcome::Skipped(reason));
        }
        if let (Source::File(path), true) = (&target.source, self.args.replaces()) {
            source::refuse_irregular(path, source::NOT_IN_PLACE)?;
        }
        let content = self.read(target)?;
        let types = &self.args.types;
        let format = types.plain_input(name, &content, !self.context.is_sops());
        let text = if format.is_bytes() { bytes::to_text(&content) } else { source::utf8(content)? };
        if aimed == Aim::ByKind && text.len() > LARGE && !secret::speaks_of_known_kind(&text) {
            return Ok(Outcome::Skipped(Reason::NoSecretKind));
        }
        let asked = types.output_of(name, format, self.context.is_sops());
        let output = flags::around(format, asked);
        let trees = if same(format, output) { Vec::new() } else { pipeline::trees(&text, format)? };
        let text = if trees.is_empty() { text } else { Zeroizing::new(output.print(&trees, self.configs.indent(Some(&path), asked)?)?) };
        let refused = output.refuse_plain(&text);
        if target.named {
            refused.clone()?;
        }
        let read = if trees.is_empty() { output.parse_plain(&text) } else { pipeline::read_printed(&text, &trees, output) };
        let document = match read {
            Ok(document) => document,
            Err(error) => return aimed.passed_over(&text).map(Outcome::Skipped).ok_or(error),
        };
        if let Some(reason) = aimed.not_meant(&document) {
            return Ok(Outcome::Skipped(reason));
        }
        refused?;
        self.seal(target, name, &path, &document, format.is_bytes())
    }

    /// For whom a found file is meant, by its path.
    fn aim(&self, path: &Path) -> Result<Aim> {
        let found = self.configs.find(Some(path))?;
        let Some(found) = found.filter(|found| found.config.has_creation_rules) else { return Ok(Aim::Not(Reason::NoConfig)) };
        Ok(match settings::matching(self.context, &found, path)? {
            None => Aim::Not(Reason::NoRule),
            Some((_, rule)) if rule.path_regex.is_some() => Aim::ByPath,
            Some(_) => Aim::ByKind,
        })
    }

    /// The text to judge by: of a file that is staged in part, what is staged.
    fn read(&self, target: &Target) -> Result<Zeroizing<Vec<u8>>> {
        match (&target.staged, &self.repository) {
            (Some(staged), Some(repository)) if staged.partly => repository.object(&staged.object, &staged.path),
            _ => target.source.read_bytes(),
        }
    }

    fn seal(&self, target: &Target, name: &str, path: &Path, document: &Document<'_>, whole: bool) -> Result<Outcome<Done>> {
        if !self.context.is_sops() {
            pipeline::refuse_sealed(document)?;
        }
        let found = self.configs.find(Some(path))?;
        let destination = self.args.destination(self.context, target).unwrap_or_else(|| path.to_owned());
        let versions = self.baselines.earlier(&destination, path, document.format)?;
        let earlier = versions.base.as_ref();
        let decision = self.decide(found.as_deref(), path, document, earlier, whole)?;
        // Before anything is passed over: a rule that selects nothing any more is the worst of them.
        self.args.incremental.refuse_clear(self.context, &versions, document, &decision.plan.selection)?;
        let dry = self.args.handling.dry_run;
        let values = if dry || !target.named { choice::values(document, &decision.plan.selection)? } else { 0 };
        if values == 0 && !target.named {
            return Ok(Outcome::Skipped(Reason::NoValues));
        }
        if target.staged.as_ref().is_some_and(|staged| staged.partly) {
            return Err(staged::partly(name));
        }
        let recipients: Vec<RecipientSpec> = decision.plan.groups.iter().flatten().cloned().collect();
        if dry {
            self.args.consent.foresee(&self.configs, found.as_deref(), path, &recipients)?;
            return Ok(Outcome::Done(foreseen(name, &decision, values)));
        }
        self.args.consent.check(&self.configs, found.as_deref(), path, &recipients)?;
        let (sealed, notes) = self.encrypted(document, &decision, earlier)?;
        write(self.args, target, &sealed.text)?;
        let mut done = describe(name, &decision, sealed, !self.args.writes());
        let exposed = versions.exposed(document, &decision.plan.selection)?;
        done.warnings.extend(notes.into_iter().chain(exposed).map(|note| format!("{name}: {note}")));
        done.staged.clone_from(&target.staged);
        done.written = Some(destination).filter(|_| self.args.writes());
        Ok(Outcome::Done(done))
    }

    fn encrypted(&self, document: &Document<'_>, decision: &Decision, earlier: Option<&Earlier>) -> Result<(Sealed, Option<String>)> {
        let incremental = &self.args.incremental;
        let Some(earlier) = earlier else { return Ok((pipeline::encrypt(document, &decision.plan, &self.identities)?, None)) };
        incremental.encrypt(self.context, earlier, document, &decision.plan, &self.identities)
    }

    /// Where neither a rule nor a flag says anything, a file that was decrypted goes back to whom it was for.
    fn decide(
        &self,
        found: Option<&Found>,
        path: &Path,
        document: &Document<'_>,
        earlier: Option<&Earlier>,
        whole: bool,
    ) -> Result<Decision> {
        let args = self.args;
        let ruled = match found.filter(|found| found.config.has_creation_rules) {
            Some(found) => settings::matching(self.context, found, path)?.is_some(),
            None => false,
        };
        let asked = Asked {
            common: &args.common,
            recipients: &args.recipients,
            selectors: &args.selectors,
            mac_only_encrypted: args.mac_only_encrypted,
            layout: !args.no_layout,
            whole,
        };
        if let Some(earlier) = earlier.filter(|_| !ruled)
            && args.recipients.group(self.context)?.is_empty()
        {
            return earlier.decision(document, &asked);
        }
        settings::decide(self.context, &asked, found, path, document)
    }

    fn restage(&self, done: &[Done]) -> Result<()> {
        let Some(repository) = self.repository.as_ref().filter(|_| !self.args.handling.dry_run) else { return Ok(()) };
        let staged: Vec<(&str, &Staged)> = done.iter().filter_map(|file| Some((&*file.name, file.staged.as_ref()?))).collect();
        staged::finish(self.context, repository, &staged, self.args.delete_plaintext)
    }
}

/// For whom a file is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// The user, who named it.
    Named,
    /// A rule whose `path_regex` matches.
    ByPath,
    /// A rule for every file, which counts where secrets are kept.
    ByKind,
    /// No one.
    Not(Reason),
}

impl Aim {
    fn not_meant(self, document: &Document<'_>) -> Option<Reason> {
        if self == Aim::Named { None } else { choice::by_content(document, self == Aim::ByPath) }
    }

    fn passed_over(self, text: &str) -> Option<Reason> {
        if self == Aim::Named { None } else { choice::by_text(text, self == Aim::ByPath) }
    }
}

fn same(a: &dyn Format, b: &dyn Format) -> bool {
    a.name() == b.name()
}

fn write(args: &Args, target: &Target, text: &str) -> Result<()> {
    match (&target.source, args.output.as_deref()) {
        (Source::File(path), None) if args.write_through => source::write_through(path, text),
        (Source::File(path), None) if args.replaces() => source::write(path, text, false),
        (_, Some(output)) => {
            let path = output_path(output, target, args.types.filename_override.as_deref());
            path.parent().filter(|_| !target.named).map_or(Ok(()), source::make_directory)?;
            source::write(&path, text, false)
        }
        _ => Ok(()),
    }
}

/// Where a file goes: to `output` itself, or below it if that is a directory.
pub fn output_path(output: &str, target: &Target, given: Option<&str>) -> PathBuf {
    let inside = given.and_then(|name| Path::new(name).file_name()).map_or(target.inside.as_path(), Path::new);
    if is_directory(output) && !inside.as_os_str().is_empty() { Path::new(output).join(inside) } else { PathBuf::from(output) }
}

/// `2 values and 1 comment`
fn counted(values: usize, comments: usize) -> String {
    let counted = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    let comments = if comments > 0 { format!(" and {}", counted(comments, "comment")) } else { String::new() };
    counted(values, "value") + &comments
}

/// `encrypted_regex: ^data$, by rule`
fn reason(decision: &Decision) -> String {
    let (kind, text) = decision.plan.selection.parts();
    format!("{}: {text}, {}", kind.name(), decision.because)
}

fn people(decision: &Decision) -> String {
    let rule = decision.rule.as_ref().map_or(String::new(), |(file, line)| format!(", rule {file}:{line}"));
    format!("  for {}{rule}", settings::people(&decision.plan.groups, &decision.names))
}

fn foreseen(name: &str, decision: &Decision, values: usize) -> Done {
    let note = format!("{name}: would encrypt {} ({})", counted(values, 0), reason(decision));
    let people = people(decision);
    Done { name: name.to_owned(), text: None, values, comments: 0, staged: None, written: None, note, people, warnings: Vec::new() }
}

fn describe(name: &str, decision: &Decision, sealed: Sealed, keep: bool) -> Done {
    let note = format!("{name}: encrypted {} ({})", counted(sealed.encrypted, sealed.comments), reason(decision));
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
        let (kind, text) = decision.plan.selection.parts();
        warnings.push(format!(
            "{name}: {}: {text} ({}) selects no value: the file has a sops block now, but everything in it can be read",
            kind.name(),
            decision.because
        ));
    }
    Done {
        name: name.to_owned(),
        text: keep.then_some(sealed.text),
        values: sealed.encrypted,
        comments: sealed.comments,
        staged: None,
        written: None,
        note,
        people: people(decision),
        warnings,
    }
}

/// What is said of the files: a line each, and for whom once after all in a row for whom it is the same.
fn notes(done: &[Done]) -> impl Iterator<Item = &str> {
    done.iter().enumerate().flat_map(|(at, file)| {
        let last = done.get(at + 1).is_none_or(|next| next.people != file.people);
        std::iter::once(file.note.as_str()).chain(last.then_some(file.people.as_str()))
    })
}

/// Data, notes and the summary for machines. What a dry run foresees is what it was asked for, so it goes to stdout.
fn tell(context: &Context, args: &Args, ran: &Ran<Done>) -> Result<()> {
    let (dry, machine) = (args.handling.dry_run, args.handling.report.is_some());
    ran.done.iter().flat_map(|file| &file.warnings).for_each(|line| report::warning(context, line));
    if dry && !machine {
        notes(&ran.done).try_for_each(report::line)?;
    } else if !dry && (!context.is_sops() || args.common.verbose) {
        notes(&ran.done).for_each(|line| report::note(context, line));
    }
    ran.done.iter().filter_map(|file| file.text.as_ref()).try_for_each(|text| report::data(text.as_bytes()))?;
    if !machine {
        return Ok(());
    }
    let status = if dry { "would-encrypt" } else { "encrypted" };
    ran.report(
        dry || args.writes(),
        |file| serde_json::json!({"file": file.name, "status": status, "values": file.values, "comments": file.comments}),
    )
}
