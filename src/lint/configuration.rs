//! Files against the rules of `.sops.yaml`.

use super::{Level, Rule, Sheet, Subject, clear};
use crate::config::Config;
use crate::datakey::rewrap;
use crate::document::{Document, NONE};
use crate::kubernetes::{self, decoded};
use crate::recipient::{self, RecipientSpec};
use crate::seal::encrypt;
use crate::seal::value::Token;
use crate::seal::walk;
use crate::select::Selection;
use crate::tree::choice;

/// A file that a rule is meant for stands in clear.
pub static NOT_ENCRYPTED: Rule = Rule::new("KV118", "rule-not-applied", Level::Warning).fixed();
/// Recipients or selection differ from the rule's.
pub static DRIFT: Rule = Rule::new("KV301", "recipients-drift", Level::Warning);
/// No rule is for the file.
pub static NO_RULE: Rule = Rule::new("KV311", "no-rule", Level::Warning);
/// A rule encrypts nothing in a file.
pub static NOTHING: Rule = Rule::new("KV317", "rule-encrypts-nothing", Level::Error);
/// A mistake in `.sops.yaml`.
pub static MISTAKE: Rule = Rule::new("KV328", "config-mistake", Level::Warning);

pub(super) const RULES: &[&Rule] = &[&NOT_ENCRYPTED, &DRIFT, &NO_RULE, &NOTHING, &MISTAKE];

pub(super) fn look(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let Some(document) = subject.document.filter(|_| !subject.conflict) else { return };
    if subject.has_block {
        without_ciphertext(subject, document, sheet);
        drift(subject, sheet);
        no_rule(subject, sheet);
    } else {
        let secret = subject.objects().iter().any(decoded::is_secret);
        in_clear(subject, document, secret, sheet);
        if sheet.found(&clear::PLAINTEXT_SECRET) {
            no_rule(subject, sheet);
        }
    }
}

/// The mistakes of a configuration.
pub fn mistakes(config: &Config) -> Vec<super::Finding> {
    let one = |finding: &crate::config::Finding| {
        let next = finding.hints.first().cloned().unwrap_or_else(|| "kveil config explains what is read".to_owned());
        let mut found = super::Finding::of_file(&MISTAKE, &config.file, finding.message.clone(), next);
        found.position = Some(finding.position);
        found.level = if finding.grave { Level::Error } else { Level::Warning };
        found
    };
    config.findings.iter().map(one).collect()
}

fn no_rule(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    if subject.about.rule.is_some() {
        return;
    }
    match subject.about.config.filter(|config| config.has_creation_rules) {
        Some(config) => {
            let message = format!("no rule of {} is for this file", config.file);
            sheet.whole(&NO_RULE, message, "add a rule whose path_regex matches it");
        }
        None => {
            let finding = sheet.whole(&NO_RULE, "there is no .sops.yaml for this file", "kveil init makes one");
            finding.level = Level::Note;
        }
    }
}

/// An encrypted file in which nothing is encrypted, though it isn't empty: its selection is meant for files of another
/// shape.
fn without_ciphertext(subject: &Subject<'_>, document: &Document<'_>, sheet: &mut Sheet<'_>) {
    let Some(encrypted) = &subject.encrypted else { return };
    let leaves = || encrypted.walk.leaves.iter().filter(|leaf| leaf.alias == NONE);
    let sealed = leaves().any(|leaf| leaf.selected || Token::parse(document.text(leaf.node)).is_some());
    let filled = leaves().any(|leaf| document.scalar(leaf.node).is_ok_and(|value| encrypt::hidden(&value)));
    if sealed || !filled || is_empty_secret(document) {
        return;
    }
    let (kind, text) = encrypted.metadata.selector();
    let message = format!("it has a sops block, and nothing in it is encrypted: {} {text} matches no key of it", kind.name());
    sheet.whole(&NOTHING, message, "give the file a rule of its own, and encrypt it again: its values are in clear");
}

/// Objects without any value may well be encrypted: nothing is there yet.
fn is_empty_secret(document: &Document<'_>) -> bool {
    let mut roots = document.parts.iter().map(|part| part.root).filter(|root| *root != NONE);
    let empty = |root| kubernetes::object(document, root).is_some_and(|object| decoded::is_secret(&object)) && !filled(document, root);
    roots.all(empty)
}

fn filled(document: &Document<'_>, root: u32) -> bool {
    let has = |field: &str| document.get(root, field).is_some_and(|map| document.children(map).next().is_some());
    has("data") || has("stringData") || has("items")
}

/// A file in clear, for which a rule with a `path_regex` is: forgotten, or of a shape that the rule doesn't fit.
fn in_clear(subject: &Subject<'_>, document: &Document<'_>, secret: bool, sheet: &mut Sheet<'_>) {
    let Some(rule) = subject.about.rule.filter(|rule| rule.path_regex.is_some() && rule.has_recipients()) else { return };
    if choice::by_name(std::path::Path::new(subject.name)).is_some() || document.format.is_bytes() {
        return;
    }
    let selection = match &rule.selector {
        Some((kind, text)) => Selection::new(*kind, text).ok(),
        None => default(document),
    };
    let Some(selection) = selection else { return };
    let selected = choice::values(document, &selection).unwrap_or_default();
    let line = subject.about.config.map_or_else(String::new, |config| format!("{}:{}", config.file, rule.line));
    if selected > 0 {
        // A Secret says it value by value.
        if !secret {
            let message = format!("the rule at {line} is for this file, and it is in clear");
            sheet.whole(&NOT_ENCRYPTED, message, format!("kveil encrypt -i {}", subject.name));
        }
    } else if rule.selector.is_some() && !is_kubernetes(document) && has_values(document) {
        let message = format!("the rule at {line} is for this file, and would encrypt nothing in it");
        let finding = sheet.whole(&NOTHING, message, "give files of this shape a rule of their own, without encrypted_regex");
        finding.level = Level::Warning;
    }
}

fn default(document: &Document<'_>) -> Option<Selection> {
    use crate::kubernetes::secret::Default;
    match kubernetes::default_selection(document).ok()? {
        Default::Pattern(pattern) => Selection::new(crate::metadata::SelectorKind::EncryptedRegex, &pattern).ok(),
        Default::SopsDefault => Some(Selection::sops_default()),
    }
}

fn is_kubernetes(document: &Document<'_>) -> bool {
    document.parts.iter().any(|part| part.root != NONE && document.get(part.root, "kind").is_some())
}

fn has_values(document: &Document<'_>) -> bool {
    let leaves = walk::walk(document, &Selection::sops_default()).map(|walk| walk.leaves).unwrap_or_default();
    leaves.iter().any(|leaf| document.scalar(leaf.node).is_ok_and(|value| encrypt::hidden(&value)))
}

fn drift(subject: &Subject<'_>, sheet: &mut Sheet<'_>) {
    let (Some(encrypted), Some(rule)) = (&subject.encrypted, subject.about.rule) else { return };
    if rule.has_recipients() {
        recipients(subject, encrypted, rule, sheet);
    }
    let (kind, text) = encrypted.metadata.selector();
    if let Some((wanted, pattern)) = rule.selector.as_ref().filter(|(wanted, pattern)| (*wanted, pattern.as_str()) != (kind, text)) {
        let message = format!("its values are selected by {} {text}, the rule says {} {pattern}", kind.name(), wanted.name());
        sheet.whole(&DRIFT, message, "decrypt the file, and encrypt it again");
    }
}

fn recipients(subject: &Subject<'_>, encrypted: &super::Encrypted, rule: &crate::config::Rule, sheet: &mut Sheet<'_>) {
    let mut parts = Vec::new();
    for difference in rewrap::differences(&rewrap::recipients(&encrypted.metadata), &rule.groups) {
        let list = |specs: &[RecipientSpec]| specs.iter().map(|spec| named(spec, subject.about.config)).collect::<Vec<_>>().join(", ");
        if !difference.added.is_empty() {
            parts.push(format!("lacks {}", list(&difference.added)));
        }
        if !difference.removed.is_empty() {
            parts.push(format!("has {}, whom the rule doesn't name", list(&difference.removed)));
        }
    }
    if encrypted.metadata.groups.len() > 1 && rule.threshold.is_some() && rule.threshold != encrypted.metadata.threshold {
        parts.push("has another shamir_threshold".to_owned());
    }
    if !parts.is_empty() {
        sheet.whole(&DRIFT, format!("out of line with its rule: it {}", parts.join("; ")), format!("kveil updatekeys {}", subject.name));
    }
}

/// A recipient for people: its label, and its short form beside it.
pub(super) fn named(spec: &RecipientSpec, config: Option<&Config>) -> String {
    named_by(spec, config.map(|config| config.names.as_slice()).unwrap_or_default())
}

/// The same by these labels.
pub(super) fn named_by(spec: &RecipientSpec, labels: &[(String, String)]) -> String {
    let kind = recipient::kind_by_field(spec.kind);
    let short = kind.map_or_else(|| spec.text.clone(), |kind| kind.short(&spec.text));
    let label = labels.iter().find(|(text, _)| kind.is_some_and(|kind| kind.same(text, &spec.text)));
    label.map_or_else(|| short.clone(), |(_, label)| format!("{label} ({short})"))
}
