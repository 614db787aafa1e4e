//! The data key of a file: 32 random bytes under which its values are encrypted.
//!
//! It is wrapped for every recipient; with several key groups it is shared out among them first (Shamir), and a
//! threshold of groups is needed to join it again.

#[cfg(feature = "network")]
mod asking;
pub mod rewrap;

use zeroize::Zeroizing;

use crate::error::{Error, Kind, Result, printable};
use crate::metadata::{ENTRY_FIELDS, Entry, Group, Metadata};
use crate::recipient::{Identities, KINDS, Outcome, RecipientKind, RecipientSpec, kind_by_field};
use crate::shamir;
use crate::sorting;

/// Bytes of a data key.
pub const LENGTH: usize = 32;

/// The order in which SOPS tries kinds of recipients when nothing else is asked for; all others come after.
pub const DEFAULT_ORDER: [&str; 2] = ["age", "pgp"];

/// The data key of a file.
pub struct DataKey(Zeroizing<[u8; LENGTH]>);

impl DataKey {
    /// A new data key from the system's random numbers.
    ///
    /// # Errors
    /// `Generic` (1) if the system has none.
    pub fn generate() -> Result<DataKey> {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        getrandom::fill(&mut *bytes).map_err(|_| Error::new(Kind::Generic, "the system gives no random numbers"))?;
        Ok(DataKey(bytes))
    }

    /// The key itself, for the cipher.
    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// The data key of these bytes; none if there are too few or too many.
    pub fn from_bytes(bytes: &[u8]) -> Option<DataKey> {
        let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
        Some(DataKey(Zeroizing::new(*bytes)))
    }
}

/// The threshold that a file with this many key groups gets: none with one group, else the one asked for, else all.
///
/// # Errors
/// `Generic` (1): no group, a threshold of 1 (a share would be the key itself) or more than there are groups.
pub fn threshold(groups: usize, asked: Option<usize>) -> Result<Option<usize>> {
    let refuse = |message: String| Err(Error::new(Kind::Generic, message));
    match (groups, asked.filter(|asked| *asked != 0)) {
        (0, _) => refuse("no recipient to encrypt for".to_owned()),
        (1, _) => Ok(None),
        (256.., _) => refuse(format!("{groups} key groups, at most 255 are possible")),
        (_, None) => Ok(Some(groups)),
        (_, Some(1)) => refuse(format!("a shamir_threshold of 1 with {groups} key groups, at least 2 is needed")),
        (_, Some(asked)) if asked > groups => refuse(format!("a shamir_threshold of {asked} with only {groups} key groups")),
        (_, Some(asked)) => Ok(Some(asked)),
    }
}

/// Wraps the data key for every recipient; with several groups every group gets its share.
///
/// # Errors
/// `Generic` (1): see [`threshold`]; an empty group; a recipient that can't be wrapped for.
pub fn wrap(data_key: &DataKey, groups: &[Vec<RecipientSpec>], asked: Option<usize>, identities: &Identities) -> Result<Vec<Group>> {
    if let Some(empty) = groups.iter().position(Vec::is_empty) {
        return Err(Error::new(Kind::Generic, format!("empty key group provided: key group {} has no recipient", empty + 1)));
    }
    let Some(threshold) = threshold(groups.len(), asked)? else {
        return wrap_groups(groups.iter().map(|group| (data_key.bytes().as_slice(), group.as_slice())), identities);
    };
    let shares = shamir::split(data_key.bytes(), small(groups.len())?, small(threshold)?);
    let shares = shares.map_err(|why| Error::new(Kind::Generic, why.to_string()))?;
    wrap_groups(shares.iter().map(|share| share.as_slice()).zip(groups.iter().map(Vec::as_slice)), identities)
}

fn small(count: usize) -> Result<u8> {
    u8::try_from(count).map_err(|_| Error::new(Kind::Generic, "at most 255 key groups are possible"))
}

/// The entries of each group, in the order in which SOPS loads them.
fn wrap_groups<'a>(groups: impl Iterator<Item = (&'a [u8], &'a [RecipientSpec])>, identities: &Identities) -> Result<Vec<Group>> {
    let groups: Vec<_> = groups.collect();
    let all = groups.iter().flat_map(|(secret, recipients)| recipients.iter().map(move |recipient| (*secret, recipient)));
    let mut entries = wrap_entries(all.collect(), identities)?.into_iter();
    let group = |(_, recipients): &(&[u8], &[RecipientSpec])| group_of(entries.by_ref().take(recipients.len()).collect());
    Ok(groups.iter().map(group).collect())
}

fn group_of(mut entries: Vec<Entry>) -> Group {
    sorting::by_key(&mut entries, |entry| ENTRY_FIELDS.iter().position(|field| *field == entry.kind));
    Group { entries, unknown: Vec::new() }
}

/// One entry for each recipient, in order: those on this machine first, those of services at the same time.
fn wrap_entries(wanted: Vec<(&[u8], &RecipientSpec)>, identities: &Identities) -> Result<Vec<Entry>> {
    let (asked, here): (Vec<_>, Vec<_>) = wanted
        .into_iter()
        .enumerate()
        .map(|(at, (secret, recipient))| (at, secret, recipient))
        .partition(|(_, _, recipient)| kind_by_field(recipient.kind).is_some_and(|kind| kind.service().is_some()));
    let mut entries = Vec::with_capacity(asked.len() + here.len());
    for (at, secret, recipient) in here {
        entries.push((at, wrap_entry(secret, recipient, identities)?));
    }
    entries.extend(wrap_asked(asked, identities)?);
    sorting::by_key(&mut entries, |(at, _)| *at);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

#[cfg(feature = "network")]
use asking::wrap_all as wrap_asked;

#[cfg(not(feature = "network"))]
fn wrap_asked(asked: Vec<(usize, &[u8], &RecipientSpec)>, identities: &Identities) -> Result<Vec<(usize, Entry)>> {
    asked.into_iter().map(|(at, secret, recipient)| Ok((at, wrap_entry(secret, recipient, identities)?))).collect()
}

fn wrap_entry(secret: &[u8], recipient: &RecipientSpec, identities: &Identities) -> Result<Entry> {
    let kind = kind_by_field(recipient.kind).ok_or_else(|| unknown_kind(recipient.kind))?;
    Ok(Entry { kind: kind.field(), value: kind.wrap(recipient, secret, identities)? })
}

fn unknown_kind(kind: &str) -> Error {
    Error::new(Kind::Generic, format!("unknown kind of recipient {kind}"))
}

/// Recovers the data key: of every group the first entry that opens, in the order of kinds `order` (empty: the
/// default), then the stable order of the file.
///
/// # Errors
/// `NoDataKey` (128) with what every recipient answered, where identities were looked for, and what to do next.
pub fn unwrap(metadata: &Metadata, identities: &Identities, order: &[String]) -> Result<DataKey> {
    let expected = if metadata.groups.len() == 1 { LENGTH } else { LENGTH + 1 };
    let mut shares = Vec::new();
    let mut attempts = Vec::new();
    for group in &metadata.groups {
        let (share, attempt) = open_group(group, expected, identities, order);
        shares.extend(share);
        attempts.push(attempt);
    }
    recover(metadata, &shares).ok_or_else(|| not_recovered(metadata, shares.len(), &attempts, identities))
}

fn recover(metadata: &Metadata, shares: &[Zeroizing<Vec<u8>>]) -> Option<DataKey> {
    match (metadata.groups.len(), shares) {
        (1, [data_key]) => DataKey::from_bytes(data_key),
        // More than the threshold may be joined, and all that opened are, as in SOPS.
        (2.., shares) if shares.len() >= needed(metadata) => DataKey::from_bytes(&shamir::join(shares).ok()?),
        _ => None,
    }
}

/// How many groups must open.
fn needed(metadata: &Metadata) -> usize {
    match metadata.groups.len() {
        groups @ (0 | 1) => groups,
        groups => metadata.threshold.unwrap_or(groups).max(2),
    }
}

/// What one entry answered.
struct Answer {
    kind: &'static str,
    recipient: String,
    why: String,
}

/// What the entries of a group answered until one opened.
struct Attempt {
    opened: bool,
    answers: Vec<Answer>,
}

type Share = Zeroizing<Vec<u8>>;

fn open_group(group: &Group, expected: usize, identities: &Identities, order: &[String]) -> (Option<Share>, Attempt) {
    let mut attempt = Attempt { opened: false, answers: Vec::new() };
    for run in in_order(group, identities, order).chunk_by(|one, next| is_asked(one) && is_asked(next)) {
        let (share, answers) = open_run(run, expected, identities);
        attempt.answers.extend(answers);
        if share.is_some() {
            attempt.opened = true;
            return (share, attempt);
        }
    }
    (None, attempt)
}

/// Whether a service is asked for it.
fn is_asked(entry: &Entry) -> bool {
    kind_by_field(entry.kind).is_some_and(|kind| kind.service().is_some())
}

/// One entry that is tried here, or several in a row that services are asked for.
fn open_run(run: &[&Entry], expected: usize, identities: &Identities) -> (Option<Share>, Vec<Answer>) {
    #[cfg(feature = "network")]
    if run.iter().all(|entry| is_asked(entry)) {
        return asking::first_opened(run, expected, identities);
    }
    let mut answers = Vec::new();
    for entry in run {
        let Some(kind) = kind_by_field(entry.kind) else { continue };
        match answered(entry, identities.unwrap(kind, &entry.value), expected) {
            Ok(share) => return (Some(share), answers),
            Err(answer) => answers.push(answer),
        }
    }
    (None, answers)
}

/// The share that an entry gave, or its answer for the error.
fn answered(entry: &Entry, outcome: Outcome, expected: usize) -> std::result::Result<Share, Answer> {
    let why = match outcome {
        Outcome::Opened(share) if share.len() == expected => return Ok(share),
        Outcome::Opened(share) => format!("it opens, but holds {} bytes where {expected} are expected", share.len()),
        Outcome::NotMine { why } | Outcome::Failed { why } | Outcome::Unreachable { why } => why,
    };
    let recipient = kind_by_field(entry.kind).map(|kind| kind.describe(&entry.value)).unwrap_or_default();
    Err(Answer { kind: entry.kind, recipient, why })
}

/// The entries in the order in which they are tried: by the order of kinds; of kinds that it doesn't name, those with
/// identities on this machine first; within a kind those that an identity at hand is named for first.
fn in_order<'g>(group: &'g Group, identities: &Identities, order: &[String]) -> Vec<&'g Entry> {
    if let [_] | [] = group.entries.as_slice() {
        return group.entries.iter().collect();
    }
    let ranked = |entry: &'g Entry| {
        let kind = kind_by_field(entry.kind);
        let local = kind.is_some_and(RecipientKind::is_local);
        let expected = kind.is_some_and(|kind| kind.expects(&entry.value, identities));
        ((rank(entry.kind, order), !local, !expected), entry)
    };
    let mut entries: Vec<_> = group.entries.iter().map(ranked).collect();
    sorting::by_key(&mut entries, |(rank, _)| *rank);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

fn rank(kind: &str, order: &[String]) -> usize {
    if order.is_empty() {
        return DEFAULT_ORDER.iter().position(|known| *known == kind).unwrap_or(DEFAULT_ORDER.len());
    }
    order.iter().position(|known| known == kind).unwrap_or(order.len())
}

fn not_recovered(metadata: &Metadata, opened: usize, attempts: &[Attempt], identities: &Identities) -> Error {
    // The phrase of SOPS, which tools match on.
    let mut error = Error::new(Kind::NoDataKey, "Failed to get the data key required to decrypt the SOPS file.");
    let groups = attempts.len();
    if groups > 1 {
        error = error.hint(format!("{opened} of {groups} key groups opened, {} are needed", needed(metadata)));
    }
    for (index, attempt) in attempts.iter().enumerate() {
        error.hints.extend(group_lines(index, groups, attempt));
    }
    if opened >= needed(metadata) {
        return error.hint("the shares of the key groups don't belong together: restore the sops block from an older version of the file");
    }
    error.hints.extend(looked_lines(metadata, identities));
    error.hints.extend(next_lines(metadata));
    error
}

fn group_lines(index: usize, groups: usize, attempt: &Attempt) -> Vec<String> {
    let state = if attempt.opened { "opened" } else { "not opened" };
    let mut lines = Vec::new();
    lines.push(match groups {
        1 => "the recipients of the file, and what each answered:".to_owned(),
        _ => format!("key group {}: {state}", index + 1),
    });
    let none = (!attempt.opened && attempt.answers.is_empty()).then(|| "  it has no recipient".to_owned());
    lines.extend(none);
    lines.extend(attempt.answers.iter().map(|answer| format!("  {} {}: {}", answer.kind, shown(&answer.recipient), answer.why)));
    lines
}

/// A recipient for people: in full, so that it can be compared, unless it is longer than a line.
fn shown(recipient: &str) -> String {
    let text: String = recipient.chars().take(120).collect();
    let cut = if text.len() < recipient.len() { "…" } else { "" };
    if text.is_empty() { "(no recipient named)".to_owned() } else { format!("{}{cut}", printable(&text)) }
}

fn has(metadata: &Metadata, kind: &str) -> bool {
    metadata.groups.iter().any(|group| group.entries.iter().any(|entry| entry.kind == kind))
}

fn looked_lines(metadata: &Metadata, identities: &Identities) -> Vec<String> {
    let kinds = KINDS.iter().filter(|kind| has(metadata, kind.field()));
    let places = kinds.flat_map(|kind| kind.looked(identities)).map(|looked| format!("  {}: {}", looked.place, looked.found));
    let mut lines: Vec<String> = places.collect();
    if !lines.is_empty() {
        lines.insert(0, "identities were looked for in:".to_owned());
    }
    lines
}

fn next_lines(metadata: &Metadata) -> Vec<String> {
    let kinds = KINDS.iter().filter(|kind| has(metadata, kind.field()));
    let mut steps: Vec<&str> = kinds.filter_map(|kind| kind.next()).collect();
    if steps.is_empty() {
        return vec!["next: open the file with sops, or ask one of its readers to add an age recipient".to_owned()];
    }
    steps.push("make an identity (kveil keygen) and ask one who can open the file to add its recipient");
    let line = |(at, step): (usize, &&str)| format!("{} {step}", if at == 0 { "next:" } else { "or" });
    steps.iter().enumerate().map(line).collect()
}

#[cfg(all(test, feature = "age"))]
mod tests {
    use super::*;
    use crate::document::value::Value;
    use crate::document::yaml;
    use crate::recipient::{Environment, age};

    const KEYS: [&str; 3] = [
        include_str!("../testdata/recipients/age1.txt"),
        include_str!("../testdata/recipients/age2.txt"),
        include_str!("../testdata/recipients/age3.txt"),
    ];
    const SHAMIR: &str = include_str!("../testdata/recipients/shamir-2-of-3.yaml");
    const AGE_AND_PGP: &str = include_str!("../testdata/recipients/age-and-pgp.yaml");
    const ALL_KINDS: &str = include_str!("../testdata/recipients/all-key-types.yaml");

    fn metadata(text: &str) -> Metadata {
        let document = yaml::parse(text).unwrap();
        let sops = Value::of(&document, document.get(document.parts[0].root, "sops").unwrap()).unwrap();
        Metadata::read(&sops).unwrap()
    }

    fn holding(keys: &[usize]) -> Identities {
        let text: String = keys.iter().map(|key| KEYS[*key]).collect();
        Identities::new(Environment::fixed([("SOPS_AGE_KEY", text)]))
    }

    fn recipient(key: usize) -> RecipientSpec {
        let text = age::recipient_of(KEYS[key].lines().last().unwrap()).unwrap();
        RecipientSpec { kind: "age", text, extra: Vec::new() }
    }

    /// The block of a file with these groups, read back from what is written.
    fn wrapped(data_key: &DataKey, groups: &[Vec<RecipientSpec>], asked: Option<usize>) -> Metadata {
        let mut metadata = metadata(AGE_AND_PGP);
        metadata.groups = wrap(data_key, groups, asked, &holding(&[])).unwrap();
        metadata.threshold = threshold(groups.len(), asked).unwrap();
        Metadata::read(metadata.write().get("sops").unwrap()).unwrap()
    }

    fn failure(metadata: &Metadata, identities: &Identities) -> Error {
        let error = unwrap(metadata, identities, &[]).err().expect("not recovered");
        assert_eq!(
            (error.kind.exit_code(), error.message.as_str()),
            (128, "Failed to get the data key required to decrypt the SOPS file.")
        );
        error
    }

    #[test]
    fn the_kinds_of_the_metadata_are_the_kinds_of_the_table() {
        for field in ENTRY_FIELDS {
            assert!(kind_by_field(field).is_some(), "{field}");
        }
        assert_eq!(KINDS.len(), ENTRY_FIELDS.len());
    }

    #[test]
    fn genuine_files_open() {
        assert!(unwrap(&metadata(AGE_AND_PGP), &holding(&[0]), &[]).is_ok());
        assert!(unwrap(&metadata(AGE_AND_PGP), &holding(&[0]), &["pgp".to_owned()]).is_ok());
    }

    #[test]
    fn any_two_of_three_genuine_groups_give_the_same_key() {
        let shamir = metadata(SHAMIR);
        let all = unwrap(&shamir, &holding(&[0, 1, 2]), &[]).unwrap();
        for two in [[0, 1], [0, 2], [1, 2]] {
            assert!(unwrap(&shamir, &holding(&two), &[]).unwrap().bytes() == all.bytes());
        }
        let error = failure(&shamir, &holding(&[1]));
        assert_eq!(error.hints[0], "1 of 3 key groups opened, 2 are needed");
        assert_eq!(error.hints[3], "key group 2: opened");
    }

    #[test]
    fn every_recipient_opens_what_is_wrapped() {
        let data_key = DataKey::generate().unwrap();
        let file = wrapped(&data_key, &[vec![recipient(0), recipient(1)]], Some(7));
        assert_eq!(file.threshold, None);
        for key in [0, 1] {
            assert!(unwrap(&file, &holding(&[key]), &[]).unwrap().bytes() == data_key.bytes());
        }
        failure(&file, &holding(&[2]));
    }

    #[test]
    fn the_threshold_is_all_groups_unless_it_is_given() {
        let data_key = DataKey::generate().unwrap();
        let groups = [vec![recipient(0)], vec![recipient(1)], vec![recipient(2)]];
        for (asked, enough) in [(None, false), (Some(0), false), (Some(3), false), (Some(2), true)] {
            let file = wrapped(&data_key, &groups, asked);
            assert!(unwrap(&file, &holding(&[0, 1, 2]), &[]).unwrap().bytes() == data_key.bytes());
            assert_eq!(unwrap(&file, &holding(&[0, 2]), &[]).is_ok(), enough);
        }
        let refused = |groups: &[Vec<RecipientSpec>], asked| wrap(&data_key, groups, asked, &holding(&[])).err().map(|error| error.kind);
        assert_eq!(refused(&groups, Some(1)), Some(Kind::Generic));
        assert_eq!(refused(&groups, Some(4)), Some(Kind::Generic));
        assert_eq!(refused(&[], None), Some(Kind::Generic));
        assert_eq!(refused(&[vec![recipient(0)], vec![]], None), Some(Kind::Generic));
        let kms = RecipientSpec { kind: "kms", text: "arn:aws:kms:us-east-1:1:key/x".to_owned(), extra: Vec::new() };
        let error = wrap(&data_key, &[vec![kms]], None, &holding(&[]).offline()).err().unwrap();
        assert!(error.message.contains("arn:aws:kms:us-east-1:1:key/x"));
    }

    #[test]
    fn kinds_that_the_order_leaves_out_are_tried_with_local_ones_first() {
        let group = &metadata(ALL_KINDS).groups[0];
        let order = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            in_order(group, &holding(&[]), &words).iter().map(|entry| entry.kind).collect::<Vec<_>>()
        };
        let network = ["kms", "kms", "gcp_kms", "hckms", "azure_kv", "hc_vault"];
        assert_eq!(order(&[]), [&["age", "pgp"], &network[..]].concat());
        assert_eq!(order(&["pgp"]), [&["pgp", "age"], &network[..]].concat());
        assert_eq!(order(&["hc_vault", "nope", ""]), ["hc_vault", "pgp", "age", "kms", "kms", "gcp_kms", "hckms", "azure_kv"]);
        assert_eq!(order(&["kms", "age"])[..3], ["kms", "kms", "age"]);
        // A word with a blank is another word, as in sops.
        assert_eq!(order(&["kms", " hc_vault"]), ["kms", "kms", "pgp", "age", "gcp_kms", "hckms", "azure_kv", "hc_vault"]);
    }

    /// No runtime, no thread, no TLS for those who have an identity at hand.
    #[cfg(feature = "network")]
    #[test]
    fn the_network_isnt_set_up_for_identities_of_this_machine() {
        let mut file = metadata(ALL_KINDS);
        let data_key = DataKey::generate().unwrap();
        let here = wrap_groups([(data_key.bytes().as_slice(), [recipient(0)].as_slice())].into_iter(), &holding(&[])).unwrap();
        file.groups[0].entries.extend(here.into_iter().flat_map(|group| group.entries));
        let identities = holding(&[0]);
        assert!(unwrap(&file, &identities, &[]).is_ok_and(|opened| opened.bytes() == data_key.bytes()));
        assert!(wrap(&data_key, &[vec![recipient(1)]], None, &identities).is_ok());
        assert!(identities.network().is_idle());
        assert!(identities.network().run(async {}).is_ok() && !identities.network().is_idle());
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let mut file = metadata(AGE_AND_PGP);
        file.groups = wrap_groups([([7; 31].as_slice(), [recipient(0)].as_slice())].into_iter(), &holding(&[])).unwrap();
        assert!(failure(&file, &holding(&[0])).hints[1].ends_with("it opens, but holds 31 bytes where 32 are expected"));
    }

    #[test]
    fn the_error_says_what_was_tried_where_and_what_to_do() {
        let identities = Identities::new(Environment::fixed([("SOPS_AGE_KEY", KEYS[0]), ("SOPS_GPG_EXEC", "/nowhere/gpg")])).offline();
        let hints = failure(&metadata(ALL_KINDS), &identities).hints.join("\n");
        for expected in [
            "age age1teycljmw7sclx4gr5wx6a5wujm750xay04enwh8k00jpqexzhdas47qnef: the one age identity at hand doesn't fit",
            "pgp ABCD: /nowhere/gpg can't be run (No such file",
            "kms arn:aws:kms:us-east-1:1:key/y: ",
            "azure_kv https://v.vault.azure.net/keys/n/abc: ",
            "hc_vault http://127.0.0.1:8200/v1/transit/keys/kn: ",
            "SOPS_AGE_KEY: 1 identity, age1av6p…xdhljc",
            "SOPS_AGE_KEY_FILE: not set",
            "/nowhere/gpg: keyring: its own",
            "export SOPS_AGE_KEY_FILE=",
            "gpg --import KEYFILE",
            "kveil keygen",
        ] {
            assert!(hints.contains(expected), "{expected} in\n{hints}");
        }
        assert!(!hints.contains("AGE-SECRET-KEY-1F9"));
    }
}
