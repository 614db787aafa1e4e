//! One creation rule.

use std::collections::HashMap;

use super::reader::{Field, Reader};
use super::{CREATION_RULES, Scope, recipients};
use crate::document::NodeId;
use crate::error::Position;
use crate::metadata::SelectorKind;
use crate::pattern::Pattern;
use crate::recipient::RecipientSpec;

const PATH_REGEX: &str = "path_regex";
const THRESHOLD: &str = "shamir_threshold";
const MAC_ONLY_ENCRYPTED: &str = "mac_only_encrypted";

/// All fields of a rule.
pub(super) const FIELDS: [&str; 18] = [
    PATH_REGEX,
    "age",
    "pgp",
    "kms",
    "aws_profile",
    "gcp_kms",
    "hckms",
    "azure_keyvault",
    "hc_vault_transit_uri",
    "key_groups",
    THRESHOLD,
    "unencrypted_suffix",
    "encrypted_suffix",
    "unencrypted_regex",
    "encrypted_regex",
    "unencrypted_comment_regex",
    "encrypted_comment_regex",
    MAC_ONLY_ENCRYPTED,
];

/// A creation rule: for which files, for whom, which values.
pub struct Rule {
    /// What a file's path must match; none means every file.
    pub path_regex: Option<Pattern>,
    /// The key groups; a rule with flat lists has one group, a rule without recipients none.
    pub groups: Vec<Vec<RecipientSpec>>,
    /// Whether its recipients stand in key groups, not in flat lists.
    pub grouped: bool,
    /// How many groups must be opened.
    pub threshold: Option<usize>,
    /// Which values are encrypted.
    pub selector: Option<(SelectorKind, String)>,
    /// Whether the MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// Line in the config, from 1.
    pub line: usize,
    /// Its `path_regex` can't be read, so that it matches nothing.
    broken: bool,
    pub(super) node: NodeId,
}

impl Rule {
    /// Whether the rule is for the file of this path.
    pub fn matches(&self, path: &str) -> bool {
        !self.broken && self.path_regex.as_ref().is_none_or(|pattern| pattern.is_match(path))
    }

    /// Whether it names anyone to encrypt for. If not, flags or the environment must.
    pub fn has_recipients(&self) -> bool {
        self.groups.iter().any(|group| !group.is_empty())
    }
}

/// Reads the rule of this index.
pub(super) fn read(reader: &mut Reader<'_, '_>, id: NodeId, index: usize) -> Rule {
    reader.scope = Scope::Used(index);
    let fields = reader.fields(id, "a creation rule");
    reader.check_names(&fields, &FIELDS, &format!("in a rule of {CREATION_RULES}"));
    let field = |name: &str| fields.iter().find(|field| field.name == name);
    let path = field(PATH_REGEX).and_then(|field| Some((field, reader.text(field)?)));
    let path_regex = path.as_ref().and_then(|(field, text)| pattern(reader, field, text, Scope::Tried(index)));
    let (groups, grouped) = recipients::read(reader, &fields, index);
    let rule = Rule {
        broken: path.is_some() && path_regex.is_none(),
        path_regex,
        threshold: field(THRESHOLD).and_then(|field| threshold(reader, field, groups.len(), index)),
        grouped,
        groups,
        selector: selector(reader, &fields, index),
        mac_only_encrypted: field(MAC_ONLY_ENCRYPTED).is_some_and(|field| reader.bool(field)),
        line: Position::of(reader.document.source, reader.document.node(id).span.start as usize).line,
        node: id,
    };
    reader.scope = Scope::File;
    rule
}

/// A pattern, or a finding why it is none. SOPS refuses a bad `path_regex` when it gets there; a bad selector it takes for
/// one that matches nothing, which can leave a whole file in clear.
fn pattern(reader: &mut Reader<'_, '_>, field: &Field<'_>, text: &str, scope: Scope) -> Option<Pattern> {
    match Pattern::new(text) {
        Ok(pattern) => Some(pattern),
        Err(why) => {
            let message = format!("{} is not a regular expression that SOPS can read: {why}", field.name);
            reader.find_grave(field.value, scope, message, Vec::new());
            None
        }
    }
}

fn selector(reader: &mut Reader<'_, '_>, fields: &[Field<'_>], index: usize) -> Option<(SelectorKind, String)> {
    let mut first: Option<(SelectorKind, String)> = None;
    for kind in SelectorKind::ALL {
        let Some(field) = fields.iter().find(|field| field.name == kind.name()) else { continue };
        let Some(text) = reader.text(field) else { continue };
        if !matches!(kind, SelectorKind::UnencryptedSuffix | SelectorKind::EncryptedSuffix) {
            pattern(reader, field, &text, Scope::Used(index));
        }
        match &first {
            Some((other, _)) => {
                let message = format!("a rule with both {} and {}, at most one of these may be set", other.name(), kind.name());
                reader.find_grave(field.key, Scope::Used(index), message, vec!["drop one of them".to_owned()]);
            }
            None => first = Some((kind, text)),
        }
    }
    first
}

/// 0 is SOPS's word for "all groups"; with one group the number means nothing. Who wraps a data key in shares refuses a
/// number out of range himself: here it stops no one who keeps the threshold that a file has.
fn threshold(reader: &mut Reader<'_, '_>, field: &Field<'_>, groups: usize, index: usize) -> Option<usize> {
    let number = reader.int(field).filter(|number| *number != 0)?;
    let threshold = usize::try_from(number).ok();
    let message = || format!("{THRESHOLD} out of range, expected 2 to the number of key groups, which is {groups}");
    match threshold {
        None => reader.find_grave(field.value, Scope::Used(index), message(), Vec::new()),
        Some(threshold) if groups > 1 && !(2..=groups).contains(&threshold) => reader.find(field.value, message(), Vec::new()),
        Some(_) => {}
    }
    threshold
}

/// Notes rules that can't be reached: the first match wins.
pub(super) fn find_unreachable(rules: &[Rule], reader: &mut Reader<'_, '_>) {
    let mut paths: HashMap<&str, usize> = HashMap::new();
    let mut every: Option<usize> = None;
    for rule in rules.iter().filter(|rule| !rule.broken) {
        let path = rule.path_regex.as_ref().map(Pattern::as_str);
        if let Some(line) = every {
            let message = format!("this rule never matches: the rule of line {line} has no {PATH_REGEX} and takes every file");
            reader.find(rule.node, message, vec!["put the rule for all files last".to_owned()]);
        } else if let Some(line) = path.and_then(|path| paths.get(path)) {
            let message = format!("this rule never matches: the rule of line {line} has the same {PATH_REGEX}");
            reader.find(rule.node, message, vec!["make one rule of the two".to_owned()]);
        }
        match path {
            Some(path) => _ = paths.entry(path).or_insert(rule.line),
            None => _ = every.get_or_insert(rule.line),
        }
    }
}
