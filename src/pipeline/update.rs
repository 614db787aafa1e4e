//! Encrypting a plain file over its earlier encrypted version: what didn't change keeps its bytes, unless that would keep a
//! data key that shouldn't be trusted any more.

use std::collections::HashSet;

use super::Plan;
use super::next::{self, Next, Opened};
use crate::datakey::{self, DataKey, rewrap};
use crate::document::Document;
use crate::document::resolve::Type;
use crate::error::Result;
use crate::metadata::{self, Metadata};
use crate::recipient::Identities;
use crate::seal::encrypt::{self, Sealed};
use crate::seal::value::Token;
use crate::seal::walk;
use crate::select::Selection;

/// The next version of a file, and why it has a new data key if it has one.
pub struct Updated {
    /// The file.
    pub sealed: Sealed,
    /// Why the earlier data key wasn't kept.
    pub new_data_key: Option<&'static str>,
}

/// Encrypts `plain` as `plan` says, over the earlier version `opened`. Its data key is kept if its recipients, selection
/// and threshold are those of the plan (recipients may be added) and at least one encrypted value is unchanged: a version
/// that shares nothing with the file could hold a data key that someone else knows.
///
/// # Errors
/// Those of [`super::encrypt()`].
pub fn update(opened: &Opened<'_>, plain: &Document<'_>, plan: &Plan, identities: &Identities) -> Result<Updated> {
    let why = match reason_against(&opened.metadata, plan) {
        Some(why) => why,
        None => match kept(opened, plain, plan, identities)? {
            Some(sealed) => return Ok(Updated { sealed, new_data_key: None }),
            None => "no encrypted value is what it was",
        },
    };
    Ok(Updated { sealed: renewed(opened, plain, plan, identities)?, new_data_key: Some(why) })
}

/// Why the data key can't be kept, as far as the two blocks tell.
fn reason_against(old: &Metadata, plan: &Plan) -> Option<&'static str> {
    let (kind, text) = plan.selection.parts();
    let removed = || rewrap::differences(&rewrap::recipients(old), &plan.groups).iter().any(|difference| !difference.removed.is_empty());
    // A rule that names no threshold asks for all groups.
    let asked = datakey::threshold(plan.groups.len(), plan.threshold).ok().flatten();
    let there = old.threshold.filter(|_| old.groups.len() > 1);
    if old.selector() != (kind, text) || old.mac_only_encrypted != plan.mac_only_encrypted {
        Some("the rule about values is another one")
    } else if removed() {
        Some("recipients were removed")
    } else if old.groups.len() != plan.groups.len() || there.is_some_and(|there| asked != Some(there)) {
        Some("the key groups are other ones")
    } else {
        None
    }
}

/// The next version under the old data key; [`None`] if it would keep no token.
fn kept(opened: &Opened<'_>, plain: &Document<'_>, plan: &Plan, identities: &Identities) -> Result<Option<Sealed>> {
    let old = &opened.metadata;
    let metadata = rewrap::rewrap(&opened.data_key, old, &plan.groups, plan.threshold, identities)?;
    let metadata = Metadata { last_modified: plan.now.clone(), version: metadata::written_version(Some(&old.version)), ..metadata };
    let sealed = next::reseal_as(opened, plain, &Next { selection: &plan.selection, metadata, layout: plan.layout, data_key: None })?;
    Ok(if sealed.kept > 0 || sealed.encrypted == 0 { Some(sealed) } else { None })
}

/// The next version under a new data key; style and unknown fields of the earlier one stay.
fn renewed(opened: &Opened<'_>, plain: &Document<'_>, plan: &Plan, identities: &Identities) -> Result<Sealed> {
    let data_key = DataKey::generate()?;
    let groups = datakey::wrap(&data_key, &plan.groups, plan.threshold, identities)?;
    let metadata = Metadata {
        threshold: datakey::threshold(groups.len(), plan.threshold)?,
        groups,
        last_modified: plan.now.clone(),
        version: metadata::written_version(Some(&opened.metadata.version)),
        selector: plan.selection.written(),
        mac_only_encrypted: plan.mac_only_encrypted,
        ..opened.metadata.clone()
    };
    next::reseal_as(opened, plain, &Next { selection: &plan.selection, metadata, layout: plan.layout, data_key: Some(&data_key) })
}

/// The key paths of values that the earlier version holds encrypted and that `selection` would leave in clear. No key is
/// needed.
///
/// # Errors
/// Those of walking either file.
pub fn cleared(old: &Document<'_>, plain: &Document<'_>, selection: &Selection) -> Result<Vec<String>> {
    // Which values the old rule chose says nothing: what is a token is encrypted.
    let before = walk::walk(old, &Selection::sops_default())?;
    let tokens = before.leaves.iter().filter(|leaf| {
        let token = Token::parse(old.text(leaf.node));
        token.is_some_and(|token| token.kind != "comment")
    });
    let hidden: HashSet<String> = tokens.map(|leaf| old.key_path(leaf.node)).collect();
    if hidden.is_empty() {
        return Ok(Vec::new());
    }
    let after = walk::walk(plain, selection)?;
    let mut cleared = Vec::new();
    for leaf in after.leaves.iter().filter(|leaf| !leaf.selected) {
        let value = plain.scalar(leaf.node)?;
        let path = plain.key_path(leaf.node);
        if encrypt::hidden(&value) && value.kind != Type::Comment && hidden.contains(&path) {
            cleared.push(path);
        }
    }
    Ok(cleared)
}

#[cfg(all(test, feature = "age"))]
mod tests {
    use super::*;
    use crate::document::{Format, yaml};
    use crate::error::Error;
    use crate::metadata::SelectorKind;
    use crate::recipient::{Environment, RecipientSpec, age};

    const SECRET: &str = "stringData:\n  a: one\n  b: 'two'\n  c: |\n    three\n";

    fn identities() -> Identities {
        let text = std::fs::read_to_string("../testdata/recipients/age1.txt").unwrap();
        Identities::new(Environment::fixed([("SOPS_AGE_KEY", text)]))
    }

    fn recipient(key: usize) -> RecipientSpec {
        let file = std::fs::read_to_string(format!("../testdata/recipients/age{key}.txt")).unwrap();
        RecipientSpec { kind: "age", text: age::recipient_of(file.lines().last().unwrap()).unwrap(), extra: Vec::new() }
    }

    fn plan(keys: &[usize], regex: &str) -> Plan {
        Plan {
            groups: vec![keys.iter().map(|key| recipient(*key)).collect()],
            threshold: None,
            selection: Selection::new(SelectorKind::EncryptedRegex, regex).unwrap(),
            mac_only_encrypted: false,
            indent: None,
            layout: true,
            lenient: false,
            now: "2030-01-01T00:00:00Z".to_owned(),
        }
    }

    fn sealed(keys: &[usize]) -> String {
        let first = Plan { now: "2024-01-01T00:00:00Z".to_owned(), ..plan(keys, "^stringData$") };
        super::super::encrypt(&yaml::parse(SECRET).unwrap(), &first, &identities()).unwrap().text.to_string()
    }

    fn updated(old: &str, plain: &str, plan: &Plan) -> std::result::Result<Updated, Error> {
        let format: &'static dyn Format = &yaml::Yaml;
        let opened = next::open(old, format, &identities(), &[], false)?;
        update(&opened, &yaml::parse(plain).unwrap(), plan, &identities())
    }

    fn changed_lines(old: &str, new: &str) -> usize {
        new.lines().filter(|line| !old.lines().any(|other| other == *line)).count()
    }

    #[test]
    fn nothing_changed_gives_the_same_bytes() {
        let old = sealed(&[1, 2]);
        let next = updated(&old, SECRET, &plan(&[1, 2], "^stringData$")).unwrap();
        assert!(next.sealed.text.as_str() == old && next.new_data_key.is_none());
    }

    #[test]
    fn one_changed_value_changes_its_line_the_time_and_the_mac() {
        let old = sealed(&[1]);
        let next = updated(&old, &SECRET.replace("one", "1"), &plan(&[1], "^stringData$")).unwrap();
        assert_eq!((changed_lines(&old, &next.sealed.text), next.sealed.kept), (3, 2));
        let moved = SECRET.replace("  a: one\n", "").replace("stringData:\n", "stringData:\n  z: new\n") + "  a: one\n";
        let next = updated(&old, &moved, &plan(&[1], "^stringData$")).unwrap();
        assert_eq!((changed_lines(&old, &next.sealed.text), next.sealed.kept), (3, 3));
    }

    #[test]
    fn no_record_is_written_where_none_may_be() {
        let odd = SECRET.replace("a: one", "a: \"\\x6fne\"");
        let recorded = |layout: bool| {
            let plan = Plan { layout, ..plan(&[1], "^stringData$") };
            updated(&sealed(&[1]), &odd, &plan).unwrap().sealed.text.contains("kveil_layout")
        };
        assert!(recorded(true) && !recorded(false));
    }

    #[test]
    fn layout_alone_keeps_time_and_mac() {
        let old = sealed(&[1]);
        let next = updated(&old, &SECRET.replace("a: one", "a:   one"), &plan(&[1], "^stringData$")).unwrap();
        assert_eq!(changed_lines(&old, &next.sealed.text), 1);
    }

    #[test]
    fn a_recipient_more_keeps_all_tokens_and_one_less_none() {
        let old = sealed(&[1, 2]);
        let more = updated(&old, SECRET, &plan(&[1, 2, 3], "^stringData$")).unwrap();
        assert!(more.new_data_key.is_none());
        assert!(old.lines().all(|line| more.sealed.text.contains(line)));
        let less = updated(&old, SECRET, &plan(&[1], "^stringData$")).unwrap();
        assert_eq!((less.new_data_key, less.sealed.kept), (Some("recipients were removed"), 0));
    }

    #[test]
    fn a_version_that_shares_no_value_gives_no_data_key() {
        let next = updated(&sealed(&[1]), "stringData:\n  a: x\n", &plan(&[1], "^stringData$")).unwrap();
        assert_eq!(next.new_data_key, Some("no encrypted value is what it was"));
        let next = updated(&sealed(&[1]), SECRET, &plan(&[1], "^string")).unwrap();
        assert_eq!(next.new_data_key, Some("the rule about values is another one"));
    }

    #[test]
    fn a_value_that_would_come_into_clear_is_found() {
        let old = sealed(&[1]);
        let found = |regex: &str| {
            let selection = Selection::new(SelectorKind::EncryptedRegex, regex).unwrap();
            cleared(&yaml::parse(&old).unwrap(), &yaml::parse(SECRET).unwrap(), &selection).unwrap()
        };
        assert_eq!(found("^a$"), ["stringData.b", "stringData.c"]);
        assert!(found("^stringData$").is_empty());
    }
}
