//! The `sops` block of a file, typed: everything but the wrapped data keys, which only their recipient kind reads.
//!
//! Reading is as lenient as SOPS: any order of fields, weak types, missing or null lists. Writing is strict: keys sorted
//! bytewise at every level, empty fields left out, fields that are unknown here kept.

use crate::document::resolve::{self, Type};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result};
use crate::sorting;

/// The level of the SOPS format that is written; readers compare it.
pub const VERSION: &str = "3.13.3";

/// The suffix that keeps values in clear where a file names no selector (SOPS).
pub const DEFAULT_SUFFIX: &str = "_unencrypted";

/// The fields that list wrapped data keys, in the order in which SOPS loads them.
pub const ENTRY_FIELDS: [&str; 7] = ["kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age"];

/// Lists that SOPS writes inside a key group even when they are empty.
const ALWAYS_IN_GROUPS: [&str; 2] = ["age", "hc_vault"];

const LAST_MODIFIED: &str = "lastmodified";
const MAC: &str = "mac";
const VERSION_FIELD: &str = "version";
const MAC_ONLY_ENCRYPTED: &str = "mac_only_encrypted";
const THRESHOLD: &str = "shamir_threshold";
const KEY_GROUPS: &str = "key_groups";
const LAYOUT: &str = "kveil_layout";

/// The data key (or a share of it) wrapped for one recipient: a mapping that only the recipient kind reads.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The field it stands in, one of [`ENTRY_FIELDS`].
    pub kind: &'static str,
    /// The mapping as read, unknown fields included.
    pub value: Value,
}

/// Recipients any of which opens the same share of the data key.
#[derive(Clone, PartialEq, Default)]
pub struct Group {
    /// The wrapped keys, in the order in which SOPS loads them.
    pub entries: Vec<Entry>,
    /// Fields of a group in `key_groups` that aren't known here.
    pub unknown: Vec<(String, Value)>,
}

/// Which rule chooses the values that are encrypted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SelectorKind {
    /// All but keys with this suffix.
    UnencryptedSuffix,
    /// Only keys with this suffix.
    EncryptedSuffix,
    /// All but keys that match.
    UnencryptedRegex,
    /// Only keys that match.
    EncryptedRegex,
    /// All but values whose comment matches.
    UnencryptedCommentRegex,
    /// Only values whose comment matches.
    EncryptedCommentRegex,
}

impl SelectorKind {
    /// Every selector.
    pub const ALL: [SelectorKind; 6] = [
        SelectorKind::UnencryptedSuffix,
        SelectorKind::EncryptedSuffix,
        SelectorKind::UnencryptedRegex,
        SelectorKind::EncryptedRegex,
        SelectorKind::UnencryptedCommentRegex,
        SelectorKind::EncryptedCommentRegex,
    ];

    /// The name of its field.
    pub fn name(self) -> &'static str {
        match self {
            SelectorKind::UnencryptedSuffix => "unencrypted_suffix",
            SelectorKind::EncryptedSuffix => "encrypted_suffix",
            SelectorKind::UnencryptedRegex => "unencrypted_regex",
            SelectorKind::EncryptedRegex => "encrypted_regex",
            SelectorKind::UnencryptedCommentRegex => "unencrypted_comment_regex",
            SelectorKind::EncryptedCommentRegex => "encrypted_comment_regex",
        }
    }
}

/// The `sops` block of a file.
#[derive(Clone, PartialEq)]
pub struct Metadata {
    /// The key groups; one unless the data key is shared out.
    pub groups: Vec<Group>,
    /// How many groups must be opened; it means nothing with one group.
    pub threshold: Option<usize>,
    /// When the values were last changed, as written.
    pub last_modified: String,
    /// The encrypted MAC.
    pub mac: Option<String>,
    /// The version of the writer: a hint only.
    pub version: String,
    /// What chooses the values; none means [`DEFAULT_SUFFIX`].
    pub selector: Option<(SelectorKind, String)>,
    /// Whether the MAC covers encrypted values only.
    pub mac_only_encrypted: bool,
    /// The encrypted layout record.
    pub layout: Option<String>,
    /// Fields that aren't known here; kept when the block is written.
    pub unknown: Vec<(String, Value)>,
}

impl Metadata {
    /// Reads the value of the top-level key `sops`.
    ///
    /// # Errors
    /// `Generic` (1), as in SOPS: no mapping, no wrapped keys, two selectors, no version, no readable `lastmodified`,
    /// a field of an impossible type.
    pub fn read(sops: &Value) -> Result<Metadata> {
        let Value::Map(fields) = sops else {
            return Err(bad("the sops entry is not a mapping"));
        };
        let metadata = Metadata {
            groups: read_groups(sops)?,
            threshold: read_threshold(sops)?,
            last_modified: read_text(sops, LAST_MODIFIED)?.unwrap_or_default(),
            mac: read_text(sops, MAC)?,
            version: read_version(sops)?,
            selector: read_selector(sops)?,
            mac_only_encrypted: read_bool(sops, MAC_ONLY_ENCRYPTED)?,
            // Not SOPS's own: one of another shape is ignored, as SOPS ignores it.
            layout: sops.get(LAYOUT).and_then(Value::text).map(|text| text.into_owned()),
            unknown: fields.iter().filter(|(name, _)| !is_known(name)).cloned().collect(),
        };
        metadata.last_modified_aad()?;
        Ok(metadata)
    }

    /// The block as SOPS writes it: a mapping with the one key `sops`.
    pub fn write(&self) -> Value {
        let mut fields = self.unknown.clone();
        self.write_keys(&mut fields);
        if let Some((selector, pattern)) = &self.selector {
            fields.push((selector.name().to_owned(), Value::string(pattern.as_str())));
        }
        fields.push((LAST_MODIFIED.to_owned(), Value::string(self.last_modified.as_str())));
        fields.push((MAC.to_owned(), Value::string(self.mac.as_deref().unwrap_or_default())));
        fields.push((VERSION_FIELD.to_owned(), Value::string(self.version.as_str())));
        if self.mac_only_encrypted {
            fields.push((MAC_ONLY_ENCRYPTED.to_owned(), Value::bool(true)));
        }
        if let Some(layout) = &self.layout {
            fields.push((LAYOUT.to_owned(), Value::string(layout.as_str())));
        }
        let mut block = Value::Map(fields);
        sort(&mut block);
        Value::Map(vec![("sops".to_owned(), block)])
    }

    fn write_keys(&self, fields: &mut Vec<(String, Value)>) {
        match self.groups.as_slice() {
            [only] => fields.extend(only.lists(&[])),
            groups => {
                let groups = groups.iter().map(|group| Value::Map(group.lists(&ALWAYS_IN_GROUPS))).collect();
                fields.push((KEY_GROUPS.to_owned(), Value::List(groups)));
            }
        }
        if let Some(threshold) = self.threshold.and_then(|threshold| i64::try_from(threshold).ok()) {
            fields.push((THRESHOLD.to_owned(), Value::int(threshold)));
        }
    }

    /// What chooses the values to be encrypted, the default filled in.
    pub fn selector(&self) -> (SelectorKind, &str) {
        match &self.selector {
            Some((kind, pattern)) => (*kind, pattern),
            None => (SelectorKind::UnencryptedSuffix, DEFAULT_SUFFIX),
        }
    }

    /// The additional data of the MAC: `lastmodified` read as RFC 3339 and formatted again without a fraction (SOPS).
    ///
    /// # Errors
    /// `Generic` (1) if it isn't RFC 3339.
    pub fn last_modified_aad(&self) -> Result<String> {
        let stamp = resolve::reread(Type::Time, self.last_modified.as_bytes()).ok();
        let text = stamp.as_ref().and_then(|stamp| stamp.as_text()).ok_or_else(unreadable_time)?;
        Ok(without_fraction(text))
    }
}

impl Group {
    /// One list a kind, in a mapping's entries; those of `always` even if they are empty.
    fn lists(&self, always: &[&str]) -> Vec<(String, Value)> {
        let mut lists = self.unknown.clone();
        for field in ENTRY_FIELDS {
            let of_kind: Vec<Value> = self.entries.iter().filter(|entry| entry.kind == field).map(|entry| entry.value.clone()).collect();
            if !of_kind.is_empty() || always.contains(&field) {
                lists.push((field.to_owned(), Value::List(of_kind)));
            }
        }
        lists
    }
}

/// The version to write over `old`: ours, or a higher one that is there already.
pub fn written_version(old: Option<&str>) -> String {
    match old {
        Some(old) if version_parts(old) > version_parts(VERSION) => old.to_owned(),
        _ => VERSION.to_owned(),
    }
}

/// Major, minor and patch; `None` for what SOPS can't compare either (it wants all three).
fn version_parts(version: &str) -> Option<[u64; 3]> {
    let version = version.strip_prefix('v').unwrap_or(version);
    let numbers = version.split(['-', '+']).next()?;
    let parts: Vec<u64> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

fn is_known(field: &str) -> bool {
    let single = [LAST_MODIFIED, MAC, VERSION_FIELD, MAC_ONLY_ENCRYPTED, THRESHOLD, KEY_GROUPS, LAYOUT];
    single.contains(&field) || ENTRY_FIELDS.contains(&field) || SelectorKind::ALL.iter().any(|kind| kind.name() == field)
}

/// The flat lists if there are any keys in them, else `key_groups`, which must have its form in any case.
fn read_groups(sops: &Value) -> Result<Vec<Group>> {
    let flat = read_entries(sops)?;
    let groups: Vec<Group> = match sops.get(KEY_GROUPS) {
        None => Vec::new(),
        Some(Value::List(groups)) => groups.iter().map(read_group).collect::<Result<_>>()?,
        Some(null) if null.is_null() => Vec::new(),
        Some(empty @ Value::Map(_)) if empty.entries().is_empty() => Vec::new(),
        Some(_) => return Err(bad("key_groups in the sops block is not a list")),
    };
    if !flat.is_empty() {
        return Ok(vec![Group { entries: flat, unknown: Vec::new() }]);
    }
    if groups.iter().all(|group| group.entries.is_empty()) {
        return Err(bad("no keys found in file").hint("the sops block lists no recipient: restore it from an older version of the file"));
    }
    Ok(groups)
}

fn read_group(group: &Value) -> Result<Group> {
    if group.is_null() {
        return Ok(Group::default());
    }
    let Value::Map(fields) = group else {
        return Err(bad("an item of key_groups in the sops block is not a mapping"));
    };
    let unknown = fields.iter().filter(|(name, _)| !ENTRY_FIELDS.contains(&name.as_str())).cloned().collect();
    Ok(Group { entries: read_entries(group)?, unknown })
}

fn read_entries(lists: &Value) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for kind in ENTRY_FIELDS {
        let items = match lists.get(kind) {
            None => &[],
            Some(null) if null.is_null() => &[],
            Some(Value::List(items)) => items.as_slice(),
            Some(single @ Value::Map(_)) => std::slice::from_ref(single),
            Some(Value::Scalar(..)) => return Err(bad(format!("{kind} in the sops block is not a list"))),
        };
        for item in items.iter().filter(|item| !item.is_null()) {
            let Value::Map(_) = item else {
                return Err(bad(format!("an item of {kind} in the sops block is not a mapping")));
            };
            entries.push(Entry { kind, value: item.clone() });
        }
    }
    Ok(entries)
}

/// A string field; other scalars are taken as text, empty and null ones as missing (SOPS reads with weak types).
fn read_text(sops: &Value, field: &str) -> Result<Option<String>> {
    match sops.get(field) {
        None => Ok(None),
        Some(Value::Scalar(Type::Time, _)) => {
            Err(bad(format!("{field} in the sops block is a timestamp, expected a string"))
                .hint(format!("put the value of {field} in quotes")))
        }
        Some(value @ Value::Scalar(..)) => Ok(value.text().filter(|text| !text.is_empty()).map(|text| text.into_owned())),
        Some(_) => Err(bad(format!("{field} in the sops block is not a string"))),
    }
}

fn read_version(sops: &Value) -> Result<String> {
    let version = read_text(sops, VERSION_FIELD)?.filter(|version| !version.trim().is_empty());
    version.ok_or_else(|| bad("the sops block has no version").hint(format!("expected a line such as version: {VERSION}")))
}

fn read_threshold(sops: &Value) -> Result<Option<usize>> {
    let Some(text) = read_text(sops, THRESHOLD)? else { return Ok(None) };
    // sops cuts the fraction off; none and less are the same to it.
    let whole = text.split_once('.').filter(|(_, rest)| rest.parse::<u64>().is_ok()).map_or(text.as_str(), |(whole, _)| whole);
    let threshold: i64 = whole.parse().map_err(|_| bad("shamir_threshold in the sops block is not a number"))?;
    Ok(usize::try_from(threshold).ok().filter(|threshold| *threshold != 0))
}

/// The spellings of Go's `strconv.ParseBool`, which SOPS uses.
fn read_bool(sops: &Value, field: &str) -> Result<bool> {
    match read_text(sops, field)?.as_deref() {
        None | Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some(_) => Err(bad(format!("{field} in the sops block is neither true nor false"))),
    }
}

fn read_selector(sops: &Value) -> Result<Option<(SelectorKind, String)>> {
    let mut found = None;
    for kind in SelectorKind::ALL {
        let Some(pattern) = read_text(sops, kind.name())? else { continue };
        if let Some((other, _)) = found.replace((kind, pattern)) {
            let message = format!("the sops block has both {} and {}, at most one may be set", SelectorKind::name(other), kind.name());
            return Err(bad(message).hint("restore the block from an older version of the file"));
        }
    }
    Ok(found)
}

/// `text` without `.` and the digits after it: an RFC 3339 time has none elsewhere.
fn without_fraction(text: &str) -> String {
    let Some((whole, fraction)) = text.split_once('.') else { return text.to_owned() };
    format!("{whole}{}", fraction.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn sort(value: &mut Value) {
    match value {
        Value::Map(entries) => {
            sorting::by(entries, |(left, _), (right, _)| left.cmp(right));
            entries.iter_mut().for_each(|(_, value)| sort(value));
        }
        Value::List(items) => items.iter_mut().for_each(sort),
        Value::Scalar(..) => {}
    }
}

fn unreadable_time() -> Error {
    bad("lastmodified in the sops block is not a time").hint("expected RFC 3339 in quotes, such as \"2026-01-31T12:00:00Z\"")
}

fn bad(message: impl Into<String>) -> Error {
    Error::new(Kind::Generic, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    const ALL_KINDS: &str = include_str!("../testdata/recipients/all-key-types.yaml");
    const SHAMIR: &str = include_str!("../testdata/recipients/shamir-2-of-3.yaml");
    const ENTRY: &str = "age: [{enc: x, recipient: y}]";
    const REST: &str = "lastmodified: \"2026-11-20T21:43:03Z\", mac: m, version: 3.13.3";

    fn block(text: &str) -> Value {
        let document = yaml::parse(text).unwrap();
        Value::of(&document, document.get(document.parts[0].root, "sops").unwrap()).unwrap()
    }

    fn read(fields: &str) -> Result<Metadata> {
        Metadata::read(&block(&format!("sops: {{{fields}}}\n")))
    }

    fn refusal(fields: &str) -> String {
        let error = read(fields).err().expect("refused");
        assert_eq!(error.kind, Kind::Generic);
        error.message.clone()
    }

    fn written(metadata: &Metadata) -> Value {
        metadata.write().get("sops").unwrap().clone()
    }

    #[test]
    fn a_genuine_block_of_all_kinds_is_written_as_it_was_read() {
        let genuine = block(ALL_KINDS);
        let metadata = Metadata::read(&genuine).unwrap();
        let kinds: Vec<_> = metadata.groups[0].entries.iter().map(|entry| entry.kind).collect();
        assert_eq!(kinds, ["kms", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault", "pgp", "age"]);
        assert_eq!(metadata.selector(), (SelectorKind::EncryptedRegex, "^a$"));
        assert!(written(&metadata) == genuine);
    }

    #[test]
    fn genuine_key_groups_are_written_as_they_were_read() {
        let genuine = block(SHAMIR);
        let metadata = Metadata::read(&genuine).unwrap();
        assert_eq!((metadata.groups.len(), metadata.threshold), (3, Some(2)));
        assert!(written(&metadata) == genuine);
    }

    #[test]
    fn unknown_fields_survive_in_every_place() {
        let fields = "age: [{enc: x, recipient: y, zz: 1, aa: {d: 1, c: 2}}], future: [{a: b}], kveil_layout: ENC";
        let again = written(&read(&format!("{fields}, {REST}")).unwrap());
        assert!(again.get("future").is_some() && again.get("kveil_layout").is_some());
        let entry = &again.get("age").unwrap().items()[0];
        assert_eq!(entry.entries().iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["aa", "enc", "recipient", "zz"]);
        assert_eq!(entry.get("aa").unwrap().entries()[0].0, "c");
        let groups = "key_groups: [{age: [{enc: x}], future: 1}, {pgp: [{enc: x}]}]";
        let again = written(&read(&format!("{groups}, {REST}")).unwrap());
        assert!(again.get("key_groups").unwrap().items()[0].get("future").is_some());
    }

    #[test]
    fn empty_lists_null_lists_and_missing_lists_are_the_same() {
        let full = read(&format!("kms: [], pgp: null, {ENTRY}, key_groups: [], shamir_threshold: 0, encrypted_regex: '', {REST}")).unwrap();
        assert!(full == read(&format!("{ENTRY}, {REST}")).unwrap());
        let fields: Vec<String> = written(&full).entries().iter().map(|(field, _)| field.clone()).collect();
        assert_eq!(fields, ["age", "lastmodified", "mac", "version"]);
    }

    /// Tried with genuine sops 3.13.3, which reads the first ones and refuses the others.
    #[test]
    fn odd_groups_and_thresholds_are_read_as_sops_reads_them() {
        let odd = |fields: &str| read(&format!("{ENTRY}, {fields}, {REST}")).map(|metadata| (metadata.groups.len(), metadata.threshold));
        for fields in ["[]", "null", "{}", "[{}]", "[null]", "[{age: null}]", "[{age: [null]}]", "[{age: [{}]}]", "[{foo: []}]"] {
            assert_eq!(odd(&format!("key_groups: {fields}")).unwrap(), (1, None), "{fields}");
        }
        for (text, threshold) in [("-1", None), ("0", None), ("1.5", Some(1)), ("'2'", Some(2)), ("300", Some(300)), ("null", None)] {
            assert_eq!(odd(&format!("shamir_threshold: {text}")).unwrap(), (1, threshold), "{text}");
        }
        for fields in ["key_groups: [[]]", "key_groups: abc", "key_groups: 5", "shamir_threshold: abc", "shamir_threshold: [1]"] {
            assert_eq!(odd(fields).unwrap_err().kind, crate::error::Kind::Generic, "{fields}");
        }
    }

    #[test]
    fn a_single_key_group_is_written_flat() {
        let metadata = read(&format!("key_groups: [{{age: [{{enc: x}}], hc_vault: []}}], shamir_threshold: 1, {REST}")).unwrap();
        let again = written(&metadata);
        assert!(again.get("age").is_some() && again.get("key_groups").is_none() && again.get("hc_vault").is_none());
    }

    #[test]
    fn flat_lists_win_over_key_groups() {
        let metadata = read(&format!("key_groups: [{{age: [{{enc: a}}]}}, {{age: [{{enc: b}}]}}], {ENTRY}, {REST}")).unwrap();
        assert_eq!(metadata.groups.len(), 1);
        assert!(written(&metadata).get("key_groups").is_none());
    }

    #[test]
    fn weak_types_are_read() {
        let metadata = read(&format!(
            "{ENTRY}, lastmodified: '2026-11-20T21:43:03Z', version: 3.7, mac_only_encrypted: 'true', shamir_threshold: '2'"
        ));
        let metadata = metadata.unwrap();
        assert!(metadata.mac_only_encrypted && metadata.mac.is_none());
        assert_eq!((metadata.threshold, metadata.version.as_str()), (Some(2), "3.7"));
    }

    #[test]
    fn what_sops_refuses_is_refused() {
        let time = "lastmodified: '2026-11-20T21:43:03Z'";
        for version in ["", ", version: null", ", version: ''", ", version: '  '"] {
            assert_eq!(refusal(&format!("{ENTRY}, {time}{version}")), "the sops block has no version");
        }
        for time in ["a: b", "lastmodified: foo", "lastmodified: ''", "lastmodified: '2026-11-20'"] {
            assert!(refusal(&format!("{ENTRY}, version: 3.13.3, {time}")).starts_with("lastmodified"));
        }
        assert!(refusal(&format!("{ENTRY}, version: 3.13.3, lastmodified: 2026-11-20T21:43:03Z")).contains("is a timestamp"));
        assert_eq!(refusal(REST), "no keys found in file");
        assert_eq!(refusal(&format!("key_groups: [{{age: []}}], {REST}")), "no keys found in file");
        let two = refusal(&format!("{ENTRY}, {REST}, encrypted_regex: a, unencrypted_suffix: b"));
        assert_eq!(two, "the sops block has both unencrypted_suffix and encrypted_regex, at most one may be set");
        for wrong in ["age: x", "age: [x]", "key_groups: x", "shamir_threshold: x, age: [{}]", "mac_only_encrypted: yep, age: [{}]"] {
            refusal(&format!("{wrong}, {REST}"));
        }
        for no_mapping in ["sops: null\n", "sops: []\n", "sops: x\n"] {
            assert!(Metadata::read(&block(no_mapping)).is_err());
        }
    }

    #[test]
    fn the_additional_data_of_the_mac_is_lastmodified_read_and_formatted_again() {
        let aad = |time: &str| read(&format!("{ENTRY}, version: 3.13.3, lastmodified: '{time}'")).unwrap().last_modified_aad().unwrap();
        assert_eq!(aad("2026-11-20T21:43:03Z"), "2026-11-20T21:43:03Z");
        assert_eq!(aad("2026-11-20T21:43:03.25Z"), "2026-11-20T21:43:03Z");
        assert_eq!(aad("2026-11-20T21:43:03+00:00"), "2026-11-20T21:43:03Z");
        assert_eq!(aad("2026-11-20T21:43:03.5+02:00"), "2026-11-20T21:43:03+02:00");
    }

    #[test]
    fn only_a_higher_version_is_kept() {
        assert_eq!(written_version(None), VERSION);
        for old in ["3.7.3", "3.13.3", "2.0.9", "1.18", "v3.9.0", "4", "abc", ""] {
            assert_eq!(written_version(Some(old)), VERSION);
        }
        for newer in ["3.13.4", "9.9.9", "v4.0.0", "3.14.0-rc1"] {
            assert_eq!(written_version(Some(newer)), newer);
        }
    }
}
