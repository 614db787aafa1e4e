//! No new reader by accident: an entry that someone copied into a file, or a rule that isn't committed yet, gets no data
//! key before a person who may decide has agreed.

use std::path::Path;
use std::sync::Arc;

use super::settings::{Configs, Found};
use super::{ask, report};
use crate::config::{Config, Rule};
use crate::datakey::rewrap;
use crate::error::{Error, Kind, Result};
use crate::recipient::{RecipientSpec, kind_by_field};

/// Who agreed to what.
#[derive(clap::Args, Default)]
pub struct Consent {
    /// Take this recipient although the committed rule of the file doesn't have it
    #[arg(long, value_name = "RECIPIENT", help_heading = "Recipients")]
    allow_recipient: Vec<String>,
}

impl Consent {
    /// Refuses to wrap the data key of `target` for a recipient that its rule doesn't have: the rule of the last commit if
    /// there is one, else that of the work tree. Without a rule a recipient flag is consent.
    ///
    /// # Errors
    /// `Generic` (1), with the recipients and what to do.
    pub fn check(&self, configs: &Configs<'_>, found: Option<&Found>, target: &Path, recipients: &[RecipientSpec]) -> Result<()> {
        let context = configs.context;
        let Some(found) = found.filter(|found| found.config.has_creation_rules) else { return Ok(()) };
        let committed = configs.committed(found)?;
        if context.is_strict() {
            // A pattern that can't be read matches nothing, and would leave the file without a rule to hold against it.
            found.config.strict()?;
            committed.as_ref().map_or(Ok(()), |config| config.strict())?;
        }
        let (config, place) = match &committed {
            Some(config) => (&**config, "the committed rule"),
            None => (&found.config, "the rule"),
        };
        let Some(rule) = rule_for(config, found, target) else { return Ok(()) };
        let strangers: Vec<&RecipientSpec> = recipients.iter().filter(|spec| !self.allows(spec) && !contains(rule, spec)).collect();
        if strangers.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = strangers.iter().map(|spec| format!("{} {}", spec.kind, spec.text)).collect();
        let message = format!("{} of {}:{} doesn't have {}", place, config.file, rule.line, names.join(", "));
        if !context.is_strict() {
            report::warning(context, &message);
            return Ok(());
        }
        if ask::possible(context) && ask::yes(&format!("{message}: shall it be able to read the file?")) {
            return Ok(());
        }
        Err(refusal(message, &strangers, committed.is_some()))
    }

    /// The configuration to hold recipients against: one that can't be read is an error where consent is needed.
    ///
    /// # Errors
    /// `Generic` (1) if it can't be read; under the name `sops` that is only a warning.
    pub fn configuration(&self, configs: &Configs<'_>, target: &Path) -> Result<Option<Arc<Found>>> {
        if configs.context.is_strict() { configs.find(Some(target)) } else { Ok(configs.find_leniently(target)) }
    }

    fn allows(&self, spec: &RecipientSpec) -> bool {
        let same = |text: &str| kind_by_field(spec.kind).is_some_and(|kind| text == spec.text || kind.same(text.trim(), &spec.text));
        self.allow_recipient.iter().flat_map(|list| list.split(',')).any(same)
    }
}

fn rule_for<'c>(config: &'c Config, found: &Found, target: &Path) -> Option<&'c Rule> {
    let directory = found.path.parent().unwrap_or(Path::new("/"));
    config.rule_for(&crate::config::relative_path(directory, target)).map(|(_, rule)| rule)
}

fn contains(rule: &Rule, spec: &RecipientSpec) -> bool {
    !rule.has_recipients() || rule.groups.iter().flatten().any(|known| rewrap::same(known, spec))
}

fn refusal(message: String, strangers: &[&RecipientSpec], committed: bool) -> Error {
    let flags: Vec<String> = strangers.iter().map(|spec| format!("--allow-recipient {}", spec.text)).collect();
    let error = Error::new(Kind::Generic, format!("refused to add a reader: {message}"));
    let error = match committed {
        true => error.hint("commit the change of the configuration first, so that it is seen in review"),
        false => error.hint("someone may have copied the entry into the file; kveil updatekeys brings it in line with the rule"),
    };
    error.hint(format!("if it belongs there: {}", flags.join(" ")))
}
