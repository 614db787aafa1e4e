//! `kveil updatekeys`.

use std::num::NonZero;

use clap::Args as ClapArgs;
use zeroize::Zeroizing;

use super::consent::Consent;
use super::context::Context;
use super::files::{self, Outcome as Ended};
use super::flags::{Common, DecryptionOrder, Types};
use super::paths::{Handling, Mode, Paths, Target};
use super::settings::{self, Configs, Found};
use super::{ask, clock, identities, report, rewrite};
use crate::datakey::rewrap::{self, Difference};
use crate::datakey::unwrap;
use crate::document::Document;
use crate::error::{Error, Kind, Result, printable};
use crate::metadata::Metadata;
use crate::pipeline::{self, next};
use crate::recipient::{self, Identities, RecipientSpec};
use crate::source::{self, Source};

/// Bring the recipients of files in line with the rules of `.sops.yaml`
///
/// Shows the difference and asks. A recipient that goes takes the data key with it: the values are encrypted under a new
/// one. Recipients that stay keep their entries byte for byte.
#[derive(ClapArgs)]
pub struct Args {
    #[command(flatten)]
    paths: Paths,
    #[command(flatten)]
    handling: Handling,
    /// Don't ask
    #[arg(long, short)]
    yes: bool,
    /// Change nothing: end with 1 if a file is out of line
    #[arg(long, conflicts_with = "yes")]
    check: bool,
    #[command(flatten)]
    types: Types,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    order: DecryptionOrder,
    #[command(flatten)]
    common: Common,
}

/// What is to be done with one file.
struct Plan {
    groups: Vec<Vec<RecipientSpec>>,
    threshold: Option<usize>,
    differences: Vec<Difference>,
    old_threshold: Option<usize>,
}

impl Plan {
    fn changes(&self) -> bool {
        self.differences.iter().any(|difference| !difference.is_empty()) || self.threshold != self.old_threshold
    }

    fn adds(&self) -> bool {
        self.differences.iter().any(|difference| !difference.added.is_empty())
    }

    fn removes(&self) -> bool {
        self.differences.iter().any(|difference| !difference.removed.is_empty())
    }

    /// The difference, in the form of genuine sops, which says nothing of a threshold that comes with the first shares.
    fn shown(&self, whose: &str, as_sops: bool) -> String {
        let mut lines = vec![format!("The following changes will be made to {whose}:")];
        match (self.old_threshold, self.threshold) {
            (None, _) if as_sops => {}
            (old, new) if old == new => lines.extend(new.map(|new| format!("shamir_threshold: {new}"))),
            (old, new) => {
                lines.extend(new.map(|new| format!("+++ shamir_threshold: {new}")));
                lines.extend(old.map(|old| format!("--- shamir_threshold: {old}")));
            }
        }
        for (at, difference) in self.differences.iter().enumerate() {
            lines.push(format!("Group {}", at + 1));
            let list = |mark: &'static str, specs: &[RecipientSpec]| -> Vec<String> {
                specs.iter().map(|spec| format!("{mark} {}", crate::error::printable(&spec.text))).collect()
            };
            lines.extend(list("   ", &difference.common));
            lines.extend(list("+++", &difference.added));
            lines.extend(list("---", &difference.removed));
        }
        lines.join("\n") + "\n"
    }
}

/// How a file ended.
enum Outcome {
    UpToDate,
    OutOfLine,
    Left,
    Synced { new_data_key: bool },
}

impl Outcome {
    /// The word for machines.
    fn id(&self) -> &'static str {
        match self {
            Outcome::UpToDate => "up-to-date",
            Outcome::OutOfLine => "out-of-line",
            Outcome::Left => "left",
            Outcome::Synced { .. } => "synced",
        }
    }
}

/// What all files share.
struct Work<'a> {
    args: &'a Args,
    configs: Configs<'a>,
    identities: Identities,
}

/// Updates.
///
/// # Errors
/// `Generic` (1) for several files, whatever it was, and with `--check` for a file that is out of line.
pub fn run(context: &Context, args: &Args) -> Result<()> {
    args.common.check()?;
    if context.is_sops() && settings::find(context, &args.common, None)?.is_none() {
        return Err(without_rules());
    }
    args.paths.refuse_none()?;
    let mut targets = args.paths.resolve(context, Mode::Encrypted)?;
    if !args.yes && !args.keeps() {
        // Questions come one after the other.
        targets.concurrency = Some(NonZero::<usize>::MIN);
    }
    let several = targets.are_several();
    let work = Work { args, configs: Configs::new(context, &args.common), identities: identities::of(context, &args.common) };
    let mut ran = files::work(context, targets, |target| work.one(target));
    identities::tell(context, &args.common, &work.identities);
    let (total, out_of_line) = (ran.done.len(), ran.done.iter().filter(|(name, outcome)| tell(name, outcome)).count());
    if several {
        ran.rest.errors.iter_mut().for_each(|error| error.kind = Kind::Generic);
    }
    if args.handling.report.is_some() {
        ran.report(true, |(name, outcome)| serde_json::json!({"file": name, "status": outcome.id()}))?;
    }
    ran.settle(context, args.common.verbose, "looked at")?;
    match out_of_line {
        count if args.check && count > 0 => Err(Error::new(Kind::Generic, format!("{count} of {total} files out of line with the rules"))
            .hint("kveil updatekeys without --check brings them in line")),
        _ => Ok(()),
    }
}

fn without_rules() -> Error {
    Error::new(Kind::Generic, "config file not found, or it has no creation rules").hint("kveil init writes one")
}

impl Args {
    /// Whether files are left as they are.
    fn keeps(&self) -> bool {
        self.check || self.handling.dry_run
    }
}

/// Says what became of a file, as genuine sops does; whether it is out of line.
fn tell(name: &str, outcome: &Outcome) -> bool {
    report::progress(&match outcome {
        Outcome::UpToDate => format!("File {name} already up to date"),
        Outcome::OutOfLine => format!("File {name} is out of line"),
        Outcome::Left => format!("File {name} left unchanged"),
        Outcome::Synced { new_data_key: false } => format!("File {name} synced with new keys"),
        Outcome::Synced { new_data_key: true } => format!("File {name} synced with new keys, under a new data key"),
    });
    matches!(outcome, Outcome::OutOfLine)
}

impl Work<'_> {
    fn one(&self, target: &Target) -> Result<Ended<(String, Outcome)>> {
        let name = self.args.types.filename_override.clone().unwrap_or_else(|| target.name());
        let outcome = self.update(target, &name).map_err(|error| error.in_file(&name))?;
        Ok(Ended::Done((target.name(), outcome)))
    }

    fn update(&self, target: &Target, name: &str) -> Result<Outcome> {
        let (args, context) = (self.args, self.configs.context);
        let Source::File(path) = &target.source else {
            return Err(Error::new(Kind::Generic, "standard input can't be changed in place").hint("name the file"));
        };
        if path.is_dir() {
            return Err(Error::new(Kind::Generic, "can't operate on a directory").hint("name its files"));
        }
        source::refuse_irregular(path, source::COPY)?;
        let text = rewrite::read(&target.source, if target.named { Kind::Generic } else { Kind::NoFile })?;
        let format = args.types.input(name, &text)?;
        let document = format.parse_encrypted(&text).map_err(pipeline::as_generic)?;
        let metadata = pipeline::metadata_of(&document)?;
        let absolute = target.absolute(context, args.types.filename_override.as_deref());
        let found = self.configs.find(Some(&absolute))?.filter(|found| found.config.has_creation_rules);
        let Some(found) = found else {
            return Err(without_rules());
        };
        let plan = plan(context, &found, &absolute, &metadata)?;
        if !plan.changes() {
            return Ok(Outcome::UpToDate);
        }
        let whose = if context.is_sops() { "the file's groups".to_owned() } else { format!("the groups of {}", printable(name)) };
        self.show(&plan.shown(&whose, context.is_sops()))?;
        if plan.adds() {
            args.consent.tell_news(&self.configs, &found);
        }
        if args.keeps() {
            return Ok(Outcome::OutOfLine);
        }
        if !args.yes && !confirmed(context)? {
            return Ok(Outcome::Left);
        }
        let new_data_key = plan.removes() && !context.is_sops();
        // With a new data key, and with several key groups, it is wrapped for those who stay as well.
        let all = new_data_key || plan.groups.len() > 1 || metadata.groups.len() > 1;
        let common = plan.differences.iter().flat_map(|difference| difference.common.iter().filter(|_| all));
        let wrapped: Vec<RecipientSpec> = plan.differences.iter().flat_map(|difference| &difference.added).chain(common).cloned().collect();
        args.consent.check(&self.configs, Some(&found), &absolute, &wrapped)?;
        let next = next_version(&args.order.kinds()?, (document, metadata), &plan, &self.identities, new_data_key)?;
        source::write(path, &next, false)?;
        Ok(Outcome::Synced { new_data_key })
    }

    /// stdout is the summary's if one is asked for.
    fn show(&self, difference: &str) -> Result<()> {
        if self.args.handling.report.is_none() {
            return report::data(difference.as_bytes());
        }
        difference.lines().for_each(report::progress);
        Ok(())
    }
}

/// Asks; under the name `sops` on standard output, and with its words.
fn confirmed(context: &Context) -> Result<bool> {
    let answer = if context.is_sops() { ask::as_sops("Is this okay? (y/n):")? } else { ask::yes_or_no("Is this okay?") };
    answer.ok_or_else(|| Error::new(Kind::Generic, "the input ended without an answer, nothing was changed").hint("-y answers yes"))
}

fn plan(context: &Context, found: &Found, target: &std::path::Path, metadata: &Metadata) -> Result<Plan> {
    let (_, rule) = settings::rule_of(context, found, target)?;
    if !rule.has_recipients() {
        return Err(Error::new(Kind::Generic, format!("the rule in line {} has no recipients", rule.line)));
    }
    let groups = rule.groups.clone();
    let old_threshold = metadata.threshold.filter(|_| metadata.groups.len() > 1);
    // sops doesn't look at the rule's threshold: the file's stays, unless there are fewer groups now.
    let asked = rule.threshold.filter(|_| !context.is_sops());
    let asked = asked.or_else(|| old_threshold.map(|threshold| threshold.min(groups.len())));
    let threshold = crate::datakey::threshold(groups.len(), asked)?;
    let differences = rewrap::differences(&rewrap::recipients(metadata), &groups);
    // What can't be a recipient is told before anyone is asked.
    for spec in differences.iter().flat_map(|difference| &difference.added) {
        recipient::kind_by_field(spec.kind).map_or(Ok(()), |kind| kind.parse(&spec.text).map(drop))?;
    }
    Ok(Plan { groups, threshold, differences, old_threshold })
}

/// A recipient that goes could keep the data key: under kveil's own name there is a new one then.
fn next_version(
    order: &[String],
    (document, metadata): (Document<'_>, Metadata),
    plan: &Plan,
    identities: &Identities,
    new_data_key: bool,
) -> Result<Zeroizing<String>> {
    let data_key = unwrap(&metadata, identities, order)?;
    if new_data_key {
        let opened = next::open_with(document, metadata, data_key, false)?;
        return next::rotate(&opened, &plan.groups, plan.threshold, identities, &clock::now());
    }
    next::with_metadata(&document, &rewrap::rewrap(&data_key, &metadata, &plan.groups, plan.threshold, identities)?)
}
