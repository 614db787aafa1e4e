//! Other recipients for the data key that a file has: entries that need no new wrap keep their bytes.

use super::{DataKey, group_of, threshold, wrap, wrap_entries};
use crate::document::value::Value;
use crate::error::Result;
use crate::metadata::{Entry, Group, Metadata};
use crate::recipient::{CREATED_AT, Identities, RecipientSpec, kind_by_field};

/// The recipients of a file by key group, with all that wrapping for them again needs.
pub fn recipients(metadata: &Metadata) -> Vec<Vec<RecipientSpec>> {
    metadata.groups.iter().map(|group| group.entries.iter().filter_map(spec).collect()).collect()
}

fn spec(entry: &Entry) -> Option<RecipientSpec> {
    kind_by_field(entry.kind).map(|kind| kind.spec(&entry.value))
}

/// How one key group differs from another: recipients in their own notation.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Difference {
    /// In both.
    pub common: Vec<RecipientSpec>,
    /// Only in the new one.
    pub added: Vec<RecipientSpec>,
    /// Only in the old one.
    pub removed: Vec<RecipientSpec>,
}

impl Difference {
    /// Whether nothing was added or removed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// How `new` differs from `old`, group by group (as in SOPS: by position).
pub fn differences(old: &[Vec<RecipientSpec>], new: &[Vec<RecipientSpec>]) -> Vec<Difference> {
    let none = Vec::new();
    (0..old.len().max(new.len())).map(|at| difference(old.get(at).unwrap_or(&none), new.get(at).unwrap_or(&none))).collect()
}

fn difference(old: &[RecipientSpec], new: &[RecipientSpec]) -> Difference {
    let mut difference = Difference::default();
    for spec in new {
        let list = if has(old, spec) { &mut difference.common } else { &mut difference.added };
        list.push(spec.clone());
    }
    difference.removed = old.iter().filter(|spec| !has(new, spec)).cloned().collect();
    difference
}

fn has(group: &[RecipientSpec], spec: &RecipientSpec) -> bool {
    group.iter().any(|other| same(other, spec))
}

/// Whether two notations name one recipient; a key of AWS with another role, context or profile is another one (SOPS).
pub fn same(a: &RecipientSpec, b: &RecipientSpec) -> bool {
    a.is(b)
}

/// New entries as the next version of `old`: unknown fields of a group stay with it, and for a recipient that stays the time at
/// which it came in (SOPS).
pub fn continued(mut groups: Vec<Group>, old: &[Group]) -> Vec<Group> {
    for (group, old) in groups.iter_mut().zip(old) {
        group.unknown.clone_from(&old.unknown);
        let mut left: Vec<&Entry> = old.entries.iter().collect();
        for entry in &mut group.entries {
            let earlier = spec(entry).and_then(|recipient| kept(&mut left, &recipient));
            let time = earlier.and_then(|earlier| earlier.value.get(CREATED_AT).cloned());
            if let (Value::Map(fields), Some(time)) = (&mut entry.value, time) {
                fields.iter_mut().filter(|(name, _)| name == CREATED_AT).for_each(|(_, value)| *value = time.clone());
            }
        }
    }
    groups
}

/// The metadata of the same file for other recipients.
///
/// # Errors
/// Those of [`wrap`].
pub fn rewrap(
    data_key: &DataKey,
    old: &Metadata,
    groups: &[Vec<RecipientSpec>],
    asked: Option<usize>,
    identities: &Identities,
) -> Result<Metadata> {
    let wrapped = match (groups, old.groups.as_slice()) {
        ([wanted], [there]) if !wanted.is_empty() => vec![rewrap_group(data_key, there, wanted, identities)?],
        _ => wrap(data_key, groups, asked, identities)?,
    };
    let mut metadata = Metadata { threshold: threshold(groups.len(), asked)?, groups: wrapped, ..old.clone() };
    metadata.groups.iter_mut().zip(&old.groups).for_each(|(group, old)| group.unknown.clone_from(&old.unknown));
    Ok(metadata)
}

fn rewrap_group(data_key: &DataKey, there: &Group, wanted: &[RecipientSpec], identities: &Identities) -> Result<Group> {
    let mut left: Vec<&Entry> = there.entries.iter().collect();
    let kept: Vec<Option<Entry>> = wanted.iter().map(|recipient| kept(&mut left, recipient)).collect();
    let new = wanted.iter().zip(&kept).filter(|(_, kept)| kept.is_none()).map(|(recipient, _)| (data_key.bytes().as_slice(), recipient));
    let mut new = wrap_entries(new.collect(), identities)?.into_iter();
    Ok(group_of(kept.into_iter().filter_map(|kept| kept.or_else(|| new.next())).collect()))
}

/// The entry that this recipient has, taken from those that are left.
fn kept(left: &mut Vec<&Entry>, recipient: &RecipientSpec) -> Option<Entry> {
    let at = left.iter().position(|entry| spec(entry).is_some_and(|known| same(&known, recipient)))?;
    Some(left.remove(at).clone())
}

#[cfg(all(test, feature = "age"))]
mod tests {
    use super::*;
    use crate::recipient::{Environment, age};

    fn nobody() -> Identities {
        Identities::new(Environment::fixed::<String, String>([]))
    }

    fn recipient(key: usize) -> RecipientSpec {
        let file = std::fs::read_to_string(format!("../testdata/recipients/age{key}.txt")).unwrap();
        RecipientSpec { kind: "age", text: age::recipient_of(file.lines().last().unwrap()).unwrap(), extra: Vec::new() }
    }

    fn metadata(groups: Vec<Group>) -> Metadata {
        Metadata {
            groups,
            threshold: None,
            last_modified: "2024-01-01T00:00:00Z".into(),
            mac: None,
            version: "3.13.3".into(),
            selector: None,
            mac_only_encrypted: false,
            layout: None,
            unknown: Vec::new(),
        }
    }

    #[test]
    fn entries_of_recipients_that_stay_keep_their_bytes() {
        let data_key = DataKey::generate().unwrap();
        let old = metadata(wrap(&data_key, &[vec![recipient(1), recipient(2)]], None, &nobody()).unwrap());
        let new = rewrap(&data_key, &old, &[vec![recipient(2), recipient(3)]], None, &nobody()).unwrap();
        assert!(new.groups[0].entries[0] == old.groups[0].entries[1]);
        assert_eq!(recipients(&new), [vec![recipient(2), recipient(3)]]);
        assert!(rewrap(&data_key, &old, &[vec![]], None, &nobody()).is_err());
    }

    #[test]
    fn groups_differ_by_position() {
        let (one, two, three) = (recipient(1), recipient(2), recipient(3));
        let found = differences(&[vec![one.clone(), two.clone()]], &[vec![two.clone(), three.clone()], vec![one.clone()]]);
        assert_eq!(found[0], Difference { common: vec![two], added: vec![three], removed: vec![one.clone()] });
        assert_eq!(found[1], Difference { common: vec![], added: vec![one], removed: vec![] });
    }

    #[test]
    fn a_second_group_shares_the_key_out() {
        let data_key = DataKey::generate().unwrap();
        let old = metadata(wrap(&data_key, &[vec![recipient(1)]], None, &nobody()).unwrap());
        let new = rewrap(&data_key, &old, &[vec![recipient(1)], vec![recipient(2)]], None, &nobody()).unwrap();
        assert_eq!((new.groups.len(), new.threshold), (2, Some(2)));
        assert!(new.groups[0].entries[0] != old.groups[0].entries[0]);
    }

    #[test]
    fn a_recipient_that_stays_keeps_its_time_and_a_group_its_unknown_fields() {
        let entry = |key: &str, time: &str| {
            let fields = [("created_at", time), ("enc", "x"), ("resource_id", key)];
            Entry { kind: "gcp_kms", value: Value::Map(fields.map(|(name, text)| (name.to_owned(), Value::string(text))).into()) }
        };
        let unknown = vec![("later".to_owned(), Value::string("kept"))];
        let old = Group { entries: vec![entry("a", "2020"), entry("a", "2021"), entry("gone", "2022")], unknown: unknown.clone() };
        let new = Group { entries: ["a", "new", "a", "a"].map(|key| entry(key, "now")).into(), unknown: Vec::new() };
        let group = continued(vec![new], &[old]).remove(0);
        let times: Vec<_> = group.entries.iter().filter_map(|entry| Some(entry.value.get("created_at")?.text()?.into_owned())).collect();
        assert_eq!(times, ["2020", "now", "2021", "now"]);
        assert!(group.unknown == unknown);
    }

    fn all_kinds() -> Metadata {
        let text = include_str!("../../testdata/recipients/all-key-types.yaml");
        let document = crate::document::format_by_name("yaml").unwrap().parse(text).unwrap();
        crate::pipeline::metadata_of(&document).unwrap()
    }

    #[test]
    fn recipients_are_given_back_whole() {
        let groups = recipients(&all_kinds());
        let named: Vec<_> = groups[0].iter().map(|spec| (spec.kind, spec.text.as_str())).collect();
        assert_eq!(groups.len(), 1);
        assert_eq!(named[4], ("azure_kv", "https://v.vault.azure.net/keys/n/abc"));
        assert_eq!(named[6], ("pgp", "ABCD"));
        let extra: Vec<_> = groups[0][0].extra.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let role = ("role", "arn:aws:iam::1:role/r");
        assert_eq!(extra, [role, ("context.aa", "two"), ("context.zz", "1"), ("aws_profile", "prof")]);
    }

    #[test]
    fn another_role_or_context_is_another_recipient() {
        let key = &recipients(&all_kinds())[0][0];
        let without = RecipientSpec { extra: key.extra[1..].to_vec(), ..key.clone() };
        assert!(same(key, key) && !same(key, &without));
    }
}
