//! `kveil check`.

mod base;
mod fix;
mod flux;
mod history;
mod look;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::context::Context;
use super::flags::{Common, DecryptionOrder};
use super::paths::{Mode, Paths, Targets};
use super::report;
use crate::config::cleaned;
use crate::deploy::actions::commands;
use crate::error::{Error, Kind, Result};
use crate::git::Repository;
use crate::git::setup::{Configuration, Scope};
use crate::lint::baseline::Baseline;
use crate::lint::output::{FORMS, Form, Report};
use crate::lint::policy::Policy;
use crate::lint::{self, Level, repository, tree};
use crate::sorting;
use crate::source::{self, Source};
use look::Look;

/// Find what is wrong with files that are, or should be, encrypted
///
/// No key, no network: made for CI and hooks. Ends with 1 if something was found, with 2 if not all could be looked at.
/// `--explain RULE` tells what a rule is about; `# kveil-ignore: RULE reason` beside a line makes an exception.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    /// text, json, sarif or github (by itself in GitHub Actions)
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json", "sarif", "github"])]
    format: Option<String>,
    /// The least level that ends with 1: error, warning or note
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warning", "note"], default_value = "error")]
    fail_on: String,
    /// Leave out what is below this level
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warning", "note"], default_value = "note", hide_default_value = true)]
    level: String,
    /// Go by the rules, the baseline and the exceptions of this revision, and report changes to them and replaced data keys
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Open the encrypted files with the identities at hand, and check each value and the MAC
    #[arg(long)]
    verify: bool,
    /// Look through all commits, too: for values that are encrypted today and were in clear once, and for those that a
    /// removed recipient has read
    #[arg(long, conflicts_with_all = ["staged", "fix"])]
    history: bool,
    /// With --history and --verify: say which values in clear are still today's also in JSON, in SARIF, in annotations, and
    /// where CI is set
    #[arg(long, requires = "history")]
    show_equal: bool,
    /// Mend what can be mended safely: encrypt files that a rule is for, set up git's drivers
    #[arg(long, conflicts_with_all = ["staged", "base", "write_baseline"])]
    fix: bool,
    /// Replay what this does with the tree, too: flux, from the folders that its Kustomizations name, else from PATHS
    #[arg(long, value_name = "TARGET", value_parser = ["flux"], conflicts_with_all = ["staged", "changed_since"])]
    target: Option<String>,
    /// Leave out the findings of this file
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all findings to this file, for --baseline
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
    /// A recipient, or its label in .sops.yaml, that every encrypted file must have
    #[arg(long, value_name = "RECIPIENT")]
    require_recipient: Vec<String>,
    /// How many recipients every encrypted file must have
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    min_recipients: usize,
    /// Tell what a rule is about, and nothing else
    #[arg(long, value_name = "RULE", conflicts_with_all = ["paths", "staged", "changed_since"])]
    explain: Option<String>,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// Checks.
///
/// # Errors
/// `Found` (1) if something was found; any other is trouble (2).
pub fn run(context: &Context, args: &Args) -> Result<()> {
    if let Some(rule) = &args.explain {
        return explain(rule);
    }
    let checked = checked(context, args)?;
    if args.fix && fix::fix(context, &checked.report)? {
        // What is told is what is left.
        return tell(context, args, self::checked(context, args)?);
    }
    tell(context, args, checked)
}

fn explain(rule: &str) -> Result<()> {
    match lint::explain(rule) {
        Some(section) => report::data(format!("{section}\n").as_bytes()),
        None => {
            let known: Vec<&str> = lint::rules().iter().map(|rule| rule.id).collect();
            Err(Error::new(Kind::Generic, format!("there is no rule {rule}")).hint(format!("there are {}", known.join(", "))))
        }
    }
}

/// What came out, and what couldn't be looked at.
struct Checked {
    report: Report,
    errors: Vec<Error>,
}

fn checked(context: &Context, args: &Args) -> Result<Checked> {
    let targets = targets(context, args)?;
    let whole = targets.trees || args.paths.staged;
    let policy = Policy { required: args.require_recipient.clone(), least: args.min_recipients };
    let base = args.base.as_deref().map(|revision| base::Base::open(context, revision)).transpose()?;
    let mut look = Look::new(context, args, &policy, base, &targets)?;
    let mut found = look.all(targets);
    if args.target.is_some() {
        flux::check(context, &look, &args.paths, &top(context), &mut found)?;
    }
    let past = look.reader().map(|reader| history::look(context, args, &look, reader, std::mem::take(&mut found.now)));
    let mut report = Report { files: found.names.len(), ..Report::default() };
    report.findings = found.findings;
    report.ignored = found.ignored;
    report.encrypted = found.facts.iter().filter(|facts| facts.sealed).count();
    tree::check(&found.facts, &found.names, &top(context), &mut report.findings);
    report.findings.extend(look.configurations());
    match past {
        Some(Ok(past)) => {
            report.findings.extend(past.findings);
            report.ignored += past.ignored;
        }
        Some(Err(error)) => found.errors.push(error),
        None => {}
    }
    if whole && report.encrypted > 0 {
        report.findings.extend(drivers(context, &found.facts, args.paths.staged)?);
    }
    let line = |finding: &lint::Finding| finding.position.map_or(0, |position| position.line);
    sorting::by(&mut report.findings, |one, other| (&one.file, line(one)).cmp(&(&other.file, line(other))));
    known(args, &look, &mut report)?;
    let least = Level::read(&args.level).unwrap_or(Level::Note);
    report.findings.retain(|finding| finding.level >= least);
    Ok(Checked { report, errors: found.errors })
}

fn targets(context: &Context, args: &Args) -> Result<Targets> {
    if args.paths.paths.is_empty() && !args.paths.staged && args.paths.changed_since.is_none() {
        let here = Paths { paths: vec![OsString::from(".")], concurrency: args.paths.concurrency, ..Paths::default() };
        return here.resolve(context, Mode::Any);
    }
    args.paths.resolve(context, Mode::Any)
}

/// Where git's top lies, seen from the current directory.
fn top(context: &Context) -> PathBuf {
    let depth = context.directory.ancestors().position(|folder| folder.join(".git").exists()).unwrap_or(0);
    (0..depth).map(|_| "..").collect()
}

/// Takes out what the baseline knows, or writes it.
fn known(args: &Args, look: &Look<'_>, report: &mut Report) -> Result<()> {
    if let Some(path) = &args.write_baseline {
        source::write(path, Baseline::of(&report.findings).text(), false)?;
        report.known = report.findings.len();
        report.findings.clear();
    }
    let Some(path) = &args.baseline else { return Ok(()) };
    let name = path.display().to_string();
    let text = match &look.base {
        Some(base) => base.policy_file(path, &mut report.findings)?,
        None => Source::File(path.clone()).read().map(|text| Some(text.to_string())).map_err(|error| error.in_file(&name))?,
    };
    let baseline = text.map(|text| Baseline::read(&text).map_err(|error| error.in_file(&name))).transpose()?.unwrap_or_default();
    report.known = baseline.apply(&mut report.findings);
    Ok(())
}

/// Whether git has its drivers for these files. What a clone has set up is no matter of CI, nor of what is `staged`; whether it
/// names files that were added or renamed is.
fn drivers(context: &Context, facts: &[tree::Facts], staged: bool) -> Result<Option<lint::Finding>> {
    let ci = context.environment.var("CI").is_some_and(|value| !value.is_empty());
    if ci {
        return Ok(None);
    }
    let Some(repository) = Repository::at(&context.environment, &context.directory, &context.directory)? else { return Ok(None) };
    let configuration = Configuration { environment: &context.environment, folder: &repository.top, scope: Scope::Local };
    let mut lacking: Vec<String> = configuration.lacking()?.iter().map(|key| format!("git config {key} isn't set")).collect();
    if staged && !lacking.is_empty() {
        return Ok(None);
    }
    let files: Vec<PathBuf> =
        facts.iter().filter(|facts| facts.sealed).filter_map(|facts| repository.inside(&context.absolute(&facts.name))).collect();
    let bare = repository.without_driver(&files)?;
    if bare > 0 {
        lacking.push(format!("{} in .gitattributes", lint_count(bare)));
    }
    Ok(repository::drivers(&lacking))
}

fn lint_count(bare: usize) -> String {
    if bare == 1 { "1 encrypted file isn't named".to_owned() } else { format!("{bare} encrypted files aren't named") }
}

fn tell(context: &Context, args: &Args, checked: Checked) -> Result<()> {
    let Checked { mut report, errors } = checked;
    let actions = context.environment.var("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    let wanted = args.format.as_deref().unwrap_or(if actions { "github" } else { "text" });
    if let Some(form) = FORMS.iter().find(|form| form.name == wanted) {
        if form.of_repository {
            report.findings.iter_mut().for_each(|finding| finding.file = from_top(context, &finding.file));
        }
        report::data(written(form, &report, actions)?.as_bytes())?;
    }
    report::note(context, &report.summary());
    if let Some(last) = errors.last() {
        let told: Vec<&Error> =
            errors.iter().enumerate().filter(|(at, error)| !errors[..*at].contains(error)).map(|(_, error)| error).collect();
        told.iter().take(told.len() - 1).for_each(|error| report::error(context, error));
        return Err(told.last().map_or_else(|| last.clone(), |error| (*error).clone()));
    }
    let least = Level::read(&args.fail_on).unwrap_or(Level::Error);
    if report.findings.iter().any(|finding| finding.level >= least) {
        return Err(Error::new(Kind::Found, "something was found"));
    }
    Ok(())
}

/// A file as it is called at git's top level: services that show findings beside the lines know no other directory.
fn from_top(context: &Context, name: &str) -> String {
    let inside = || {
        let top = context.directory.ancestors().find(|folder| folder.join(".git").exists())?;
        let path = cleaned(&context.directory.join(name));
        Some(path.strip_prefix(top).ok()?.display().to_string())
    };
    Some(name).filter(|name| !name.is_empty()).and_then(|_| inside()).unwrap_or_else(|| name.to_owned())
}

/// In Actions the runner reads what is printed: names at the start of a line must not be commands to it.
fn written(form: &Form, report: &Report, actions: bool) -> Result<String> {
    let text = (form.write)(report);
    if !actions || form.name != "text" {
        return Ok(text);
    }
    let word = commands::nonce()?;
    Ok(format!("::stop-commands::{word}\n{}::{word}::\n", text.replace("##[", "# #[")))
}
