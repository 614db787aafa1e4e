//! Who must be able to open every file: the key for the day on which all others are lost.

use super::configuration::named;
use super::{Level, Rule, Sheet, Subject, count};
use crate::config::Config;
use crate::datakey::rewrap;
use crate::recipient::{self, RecipientSpec};

/// A recipient is missing that every file must have, or there are too few.
pub static RECIPIENTS: Rule = Rule::new("KV319", "recipient-policy", Level::Error);

pub(super) const RULES: &[&Rule] = &[&RECIPIENTS];

/// What is asked of every encrypted file.
#[derive(Default)]
pub struct Policy {
    /// Recipients, or their labels in `.sops.yaml`.
    pub required: Vec<String>,
    /// How many recipients there must be.
    pub least: usize,
}

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let Some(encrypted) = &subject.encrypted else { return };
    let policy = subject.about.policy;
    let recipients: Vec<RecipientSpec> = rewrap::recipients(&encrypted.metadata).into_iter().flatten().collect();
    let next = format!("add it to the rule in .sops.yaml, and kveil updatekeys {}", subject.name);
    for required in &policy.required {
        if !recipients.iter().any(|spec| is(spec, required, subject.about.config)) {
            let shown = recipient::read(required).map_or_else(|_| required.clone(), |spec| named(&spec, subject.about.config));
            sheet.whole(&RECIPIENTS, format!("the required recipient {shown} can't open it"), next.clone());
        }
    }
    if recipients.len() < policy.least {
        let message = format!("{} can open it, at least {} are asked for", count(recipients.len(), "recipient"), policy.least);
        sheet.whole(&RECIPIENTS, message, next);
    }
}

/// Whether `wanted` names this recipient, by itself or by a label.
fn is(spec: &RecipientSpec, wanted: &str, config: Option<&Config>) -> bool {
    let same = |text: &str| recipient::kind_by_field(spec.kind).is_some_and(|kind| kind.same(text, &spec.text));
    let names = config.map(|config| config.names.as_slice()).unwrap_or_default();
    same(wanted) || names.iter().any(|(text, label)| label == wanted && same(text))
}
