//! age: recipients of all varieties, and the identities that SOPS would find for them.
//!
//! One age file a recipient, armored, holds the data key or a share of it (SOPS). Texts of the age crate's errors are not
//! used where it can be helped: printing one loads its translations, and they may quote the input.

mod command;
mod keyfile;
mod native;
mod opening;
mod passphrase;
mod plugin;
mod post_quantum;
mod sources;
mod ssh;
mod tag;
mod terminal;

use std::io::{Read, Write};

use age::secrecy::ExposeSecret;
use age::{DecryptError, x25519};
use age_core::format::{FileKey, Stanza};
use zeroize::Zeroizing;

use super::{Environment, Identities, Looked, Outcome, RecipientKind, RecipientSpec, ends, held};
use crate::document::value::Value;
use crate::error::{Error, Kind, Result, printable};
use opening::Opening;
pub use sources::{Sources, default_key_file};

const FIELD: &str = "age";
const ENC: &str = "enc";
const RECIPIENT: &str = "recipient";

/// No wrapped data key or share is longer.
const MAX_PLAINTEXT: u64 = 1 << 10;

/// A variety of recipients and identities.
struct Variety {
    /// What a recipient of it is called, with its article.
    title: &'static str,
    /// Whether a text is meant to be such a recipient.
    names: fn(&str) -> bool,
    /// Reads a recipient; the error is what to say beside "not a …", if there is more.
    recipient: Reader,
    /// What is expected of a recipient.
    expected: &'static str,
    /// Its identities, if such stand in key files.
    identity: Option<Readable>,
}

/// Reads a recipient; wrapping for those that need a program or a person takes the identities of the run.
type Reader = for<'i> fn(&str, Option<&'i Identities>) -> Wrapper<'i>;
type Wrapper<'i> = std::result::Result<Box<dyn age::Recipient + 'i>, String>;

/// Identities that stand in key files.
struct Readable {
    prefix: &'static str,
    read: fn(&str) -> Option<Box<dyn Identity>>,
}

/// All varieties, those with the longer prefix first: a new one is its own file and a row here.
static VARIETIES: [Variety; 6] = [post_quantum::VARIETY, tag::P256, tag::POST_QUANTUM, ssh::VARIETY, plugin::VARIETY, native::VARIETY];

/// An identity: a secret key, or the way to one.
trait Identity: Send + Sync {
    /// The recipient that it opens for, if it can be told.
    fn recipient(&self) -> Option<&str>;

    /// Whether it is the one that a recipient names.
    fn fits(&self, recipient: &str) -> bool {
        self.recipient() == Some(recipient)
    }

    /// Whether it may ask a person, or run a program.
    fn asks(&self) -> bool {
        false
    }

    /// For people.
    fn short(&self) -> String {
        self.recipient().map(ends).unwrap_or_default()
    }

    /// Unwraps the file key of an age file; `None` if no stanza is for it.
    fn unwrap(&self, stanzas: &[Stanza], identities: &Identities) -> Option<std::result::Result<FileKey, Trouble>>;
}

/// What kept an identity from opening.
enum Trouble {
    /// The stanza is its own, and broken: nothing else will open it.
    Damaged(DecryptError),
    /// It can't be used now: others are tried.
    Unusable(String),
}

/// The answer of an identity that can't be unusable.
fn damaged(answer: Option<std::result::Result<FileKey, DecryptError>>) -> Option<std::result::Result<FileKey, Trouble>> {
    answer.map(|result| result.map_err(Trouble::Damaged))
}

/// The kind `age`.
pub struct Age;

impl RecipientKind for Age {
    fn field(&self) -> &'static str {
        FIELD
    }

    fn parse(&self, text: &str) -> Result<RecipientSpec> {
        let text = text.trim();
        recipient(text, None)?;
        Ok(RecipientSpec { kind: FIELD, text: text.to_owned(), extra: Vec::new() })
    }

    fn describe(&self, entry: &Value) -> String {
        entry.get(RECIPIENT).and_then(Value::text).map(|text| text.trim().to_owned()).unwrap_or_default()
    }

    /// The line of an ssh key is the same recipient with another comment.
    fn same(&self, a: &str, b: &str) -> bool {
        a == b || a.starts_with(ssh::PREFIX) && ssh::same_key(a, b)
    }

    fn is_local(&self) -> bool {
        true
    }

    fn short(&self, recipient: &str) -> String {
        if recipient.starts_with(ssh::PREFIX) { ssh::short(recipient) } else { ends(recipient) }
    }

    fn wrap(&self, spec: &RecipientSpec, data_key: &[u8], identities: &Identities) -> Result<Value> {
        let armored = seal(recipient(&spec.text, Some(identities))?.as_ref(), data_key).map_err(|error| {
            let why = plugin::complaint(&error).map(|why| format!(": {why}")).unwrap_or_default();
            Error::new(Kind::Generic, format!("the data key can't be encrypted for {}{why}", self.short(&spec.text)))
        })?;
        // The age crate ends lines as the system does; the format of SOPS has line feeds everywhere.
        let enc = Value::string(armored.replace("\r\n", "\n"));
        Ok(Value::Map(vec![(ENC.to_owned(), enc), (RECIPIENT.to_owned(), Value::string(spec.text.clone()))]))
    }

    fn unwrap(&self, entry: &Value, identities: &Identities) -> Outcome {
        let Some(enc) = entry.get(ENC).and_then(Value::text).filter(|enc| !enc.is_empty()) else {
            return Outcome::Failed { why: "the entry holds no wrapped key".to_owned() };
        };
        let recipient = self.describe(entry);
        let opening = Opening::new(identities, &recipient);
        match open(&enc, &opening) {
            Ok(plaintext) => Outcome::Opened(plaintext),
            Err(DecryptError::NoMatchingKeys) => Outcome::NotMine { why: opening.why() },
            Err(error) => Outcome::Failed { why: damage(&error) },
        }
    }

    /// Only what asks nobody: an entry that opens without a question comes before one that needs a passphrase or a touch.
    fn expects(&self, entry: &Value, identities: &Identities) -> bool {
        let recipient = self.describe(entry);
        let mut own = identities.age.read(identities, recipient.starts_with(ssh::PREFIX)).flat_map(|found| &found.identities);
        own.any(|identity| !identity.asks() && identity.fits(&recipient))
    }

    fn looked(&self, identities: &Identities) -> Vec<Looked> {
        identities.age.report(identities)
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

/// A new post-quantum identity and its recipient, from the system's random numbers.
pub fn generate_post_quantum() -> (Zeroizing<String>, String) {
    post_quantum::generate()
}

/// The recipient of an identity line, `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`.
///
/// # Errors
/// `Generic` (1), without the line, if it is no such identity.
pub fn recipient_of(identity: &str) -> Result<String> {
    let own = keyfile::identity(identity.trim())
        .ok_or_else(|| Error::new(Kind::Generic, "not an age identity, expected a line that starts with AGE-SECRET-KEY-1"))?;
    let recipient = own.recipient().map(str::to_owned);
    recipient.ok_or_else(|| Error::new(Kind::Generic, "only the plugin of this identity can tell its recipient"))
}

/// The recipients of the identities in the variables and files for age identities, in the order of these; commands
/// aren't run, nobody is asked, and ssh keys aren't among them.
pub fn own_recipients(identities: &Identities) -> impl Iterator<Item = &str> {
    identities.age.read(identities, false).flat_map(|found| &found.identities).filter_map(|own| own.recipient())
}

/// Reads a recipient of any variety.
fn recipient<'i>(text: &str, identities: Option<&'i Identities>) -> Result<Box<dyn age::Recipient + 'i>> {
    refuse_secret(text)?;
    let Some(variety) = VARIETIES.iter().find(|variety| (variety.names)(text)) else {
        return Err(Error::new(Kind::Generic, "not an age recipient").hint("expected age1…, or the line of an ssh public key"));
    };
    let refuse = |why: String, expected: &str| {
        Error::new(Kind::Generic, format!("not {}{why}: {}", variety.title, printable(&beginning(text)))).hint(expected)
    };
    if text.contains(['\n', '\r']) {
        return Err(refuse(String::new(), "expected one recipient a line, or commas between them"));
    }
    (variety.recipient)(text, identities).map_err(|why| refuse(why, variety.expected))
}

/// A recipient for a message: in full, unless it is longer than a line.
fn beginning(text: &str) -> String {
    let start: String = text.chars().take(100).collect();
    if start.len() < text.len() { format!("{start}…") } else { start }
}

/// A secret key where a public one belongs must not be repeated in a message.
fn refuse_secret(text: &str) -> Result<()> {
    let upper = text.to_ascii_uppercase();
    if !upper.starts_with("AGE-SECRET-KEY-") && !upper.starts_with("AGE-PLUGIN-") && !upper.contains("PRIVATE KEY-----") {
        return Ok(());
    }
    Err(Error::new(Kind::Generic, "an age identity (a secret key) stands where a recipient is expected")
        .hint("name its public key, age1…; if the identity was saved or shared by this, make a new one with: kveil keygen"))
}

fn seal(recipient: &dyn age::Recipient, data_key: &[u8]) -> std::result::Result<String, age::EncryptError> {
    let mut armored = Vec::new();
    let armor = age::armor::ArmoredWriter::wrap_output(&mut armored, age::armor::Format::AsciiArmor)?;
    let mut writer = age::Encryptor::with_recipients(std::iter::once(recipient))?.wrap_output(armor)?;
    writer.write_all(data_key)?;
    writer.finish()?.finish()?;
    Ok(String::from_utf8_lossy(&armored).into_owned())
}

fn open(enc: &str, opening: &Opening<'_>) -> std::result::Result<Zeroizing<Vec<u8>>, DecryptError> {
    let file = age::Decryptor::new_buffered(age::armor::ArmoredReader::new(enc.as_bytes()))?;
    let reader = file.decrypt(std::iter::once(opening as &dyn age::Identity))?;
    let mut plaintext = Zeroizing::new(Vec::with_capacity(MAX_PLAINTEXT as usize));
    reader.take(MAX_PLAINTEXT).read_to_end(&mut plaintext)?;
    Ok(plaintext)
}

fn damage(error: &DecryptError) -> String {
    let what = match error {
        DecryptError::InvalidMac => "its header was changed",
        DecryptError::UnknownFormat => "it is of an unknown age version",
        _ => "it isn't a whole age file, or its content was changed",
    };
    format!("the wrapped key is damaged: {what}")
}

#[cfg(test)]
mod tests;
