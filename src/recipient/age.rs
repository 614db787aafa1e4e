//! age: X25519 recipients (`age1…`), and the identities that SOPS would find for them.
//!
//! One age file a recipient, armored, holds the data key or a share of it (SOPS). Sources of identities are read when
//! they are first needed and once a run, since a key file may be a pipe. Texts of the age crate's errors are never
//! used: printing one loads its translations, and they may quote the input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, OnceLock};

use age::secrecy::ExposeSecret;
use age::{DecryptError, x25519};
use zeroize::Zeroizing;

use super::{Environment, Identities, Looked, Outcome, RecipientKind, RecipientSpec, ends, held};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result, printable};

const FIELD: &str = "age";
const ENC: &str = "enc";
const RECIPIENT: &str = "recipient";

const KEY: &str = "SOPS_AGE_KEY";
const KEY_FILE: &str = "SOPS_AGE_KEY_FILE";
const KEY_COMMAND: &str = "SOPS_AGE_KEY_CMD";
const SSH_SOURCES: [&str; 2] = ["SOPS_AGE_SSH_PRIVATE_KEY_FILE", "SOPS_AGE_SSH_PRIVATE_KEY_CMD"];
/// What a key command is told: the recipient whose identity is wanted.
const COMMAND_RECIPIENT: &str = "SOPS_AGE_RECIPIENT";

/// No key file is longer; a limit keeps a wrong path (a device, say) from filling the memory.
const MAX_SOURCE: u64 = 1 << 20;
/// No wrapped data key or share is longer.
const MAX_PLAINTEXT: u64 = 1 << 10;

/// The kind `age`.
pub struct Age;

impl RecipientKind for Age {
    fn field(&self) -> &'static str {
        FIELD
    }

    fn parse(&self, text: &str) -> Result<RecipientSpec> {
        let recipient = x25519_recipient(text.trim())?;
        Ok(RecipientSpec { kind: FIELD, text: recipient.to_string(), extra: Vec::new() })
    }

    fn describe(&self, entry: &Value) -> String {
        entry.get(RECIPIENT).and_then(Value::text).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    fn is_local(&self) -> bool {
        true
    }

    fn short(&self, recipient: &str) -> String {
        ends(recipient)
    }

    fn wrap(&self, recipient: &RecipientSpec, data_key: &[u8], _identities: &Identities) -> Result<Value> {
        let recipient = x25519_recipient(&recipient.text)?;
        let armored = age::encrypt_and_armor(&recipient, data_key)
            .map_err(|_| Error::new(Kind::Generic, format!("the data key can't be encrypted for {recipient}")))?;
        // The age crate ends lines as the system does; the format of SOPS has line feeds everywhere.
        let enc = Value::string(armored.replace("\r\n", "\n"));
        Ok(Value::Map(vec![(ENC.to_owned(), enc), (RECIPIENT.to_owned(), Value::string(recipient.to_string()))]))
    }

    fn unwrap(&self, entry: &Value, identities: &Identities) -> Outcome {
        let Some(enc) = entry.get(ENC).and_then(Value::text).filter(|enc| !enc.is_empty()) else {
            return Outcome::Failed { why: "the entry holds no wrapped key".to_owned() };
        };
        let recipient = self.describe(entry);
        match open(&enc, identities.age.named_first(identities, &recipient)) {
            Err(DecryptError::NoMatchingKeys) => {}
            result => return outcome(result),
        }
        if let Some(variety) = unsupported(&recipient) {
            return Outcome::Failed { why: format!("{variety} aren't supported by this version") };
        }
        let Some(by_command) = identities.age.by_command(identities, &recipient) else {
            return not_mine(identities, 0);
        };
        match open(&enc, by_command.identities.iter()) {
            Err(DecryptError::NoMatchingKeys) => not_mine(identities, by_command.identities.len()),
            result => outcome(result),
        }
    }

    fn expects(&self, entry: &Value, identities: &Identities) -> bool {
        let recipient = self.describe(entry);
        own_recipients(identities).any(|own| own == recipient)
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        let mut looked: Vec<Looked> = identities.age.read(identities).map(Found::report).collect();
        looked.extend(identities.age.report_commands(identities));
        let ssh = SSH_SOURCES.into_iter().filter(|name| identities.environment.path(name).is_some());
        looked
            .extend(ssh.map(|name| Looked { place: name.to_owned(), found: "ssh identities aren't supported by this version".to_owned() }));
        looked
    }

    fn next(&self) -> Option<&'static str> {
        Some("if you have the identity of one of these recipients, name its file: export SOPS_AGE_KEY_FILE=/path/to/keys.txt")
    }
}

/// A new identity and its recipient, from the system's random numbers.
pub fn generate() -> (Zeroizing<String>, String) {
    let identity = x25519::Identity::generate();
    (Zeroizing::new(identity.to_string().expose_secret().to_owned()), identity.to_public().to_string())
}

/// The recipient of an identity line, `AGE-SECRET-KEY-1…`.
///
/// # Errors
/// `Generic` (1), without the line, if it is no such identity.
pub fn recipient_of(identity: &str) -> Result<String> {
    match read_identity(identity.trim()) {
        Line::Identity(own) => Ok(own.recipient),
        Line::Unsupported(variety) => Err(Error::new(Kind::Generic, format!("{variety} aren't supported by this version"))),
        Line::Garbage => Err(Error::new(Kind::Generic, "not an age identity, expected a line that starts with AGE-SECRET-KEY-1")),
    }
}

/// The recipients of the identities at hand, in the order of their sources; commands aren't run.
pub fn own_recipients(identities: &Identities) -> impl Iterator<Item = &str> {
    identities.age.read(identities).flat_map(|found| &found.identities).map(|own| own.recipient.as_str())
}

/// Where SOPS keeps identities if no variable says otherwise: `sops/age/keys.txt` in the configuration folder.
pub fn default_key_file(environment: &Environment) -> Option<PathBuf> {
    Some(environment.config_folder()?.join("sops").join("age").join("keys.txt"))
}

/// Reads `age1…`; only the canonical spelling, since SOPS takes no other.
fn x25519_recipient(text: &str) -> Result<x25519::Recipient> {
    if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
        // The text is a secret: it must not be repeated.
        return Err(Error::new(Kind::Generic, "an age identity (a secret key) stands where a recipient is expected")
            .hint("name its public key, age1…; if the identity was saved or shared by this, make a new one with: kveil keygen"));
    }
    if let Some(variety) = unsupported(text) {
        return Err(Error::new(Kind::Generic, format!("{variety} aren't supported by this version: {}", ends(text))));
    }
    let recipient: Option<x25519::Recipient> = text.parse().ok().filter(|recipient: &x25519::Recipient| recipient.to_string() == text);
    recipient.ok_or_else(|| {
        let shown = if text.starts_with("age1") { format!(": {text}") } else { String::new() };
        Error::new(Kind::Generic, format!("not an age recipient{shown}"))
            .hint("expected age1 and 58 more characters; a mistyped one doesn't pass its checksum")
    })
}

/// The varieties of age recipients that can't be used yet, by name.
fn unsupported(recipient: &str) -> Option<String> {
    if recipient.starts_with("ssh-") {
        return Some("ssh keys as age recipients".to_owned());
    }
    // Bech32 data has no "1": what stands before the last one is the name of a plugin.
    let (name, _) = recipient.strip_prefix("age1")?.rsplit_once('1')?;
    Some(if name == "pq" {
        "post-quantum age recipients".to_owned()
    } else {
        format!("recipients of age plugins ({})", printable(&ends(name)))
    })
}

fn open<'i>(enc: &str, identities: impl Iterator<Item = &'i Own>) -> std::result::Result<Zeroizing<Vec<u8>>, DecryptError> {
    let file = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(enc.as_bytes()))?;
    let reader = file.decrypt(identities.map(|own| &own.identity as &dyn age::Identity))?;
    let mut plaintext = Zeroizing::new(Vec::with_capacity(MAX_PLAINTEXT as usize));
    reader.take(MAX_PLAINTEXT).read_to_end(&mut plaintext)?;
    Ok(plaintext)
}

fn outcome(opened: std::result::Result<Zeroizing<Vec<u8>>, DecryptError>) -> Outcome {
    let what = match opened {
        Ok(plaintext) => return Outcome::Opened(plaintext),
        Err(DecryptError::InvalidMac) => "its header was changed",
        Err(DecryptError::UnknownFormat) => "it is of an unknown age version",
        Err(_) => "it isn't a whole age file, or its content was changed",
    };
    Outcome::Failed { why: format!("the wrapped key is damaged: {what}") }
}

fn not_mine(identities: &Identities, by_command: usize) -> Outcome {
    let count = own_recipients(identities).count() + by_command;
    let why = match count {
        0 => "no age identity was found".to_owned(),
        1 => "the one age identity at hand doesn't fit".to_owned(),
        count => format!("none of the {count} age identities at hand fits"),
    };
    Outcome::NotMine { why }
}

/// An identity and the recipient that it opens for. It holds a secret key.
struct Own {
    identity: x25519::Identity,
    recipient: String,
}

/// What one source gave.
#[derive(Default)]
struct Found {
    place: String,
    identities: Vec<Own>,
    remarks: Vec<String>,
}

impl Found {
    fn nothing(place: impl Into<String>, remark: impl Into<String>) -> Found {
        Found { place: place.into(), identities: Vec::new(), remarks: vec![remark.into()] }
    }

    fn report(&self) -> Looked {
        let own: Vec<String> = self.identities.iter().map(|own| ends(&own.recipient)).collect();
        let mut parts = self.remarks.clone();
        match own.len() {
            0 if parts.is_empty() => parts.push("no identity in it".to_owned()),
            0 => {}
            1 => parts.insert(0, format!("1 identity, {}", own[0])),
            count => parts.insert(0, format!("{count} identities, {}", own.join(", "))),
        }
        Looked { place: self.place.clone(), found: parts.join("; ") }
    }
}

/// The sources in the order in which they are asked, without the command: it may prompt, so it comes last.
const READ: [fn(&Identities) -> Found; 3] = [from_variable, from_named_file, from_default_file];

/// What the sources gave so far.
#[derive(Default)]
pub struct Sources {
    read: [OnceLock<Found>; READ.len()],
    commands: Mutex<Vec<(String, Arc<Found>)>>,
}

impl Sources {
    /// The variable and the files, each read when the iterator comes to it.
    fn read<'i>(&'i self, identities: &'i Identities) -> impl Iterator<Item = &'i Found> {
        self.read.iter().zip(READ).map(|(found, read)| found.get_or_init(|| read(identities)))
    }

    /// All identities, the named one before the others: each try costs two curve operations.
    fn named_first<'i>(&'i self, identities: &'i Identities, recipient: &'i str) -> impl Iterator<Item = &'i Own> {
        let all = move || self.read(identities).flat_map(|found| &found.identities);
        all().filter(move |own| own.recipient == recipient).chain(all().filter(move |own| own.recipient != recipient))
    }

    /// What the key command gives for a recipient; run once for each. `None` if there is none to run.
    fn by_command(&self, identities: &Identities, recipient: &str) -> Option<Arc<Found>> {
        let line = Zeroizing::new(identities.environment.var(KEY_COMMAND).filter(|_| identities.commands)?);
        // Held while the command runs: a second thread must not prompt at the same time.
        let mut commands = held(&self.commands);
        if let Some((_, found)) = commands.iter().find(|(known, _)| known == recipient) {
            return Some(Arc::clone(found));
        }
        let found = Arc::new(from_command(&identities.environment, &line, recipient));
        commands.push((recipient.to_owned(), Arc::clone(&found)));
        Some(found)
    }

    fn report_commands(&self, identities: &Identities) -> Vec<Looked> {
        let set = identities.environment.var(KEY_COMMAND).is_some();
        let mut reports: Vec<Looked> = Vec::new();
        for (_, found) in held(&self.commands).iter() {
            let report = found.report();
            if !reports.contains(&report) {
                reports.push(report);
            }
        }
        if reports.is_empty() {
            let why = if !set { "not set" } else { "not run here" };
            reports.push(Looked { place: KEY_COMMAND.to_owned(), found: why.to_owned() });
        }
        reports
    }
}

fn from_variable(identities: &Identities) -> Found {
    match identities.environment.var(KEY).map(Zeroizing::new) {
        None => Found::nothing(KEY, "not set"),
        Some(text) => parse(KEY.to_owned(), text.as_bytes(), Words::Blanks),
    }
}

fn from_named_file(identities: &Identities) -> Found {
    match identities.environment.path(KEY_FILE) {
        None => Found::nothing(KEY_FILE, "not set"),
        Some(path) => from_file(format!("{KEY_FILE} ({})", shown(&path)), &path, identities),
    }
}

fn from_default_file(identities: &Identities) -> Found {
    match default_key_file(&identities.environment) {
        None => Found::nothing("the default key file", "no home folder is set"),
        Some(path) => from_file(shown(&path), &path, identities),
    }
}

fn from_file(place: String, path: &Path, identities: &Identities) -> Found {
    let text = File::open(path).and_then(|file| {
        if let Some(mode) = open_to_others(&file) {
            identities.warn(format!("the key file {} can be read by others (mode {mode:o}): chmod 600 {0}", shown(path)));
        }
        read_source(file)
    });
    match text {
        Ok(text) => parse(place, &text, Words::Lines),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Found::nothing(place, "no such file"),
        Err(error) => Found::nothing(place, format!("can't be read: {error}")),
    }
}

/// The permission bits of a regular file that its group or all may read.
#[cfg(unix)]
fn open_to_others(file: &File) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.permissions().mode() & 0o777).filter(|mode| mode & 0o044 != 0)
}

#[cfg(not(unix))]
fn open_to_others(_file: &File) -> Option<u32> {
    None
}

/// Reads to the end into a buffer that needn't grow: a growing one would leave copies behind.
fn read_source(source: impl Read) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::with_capacity(1 << 16));
    source.take(MAX_SOURCE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_SOURCE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too long for a key file"));
    }
    Ok(text)
}

fn from_command(environment: &Environment, line: &str, recipient: &str) -> Found {
    match run(environment, line, recipient) {
        Ok(output) => parse(KEY_COMMAND.to_owned(), &output, Words::Blanks),
        Err(why) => Found::nothing(KEY_COMMAND, why),
    }
}

/// Runs a key command without a shell; what it prints, or why there is nothing.
fn run(environment: &Environment, line: &str, recipient: &str) -> std::result::Result<Zeroizing<Vec<u8>>, String> {
    let words = split_words(line).ok_or("a quote or backslash at its end isn't closed")?;
    let (program, arguments) = words.split_first().ok_or("names no command")?;
    let mut command = environment.command(program);
    command.args(arguments).env(COMMAND_RECIPIENT, recipient).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("can't be run: {error}"))?;
    let complaint = child.stderr.take().map(|stderr| std::thread::spawn(move || last_line(stderr)));
    let output = child.stdout.take().map_or_else(|| Ok(Zeroizing::default()), read_source);
    let status = child.wait().map_err(|error| format!("can't be waited for: {error}"))?;
    let complaint = complaint.and_then(|thread| thread.join().ok()).unwrap_or_default();
    if !status.success() {
        return Err(format!("failed with {status}{complaint}"));
    }
    output.map_err(|error| format!("its output can't be read: {error}"))
}

/// `: ` and the last line that a failed command printed for people, unless there may be a key in it.
fn last_line(mut stderr: impl Read) -> String {
    let mut text = Vec::new();
    let read = stderr.by_ref().take(1 << 16).read_to_end(&mut text).and_then(|_| io::copy(&mut stderr, &mut io::sink()));
    let text = String::from_utf8_lossy(&text);
    let line: String = text.trim_end().lines().next_back().unwrap_or_default().chars().take(200).collect();
    if read.is_err() || line.is_empty() || line.to_ascii_uppercase().contains("SECRET-KEY") {
        return String::new();
    }
    format!(": {}", printable(&line))
}

/// How identities are separated.
#[derive(Clone, Copy)]
enum Words {
    /// One a line; blanks around it aren't taken, as in age.
    Lines,
    /// By any white space, as SOPS reads a variable.
    Blanks,
}

fn parse(place: String, bytes: &[u8], words: Words) -> Found {
    if let Some(what) = not_a_list(bytes) {
        return Found::nothing(place, what);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return Found::nothing(place, "not a text file") };
    let mut found = Found { place, ..Found::default() };
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let readable = match words {
            Words::Lines => found.add(index + 1, line),
            Words::Blanks => line.split_whitespace().all(|word| found.add(index + 1, word)),
        };
        if !readable {
            // As in SOPS, a source with a line that can't be read gives nothing.
            found.identities.clear();
            break;
        }
    }
    found
}

impl Found {
    /// Takes an identity; false if the word is none.
    fn add(&mut self, line: usize, word: &str) -> bool {
        match read_identity(word) {
            Line::Identity(own) => self.identities.push(own),
            Line::Unsupported(variety) => self.remarks.push(format!("line {line}: {variety} aren't supported by this version")),
            Line::Garbage => {
                self.remarks.push(format!("line {line} isn't an age identity (AGE-SECRET-KEY-1…), so nothing in it is used"));
                return false;
            }
        }
        true
    }
}

/// What a file of another kind is.
fn not_a_list(bytes: &[u8]) -> Option<&'static str> {
    let starts = |text: &str| bytes.starts_with(text.as_bytes());
    if starts("age-encryption.org/v1") || starts("-----BEGIN AGE ENCRYPTED FILE-----") {
        return Some("key files with a passphrase aren't supported by this version");
    }
    (starts("-----BEGIN ") && bytes.windows(11).any(|window| window == b"PRIVATE KEY"))
        .then_some("ssh identities aren't supported by this version")
}

enum Line {
    Identity(Own),
    Unsupported(&'static str),
    Garbage,
}

fn read_identity(line: &str) -> Line {
    if line.starts_with("AGE-PLUGIN-") {
        return Line::Unsupported("identities of age plugins");
    }
    if line.starts_with("AGE-SECRET-KEY-PQ-1") {
        return Line::Unsupported("post-quantum identities");
    }
    match line.parse::<x25519::Identity>() {
        Ok(identity) if line.starts_with("AGE-SECRET-KEY-1") => {
            let recipient = identity.to_public().to_string();
            Line::Identity(Own { identity, recipient })
        }
        _ => Line::Garbage,
    }
}

/// Splits a command line as a POSIX shell would, without expanding anything; `None` if a quote isn't closed.
fn split_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '#' if word.is_none() => chars.by_ref().take_while(|c| *c != '\n').for_each(drop),
            '\\' => word.get_or_insert_default().push(chars.next()?),
            '\'' | '"' => quoted(&mut chars, c, word.get_or_insert_default())?,
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

/// The rest of a quoted part, up to `quote`; a backslash escapes in double quotes only.
fn quoted(chars: &mut std::str::Chars<'_>, quote: char, word: &mut String) -> Option<()> {
    loop {
        match chars.next()? {
            c if c == quote => return Some(()),
            '\\' if quote == '"' => word.push(chars.next()?),
            c => word.push(c),
        }
    }
}

fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::yaml;

    const KEY_1: &str = include_str!("../../testdata/recipients/age1.txt");
    const KEY_2: &str = include_str!("../../testdata/recipients/age2.txt");
    const RECIPIENT_1: &str = "age1av6p2hqexw2pns6mrpvn75e4a6rcfc8qqu4zt6eatgrz94744d2qxdhljc";
    const RECIPIENT_2: &str = "age1ac76cl9nuzd96kdp6mvslh55wl74rt3sl3zfl9y4c6l99dltndqsxemwwp";
    const GENUINE: &str = include_str!("../../testdata/recipients/age-and-pgp.yaml");

    fn genuine_entry() -> Value {
        let document = yaml::parse(GENUINE).unwrap();
        let sops = Value::of(&document, document.get(document.parts[0].root, "sops").unwrap()).unwrap();
        sops.get("age").unwrap().items()[0].clone()
    }

    fn with(variables: &[(&str, &str)]) -> Identities {
        Identities::new(Environment::fixed(variables.iter().copied().chain([("PATH", "/usr/bin:/bin")])))
    }

    fn key(file: &str) -> &str {
        file.lines().last().unwrap()
    }

    fn entry_for(recipient: &str) -> Value {
        Age.wrap(&Age.parse(recipient).unwrap(), b"a data key", &Identities::new(Environment::default())).unwrap()
    }

    fn opens(identities: &Identities) -> bool {
        matches!(Age.unwrap(&entry_for(RECIPIENT_1), identities), Outcome::Opened(key) if key.as_slice() == b"a data key")
    }

    fn found(identities: &Identities, place: &str) -> String {
        assert!(!opens(identities));
        let looked = Age.looked(identities);
        looked.into_iter().find(|looked| looked.place.contains(place)).map(|looked| looked.found).expect("reported")
    }

    /// A folder of its own that is removed again.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("kveil-age-{}-{name}", std::process::id()));
            std::fs::create_dir_all(path.join("sops/age")).unwrap();
            Folder(path)
        }

        fn file(&self, name: &str, text: &[u8]) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_genuine_entry_opens() {
        let Outcome::Opened(data_key) = Age.unwrap(&genuine_entry(), &with(&[(KEY, KEY_1)])) else { panic!("not opened") };
        assert_eq!(data_key.len(), 32);
    }

    #[test]
    fn an_entry_looks_like_a_genuine_one() {
        let (ours, genuine) = (entry_for(RECIPIENT_1), genuine_entry());
        let fields = |entry: &Value| entry.entries().iter().map(|(field, _)| field.clone()).collect::<Vec<_>>();
        assert_eq!(fields(&ours), fields(&genuine));
        let enc = ours.get(ENC).unwrap().text().unwrap().into_owned();
        assert!(enc.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n") && enc.ends_with("\n-----END AGE ENCRYPTED FILE-----\n"));
        assert!(enc.lines().all(|line| line.len() <= 64) && !enc.contains('\r'));
        assert_eq!(Age.describe(&ours), RECIPIENT_1);
    }

    #[test]
    fn every_source_opens() {
        let folder = Folder::new("sources");
        let config = folder.0.to_str().unwrap();
        folder.file("sops/age/keys.txt", KEY_1.as_bytes());
        let named = folder.file("named.txt", KEY_1.as_bytes());
        assert!(opens(&with(&[(KEY, KEY_1)])));
        assert!(opens(&with(&[(KEY_FILE, &named)])));
        assert!(opens(&with(&[("XDG_CONFIG_HOME", config), ("AppData", config)])));
        assert!(opens(&with(&[(KEY_COMMAND, &format!("cat '{named}'"))])));
        assert!(opens(&with(&[(KEY, KEY_2), (KEY_FILE, "/nowhere"), (KEY_COMMAND, &format!("cat '{named}'"))])));
        assert!(!opens(&with(&[])));
    }

    #[test]
    fn key_files_are_read_as_sops_reads_them() {
        let folder = Folder::new("files");
        let try_file = |text: &str| opens(&with(&[(KEY_FILE, &folder.file("k", text.as_bytes()))]));
        let (one, two) = (key(KEY_1), key(KEY_2));
        assert!(try_file(&format!("# comment\r\n\r\n{one}\r\n")));
        assert!(try_file(&format!("{two}\n{one}")));
        assert!(try_file(&format!("AGE-PLUGIN-X-1AAAA\nAGE-SECRET-KEY-PQ-1AAAA\n{one}\n")));
        for refused in [format!(" {one}\n"), format!("{one} \n"), format!("{one}\ngarbage\n"), one.to_lowercase(), String::new()] {
            assert!(!try_file(&refused));
        }
    }

    #[test]
    fn the_variable_is_split_at_blanks() {
        let (one, two) = (key(KEY_1), key(KEY_2));
        assert!(opens(&with(&[(KEY, &format!("  {two}  {one}\n"))])));
        assert!(!opens(&with(&[(KEY, &format!("{two},{one}"))])));
    }

    #[test]
    fn a_broken_source_is_named_with_its_line_but_never_quoted() {
        let folder = Folder::new("broken");
        let report = |bytes: &[u8]| found(&with(&[(KEY_FILE, &folder.file("k", bytes))]), "SOPS_AGE_KEY_FILE (");
        let garbage = report(format!("# c\n{}\nAGE-SECRET-KEY-1OOPS\n", key(KEY_2)).as_bytes());
        assert_eq!(garbage, "line 3 isn't an age identity (AGE-SECRET-KEY-1…), so nothing in it is used");
        assert_eq!(report(b"\xff\xfe"), "not a text file");
        assert_eq!(report(b"# nothing\n"), "no identity in it");
        assert!(report(b"-----BEGIN AGE ENCRYPTED FILE-----\n").contains("passphrase"));
        assert!(report(b"age-encryption.org/v1\n").contains("passphrase"));
        assert!(report(b"-----BEGIN OPENSSH PRIVATE KEY-----\n").contains("ssh"));
        assert!(report(b"AGE-PLUGIN-YUBIKEY-1AA\n").starts_with("line 1: identities of age plugins"));
        assert!(report(&vec![b'#'; MAX_SOURCE as usize + 1]).contains("too long"));
        assert_eq!(report(KEY_2.as_bytes()), "1 identity, age1ac76…xemwwp");
        assert_eq!(found(&with(&[(KEY_FILE, "/nowhere/k")]), "SOPS_AGE_KEY_FILE (/nowhere/k)"), "no such file");
        assert!(found(&with(&[(KEY_FILE, folder.0.to_str().unwrap())]), "SOPS_AGE_KEY_FILE (").starts_with("can't be read"));
    }

    #[cfg(unix)]
    #[test]
    fn commands_run_without_a_shell_and_once_a_recipient() {
        let folder = Folder::new("command");
        let log = folder.0.join("log").to_str().unwrap().to_owned();
        let one = key(KEY_1);
        let command = format!("sh -c \"echo '# \\$SOPS_AGE_RECIPIENT' >> {log}; echo \\$SOPS_AGE_RECIPIENT >> {log}; echo {one}\"");
        let identities = with(&[(KEY_COMMAND, &command)]);
        assert!(opens(&identities) && opens(&identities));
        assert_eq!(std::fs::read_to_string(&log).unwrap(), format!("# $SOPS_AGE_RECIPIENT\n{RECIPIENT_1}\n"));
        let other = with(&[(KEY_COMMAND, &command)]).without_commands();
        assert_eq!(found(&other, KEY_COMMAND), "not run here");
    }

    #[cfg(unix)]
    #[test]
    fn a_failing_command_says_why_but_prints_no_key() {
        let report = |command: &str| found(&with(&[(KEY_COMMAND, command)]), KEY_COMMAND);
        assert_eq!(report("sh -c 'echo not signed in >&2; exit 3'"), "failed with exit status: 3: not signed in");
        assert_eq!(report(&format!("sh -c 'echo {} >&2; exit 3'", key(KEY_1))), "failed with exit status: 3");
        assert_eq!(report("sh -c 'open"), "a quote or backslash at its end isn't closed");
        assert_eq!(report("#"), "names no command");
        assert!(report("/nowhere/at/all").starts_with("can't be run"));
        assert_eq!(report(&format!("echo {}", key(KEY_2))), "1 identity, age1ac76…xemwwp");
    }

    #[test]
    fn command_lines_are_split_like_a_shell_would() {
        let words = |line: &str| split_words(line).map(|words| words.join("|"));
        assert_eq!(words("a  'b c' d\"e \\\"f\"  g\\ h").as_deref(), Some("a|b c|de \"f|g h"));
        assert_eq!(words("a '' # rest 'x\nb#c").as_deref(), Some("a||b#c"));
        assert_eq!(words("a 'b\\'").as_deref(), Some("a|b\\"));
        assert!(words("a 'b").is_none() && words("a \\").is_none() && words("a \"b\\\"").is_none());
    }

    #[cfg(unix)]
    #[test]
    fn a_key_file_that_others_can_read_is_warned_about_once() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = Folder::new("mode");
        let path = folder.file("k", KEY_1.as_bytes());
        for (mode, warnings) in [(0o600, 0), (0o644, 1), (0o640, 1)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let identities = with(&[(KEY_FILE, &path)]);
            assert!(opens(&identities) && opens(&identities));
            assert_eq!((identities.take_warnings().len(), identities.take_warnings().len()), (warnings, 0));
        }
    }

    #[test]
    fn not_mine_and_broken_differ() {
        let one = with(&[(KEY, KEY_1)]);
        let why = |entry: &Value, identities: &Identities| match Age.unwrap(entry, identities) {
            Outcome::Opened(_) => "opened".to_owned(),
            Outcome::NotMine { why } => format!("not mine: {why}"),
            Outcome::Failed { why } => format!("failed: {why}"),
        };
        let entry = |enc: &str| Value::Map(vec![(ENC.to_owned(), Value::string(enc)), (RECIPIENT.to_owned(), Value::string(RECIPIENT_1))]);
        assert_eq!(why(&entry_for(RECIPIENT_2), &one), "not mine: the one age identity at hand doesn't fit");
        assert_eq!(why(&entry_for(RECIPIENT_1), &with(&[])), "not mine: no age identity was found");
        assert_eq!(why(&entry(""), &one), "failed: the entry holds no wrapped key");
        assert!(why(&entry("QUJD"), &one).starts_with("failed: the wrapped key is damaged"));
        let whole = entry_for(RECIPIENT_1).get(ENC).unwrap().text().unwrap().into_owned();
        assert!(why(&entry(&whole[..whole.len() / 2]), &one).starts_with("failed: the wrapped key is damaged"));
        let ssh = Value::Map(vec![
            (ENC.to_owned(), Value::string(entry_for(RECIPIENT_2).get(ENC).unwrap().text().unwrap())),
            (RECIPIENT.to_owned(), Value::string("ssh-ed25519 AAAA x@y")),
        ]);
        assert_eq!(why(&ssh, &one), "failed: ssh keys as age recipients aren't supported by this version");
    }

    #[test]
    fn what_is_no_recipient_is_refused_by_name_and_secrets_are_not_repeated() {
        let refusal = |text: &str| Age.parse(text).unwrap_err().message;
        assert_eq!(Age.parse(&format!(" {RECIPIENT_1}\n")).unwrap().text, RECIPIENT_1);
        assert_eq!(refusal("age1xyz"), "not an age recipient: age1xyz");
        assert_eq!(refusal("hunter2"), "not an age recipient");
        assert!(refusal(&RECIPIENT_1.to_uppercase()).starts_with("not an age recipient"));
        assert!(refusal("ssh-ed25519 AAAA").contains("ssh keys"));
        assert!(refusal("age1pq1xyz").contains("post-quantum"));
        assert!(refusal("age1yubikey1qxyz").contains("plugins (yubikey)"));
        for secret in [key(KEY_1).to_owned(), key(KEY_1).to_lowercase()] {
            assert!(!format!("{:?}", Age.parse(&secret).unwrap_err()).to_uppercase().contains(&key(KEY_1)[20..]));
        }
    }

    #[test]
    fn a_new_identity_opens_what_is_wrapped_for_its_recipient() {
        let (identity, recipient) = generate();
        assert_eq!(recipient_of(&identity).unwrap(), recipient);
        let identities = with(&[(KEY, &identity)]);
        assert!(matches!(Age.unwrap(&entry_for(&recipient), &identities), Outcome::Opened(_)));
        assert_eq!(own_recipients(&identities).collect::<Vec<_>>(), [recipient]);
        assert!(!recipient_of("AGE-SECRET-KEY-1OOPS").unwrap_err().message.contains("OOPS"));
    }
}
