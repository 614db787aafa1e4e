//! Who may get the data key of a merged file.

use std::path::PathBuf;

use crate::cli::consent::Consent;
use crate::cli::context::Context;
use crate::cli::flags::Common;
use crate::cli::settings::Configs;
use crate::datakey::rewrap;
use crate::error::{Error, Kind, Result};
use crate::git::merge::Versions;
use crate::pipeline;
use crate::recipient::RecipientSpec;

/// Those of the file's rule, or without a rule those of our version.
pub struct Readers<'a> {
    configs: Configs<'a>,
    consent: &'a Consent,
    /// The file, absolute.
    target: PathBuf,
    ours: Vec<RecipientSpec>,
}

impl<'a> Readers<'a> {
    /// For the file at `target` (absolute).
    pub fn new(context: &'a Context, common: &'a Common, consent: &'a Consent, target: PathBuf, versions: &Versions<'_>) -> Readers<'a> {
        Readers { configs: Configs::new(context, common), consent, target, ours: recipients_of(versions) }
    }

    /// Refuses recipients who aren't among them; a person who is there is asked.
    ///
    /// # Errors
    /// `Generic` (1); `Unreadable` (2): git is in trouble.
    pub fn check(&self, recipients: &[RecipientSpec]) -> Result<()> {
        let (configs, consent) = (&self.configs, self.consent);
        let found = consent.configuration(configs, &self.target)?;
        consent.check(configs, found.as_deref(), &self.target, recipients)?;
        if consent.is_ruled(configs, found.as_deref(), &self.target)? {
            return Ok(());
        }
        let known = |spec: &RecipientSpec| consent.allows(spec) || self.ours.iter().any(|known| rewrap::same(known, spec));
        recipients.iter().find(|spec| !known(spec)).map_or(Ok(()), |spec| {
            let message =
                format!("refused to add a reader: no rule is for the file, and our version doesn't have {} {}", spec.kind, spec.text);
            Err(Error::new(Kind::Generic, message).hint("add a rule to .sops.yaml and commit it, if the reader belongs there"))
        })
    }
}

/// Whom our version is for; theirs says so only where ours is in clear.
fn recipients_of(versions: &Versions<'_>) -> Vec<RecipientSpec> {
    let metadata = |text: &str| pipeline::metadata_of(&versions.format.parse(text).ok()?).ok();
    let metadata = metadata(versions.ours).or_else(|| metadata(versions.theirs));
    metadata.map(|metadata| rewrap::recipients(&metadata).concat()).unwrap_or_default()
}
