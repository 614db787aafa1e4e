//! No new reader by accident: an entry that someone copied into a file, or a rule that isn't committed yet, gets no data
//! key before a person who may decide has agreed.

use std::path::Path;
use std::sync::Arc;

use super::policy::Seen;
use super::settings::{Configs, Found};
use super::{ask, report};
use crate::config::Rule;
use crate::datakey::rewrap;
use crate::error::{Error, Kind, Result, printable};
use crate::recipient::{RecipientSpec, kind_by_field};

/// How a refusal starts that a person could turn into a yes.
const REFUSED: &str = "refused to add a reader: ";

/// Who agreed to what.
#[derive(clap::Args, Default)]
pub struct Consent {
    /// Take this recipient although the committed rule of the file doesn't have it
    #[arg(long, value_name = "RECIPIENT", help_heading = "Recipients")]
    allow_recipient: Vec<String>,
    /// Hold recipients against the rules of this revision, rather than those of the last commit
    #[arg(long, value_name = "REV", help_heading = "Recipients")]
    policy: Option<String>,
}

/// Who says which recipients a file may have.
enum Authority<'a> {
    /// A rule that is committed, in another form than the work tree's or as the revision that was named has it.
    Committed(&'a Rule, &'a str),
    /// The rule of the work tree: it is what is committed, or nothing is.
    WorkTree(&'a Rule, &'a str),
    /// The revision that was named has no rule for the file.
    Nobody,
}

impl Consent {
    /// Refuses to wrap the data key of `target` for a recipient that its rule doesn't have: the rule of the last commit, or
    /// of the revision that was named, if there is one, else that of the work tree. Without a rule a recipient flag is
    /// consent. What is allowed by flag needs no git.
    ///
    /// # Errors
    /// `Generic` (1), with the recipients and what to do. `Unreadable` (2): git is in trouble, or knows no such revision.
    pub fn check(&self, configs: &Configs<'_>, found: Option<&Found>, target: &Path, recipients: &[RecipientSpec]) -> Result<()> {
        let context = configs.context;
        self.foresee(configs, found, target, recipients).or_else(|refusal| {
            let question = refusal.message.strip_prefix(REFUSED).filter(|_| ask::possible(context));
            match question {
                Some(message) if ask::yes(&format!("{message}: shall it be able to read the file?")) => Ok(()),
                _ => Err(refusal),
            }
        })
    }

    /// As [`Consent::check`], without a question to anyone: nothing is to be written.
    ///
    /// # Errors
    /// As there.
    pub fn foresee(&self, configs: &Configs<'_>, found: Option<&Found>, target: &Path, recipients: &[RecipientSpec]) -> Result<()> {
        let context = configs.context;
        let found = found.filter(|found| found.config.has_creation_rules);
        if let Some(found) = found.filter(|_| context.is_strict()) {
            // A pattern that can't be read matches nothing, and would leave the file without a rule to hold against it.
            found.config.strict()?;
        }
        let asked: Vec<&RecipientSpec> = recipients.iter().filter(|spec| !self.allows(spec)).collect();
        let silent = !context.is_strict() && !context.talkative && self.policy.is_none();
        if asked.is_empty() || silent {
            return Ok(());
        }
        let seen = self.seen(configs, found, target)?;
        let Some(authority) = self.authority(seen.as_deref(), found, target) else { return Ok(()) };
        let strangers: Vec<&RecipientSpec> = asked.into_iter().filter(|spec| !authority.has(spec)).collect();
        if strangers.is_empty() {
            return Ok(());
        }
        let message = self.message(&authority, &strangers);
        if !context.is_strict() {
            report::warning(context, &message);
            return Ok(());
        }
        Err(self.refusal(message, &strangers, &authority))
    }

    /// The committed configuration that counts for `target`. Under the name `sops`, which never needs git, trouble with it
    /// is nothing, unless a revision was named.
    fn seen(&self, configs: &Configs<'_>, found: Option<&Found>, target: &Path) -> Result<Option<Arc<Seen>>> {
        let context = configs.context;
        let seen = configs.policies.find(context, self.policy.as_deref(), found, target);
        if !context.is_strict() && self.policy.is_none() {
            return Ok(seen.ok().flatten());
        }
        let seen = seen.map_err(|error| match error.kind {
            Kind::Unreadable if self.policy.is_none() => {
                error.hint("who may read the file is held against the last commit: --allow-recipient R for each recipient goes without")
            }
            _ => error,
        })?;
        if let Some(seen) = seen.as_ref().filter(|_| context.is_strict()) {
            seen.config.strict()?;
        }
        Ok(seen)
    }

    fn authority<'a>(&self, seen: Option<&'a Seen>, found: Option<&'a Found>, target: &Path) -> Option<Authority<'a>> {
        let here = found.and_then(|found| {
            let directory = found.path.parent().unwrap_or(Path::new("/"));
            let (_, rule) = found.config.rule_for(&crate::config::relative_path(directory, target))?;
            Some(Authority::WorkTree(rule, &found.config.file))
        });
        if self.policy.is_none() && seen.zip(found).is_some_and(|(seen, found)| seen.is(found)) {
            return here;
        }
        match seen.and_then(|seen| Some((seen, seen.rule_for(target)?))) {
            Some((seen, rule)) => Some(Authority::Committed(rule, &seen.config.file)),
            // A revision that is named has the say: a rule that it hasn't seen is none.
            None if self.policy.is_some() && (seen.is_some() || here.is_some()) => Some(Authority::Nobody),
            None => here,
        }
    }

    fn message(&self, authority: &Authority<'_>, strangers: &[&RecipientSpec]) -> String {
        let names: Vec<String> = strangers.iter().map(|spec| format!("{} {}", spec.kind, spec.text)).collect();
        let names = names.join(", ");
        match authority {
            Authority::Committed(rule, file) if self.policy.is_some() => format!("the rule of {file}:{} doesn't have {names}", rule.line),
            Authority::Committed(rule, file) => format!("the committed rule of {file}:{} doesn't have {names}", rule.line),
            Authority::WorkTree(rule, file) => format!("the rule of {file}:{} doesn't have {names}", rule.line),
            Authority::Nobody => {
                format!("{} has no rule for the file, and so none that has {names}", printable(self.policy.as_deref().unwrap_or("HEAD")))
            }
        }
    }

    /// Says whether the rules that bring new recipients are new themselves.
    pub fn tell_news(&self, configs: &Configs<'_>, found: &Found) {
        let context = configs.context;
        if !context.talkative {
            return;
        }
        configs.policies.news(context, self.policy.as_deref(), found).into_iter().for_each(|news| report::warning(context, &news));
    }

    /// Whether [`Consent::check`] holds the recipients of `target` against a rule.
    ///
    /// # Errors
    /// `Generic` (1) if a configuration can't be read.
    pub fn is_ruled(&self, configs: &Configs<'_>, found: Option<&Found>, target: &Path) -> Result<bool> {
        let found = found.filter(|found| found.config.has_creation_rules);
        let seen = self.seen(configs, found, target)?;
        Ok(match self.authority(seen.as_deref(), found, target) {
            Some(Authority::Committed(rule, _) | Authority::WorkTree(rule, _)) => rule.has_recipients(),
            Some(Authority::Nobody) => true,
            None => false,
        })
    }

    /// The configuration to hold recipients against: one that can't be read is an error where consent is needed.
    ///
    /// # Errors
    /// `Generic` (1) if it can't be read; under the name `sops` that is only a warning.
    pub fn configuration(&self, configs: &Configs<'_>, target: &Path) -> Result<Option<Arc<Found>>> {
        if configs.context.is_strict() { configs.find(Some(target)) } else { Ok(configs.find_leniently(target)) }
    }

    /// Whether a flag names this recipient.
    pub fn allows(&self, spec: &RecipientSpec) -> bool {
        let same = |text: &str| kind_by_field(spec.kind).is_some_and(|kind| text == spec.text || kind.same(text.trim(), &spec.text));
        self.allow_recipient.iter().any(|list| same(list) || list.split(',').any(same))
    }

    fn refusal(&self, message: String, strangers: &[&RecipientSpec], authority: &Authority<'_>) -> Error {
        let flags: Vec<String> = strangers.iter().map(|spec| format!("--allow-recipient {}", quoted(&spec.text))).collect();
        let error = Error::new(Kind::Generic, format!("{REFUSED}{message}"));
        let error = match (authority, &self.policy) {
            (Authority::WorkTree(..), _) => {
                error.hint("someone may have copied the entry into the file; kveil updatekeys brings it in line with the rule")
            }
            (_, Some(revision)) => error.hint(format!("a change of the configuration has to be in {} first", printable(revision))),
            (_, None) => error.hint("commit the change of the configuration first, so that it is seen in review"),
        };
        error.hint(format!("if it belongs there: {}", flags.join(" ")))
    }
}

impl Authority<'_> {
    /// Whether the file may have this recipient. An encryption context makes no other reader of a key.
    fn has(&self, spec: &RecipientSpec) -> bool {
        let rule = match self {
            Authority::Committed(rule, _) | Authority::WorkTree(rule, _) => rule,
            Authority::Nobody => return false,
        };
        !rule.has_recipients() || rule.groups.iter().flatten().any(|known| rewrap::same(&without_context(known), &without_context(spec)))
    }
}

fn without_context(spec: &RecipientSpec) -> RecipientSpec {
    let extra = spec.extra.iter().filter(|(name, _)| !name.starts_with("context.")).cloned().collect();
    RecipientSpec { extra, ..spec.clone() }
}

/// The line of an ssh key has blanks.
fn quoted(text: &str) -> String {
    if text.contains(char::is_whitespace) { format!("'{text}'") } else { text.to_owned() }
}
