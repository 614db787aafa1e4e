//! The recipients of a rule: flat lists, or key groups.

use std::collections::HashSet;

use super::Scope;
use super::reader::{Field, MAX_MERGES, Reader};
use crate::document::NodeId;
use crate::recipient::{RecipientSpec, arn_and_role};
use crate::sorting;

const AWS_PROFILE: &str = "aws_profile";
const ROLE: &str = "role";
const KEY_GROUPS: &str = "key_groups";
const MERGE: &str = "merge";

/// The flat fields of a rule and the kind of each, in the order in which SOPS puts them into its one group.
pub(super) const FLAT: [(&str, &str); 7] = [
    ("age", "age"),
    ("pgp", "pgp"),
    ("kms", "kms"),
    ("gcp_kms", "gcp_kms"),
    ("hckms", "hckms"),
    ("azure_keyvault", "azure_kv"),
    ("hc_vault_transit_uri", "hc_vault"),
];
/// The fields of a key group, in the order in which SOPS reads them.
const GROUP: [&str; 8] = [MERGE, "age", "pgp", "kms", "gcp_kms", "hckms", "azure_keyvault", "hc_vault"];

/// The key groups of a rule, none if it names no recipient; and whether they are written as such, not as flat lists.
pub(super) fn read(reader: &mut Reader<'_, '_>, fields: &[Field<'_>], rule: usize) -> (Vec<Vec<RecipientSpec>>, bool) {
    let groups = fields.iter().find(|field| field.name == KEY_GROUPS);
    let items = groups.map(|field| reader.list(field)).unwrap_or_default();
    let (Some(groups), false) = (groups, items.is_empty()) else {
        let flat = flat(reader, fields, rule);
        return (if flat.is_empty() { Vec::new() } else { vec![flat] }, false);
    };
    find_hidden(reader, fields, groups);
    (items.into_iter().map(|item| group_with_keys(reader, item, rule)).collect(), true)
}

/// SOPS reads the groups only, the flat lists beside them count for nothing.
fn find_hidden(reader: &mut Reader<'_, '_>, fields: &[Field<'_>], groups: &Field<'_>) {
    for field in fields {
        let flat = FLAT.iter().any(|(name, _)| *name == field.name);
        if flat && !reader.is_null(field.value) {
            let message = format!("{} has no effect beside {}, which replaces it", field.name, groups.name);
            reader.find(field.key, message, vec!["move these keys into one of the groups, or drop them".to_owned()]);
        }
    }
}

fn flat(reader: &mut Reader<'_, '_>, fields: &[Field<'_>], rule: usize) -> Vec<RecipientSpec> {
    let profile = fields.iter().find(|field| field.name == AWS_PROFILE).and_then(|field| reader.text(field));
    let mut specs = Vec::new();
    for (name, kind) in FLAT {
        let Some(field) = fields.iter().find(|field| field.name == name) else { continue };
        let texts = flat_texts(reader, field, rule);
        specs.extend(texts.into_iter().map(|text| flat_spec(kind, text, profile.as_ref())));
    }
    specs
}

/// A flat key; one of AWS may carry a role, `ARN+ROLE`.
fn flat_spec(kind: &'static str, mut text: String, profile: Option<&String>) -> RecipientSpec {
    let mut extra = Vec::new();
    if let (arn, Some(role)) = arn_and_role(&text)
        && kind == "kms"
    {
        extra.push((ROLE.to_owned(), role.to_owned()));
        text = arn.to_owned();
    }
    extra.extend(profile.filter(|_| kind == "kms").map(|profile| (AWS_PROFILE.to_owned(), profile.clone())));
    RecipientSpec { kind, text, extra }
}

/// The keys of a flat field: a list, or one text with commas. Both may be mixed, SOPS joins them again.
fn flat_texts(reader: &mut Reader<'_, '_>, field: &Field<'_>, rule: usize) -> Vec<String> {
    if field.name == "hckms" || reader.is_list(field.value) {
        let items = reader.list(field);
        return items.into_iter().flat_map(|item| flat_item(reader, item, field, rule)).collect();
    }
    if reader.is_null(field.value) { Vec::new() } else { flat_item(reader, field.value, field, rule) }
}

fn flat_item(reader: &mut Reader<'_, '_>, item: NodeId, field: &Field<'_>, rule: usize) -> Vec<String> {
    if !reader.is_string(item) {
        let hints = if reader.is_scalar(item) { vec!["put it in quotes".to_owned()] } else { Vec::new() };
        reader.find_grave(item, Scope::Used(rule), format!("a key of {} is not a string", field.name), hints);
    }
    if !reader.is_scalar(item) {
        return Vec::new();
    }
    split(&reader.text_of(item, field.name).unwrap_or_default(), field.name)
}

/// The keys in a text with commas. Blanks inside mean nothing where keys are copied with them (fingerprints, ARNs).
fn split(text: &str, field: &str) -> Vec<String> {
    let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
    keys.map(|key| if matches!(field, "pgp" | "kms" | "gcp_kms") { key.replace(' ', "") } else { key.to_owned() }).collect()
}

fn group_with_keys(reader: &mut Reader<'_, '_>, id: NodeId, rule: usize) -> Vec<RecipientSpec> {
    let keys = group(reader, id, rule, 0);
    if keys.is_empty() {
        let hint = "give it at least one key, or drop it".to_owned();
        reader.find_keyless(id, Scope::Used(rule), "empty key group provided: a key group without a key".to_owned(), vec![hint]);
    }
    keys
}

/// The keys of a group: those of merged groups first, each key once.
fn group(reader: &mut Reader<'_, '_>, id: NodeId, rule: usize, depth: usize) -> Vec<RecipientSpec> {
    if depth > MAX_MERGES {
        reader.exceed(format!("key groups merge deeper than {MAX_MERGES} levels"));
        return Vec::new();
    }
    let fields = reader.fields(id, "a key group");
    reader.check_names(&fields, &GROUP, "in a key group");
    let mut keys = Vec::new();
    for name in GROUP {
        let Some(field) = fields.iter().find(|field| field.name == name) else { continue };
        for item in reader.list(field) {
            match name {
                MERGE => keys.extend(group(reader, item, rule, depth + 1)),
                _ => keys.extend(group_item(reader, item, field, rule)),
            }
        }
    }
    let mut seen = HashSet::new();
    keys.retain(|key| seen.insert((key.kind, key.text.clone(), key.extra.clone())));
    keys
}

fn group_item(reader: &mut Reader<'_, '_>, item: NodeId, field: &Field<'_>, rule: usize) -> Vec<RecipientSpec> {
    let spec = |kind, text| RecipientSpec { kind, text, extra: Vec::new() };
    let mut entry = Entry { reader, item, list: field.name, rule };
    match field.name {
        "kms" => entry.kms().into_iter().collect(),
        "gcp_kms" => entry.single("resource_id").map(|text| spec("gcp_kms", text.replace(' ', ""))).into_iter().collect(),
        "hckms" => entry.single("key_id").map(|text| spec("hckms", text)).into_iter().collect(),
        "azure_keyvault" => entry.azure().map(|text| spec("azure_kv", text)).into_iter().collect(),
        _ => {
            let text = reader.text_of(item, field.name).unwrap_or_default();
            let kind = FLAT.iter().find(|(name, _)| *name == field.name).map_or("hc_vault", |(_, kind)| kind);
            split(&text, field.name).into_iter().map(|text| spec(kind, text)).collect()
        }
    }
}

/// An entry of a list in a key group that is a mapping.
struct Entry<'r, 'd, 's> {
    reader: &'r mut Reader<'d, 's>,
    item: NodeId,
    list: &'r str,
    rule: usize,
}

impl<'d> Entry<'_, 'd, '_> {
    /// Its fields.
    fn fields(&mut self, known: &[&str]) -> Vec<Field<'d>> {
        let fields = self.reader.fields(self.item, &format!("an entry of {}", self.list));
        self.reader.check_names(&fields, known, &format!("in an entry of {}", self.list));
        fields
    }

    fn text(&mut self, fields: &[Field<'d>], name: &str) -> Option<String> {
        fields.iter().find(|field| field.name == name).and_then(|field| self.reader.text(field))
    }

    fn required(&mut self, fields: &[Field<'d>], name: &str) -> Option<String> {
        let text = self.text(fields, name);
        if text.is_none() {
            let message = format!("an entry of {} without {name}", self.list);
            self.reader.find_grave(self.item, Scope::Used(self.rule), message, vec![format!("write - {name}: …")]);
        }
        text
    }

    fn single(&mut self, name: &str) -> Option<String> {
        let fields = self.fields(&[name]);
        self.required(&fields, name)
    }

    fn kms(&mut self) -> Option<RecipientSpec> {
        let fields = self.fields(&["arn", ROLE, "context", AWS_PROFILE]);
        let text = self.required(&fields, "arn")?;
        let role = self.text(&fields, ROLE).map(|role| (ROLE.to_owned(), role));
        let profile = self.text(&fields, AWS_PROFILE).map(|profile| (AWS_PROFILE.to_owned(), profile));
        let extra = role.into_iter().chain(self.context(&fields)).chain(profile).collect();
        Some(RecipientSpec { kind: "kms", text, extra })
    }

    /// The encryption context, sorted: its order means nothing.
    fn context(&mut self, fields: &[Field<'d>]) -> Vec<(String, String)> {
        let Some(field) = fields.iter().find(|field| field.name == "context") else { return Vec::new() };
        let entries = self.reader.fields(field.value, field.name);
        let mut context: Vec<_> =
            entries.iter().filter_map(|entry| Some((format!("context.{}", entry.name), self.reader.text(entry)?))).collect();
        sorting::by(&mut context, Ord::cmp);
        context
    }

    /// `VAULT/keys/NAME/VERSION`, as `--azure-kv` takes it.
    fn azure(&mut self) -> Option<String> {
        let fields = self.fields(&["vaultUrl", "key", "version"]);
        let vault = self.required(&fields, "vaultUrl")?;
        let text = format!("{}/keys/{}", vault.trim_end_matches('/'), self.required(&fields, "key")?);
        Some(match self.text(&fields, "version") {
            Some(version) => format!("{text}/{version}"),
            None => text,
        })
    }
}
